"""Numbers, times, dates, places and waiting times as a person of each language says them."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest

from callcore.prompts import spoken, voices
from callcore.prompts.shelf import LANGUAGES
from callcore.prompts.tongues import TONGUES

PERSONS = [
    "ヒトリ",
    "フタリ",
    "サンニン",
    "ヨニン",
    "ゴニン",
    "ロクニン",
    "ナナニン",
    "ハチニン",
    "キューニン",
    "ジューニン",
    "ジューイチニン",
    "ジューニニン",
    "ジューサンニン",
    "ジューヨニン",
    "ジューゴニン",
    "ジューロクニン",
    "ジューナナニン",
    "ジューハチニン",
    "ジューキューニン",
    "ニジューニン",
]
UNDER_TEN = [
    "イップン",
    "ニフン",
    "サンプン",
    "ヨンプン",
    "ゴフン",
    "ロップン",
    "ナナフン",
    "ハップン",
    "キューフン",
]
TENS = ("", "ジュー", "ニジュー", "サンジュー", "ヨンジュー", "ゴジュー", "ロクジュー")
MINUTES = {
    10 * tens + rest: TENS[tens] + UNDER_TEN[rest - 1] if rest else TENS[tens][:-1] + "ップン"
    for tens in range(7)
    for rest in range(10)
    if tens or rest
}
HOURS = [
    "レイジ",
    "イチジ",
    "ニジ",
    "サンジ",
    "ヨジ",
    "ゴジ",
    "ロクジ",
    "シチジ",
    "ハチジ",
    "クジ",
    "ジュージ",
    "ジューイチジ",
]
MONTHS = [
    "イチガツ",
    "ニガツ",
    "サンガツ",
    "シガツ",
    "ゴガツ",
    "ロクガツ",
    "シチガツ",
    "ハチガツ",
    "クガツ",
    "ジューガツ",
    "ジューイチガツ",
    "ジューニガツ",
]
DAYS = [
    "ツイタチ",
    "フツカ",
    "ミッカ",
    "ヨッカ",
    "イツカ",
    "ムイカ",
    "ナノカ",
    "ヨーカ",
    "ココノカ",
    "トーカ",
    "ジューイチニチ",
    "ジューニニチ",
    "ジューサンニチ",
    "ジューヨッカ",
    "ジューゴニチ",
    "ジューロクニチ",
    "ジューシチニチ",
    "ジューハチニチ",
    "ジュークニチ",
    "ハツカ",
    "ニジューイチニチ",
    "ニジューニニチ",
    "ニジューサンニチ",
    "ニジューヨッカ",
    "ニジューゴニチ",
    "ニジューロクニチ",
    "ニジューシチニチ",
    "ニジューハチニチ",
    "ニジュークニチ",
    "サンジューニチ",
    "サンジューイチニチ",
]
WEEKDAYS = ["ゲツヨービ", "カヨービ", "スイヨービ", "モクヨービ", "キンヨービ", "ドヨービ", "ニチヨービ"]


def expected() -> Iterator[tuple[str, str]]:
    """Name and kana of each Japanese phrase, by rules that know nothing of how the texts are written."""
    for n, person in enumerate(PERSONS, 1):
        yield f"place-{n}", f"タダイマ、オマチノジュンバンワ、{person}メデス。"
    yield "place-more", "タダイマ、オキャクサマノマエニ、ニジューニンイジョーノカタガオマチデス。"
    for n in spoken.WAITS_MIN:
        yield f"wait-{n}", f"オマチイタダクジカンワ、オヨソ{MINUTES[n]}デス。"
    yield "wait-soon", "マモナクオツナギシマス。"
    yield "wait-more", "オマチイタダクジカンワ、サンジュップンイジョーノミコミデス。"
    keys = ["イチ", "ニ", "サン", "ヨン", "ゴ", "ロク", "ナナ", "ハチ", "キュー", "ゼロ"]
    for key, kana in zip(spoken.KEYS, keys, strict=True):
        yield f"choose-{key}", f"ニホンゴワ、{kana}ヲオシテクダサイ。"
        yield f"digit-{key}", kana
    for hour in range(24):
        half = "ゴゼン" if hour < 12 else "ゴゴ"
        yield f"at-{hour:02}", "ショーゴ" if hour == 12 else half + HOURS[hour % 12]
    yield "hour-12", "ゴゴレイジ"
    for n in range(5, 60, 5):
        yield f"minute-{n:02}", MINUTES[n]
    for n, kana in enumerate(MONTHS, 1):
        yield f"month-{n:02}", kana
    for n, kana in enumerate(DAYS, 1):
        yield f"day-{n:02}", kana
    for n, kana in enumerate(WEEKDAYS, 1):
        yield f"weekday-{n}", kana
    yield "from", "カラ"
    yield "to", "マデ"


def test_every_japanese_phrase_is_read_with_the_right_counter() -> None:
    words = spoken.vocabulary("ja")
    wanted = dict(expected())
    assert set(words) == set(wanted)
    read = {name: voices.reading(text) for name, text in words.items()}
    assert {name: (read[name], kana) for name, kana in wanted.items() if read[name] != kana} == {}


SPOKEN_SO = {
    "ja": ("午前8時 30分 から 午後6時 まで", "12月 29日 火曜日", "午後れい時 5分"),
    "en": ("from 8 30 a.m. to 6 p.m.", "Tuesday December twenty-ninth", "12 oh 5 p.m."),
    "zh": ("从 上午八点 三十分 到 晚上六点", "十二月 二十九日 星期二", "中午十二点 零五分"),
    "ko": ("오전 여덟 시 삼십 분 부터 오후 여섯 시 까지", "십이월 이십구일 화요일", "오후 열두 시 오 분"),
    "es": ("desde las 8 y 30 hasta las 18", "martes 29 de diciembre", "las 12 y 5"),
    "pt": (
        "desde as 8 horas e 30 minutos até as 18 horas",
        "terça-feira 29 de dezembro",
        "as 12 horas e 5 minutos",
    ),
    "vi": ("từ 8 giờ 30 phút đến 18 giờ", "thứ ba ngày 29 tháng mười hai", "12 giờ 5 phút"),
    "th": ("ตั้งแต่ 8 นาฬิกา 30 นาที ถึง 18 นาฬิกา", "วันอังคาร ที่ 29 ธันวาคม", "12 นาฬิกา 5 นาที"),
    "id": (
        "dari pukul 8 lewat 30 menit sampai pukul 18",
        "Selasa tanggal 29 Desember",
        "pukul 12 lewat 5 menit",
    ),
    "tl": (
        "mula alas otso at 30 minuto ng umaga hanggang alas sais ng gabi",
        "Martes ika-29 ng Disyembre",
        "alas dose at 5 minuto ng tanghali",
    ),
    "ne": ("बिहान ८ बजेर ३० मिनेट देखि साँझ ६ बजे सम्म", "डिसेम्बर २९ तारिख मंगलबार", "दिउँसो १२ बजेर ५ मिनेट"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_hours_a_date_and_a_time_are_put_together_in_the_order_of_the_language(language: str) -> None:
    assert (
        spoken.text(spoken.hours(language, 8 * 60 + 30, 18 * 60)),
        spoken.text(spoken.day(language, date(2026, 12, 29))),
        spoken.text(spoken.clock(language, 12 * 60 + 5)),
    ) == SPOKEN_SO[language]


SECOND_AND_FIVE = {
    "ja": ("ただいま、お待ちの順番は、2人目です。", "お待ちいただく時間は、およそ5分です。"),
    "en": ("You are number 2 in line.", "Your wait will be about 5 minutes."),
    "zh": ("您目前排在第二位。", "预计等候时间约为五分钟。"),
    "ko": ("현재 고객님의 대기 순서는 두 번째입니다.", "예상 대기 시간은 약 오 분입니다."),
    "es": (
        "Usted es la persona número 2 en la fila.",
        "El tiempo de espera es de 5 minutos, aproximadamente.",
    ),
    "pt": ("Você é o número 2 na fila.", "O tempo de espera é de cerca de 5 minutos."),
    "vi": ("Quý khách đang ở vị trí số 2 trong hàng chờ.", "Thời gian chờ khoảng 5 phút."),
    "th": ("ขณะนี้คุณอยู่ในลำดับที่ 2", "เวลารอสายประมาณ 5 นาที"),
    "id": ("Anda berada di urutan nomor 2.", "Waktu tunggu sekitar 5 menit."),
    "tl": ("Kayo po ang ika-2 sa pila.", "Mga 5 minuto po ang inyong paghihintay."),
    "ne": ("तपाईंको पालो २ नम्बरमा छ।", "पर्खने समय लगभग ५ मिनेट छ।"),
}


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_place_and_a_wait_are_one_sentence_each(language: str) -> None:
    said = (spoken.place(language, 2), spoken.wait(language, 241))
    assert tuple(spoken.text(each) for each in said) == SECOND_AND_FIVE[language]
    assert [len(each) for each in said] == [1, 1]


@pytest.mark.parametrize(
    ("seconds", "name"),
    [(0, "soon"), (30, "soon"), (30.1, "1"), (60, "1"), (61, "2"), (600, "10"), (601, "11"),
     (1800, "30"), (1800.1, "more"), (90000, "more")],
)  # fmt: skip
def test_nobody_is_promised_a_shorter_wait_than_is_expected(seconds: float, name: str) -> None:
    assert [phrase.name for phrase in spoken.wait("en", seconds)] == [f"wait-{name}"]


def test_korean_and_chinese_count_hours_as_people_do() -> None:
    korean = [spoken.text(spoken.clock("ko", 60 * hour)) for hour in (0, 1, 2, 3, 4, 11, 12, 20)]
    assert korean == [
        "자정", "오전 한 시", "오전 두 시", "오전 세 시", "오전 네 시", "오전 열한 시", "정오", "오후 여덟 시",
    ]  # fmt: skip
    assert spoken.text(spoken.clock("zh", 14 * 60 + 5)) == "下午两点 零五分"
    assert [spoken.text(spoken.place("ko", n)) for n in (1, 11, 15, 20)] == [
        f"현재 고객님의 대기 순서는 {n} 번째입니다." for n in ("첫", "열한", "열다섯", "스무")
    ]
    assert spoken.vocabulary("ko")["month-06"] == "유월"
    assert spoken.vocabulary("ko")["month-10"] == "시월"
    assert spoken.text(spoken.wait("en", 60)) == "Your wait will be about 1 minute."
    assert [spoken.vocabulary("en")[f"day-{n:02}"] for n in (1, 12, 20, 21, 22, 23, 25, 30, 31)] == [
        "first", "twelfth", "twentieth", "twenty-first", "twenty-second", "twenty-third", "twenty-fifth",
        "thirtieth", "thirty-first",
    ]  # fmt: skip


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_time_and_every_day_can_be_said_from_the_phrases_that_are_built(language: str) -> None:
    words = spoken.vocabulary(language)
    said = [spoken.clock(language, minute) for minute in range(0, spoken.DAY_MIN + 1, 5)]
    said += [spoken.day(language, date.fromordinal(n)) for n in range(739000, 739366)]
    said += [spoken.place(language, n) for n in range(1, 200)]
    said += [spoken.digits(language, "0975-10-5151"), *(spoken.choose(language, key) for key in spoken.KEYS)]
    assert all(words[phrase.name] == phrase.text for each in said for phrase in each)
    assert len({spoken.text(each) for each in said[:288]}) == 288
    assert said[288] == said[0]
    assert all(text.strip() == text and text for text in words.values())


def test_what_can_not_be_said_is_refused() -> None:
    for wrong in (
        lambda: spoken.place("ja", 0),
        lambda: spoken.clock("ja", -5),
        lambda: spoken.clock("ja", 8 * 60 + 33),
        lambda: spoken.clock("ja", spoken.DAY_MIN + 5),
        lambda: spoken.digits("ja", "-"),
        lambda: spoken.choose("ja", "10"),
        lambda: spoken.choose("ja", "*"),
    ):
        with pytest.raises(ValueError, match=r"\S"):
            wrong()
    assert set(TONGUES) == set(LANGUAGES)
