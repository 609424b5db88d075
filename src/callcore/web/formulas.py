"""The name and the formula of each figure, in Japanese and English, as the definitions have them."""

from __future__ import annotations

from typing import Final, NamedTuple


class Formula(NamedTuple):
    ja: str
    en: str
    formula_ja: str
    formula_en: str


_WAIT = (
    "最初に待ち行列へ入ってから応答まで、応答した入電",
    "from the first entry into a queue to the answer, of answered calls",
)
_HOLD = (
    "応答して終わり、一度でも保留になった入電ごとの保留の合計",
    "hold of each answered call that ended and was on hold, in sum",
)


def _ended(ja: str, en: str) -> Formula:
    return Formula(ja, en, f"「{ja}」で終わった入電", f"calls that ended as “{en}”")


FORMULAS: Final[dict[str, Formula]] = {
    "answer_ratio": Formula(
        "応答率",
        "Answer ratio",
        "応答 ÷ 応答対象(待ち中を含む)",
        "answered ÷ offered, who still waits included",
    ),
    "service_level": Formula(
        "サービスレベル SL(T)",
        "Service level SL(T)",
        "T 秒以内に応答 ÷ 応答対象。待ち中の人は T を過ぎた時点で分母に入る",
        "answered within T ÷ offered, T inclusive; who waits counts once T is past",
    ),
    "abandon_ratio": Formula(
        "放棄呼率",
        "Abandon ratio",
        "(放棄 + 短時間放棄) ÷ 応答対象",
        "(abandoned + abandoned_short) ÷ offered",
    ),
    "answer_ratio_without_short": Formula(
        "応答率(短時間放棄を除く)",
        "Answer ratio without short abandons",
        "応答 ÷ (応答対象 − 短時間放棄)",
        "answered ÷ (offered − abandoned_short)",
    ),
    "answer_ratio_of_arrivals": Formula(
        "応答率(音声のみを含む)",
        "Answer ratio of arrivals",
        "応答 ÷ (応答対象 + 音声のみ)",
        "answered ÷ (offered + ivr_only)",
    ),
    "answer_ratio_with_callbacks": Formula(
        "応答率(折り返し含む)",
        "Answer ratio with call-backs",
        "(応答 + 当日に折り返しで到達) ÷ 応答対象",
        "(answered + reached by a call-back on the same day) ÷ offered",
    ),
    "abandon_ratio_without_short": Formula(
        "放棄呼率(短時間放棄を除く)",
        "Abandon ratio without short ones",
        "放棄 ÷ (応答対象 − 短時間放棄)",
        "abandoned ÷ (offered − abandoned_short)",
    ),
    "completion_ratio": Formula(
        "センター内完了率",
        "Completion ratio",
        "応対完了で、エスカレーションでないもの ÷ 応答",
        "completed and not escalated ÷ answered",
    ),
    "transfer_ratio": Formula(
        "転送率",
        "Transfer ratio",
        "(転送(相談あり) + 転送(相談なし)) ÷ 応答",
        "(transferred_attended + transferred_blind) ÷ answered",
    ),
    "arrived": Formula(
        "総着信",
        "Arrived",
        "時間外 + 臨時休止 + 拒否 + 音声のみ + 応答対象(+ 判断前)",
        "closed + emergency_closed + blocked + ivr_only + offered (+ undecided)",
    ),
    "arrivals": Formula(
        "着信件数",
        "Arrivals",
        "応答対象 + 音声のみ",
        "offered + ivr_only",
    ),
    "offered": Formula(
        "応答対象",
        "Offered",
        "オペレーターにつなぐべき入電。待ち中を含む",
        "due an agent; who still waits included",
    ),
    "answered": Formula(
        "応答",
        "Answered",
        "オペレーターと入電者が同じブリッジに入った入電。通話中を含む",
        "agent and caller were in one bridge; talking now included",
    ),
    "abandoned": Formula(
        "放棄",
        "Abandoned",
        "短時間放棄より長く待って、応答前に終わった入電",
        "ended before an answer, beyond the centre's short bound",
    ),
    "abandoned_short": Formula(
        "短時間放棄",
        "Abandoned, short",
        "着信からセンターの上限(既定5秒)以内に終わった入電",
        "ended within the centre's bound (default 5 s) of the arrival",
    ),
    "lost": Formula(
        "放棄(短時間を含む)",
        "Abandoned, short ones included",
        "放棄 + 短時間放棄",
        "abandoned + abandoned_short",
    ),
    "overflow": Formula(
        "あふれ",
        "Overflow",
        "満員、待ち時間、要員なし、キー操作によるあふれの扱いで終わった入電",
        "ended by the overflow treatment: full, wait, no agent, by key",
    ),
    "otherwise": Formula(
        "その他未応答",
        "Otherwise unanswered",
        "折り返し受付 + 伝言 + 失敗",
        "callback_requested + message_left + failed",
    ),
    "other_unanswered": Formula(
        "折り返し・伝言",
        "Call-back or message",
        "折り返し受付 + 伝言",
        "callback_requested + message_left",
    ),
    "failed": Formula(
        "失敗",
        "Failed",
        "応答前の、当方の異常",
        "our fault before an answer",
    ),
    "refused": Formula(
        "時間外・臨時休止",
        "Closed",
        "時間外 + 臨時休止",
        "closed + emergency_closed",
    ),
    "closed": Formula(
        "時間外",
        "Closed, out of hours",
        "着信した時が営業時間外の入電",
        "arrived outside opening hours",
    ),
    "emergency_closed": Formula(
        "臨時休止",
        "Emergency closure",
        "臨時休止の間に着信した入電",
        "arrived while the emergency closure lasted",
    ),
    "blocked": Formula(
        "拒否",
        "Blocked",
        "発信者か番号のきまりで断った入電",
        "refused by a rule about the caller or the number",
    ),
    "ivr_only": Formula(
        "音声のみ",
        "IVR only",
        "オペレーターの要らないものをキーで選び、そこで終わった入電",
        "chose by key something that needs no agent, and ended there",
    ),
    "waiting": Formula(
        "待ち",
        "Waiting",
        "案内中、待ち、呼出中の入電",
        "in an announcement, in a queue, or ringing",
    ),
    "undecided": Formula(
        "判断前",
        "Undecided",
        "着信し、営業中かどうかの判断前の入電",
        "arrived; not decided yet whether it is open",
    ),
    "talking": Formula(
        "通話中",
        "Talking",
        "応答し、終わっていない入電",
        "answered and not ended",
    ),
    "hangups_before_answer": Formula(
        "応答前切電件数",
        "Hang-ups before answer",
        "応答対象のうち、応答前に入電者が切った件数",
        "of the offered, ended by the caller before an answer",
    ),
    "wait_mean_s": Formula(
        "平均応答速度(ASA)",
        "ASA",
        f"平均: {_WAIT[0]}",
        f"mean, {_WAIT[1]}",
    ),
    "wait_median_s": Formula(
        "待ち時間の中央値",
        "Median wait",
        f"中央値(順位法): {_WAIT[0]}",
        f"median by nearest rank, {_WAIT[1]}",
    ),
    "wait_p90_s": Formula(
        "待ち時間の90%値",
        "P90 of the wait",
        f"90%値(順位法): {_WAIT[0]}",
        f"P90 by nearest rank, {_WAIT[1]}",
    ),
    "wait_max_s": Formula(
        "応答の最長待ち",
        "Longest wait of the answered",
        f"最大: {_WAIT[0]}",
        f"maximum, {_WAIT[1]}",
    ),
    "longest_waiting_s": Formula(
        "最長待ち",
        "Longest wait now",
        "今待っている人の、最初に待ち行列へ入ってからの最大",
        "of who waits now, the longest since the first entry into a queue",
    ),
    "held": Formula(
        "保留のあった入電",
        "Calls on hold",
        "応答して終わり、一度でも保留になった入電",
        "answered calls that ended and were on hold",
    ),
    "hold_median_s": Formula(
        "保留の中央値",
        "Median hold",
        f"中央値(順位法): {_HOLD[0]}",
        f"median by nearest rank, {_HOLD[1]}",
    ),
    "hold_p90_s": Formula(
        "保留の90%値",
        "P90 of hold",
        f"90%値(順位法): {_HOLD[0]}",
        f"P90 by nearest rank, {_HOLD[1]}",
    ),
    "hold_max_s": Formula(
        "最長の保留",
        "Longest hold",
        f"最大: {_HOLD[0]}",
        f"maximum, {_HOLD[1]}",
    ),
    "reconstructed": Formula(
        "再構成",
        "Reconstructed",
        "一部を誰も見ていなかった入電",
        "not witnessed in full",
    ),
    "imprecise": Formula(
        "時刻不正確",
        "Imprecise",
        "Asterisk のイベントが遅れている間の入電",
        "told late: the times are not exact",
    ),
    "open": Formula(
        "未終了",
        "Open",
        "終わっていない入電",
        "not ended",
    ),
    "tests": Formula(
        "試験呼",
        "Test calls",
        "試験番号からの入電。ほかのどの数にも入らない",
        "from listed test numbers; in no other figure",
    ),
    "by_net": Formula(
        "非常時分配による応答",
        "Answered by the safety net",
        "応答のうち Asterisk の待ち行列がつないだ入電",
        "of the answered, connected by Asterisk's own queue",
    ),
    "complaints": Formula(
        "苦情件数",
        "Complaints",
        "結果が苦情と数えられる入電",
        "calls whose keyed result counts as a complaint",
    ),
    "bookings": Formula(
        "予約受付件数",
        "Bookings",
        "結果が予約と数えられる入電",
        "calls whose keyed result counts as a booking",
    ),
    "without_result": Formula(
        "結果未入力",
        "Without a result",
        "応答して終わり、結果が入力されていない入電",
        "answered and ended, no result keyed",
    ),
    "helped": Formula(
        "手上げ",
        "Help asked",
        "手上げのあった入電",
        "calls in which the agent asked for help",
    ),
    "abuse": Formula(
        "悪質・脅迫通報",
        "Abuse reported",
        "通報された入電",
        "calls that were reported",
    ),
    "relay": Formula(
        "電話リレー",
        "Relay service",
        "電話リレーの入電",
        "relay-service calls",
    ),
    "messages": Formula(
        "伝言",
        "Messages",
        "伝言を残した入電(時間外を含む)",
        "calls in which a message was left, out of hours too",
    ),
    "overflow_full": _ended("あふれ(満員)", "Overflow: full"),
    "overflow_wait": _ended("あふれ(待ち時間)", "Overflow: wait"),
    "overflow_no_agent": _ended("あふれ(要員なし)", "Overflow: no agent"),
    "overflow_key": _ended("あふれ(キー)", "Overflow: by key"),
    "callback_requested": _ended("折り返し受付", "Call-back asked for"),
    "message_left": _ended("伝言(時間内)", "Message left"),
    "completed": _ended("応対完了", "Completed"),
    "transferred_attended": _ended("転送(相談あり)", "Transferred, attended"),
    "transferred_blind": _ended("転送(相談なし)", "Transferred, blind"),
    "lost_on_hold": _ended("保留中切電", "Lost on hold"),
    "cut_off": _ended("通話断", "Cut off"),
    # now, and of agents and other calls: no list of arrivals stands behind these
    "free": Formula(
        "受付可 / 受付中",
        "Ready / signed in",
        "受付可(休止を含む)のオペレーター / 受付中のオペレーター",
        "agents ready, resting included / agents signed in",
    ),
    "staffed": Formula(
        "配置人数(今)",
        "Staffed seats now",
        "受付中のうち、休憩・昼休みでない人。兼務の人も1人",
        "signed in and not in 休憩 or 昼休み; who is shared counts as one",
    ),
    "outgoing": Formula(
        "発信",
        "Calls out",
        "電話機から外へかけた通話(緊急番号を含む)。入電ではない",
        "calls that desk phones made, emergency calls included; no arrivals",
    ),
    "help_now": Formula(
        "手上げ(今)",
        "Help asked for now",
        "通話中で、オペレーターが手上げをしている入電",
        "calls in whose talk the agent asks for help now",
    ),
    "due_now": Formula(
        "伝言・折り返し(今)",
        "To call back now",
        "対応の終わっていない伝言・折り返し不達・エスカレーション + 折り返し待ち",
        "messages, call-backs given up and escalations that nobody has dealt with + who is to be called back",
    ),
    "month_answer_ratio": Formula(
        "今月の応答率",
        "Answer ratio of the month",
        "今月の応答 ÷ 今月の応答対象。「あと n 件」は、続けて n 件失っても目標を下回らない最大の n",
        "answered ÷ offered of this month so far; “n more”: the largest n so that n losses in a row keep the target",
    ),
}
"""By the figure's name in API and CSV."""
