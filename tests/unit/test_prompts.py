"""What callers and agents hear from the machine: loud enough, never distorted, of the right text."""

from __future__ import annotations

import json
import tomllib
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from callcore.centres import look, read
from callcore.demo.centre import ANNOUNCEMENTS
from callcore.prompts import build, desk, music, shelf, sound, voices
from tests.support.prompts import SILENCE, put_prompt

PROJECT = Path(__file__).parents[2]
SOUNDS = PROJECT / "ivr_prompts"
CENTRES = {
    path.stem: tomllib.loads(path.read_text(encoding="utf-8"))
    for path in (PROJECT / "centres").glob("*.toml")
}
SHIPPED_MB = 36

OWN = [each for centre in read(PROJECT / "centres").centres for each in centre.announcements]
CLOSED = "本日は終了しました。"
EVERY = [each for each in build.wanted(SOUNDS, [*OWN, *ANNOUNCEMENTS]) if each.language != "tl"]
SENTENCES = {each.name: each for each in EVERY if not each.phrase}

SAME = {
    "recording_notice": (
        "コノツーワワ、オトイアワセナイヨーノカクニント、オータイヒンシツノコージョーノタメ、ロクオンシテイマス。"
    ),
    "apology": (
        "モーシワケゴザイマセン。"
        "タダイマデンワガタイヘンコミアッテオリ、オツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "overflow": (
        "モーシワケゴザイマセン。"
        "タダイマ、タクサンノオデンワヲイタダイテオリ、スグニオツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
}
"""How what every centre says is read."""

LOST_CARD = (
    "マイナンバーカードノフンシツヤトーナンデ、カードノリヨーヲイチジテーシスルカタワ、イチヲオシテクダサイ。"
    "ニジューヨジカンタイオーノマドグチニオツナギシマス。"
)
OVERFLOW_MENU = (
    "コノママオマチニナルカタワ、イチヲ。コチラカラノオデンワヲゴキボーノカタワ、ニヲ。ゴヨーケンヲロクオンシテイタダクカタワ、サンヲ。"
    "ウケツケジカンノゴアンナイワ、ヨンヲ。マイナンバーソーゴーフリーダイヤルニオツナギスルカタワ、ゴヲオシテクダサイ。"
)
WAIT_CALL_OR_MESSAGE = (
    "コノママオマチニナルカタワ、イチヲ。コチラカラノオデンワヲゴキボーノカタワ、ニヲ。"
    "ゴヨーケンヲロクオンシテイタダクカタワ、サンヲオシテクダサイ。"
)
HAVE_READY = "カードヲオモチノカタワ、オテモトニゴヨーイクダサイ。"
READINGS = {
    "ja/closed_holiday": "ホンジツワシュクジツノタメ、オヤスミヲイタダイテオリマス。",
    "ja/closed_year_end": "ネンマツネンシノタメ、オヤスミヲイタダイテオリマス。",
    "ja/closed_day": "ホンジツワ、リンジノオヤスミヲイタダイテオリマス。",
    "ja/closed_changed": "ホンジツワ、ウケツケジカンヲヘンコーシテオリマス。",
    "oita/ja/overflow_menu": OVERFLOW_MENU,
    "oita/ja/put_through": "オーイタシマイナンバーカードコールセンターカラ、",
    "oita/ja/subject_card": "ケンメー、マイナンバーカードノオトイアワセデス。",
    "oita/ja/city": (
        "マイナンバーカードノオトイアワセワ、コノママオマチクダサイ。"
        "シヤクショノダイヒョーワナナヲ、ツルサキシショワハチヲ、ワサダシショワキューヲオシテクダサイ。"
    ),
    "izunokuni/ja/overflow_menu": OVERFLOW_MENU,
    "oita/ja/have_ready": HAVE_READY,
    "izunokuni/ja/have_ready": HAVE_READY,
    "ageo/ja/overflow_menu": WAIT_CALL_OR_MESSAGE,
    "sogo/ja/overflow_menu": WAIT_CALL_OR_MESSAGE,
    "portal/ja/overflow_menu": (
        "オマチニナルカタワ、イチヲ。ゴヨーケンヲロクオンシテイタダクカタワ、ニヲオシテクダサイ。"
    ),
    "portal/ja/outsider": (
        "マイナポータルヘルプデスクデス。コノバンゴーワ、オペレーターセンヨーデス。"
        "マイナポータルニツイテノオトイアワセワ、マイナンバーソーゴーフリーダイヤルニオカケクダサイ。"
    ),
    "ageo/ja/have_ready": HAVE_READY,
    "sogo/ja/have_ready": HAVE_READY,
    "oita/ja/hours_info": "ウケツケワ、ヘージツノハチジサンジュップンカラジューハチジマデデス。",
    "izunokuni/ja/hours_info": (
        "ウケツケジカンワ、ヘージツノゴゼンハチジサンジュップンカラゴゴゴジジューゴフンマデ、"
        "シュクジツヲノゾクモクヨービワ、ゴゴシチジマデデス。ドヨービ、ニチヨービ、シュクジツワ、オヤスミデス。"
    ),
    "oita/ja/language_choice": "ニホンゴワ、イチヲオシテクダサイ。",
    "oita/ja/lost_card": LOST_CARD + "ゴヨーケンヲロクオンシテイタダクカタワ、ニヲオシテクダサイ。",
    "sogo/ja/language_choice": "ニホンゴワ、イチヲオシテクダサイ。",
    "sogo/ja/lost_card": LOST_CARD,
    "oita/ja/recording_notice": SAME["recording_notice"],
    "oita/ja/greeting": (
        "オデンワアリガトーゴザイマス。オーイタシマイナンバーカードコールセンターデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "oita/ja/closed": (
        "オデンワアリガトーゴザイマス。オーイタシマイナンバーカードコールセンターデス。タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンハチジサンジュップンカラゴゴロクジマデデス。"
        "ドヨービ、ニチヨービ、シュクジツ、オヨビジューニガツニジュークニチカライチガツミッカマデワ、オヤスミデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "oita/ja/apology": SAME["apology"],
    "oita/ja/overflow": SAME["overflow"],
    "ageo/ja/apology": SAME["apology"],
    "ageo/ja/closed": (
        "オデンワアリガトーゴザイマス。"
        "アゲオシマイナンバーカードコールセンターデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、マイニチ、ゴゼンハチジサンジュップンカラゴゴハチジマデデス。"
        "ドヨービ、ニチヨービ、シュクジツ、ネンマツネンシモ、ウケツケテオリマス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "ageo/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "アゲオシマイナンバーカードコールセンターデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "ageo/ja/greeting": (
        "オデンワアリガトーゴザイマス。"
        "アゲオシマイナンバーカードコールセンターデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "ageo/ja/recording_notice": SAME["recording_notice"],
    "izunokuni/ja/apology": SAME["apology"],
    "izunokuni/ja/closed": (
        "オデンワアリガトーゴザイマス。"
        "イズノクニシマイナンバーカードコールセンターデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンハチジサンジュップンカラゴゴゴジジューゴフンマデ、シュクジツヲノゾクモクヨービワ、ゴゴシチジマデデス。"
        "ドヨービ、ニチヨービ、シュクジツ、オヨビジューニガツニジュークニチカライチガツミッカマデワ、オヤスミデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "izunokuni/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "イズノクニシマイナンバーカードコールセンターデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "izunokuni/ja/greeting": (
        "オデンワアリガトーゴザイマス。"
        "イズノクニシマイナンバーカードコールセンターデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "izunokuni/ja/overflow": SAME["overflow"],
    "izunokuni/ja/recording_notice": SAME["recording_notice"],
    "oita/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "オーイタシマイナンバーカードコールセンターデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "portal/ja/apology": SAME["apology"],
    "portal/ja/closed": (
        "マイナポータルヘルプデスクデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンクジサンジュップンカラゴゴロクジサンジュップンマデ、イチガツカラサンガツマデノヘージツワ、ゴゼンクジカラゴゴハチジマデデス。"
        "コノバンゴーワ、カンケーシャセンヨーデス。"
        "オトイアワセワ、マイナンバーソーゴーフリーダイヤルニ、オカケクダサイ。"
    ),
    "portal/ja/emergency": (
        "マイナポータルヘルプデスクデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "コノバンゴーワ、カンケーシャセンヨーデス。"
        "オトイアワセワ、マイナンバーソーゴーフリーダイヤルニ、オカケクダサイ。"
    ),
    "portal/ja/greeting": (
        "マイナポータルヘルプデスクデス。タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "portal/ja/recording_notice": SAME["recording_notice"],
    "sogo/ja/apology": SAME["apology"],
    "sogo/ja/closed": (
        "オデンワアリガトーゴザイマス。"
        "マイナンバーソーゴーフリーダイヤルデス。"
        "タダイマワ、ウケツケジカンガイデス。"
        "ウケツケジカンワ、ヘージツノゴゼンクジサンジュップンカラゴゴハチジマデ、ドヨービ、ニチヨービ、シュクジツワ、ゴゼンクジサンジュップンカラゴゴゴジサンジュップンマデデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "sogo/ja/emergency": (
        "オデンワアリガトーゴザイマス。"
        "マイナンバーソーゴーフリーダイヤルデス。"
        "タダイマ、サイガイナドノタメ、リンジニウケツケヲキューシシテオリマス。"
        "オソレイリマスガ、ジカンヲオイテ、オカケナオシクダサイ。"
    ),
    "sogo/ja/greeting": (
        "オデンワアリガトーゴザイマス。"
        "マイナンバーソーゴーフリーダイヤルデス。"
        "タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "sogo/ja/overflow": SAME["overflow"],
    "sogo/ja/recording_notice": SAME["recording_notice"],
    "demo/ja/recording_notice": "コノツーワワ、ロクオンシテイマス。",
    "demo/ja/greeting": "オデンワアリガトーゴザイマス。デモヨーコールセンターデス。",
    "demo/ja/closed": (
        "オデンワアリガトーゴザイマス。デモヨーコールセンターノホンジツノウケツケワ、シューリョーシマシタ。"
        "ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "demo/ja/apology": (
        "モーシワケゴザイマセン。タダイマオツナギスルコトガデキマセン。シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "common/ja/ask-agent-number": "オペレーターバンゴーヲニューリョクシ、シャープヲオシテクダサイ。",
    "common/ja/ask-pin": "アンショーバンゴーヲニューリョクシ、シャープヲオシテクダサイ。",
    "common/ja/signed-in": "ウケツケヲカイシシマシタ。",
    "common/ja/signed-out": "ウケツケヲシューリョーシマシタ。",
    "common/ja/ready": "ウケツケヲサイカイシマシタ。",
    "common/ja/paused": "リセキニシマシタ。",
    "common/ja/extended": "アトショリヲエンチョーシマシタ。",
    "common/ja/refused": "バンゴーマタワアンショーバンゴーガチガイマス。",
    "common/ja/not-possible": "タダイマコノソーサワデキマセン。",
    "common/ja/no-such-code": "コノバンゴーワツカワレテイマセン。",
    "common/ja/call-refused": (
        "コノバンゴーニワハッシンデキマセン。キョカサレテイルバンゴーカ、カンリシャニカクニンシテクダサイ。"
    ),
    "common/ja/call-failed": (
        "オツナギデキマセンデシタ。カイセンノツゴーカ、バンゴーノアヤマリデス。バンゴーヲタシカメテ、モーイチドオカケクダサイ。"
    ),
    "common/ja/no-such-department": "コノタンシュクバンゴーノブショワアリマセン。",
    "common/ja/department-closed": "コノブショワ、ウケツケジカンガイデス。カワリノブショモアリマセン。",
    "common/ja/department-substitute": "コノブショワ、ウケツケジカンガイデス。カワリノブショニオツナギシマス。",
    "common/ja/department-busy": "ブショワハナシチューデス。",
    "common/ja/department-no-answer": "ブショガオートーシマセン。",
    "common/ja/no-supervisor": "セキニンシャワ、ダレモデラレマセン。",
    "common/ja/emergency-elsewhere": (
        "コノデンワキデワ、キンキューノツーホーガデキマセン。ケータイデンワナド、ホカノデンワカラ、スグニオカケクダサイ。"
    ),
    "common/ja/abuse-marked": "ツーホーシマシタ。",
    "common/ja/ask-emergency-end": "キンキューアンナイヲシューリョーシマス。ヨロシケレバ、イチヲオシテクダサイ。",
    "common/ja/ask-result": "ケッカノバンゴーヲオシテクダサイ。",
    "common/ja/ask-emergency": "キンキューアンナイニキリカエマス。ヨロシケレバ、イチヲオシテクダサイ。",
    "common/ja/emergency-off": "キンキューアンナイヲシューリョーシマシタ。",
    "common/ja/emergency-on": "キンキューアンナイニキリカエマシタ。",
    "common/ja/help-asked": "ヨビマシタ。",
    "common/ja/key-refused": "デキマセン。",
    "common/ja/locked": "アンショーバンゴーノアヤマリガツズイタタメ、シバラクウケツケヲカイシデキマセン。",
    "common/ja/other-seat": "コノデンワキデワ、ウケツケヲカイシデキマセン。",
    "common/ja/pause-full": "コノリユーデリセキデキルニンズーニ、タッシテイマス。",
    "common/ja/recording-paused": "ロクオンヲトメマシタ。",
    "common/ja/recording-resumed": "ロクオンヲサイカイシマシタ。",
    "common/ja/relay-marked": "デンワリレー。",
    "common/ja/result-keyed": "ケッカヲキロクシマシタ。",
    "common/ja/signed-in-elsewhere": "ベツノデンワキデウケツケチューデス。",
    "common/ja/undone": "トリケシマシタ。",
    "ja/apology": (
        "モーシワケゴザイマセン。タダイマ、オツナギスルコトガデキマセン。"
        "オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "ja/callback_offer": (
        "コノママオマチイタダカズニ、ジュンバンガキマシタラ、コチラカラオデンワヲオカケスルコトモデキマス。"
        "ゴキボーノカタワ、イチヲオシテクダサイ。"
    ),
    "ja/callback_taken": (
        "ウケタマワリマシタ。ジュンバンガキマシタラ、コチラカラオデンワイタシマス。オデンワアリガトーゴザイマシタ。"
    ),
    "ja/closed": (
        "オデンワアリガトーゴザイマス。タダイマワ、ウケツケジカンガイデス。"
        "オソレイリマスガ、ウケツケジカンニナリマシタラ、オカケナオシクダサイ。"
    ),
    "ja/emergency": (
        "オデンワアリガトーゴザイマス。タダイマ、ツゴーニヨリ、デンワノウケツケヲキューシシテオリマス。"
        "ゴメーワクヲオカケシ、モーシワケゴザイマセン。オソレイリマスガ、シバラクタッテカラ、オカケナオシクダサイ。"
    ),
    "ja/greeting": (
        "オデンワアリガトーゴザイマス。タントーシャニオツナギシマスノデ、ソノママオマチクダサイ。"
    ),
    "common/ja/callback-call": "オリカエシノデンワデス。",
    "common/ja/callback-attempt": "カイメデス。",
    "common/ja/callback-caution": "ヨーチューイノカタデス。",
    "common/ja/callback-number": "バンゴーノオワリワ、",
    "common/ja/callback-closed": "ウケツケジカンガイニナッタタメ、ハッシンシマセンデシタ。",
    "common/ja/language-ja": "ニホンゴデス。",
    "common/ja/language-en": "エーゴデス。",
    "common/ja/language-zh": "チューゴクゴデス。",
    "common/ja/language-ko": "カンコクゴデス。",
    "common/ja/language-es": "スペインゴデス。",
    "common/ja/language-pt": "ポルトガルゴデス。",
    "common/ja/language-vi": "ベトナムゴデス。",
    "common/ja/language-th": "タイゴデス。",
    "common/ja/language-id": "インドネシアゴデス。",
    "common/ja/language-tl": "タガログゴデス。",
    "common/ja/language-ne": "ネパールゴデス。",
    "ja/callback_confirm": "イマオカケノバンゴーニ、コチラカラオデンワイタシマス。ヨロシケレバ、イチヲオシテクダサイ。",
    "ja/callback_unavailable": (
        "オソレイリマスガ、イマオカケノバンゴーニワ、コチラカラオデンワスルコトガデキマセン。"
    ),
    "ja/message_cut": (
        "モーシワケゴザイマセン。オハナシノオワリノホーガ、ロクオンデキマセンデシタ。"
        "タリナイトコロワ、ウケツケジカンニ、オデンワデオシラセクダサイ。"
    ),
    "ja/message_failed": "モーシワケゴザイマセン。タダイマ、デンゴンヲロクオンスルコトガデキマセン。",
    "ja/message_empty": "オコエガ、キキトレマセンデシタ。",
    "ja/message_full": "ロクオンデキルジカンガ、オワリマシタ。",
    "ja/message_invite": (
        "オナマエトゴヨーケンヲ、ハッシンオンノアトニオハナシシクダサイ。"
        "オワリマシタラ、シャープヲオスカ、デンワヲオキリクダサイ。"
    ),
    "ja/message_offer": "ゴヨーケンヲロクオンシテイタダクコトモデキマス。ゴキボーノカタワ、ニヲオシテクダサイ。",
    "ja/message_taken": (
        "ゴヨーケンヲウケタマワリマシタ。タントーシャカラゴレンラクイタシマス。オデンワアリガトーゴザイマシタ。"
    ),
    "ja/no_key": "バンゴーガカクニンデキマセンデシタ。モーイチドオネガイシマス。",
    "ja/overflow": SAME["overflow"],
    "ja/please_wait": (
        "オマタセシテオリマス。タントーシャニオツナギシマスノデ、モーシバラクオマチクダサイ。"
    ),
    "ja/on_hold": (
        "オマタセシテオリマス。タントーシャガカクニンシテオリマス。デンワヲキラズニ、ソノママオマチクダサイ。"
    ),
    "ja/recording_notice": SAME["recording_notice"],
    "ja/blocked": (
        "オデンワアリガトーゴザイマス。オソレイリマスガ、オカケノデンワバンゴーカラノオデンワワ、オウケシテオリマセン。"
        "タントーシャトノツーワガヒツヨーナカタワ、キューヲオシテクダサイ。"
    ),
    "ja/withheld": (
        "オデンワアリガトーゴザイマス。オソレイリマスガ、バンゴーノマエニイチハチロクヲツケテ、デンワバンゴーヲツーチシテ、"
        "オカケナオシクダサイ。ツーチデキナイバアイワ、キューヲオシテクダサイ。"
    ),
    "ja/wrong_key": "モーシワケゴザイマセン。ソノバンゴーワ、ゴリヨーニナレマセン。",
}


def heard(name: str) -> Any:
    """A shipped prompt as a telephone hears it, full scale 1."""
    return sound.samples(shelf.ulaw_of(SOUNDS, name).read_bytes())


def dbfs(wave_form: Any) -> float:
    return float(20 * np.log10(max(np.sqrt(np.mean(np.square(wave_form))), 1e-6)))


# -- what is shipped -----------------------------------------------------------------------------------------


def test_every_prompt_is_shipped_in_order_and_no_other_file_beside_it() -> None:
    assert [each.name for each in EVERY if shelf.fault(SOUNDS, each.name, each.text) is not None] == []
    there = {
        path.relative_to(SOUNDS).with_suffix("").as_posix()
        for ending in (shelf.ULAW, shelf.G722)
        for path in SOUNDS.rglob(f"*{ending}")
    }
    assert there == {each.name for each in EVERY}
    noted = {
        f"{path.parent.relative_to(SOUNDS).as_posix()}/{name}"
        for path in SOUNDS.rglob(shelf.MANIFEST)
        for name in shelf.manifest(path.parent)
    }
    assert noted == there


COMFORTS = {
    "oita": {"have_ready", "hours_info"},
    "izunokuni": {"have_ready", "hours_info"},
    "ageo": {"have_ready"},
    "sogo": {"have_ready"},
    "portal": set[str](),
}


def test_every_language_of_every_shipped_centre_can_be_heard_and_a_substitute_is_said() -> None:
    configuration, warnings = look(PROJECT / "centres", SOUNDS, today=date(2026, 11, 1))
    assert [warning.what_en.split(":")[0] for warning in warnings] == [
        'callers of the language "tl" hear "en" for',
        '"体制1" has 100 seats, and there are 12 phones',
        '"体制2" has 150 seats, and there are 12 phones',
    ]
    languages = {centre.id: centre.languages for centre in configuration.centres}
    assert languages == {
        "oita": ("ja", "en", "zh", "ko"),
        "sogo": shelf.LANGUAGES,
        **dict.fromkeys(("ageo", "izunokuni", "portal"), ("ja",)),
    }
    for centre in configuration.centres:
        kinds = set(shelf.CALLERS_KINDS) - ({"overflow"} if centre.id in ("ageo", "portal") else set())
        menus = {menu.say for menu in centre.menus if menu.say}
        asked = {"language_choice", "lost_card"} if centre.id in ("oita", "sogo") else set()
        assert menus == asked | {"overflow_menu"} | ({"city"} if centre.id == "oita" else set())
        kinds |= menus | COMFORTS[centre.id] | ({"outsider"} if centre.only_from else set())
        told = {(a.kind, a.language) for a in centre.announcements if a.audio}
        to_departments = {("put_through", "ja"), ("subject_card", "ja")} if centre.id == "oita" else set()
        assert told == {(kind, language) for kind in kinds for language in centre.languages} | to_departments
        assert centre.phrases == ((("tl", "en"),) if centre.id == "sogo" else ())


def test_what_an_agent_hears_is_made_for_wide_band_phones_too() -> None:
    heard_by = {
        name: build.Wanted(name, "ja", "…").for_phones
        for name in (
            "common/ja/paused",
            "mori/ja/whisper",
            "mori/ja/no_emergency_call",
            "mori/ja/closed",
            "ja/closed",
        )
    }
    assert heard_by == dict(zip(heard_by, (True, True, True, False, False), strict=True))


def test_every_language_has_a_text_of_every_kind() -> None:
    for language in shelf.LANGUAGES:
        assert {path.stem for path in (SOUNDS / language).glob("*.txt")} == set(shelf.CALLERS_KINDS), language


def test_what_is_common_to_all_centres_stays_small_enough_for_the_repository() -> None:
    common = (path for language in shelf.LANGUAGES for path in (SOUNDS / language).rglob("*"))
    size = sum(path.stat().st_size for path in common if path.is_file())
    assert size < SHIPPED_MB * 1_000_000


@pytest.mark.parametrize("language", [each for each in shelf.LANGUAGES if each != "tl"])
def test_a_language_is_of_one_loudness_never_distorted_and_without_dead_air(language: str) -> None:
    wrong = []
    for each in (each for each in EVERY if each.language == language):
        audio = heard(each.name)
        edge = round(0.9 * shelf.RATE * (sound.PHRASE_MARGIN_MS if each.phrase else sound.MARGIN_MS) / 1000)
        loud = sound.loudness(audio, shelf.RATE)
        fine = (
            abs(loud - sound.TARGET_LUFS) <= sound.TOLERANCE_LU
            and sound.peak(audio) <= sound.PEAK_DBFS + 0.3  # µ-law's own steps
            and np.mean(np.abs(audio) > 0.99) == 0
            and dbfs(audio[:edge]) < -40
            and dbfs(audio[-edge:]) < -40
            and dbfs(audio[edge : edge + 800]) > -60
        )
        made = shelf.made_of(SOUNDS, each.name)
        assert made is not None
        noted = (made.duration_s, made.loudness_lufs) == (
            pytest.approx(len(audio) / shelf.RATE, abs=0.001),
            pytest.approx(loud, abs=0.05),
        )
        if not fine or not noted:
            wrong.append((each.name, loud, sound.peak(audio), dbfs(audio[:edge]), dbfs(audio[-edge:])))
    assert wrong == []


def test_a_place_or_a_waiting_time_is_over_within_five_seconds() -> None:
    for language in shelf.LANGUAGES:
        for name, made in shelf.manifest(SOUNDS / language / shelf.SPOKEN).items():
            assert made.duration_s <= 5, (language, name)


def test_the_manifest_says_whose_voice_it_is_and_under_what_licence() -> None:
    for each in EVERY:
        made = shelf.made_of(SOUNDS, each.name)
        assert made is not None
        japanese = each.language == "ja"
        assert (japanese, "Mei" in made.voice, "CC BY 3.0" in made.licence) in (
            (True, True, True),
            (False, False, False),
        ), each.name
        assert made.licence


@pytest.mark.parametrize("name", sorted(name for name, each in SENTENCES.items() if each.language == "ja"))
def test_a_shipped_prompt_is_read_as_a_japanese_person_reads_it(name: str) -> None:
    assert voices.reading(SENTENCES[name].text or "") == READINGS[name]


SPOKEN_HOURS = {
    "oita": (["08:30-18:00"], ("午前8時30分", "午後6時まで", "土曜日、日曜日、祝日", "12月29日", "1月3日")),
    "ageo": (["08:30-20:00"], ("毎日、午前8時30分から午後8時まで", "年末年始も")),
    "izunokuni": (["08:30-17:15"], ("午後5時15分", "祝日を除く木曜日は、午後7時", "12月29日", "1月3日")),
    "sogo": (["09:30-20:00"], ("午前9時30分から午後8時", "祝日は、午前9時30分から午後5時30分")),
    "portal": (["09:30-18:30"], ("午前9時30分から午後6時30分", "1月から3月までの平日は、午前9時から午後8時")),
}


@pytest.mark.parametrize("centre", sorted(CENTRES))
def test_the_closed_announcement_tells_the_hours_of_the_calendar(centre: str) -> None:
    monday, parts = SPOKEN_HOURS[centre]
    assert CENTRES[centre]["hours"]["weekly"]["monday"] == monday
    text = CENTRES[centre]["announcements"]["closed"]["ja"]
    assert [part for part in parts if part not in text] == []


def test_the_closed_announcements_of_other_languages_tell_the_same_hours() -> None:
    texts = CENTRES["oita"]["announcements"]["closed"]
    assert all(part in texts["en"] for part in ("8:30 a.m.", "6 p.m.", "public holidays", "December 29"))
    assert all(part in texts["zh"] for part in ("上午八点三十分", "下午六点", "节假日", "十二月二十九日"))
    assert all(part in texts["ko"] for part in ("오전 여덟 시 삼십 분", "오후 여섯 시", "공휴일", "십이월"))
    texts = CENTRES["sogo"]["announcements"]["closed"]
    assert set(texts) == set(shelf.LANGUAGES)
    for language, parts in {
        "en": ("9:30 a.m. to 8 p.m.", "9:30 a.m. to 5:30 p.m."),
        "zh": ("上午九点三十分至晚上八点", "上午九点三十分至下午五点三十分"),
        "ko": ("아홉 시 삼십 분부터 오후 여덟 시", "아홉 시 삼십 분부터 오후 다섯 시 삼십 분"),
        "es": ("9 y 30 a 20", "9 y 30 a 17 y 30"),
        "pt": ("9 horas e 30 minutos às 20 horas", "9 horas e 30 minutos às 17 horas e 30 minutos"),
        "vi": ("9 giờ 30 phút đến 20 giờ", "9 giờ 30 phút đến 17 giờ 30 phút"),
        "th": ("9 นาฬิกา 30 นาที ถึง 20 นาฬิกา", "9 นาฬิกา 30 นาที ถึง 17 นาฬิกา 30 นาที"),
        "id": ("9 lewat 30 menit sampai pukul 20", "9 lewat 30 menit sampai pukul 17 lewat 30"),
        "tl": ("nuwebe y medya ng umaga hanggang alas otso", "hanggang alas singko y medya"),
        "ne": ("९ बजेर ३० मिनेटदेखि साँझ ८ बजे", "९ बजेर ३० मिनेटदेखि साँझ ५ बजेर ३० मिनेट"),
    }.items():
        assert [part for part in parts if part not in texts[language]] == [], language


def test_the_music_on_hold_is_quiet_within_the_telephone_band_and_loops_without_a_seam() -> None:
    path = build.music_of(SOUNDS)
    audio = np.frombuffer(path.read_bytes()[44:], "<i2") / 32768
    power = np.abs(np.fft.rfft(audio)) ** 2
    hertz = np.fft.rfftfreq(len(audio), 1 / 8000)
    steps = np.abs(np.diff(audio))
    around = np.roll(audio, 400)[:800]  # the seam in the middle
    assert 25 < len(audio) / 8000 < 40
    assert dbfs(audio) == pytest.approx(-24, abs=0.5)
    assert np.max(np.abs(audio)) < 10 ** (-6 / 20)
    assert power[(hertz < 300) | (hertz > 3400)].sum() < power.sum() * 1e-5
    assert abs(audio[0] - audio[-1]) <= np.max(steps)
    assert np.max(np.abs(np.diff(around, 2))) <= np.max(np.abs(np.diff(audio, 2)))
    assert min(dbfs(bar) for bar in np.array_split(audio, 32)) > -32
    assert float(np.corrcoef(np.frombuffer(music.loop(), "<i2"), audio)[0, 1]) > 0.999


def test_a_phrase_that_is_shorter_than_one_block_has_a_loudness_too() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 997 * np.arange(1600) / 8000)
    assert sound.loudness(tone, 8000) == pytest.approx(-23.0, abs=0.5)  # BS.1770: 0 dBFS sine is -3.01
    assert sound.loudness(np.zeros(1600), 8000) == -70.0


def test_a_manifest_that_can_not_be_read_makes_prompts_suspect_and_nothing_worse(tmp_path: Path) -> None:
    put_prompt(tmp_path, "mori/ja/closed", CLOSED)
    told = json.loads((tmp_path / "mori/ja/manifest.json").read_text(encoding="utf-8"))
    told["closed"]["of_a_later_version"] = 1
    (tmp_path / "mori/ja/manifest.json").write_text(json.dumps(told), encoding="utf-8")
    assert shelf.fault(tmp_path, "mori/ja/closed", CLOSED) is None
    for broken in ("{", "[]", '{"closed": 3}', '{"closed": {}}'):
        (tmp_path / "mori/ja/manifest.json").write_text(broken, encoding="utf-8")
        assert shelf.fault(tmp_path, "mori/ja/closed", CLOSED) == "not_made_here"


def test_a_prompt_or_a_piece_of_the_history_is_exported_as_a_wav(tmp_path: Path) -> None:
    put_prompt(tmp_path, "mori/ja/closed", CLOSED)
    made = shelf.made_of(tmp_path, "mori/ja/closed")
    assert made is not None
    kept = tmp_path / "kept"
    shelf.keep(tmp_path, kept, [("mori/ja/closed", shelf.audio_id(made))])
    put_prompt(tmp_path, "mori/ja/closed", CLOSED, SILENCE * 2)
    with pytest.raises(OSError, match="built anew"):
        shelf.keep(tmp_path, tmp_path / "another", [("mori/ja/closed", shelf.audio_id(made))])
    for name, size in (("mori/ja/closed", 3200), (shelf.audio_id(made), 1600)):
        desk.export(tmp_path, kept, name, tmp_path / "out.wav")
        assert (tmp_path / "out.wav").stat().st_size == 44 + size
    with pytest.raises(voices.PromptsUnavailable):
        desk.export(tmp_path, kept, "mori/ja/greeting", tmp_path / "out.wav")
