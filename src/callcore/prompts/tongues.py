"""How each language says numbers, times and dates: its texts and its order, nothing else.

Japanese, Chinese and Korean are written out, because a reading depends on the counter (ひとりめ, 两点, 두 번째); where
a voice would take the wrong one, Japanese stands in kana. In the others digits are written, which are read alike by
people and by the voices.

Hours: Japanese, Chinese, Korean, English, Filipino and Nepali divide the day, the others count to 24.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Tongue:
    """One language. Numbers are what is said, hours 0 to 23, months and days from 1, weekdays from Monday."""

    place: Callable[[int], str]
    place_more: str
    wait: Callable[[int], str]
    """Whole minutes."""
    wait_soon: str
    wait_more: str
    choose: Callable[[int], str]
    """The key to press for this language."""
    digits: tuple[str, ...]
    at: Callable[[int], str]
    """A full hour."""
    hour: Callable[[int], str]
    """An hour that minutes follow."""
    minute: Callable[[int], str]
    months: tuple[str, ...]
    day: Callable[[int], str]
    weekdays: tuple[str, ...]
    span: str
    """The order of a span of time: names of particles, and `{opens}`, `{closes}`."""
    date: str
    """The order of `month`, `day`, `weekday`."""
    particles: dict[str, str]
    after: Callable[[int], str | None] = field(default=lambda _: None)
    """The particle that stands behind the minutes of this hour."""


def _of(template: str) -> Callable[[int], str]:
    return lambda n: template.format(n=n)


def _words(texts: str) -> tuple[str, ...]:
    return tuple(text.strip() for text in texts.split(","))


# -- 日本語 --------------------------------------------------------------------------------------------------

_JA_DAYS: Final = {
    1: "ついたち",
    2: "ふつか",
    3: "みっか",
    4: "よっか",
    5: "いつか",
    6: "むいか",
    7: "なのか",
    8: "ようか",
    9: "ここのか",
    10: "とおか",
    14: "じゅうよっか",
    20: "はつか",
    24: "にじゅうよっか",
}
"""What is not counted by にち (文化審議会などの読み: 4日 よっか, 20日 はつか)."""


def _ja_hour(hour: int) -> str:
    return f"{'午前' if hour < 12 else '午後'}{hour % 12 or 'れい'}時"


def _ja_persons(n: int) -> str:
    """7人 as ななにん: しちにん is taken for いちにん on a telephone."""
    return {7: "ななにん", 17: "じゅうななにん"}.get(n, f"{n}人")


def _ja_minutes(n: int) -> str:
    """8分 is はっぷん first of all; the voice says はちふん."""
    return {8: "はっぷん", 18: "じゅうはっぷん", 28: "にじゅうはっぷん"}.get(n, f"{n}分")


# -- 中文 ----------------------------------------------------------------------------------------------------


def _zh(n: int) -> str:
    """0 to 99."""
    ones = "零一二三四五六七八九"
    tens, rest = divmod(n, 10)
    if not tens:
        return ones[rest]
    return ("" if tens == 1 else ones[tens]) + "十" + (ones[rest] if rest else "")


def _zh_two(n: int) -> str:
    """Before a counter 2 is 两."""
    return "两" if n == 2 else _zh(n)


def _zh_hour(hour: int) -> str:
    if hour == 12:
        return "中午十二点"
    part = "凌晨" if hour < 6 else "上午" if hour < 12 else "下午" if hour < 18 else "晚上"
    return f"{part}{_zh_two(hour % 12)}点"


# -- 한국어 --------------------------------------------------------------------------------------------------


def _ko(n: int) -> str:
    """Sino-Korean, 0 to 99: minutes, months, days."""
    ones = ("영", "일", "이", "삼", "사", "오", "육", "칠", "팔", "구")
    tens, rest = divmod(n, 10)
    if not tens:
        return ones[rest]
    return ("" if tens == 1 else ones[tens]) + "십" + (ones[rest] if rest else "")


def _ko_own(n: int) -> str:
    """Native numbers before a counter, 1 to 20: hours, places."""
    if n == 20:
        return "스무"
    ones = ("", "한", "두", "세", "네", "다섯", "여섯", "일곱", "여덟", "아홉")
    return ("열" if n >= 10 else "") + ones[n % 10]


def _ko_place(n: int) -> str:
    # 첫 번째 alone is irregular; 열한 번째 is not.
    return f"현재 고객님의 대기 순서는 {'첫' if n == 1 else _ko_own(n)} 번째입니다."


def _ko_hour(hour: int) -> str:
    return f"{'오전' if hour < 12 else '오후'} {_ko_own(hour % 12 or 12)} 시"


# -- the day in parts ----------------------------------------------------------------------------------------


def _en_at(hour: int) -> str:
    if hour % 12 == 0:
        return "noon" if hour else "midnight"
    return f"{hour % 12} {'a.m.' if hour < 12 else 'p.m.'}"


_EN_ORDINALS: Final = _words(
    "first,second,third,fourth,fifth,sixth,seventh,eighth,ninth,tenth,eleventh,twelfth,thirteenth,fourteenth,"
    "fifteenth,sixteenth,seventeenth,eighteenth,nineteenth"
)


def _en_day(n: int) -> str:
    if n < 20:
        return _EN_ORDINALS[n - 1]
    tens, rest = divmod(n, 10)
    if not rest:
        return ("twentieth", "thirtieth")[tens - 2]
    return f"{('twenty', 'thirty')[tens - 2]}-{_EN_ORDINALS[rest - 1]}"


_TL_HOURS: Final = _words("dose,una,dos,tres,kuwatro,singko,sais,siyete,otso,nuwebe,diyes,onse")


def _tl_part(hour: int) -> str:
    if hour == 12:
        return "noon"
    return "dawn" if hour < 5 else "morning" if hour < 12 else "afternoon" if hour < 18 else "evening"


_TL_PARTS: Final = {
    "dawn": "ng madaling-araw",
    "morning": "ng umaga",
    "noon": "ng tanghali",
    "afternoon": "ng hapon",
    "evening": "ng gabi",
}


def _tl_hour(hour: int) -> str:
    return f"{'ala' if hour % 12 == 1 else 'alas'} {_TL_HOURS[hour % 12]}"


def _ne_part(hour: int) -> str:
    return "बिहान" if 4 <= hour < 12 else "दिउँसो" if 12 <= hour < 17 else "साँझ" if 17 <= hour < 20 else "राति"


def _ne(n: int) -> str:
    return str(n).translate(str.maketrans("0123456789", "०१२३४५६७८९"))


def _es_hour(hour: int) -> str:
    return "la 1" if hour == 1 else f"las {hour}"


def _pt_hour(hour: int) -> str:
    return f"a {hour} hora" if hour == 1 else f"as {hour} horas"


def _pt_minutes(n: int) -> str:
    return f"{n} minuto" if n == 1 else f"{n} minutos"


TONGUES: Final[dict[str, Tongue]] = {
    "ja": Tongue(
        place=lambda n: f"ただいま、お待ちの順番は、{_ja_persons(n)}目です。",
        place_more="ただいま、お客様の前に、20人以上のかたがお待ちです。",
        wait=lambda n: f"お待ちいただく時間は、およそ{_ja_minutes(n)}です。",
        wait_soon="まもなくおつなぎします。",
        wait_more="お待ちいただく時間は、30分以上の見込みです。",
        choose=_of("日本語は、{n}を押してください。"),
        digits=_words("ゼロ,いち,に,さん,よん,ご,ろく,なな,はち,きゅう"),
        at=lambda hour: "正午" if hour == 12 else _ja_hour(hour),
        hour=_ja_hour,
        minute=_ja_minutes,
        months=tuple(f"{n}月" for n in range(1, 13)),
        day=lambda n: _JA_DAYS.get(n, f"{n}日"),
        weekdays=_words("月曜日,火曜日,水曜日,木曜日,金曜日,土曜日,日曜日"),
        span="{opens} from {closes} to",
        date="month day weekday",
        particles={"from": "から", "to": "まで"},
    ),
    "en": Tongue(
        place=_of("You are number {n} in line."),
        place_more="There are at least 20 callers ahead of you.",
        wait=lambda n: f"Your wait will be about {n} minute{'' if n == 1 else 's'}.",
        wait_soon="We will connect you shortly.",
        wait_more="Your wait may be 30 minutes or more.",
        choose=_of("For English, press {n}."),
        digits=_words("zero,one,two,three,four,five,six,seven,eight,nine"),
        at=_en_at,
        hour=lambda hour: str(hour % 12 or 12),
        minute=lambda n: f"oh {n}" if n < 10 else str(n),
        months=_words(
            "January,February,March,April,May,June,July,August,September,October,November,December"
        ),
        day=_en_day,
        weekdays=_words("Monday,Tuesday,Wednesday,Thursday,Friday,Saturday,Sunday"),
        span="from {opens} to {closes}",
        date="weekday month day",
        particles={"from": "from", "to": "to", "am": "a.m.", "pm": "p.m."},
        after=lambda hour: "am" if hour < 12 else "pm",
    ),
    "zh": Tongue(
        place=lambda n: f"您目前排在第{_zh(n)}位。",
        place_more="您前面至少有二十位来电者正在等候。",
        wait=lambda n: f"预计等候时间约为{_zh_two(n)}分钟。",
        wait_soon="马上为您接通。",
        wait_more="预计等候时间为三十分钟以上。",
        choose=lambda n: f"中文服务请按{_zh(n)}。",
        digits=tuple(_zh(n) for n in range(10)),
        at=_zh_hour,
        hour=_zh_hour,
        minute=lambda n: f"{'零' if n < 10 else ''}{_zh(n)}分",
        months=tuple(f"{_zh(n)}月" for n in range(1, 13)),
        day=lambda n: f"{_zh(n)}日",
        weekdays=_words("星期一,星期二,星期三,星期四,星期五,星期六,星期日"),
        span="from {opens} to {closes}",
        date="month day weekday",
        particles={"from": "从", "to": "到"},
    ),
    "ko": Tongue(
        place=_ko_place,
        place_more="현재 고객님 앞에 스무 명 이상 기다리고 있습니다.",
        wait=lambda n: f"예상 대기 시간은 약 {_ko(n)} 분입니다.",
        wait_soon="곧 연결해 드리겠습니다.",
        wait_more="예상 대기 시간은 삼십 분 이상입니다.",
        choose=lambda n: f"한국어는 {_ko(n)} 번을 눌러 주십시오.",
        digits=_words("영,일,이,삼,사,오,육,칠,팔,구"),
        at=lambda hour: "정오" if hour == 12 else "자정" if hour == 0 else _ko_hour(hour),
        hour=_ko_hour,
        minute=lambda n: f"{_ko(n)} 분",
        months=_words("일월,이월,삼월,사월,오월,유월,칠월,팔월,구월,시월,십일월,십이월"),
        day=lambda n: f"{_ko(n)}일",
        weekdays=_words("월요일,화요일,수요일,목요일,금요일,토요일,일요일"),
        span="{opens} from {closes} to",
        date="month day weekday",
        particles={"from": "부터", "to": "까지"},
    ),
    "es": Tongue(
        place=_of("Usted es la persona número {n} en la fila."),
        place_more="Hay al menos 20 personas antes que usted.",
        wait=lambda n: f"El tiempo de espera es de {n} minuto{'' if n == 1 else 's'}, aproximadamente.",
        wait_soon="En breve le atenderemos.",
        wait_more="El tiempo de espera puede ser de 30 minutos o más.",
        choose=_of("Para español, pulse {n}."),
        digits=_words("cero,uno,dos,tres,cuatro,cinco,seis,siete,ocho,nueve"),
        at=_es_hour,
        hour=_es_hour,
        minute=_of("y {n}"),
        months=_words(
            "de enero,de febrero,de marzo,de abril,de mayo,de junio,de julio,de agosto,de septiembre,de octubre,"
            "de noviembre,de diciembre"
        ),
        day=lambda n: "primero" if n == 1 else str(n),
        weekdays=_words("lunes,martes,miércoles,jueves,viernes,sábado,domingo"),
        span="from {opens} to {closes}",
        date="weekday day month",
        particles={"from": "desde", "to": "hasta"},
    ),
    "pt": Tongue(
        place=_of("Você é o número {n} na fila."),
        place_more="Há pelo menos 20 pessoas na sua frente.",
        wait=lambda n: f"O tempo de espera é de cerca de {_pt_minutes(n)}.",
        wait_soon="Em breve iremos atendê-lo.",
        wait_more="O tempo de espera pode ser de 30 minutos ou mais.",
        choose=_of("Para português, tecle {n}."),
        digits=_words("zero,um,dois,três,quatro,cinco,seis,sete,oito,nove"),
        at=_pt_hour,
        hour=_pt_hour,
        minute=lambda n: f"e {_pt_minutes(n)}",
        months=_words(
            "de janeiro,de fevereiro,de março,de abril,de maio,de junho,de julho,de agosto,de setembro,de outubro,"
            "de novembro,de dezembro"
        ),
        day=lambda n: "primeiro" if n == 1 else str(n),
        weekdays=_words("segunda-feira,terça-feira,quarta-feira,quinta-feira,sexta-feira,sábado,domingo"),
        span="from {opens} to {closes}",
        date="weekday day month",
        particles={"from": "desde", "to": "até"},
    ),
    "vi": Tongue(
        place=_of("Quý khách đang ở vị trí số {n} trong hàng chờ."),
        place_more="Hiện có ít nhất 20 người đang chờ trước quý khách.",
        wait=_of("Thời gian chờ khoảng {n} phút."),
        wait_soon="Chúng tôi sẽ nối máy ngay.",
        wait_more="Thời gian chờ có thể từ 30 phút trở lên.",
        choose=_of("Tiếng Việt, xin bấm phím số {n}."),
        digits=_words("không,một,hai,ba,bốn,năm,sáu,bảy,tám,chín"),
        at=_of("{n} giờ"),
        hour=_of("{n} giờ"),
        minute=_of("{n} phút"),
        months=_words(
            "tháng một,tháng hai,tháng ba,tháng tư,tháng năm,tháng sáu,tháng bảy,tháng tám,tháng chín,tháng mười,"
            "tháng mười một,tháng mười hai"
        ),
        day=lambda n: f"ngày mùng {n}" if n <= 10 else f"ngày {n}",
        weekdays=_words("thứ hai,thứ ba,thứ tư,thứ năm,thứ sáu,thứ bảy,chủ nhật"),
        span="from {opens} to {closes}",
        date="weekday day month",
        particles={"from": "từ", "to": "đến"},
    ),
    "th": Tongue(
        place=_of("ขณะนี้คุณอยู่ในลำดับที่ {n}"),
        place_more="ขณะนี้มีผู้รอสายก่อนคุณอย่างน้อย 20 ราย",
        wait=_of("เวลารอสายประมาณ {n} นาที"),
        wait_soon="กำลังจะโอนสายให้คุณ",
        wait_more="เวลารอสายอาจนานตั้งแต่ 30 นาทีขึ้นไป",
        choose=_of("ภาษาไทย กด {n}"),
        digits=_words("ศูนย์,หนึ่ง,สอง,สาม,สี่,ห้า,หก,เจ็ด,แปด,เก้า"),
        at=_of("{n} นาฬิกา"),
        hour=_of("{n} นาฬิกา"),
        minute=_of("{n} นาที"),
        months=_words(
            "มกราคม,กุมภาพันธ์,มีนาคม,เมษายน,พฤษภาคม,มิถุนายน,กรกฎาคม,สิงหาคม,กันยายน,ตุลาคม,พฤศจิกายน,ธันวาคม"
        ),
        day=_of("ที่ {n}"),
        weekdays=_words("วันจันทร์,วันอังคาร,วันพุธ,วันพฤหัสบดี,วันศุกร์,วันเสาร์,วันอาทิตย์"),
        span="from {opens} to {closes}",
        date="weekday day month",
        particles={"from": "ตั้งแต่", "to": "ถึง"},
    ),
    "id": Tongue(
        place=_of("Anda berada di urutan nomor {n}."),
        place_more="Ada sedikitnya 20 penelepon sebelum Anda.",
        wait=_of("Waktu tunggu sekitar {n} menit."),
        wait_soon="Anda akan segera kami hubungkan.",
        wait_more="Waktu tunggu mungkin 30 menit atau lebih.",
        choose=_of("Untuk bahasa Indonesia, tekan {n}."),
        digits=_words("nol,satu,dua,tiga,empat,lima,enam,tujuh,delapan,sembilan"),
        at=_of("pukul {n}"),
        hour=_of("pukul {n}"),
        minute=_of("lewat {n} menit"),
        months=_words(
            "Januari,Februari,Maret,April,Mei,Juni,Juli,Agustus,September,Oktober,November,Desember"
        ),
        day=_of("tanggal {n}"),
        weekdays=_words("Senin,Selasa,Rabu,Kamis,Jumat,Sabtu,Minggu"),
        span="from {opens} to {closes}",
        date="weekday day month",
        particles={"from": "dari", "to": "sampai"},
    ),
    "tl": Tongue(
        place=_of("Kayo po ang ika-{n} sa pila."),
        place_more="Hindi bababa sa 20 tao ang nauuna sa inyo.",
        wait=_of("Mga {n} minuto po ang inyong paghihintay."),
        wait_soon="Ikokonekta na po namin kayo.",
        wait_more="Maaaring 30 minuto o higit pa ang paghihintay.",
        choose=_of("Para sa Filipino, pindutin ang {n}."),
        digits=_words("sero,isa,dalawa,tatlo,apat,lima,anim,pito,walo,siyam"),
        at=lambda hour: f"{_tl_hour(hour)} {_TL_PARTS[_tl_part(hour)]}",
        hour=_tl_hour,
        minute=_of("at {n} minuto"),
        months=_words(
            "Enero,Pebrero,Marso,Abril,Mayo,Hunyo,Hulyo,Agosto,Setyembre,Oktubre,Nobyembre,Disyembre"
        ),
        day=_of("ika-{n} ng"),
        weekdays=_words("Lunes,Martes,Miyerkules,Huwebes,Biyernes,Sabado,Linggo"),
        span="from {opens} to {closes}",
        date="weekday day month",
        particles={"from": "mula", "to": "hanggang", **_TL_PARTS},
        after=_tl_part,
    ),
    "ne": Tongue(
        place=lambda n: f"तपाईंको पालो {_ne(n)} नम्बरमा छ।",
        place_more="तपाईंभन्दा अगाडि कम्तीमा २० जना हुनुहुन्छ।",
        wait=lambda n: f"पर्खने समय लगभग {_ne(n)} मिनेट छ।",
        wait_soon="तपाईंलाई छिट्टै जोड्नेछौं।",
        wait_more="पर्खने समय ३० मिनेट वा सोभन्दा बढी हुन सक्छ।",
        choose=lambda n: f"नेपालीका लागि {_ne(n)} थिच्नुहोस्।",
        digits=_words("शून्य,एक,दुई,तीन,चार,पाँच,छ,सात,आठ,नौ"),
        at=lambda hour: f"{_ne_part(hour)} {_ne(hour % 12 or 12)} बजे",
        hour=lambda hour: f"{_ne_part(hour)} {_ne(hour % 12 or 12)} बजेर",
        minute=lambda n: f"{_ne(n)} मिनेट",
        months=_words("जनवरी,फेब्रुअरी,मार्च,अप्रिल,मे,जुन,जुलाई,अगस्ट,सेप्टेम्बर,अक्टोबर,नोभेम्बर,डिसेम्बर"),
        day=lambda n: f"{_ne(n)} तारिख",
        weekdays=_words("सोमबार,मंगलबार,बुधबार,बिहीबार,शुक्रबार,शनिबार,आइतबार"),
        span="{opens} from {closes} to",
        date="month day weekday",
        particles={"from": "देखि", "to": "सम्म"},
    ),
}
