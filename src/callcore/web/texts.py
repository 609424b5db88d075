"""Every text of the pages, in Japanese and English. `{…}` is filled in by the page.

The terms are those of the definitions.
"""

from __future__ import annotations

from typing import Literal

Language = Literal["ja", "en"]

LANGUAGES: tuple[Language, ...] = ("ja", "en")

TABLE: dict[str, tuple[str, str]] = {
    "title": ("ライブ状況", "Live status"),
    "skip": ("本文へ", "Skip to content"),
    "language": ("表示言語", "Language"),
    "centres": ("センター", "Centres"),
    "nothing": (
        "センターがまだ読み込まれていません。エンジンが起動すると表示されます。",
        "No centre is loaded yet. It appears once the engine has started.",
    ),
    "noscript": (
        "この画面には JavaScript が必要です。ブラウザーの設定で有効にしてください。",
        "This page needs JavaScript. Please switch it on in your browser.",
    ),
    # connection
    "conn.connecting": ("接続しています…", "Connecting…"),
    "conn.live": ("最新", "Live"),
    "conn.lost": (
        "接続が切れています({time} から)。下の内容は {time} 時点のものです。自動で再接続しています。",
        "Connection lost (since {time}). What is below is as of {time}. Reconnecting by itself.",
    ),
    "conn.engine": (
        "交換制御から {seconds} 秒間応答がありません。下の内容は {time} 時点のものです。通話は続いています。"
        "続くときは管理者に連絡してください。",
        "The engine has been silent for {seconds} s. What is below is as of {time}. Calls go on. "
        "If this stays, tell the operator of the system.",
    ),
    "conn.unlinked": (
        "Asterisk との接続がありません。下の内容は最新でないことがあります。待ち呼は非常時分配で応答されます。",
        "No link to Asterisk. What is below may be out of date. Waiting callers are served by the safety net.",
    ),
    "conn.lost.short": ("切断", "Lost"),
    "conn.engine.short": ("停止中", "Stale"),
    "conn.unlinked.short": ("Asterisk 未接続", "No Asterisk"),
    # hours
    "open": ("営業中", "Open"),
    "closed": ("時間外", "Closed"),
    "until": ("{time} まで", "until {time}"),
    # figures
    "today": ("本日 {date}", "Today, {date}"),
    "now": ("現在", "Now"),
    "waiting": ("待ち", "Waiting"),
    "longest": ("最長待ち", "Longest wait"),
    "free": ("受付可", "Ready"),
    "answer_ratio": ("応答率", "Answer ratio"),
    "service_level": ("SL({seconds} 秒以内)", "SL (within {seconds} s)"),
    "parts": ("{part} / {whole} 件", "{part} / {whole} calls"),
    "target": ("目標 {percent}", "target {percent}"),
    "met": ("達成", "met"),
    "missed": ("未達", "missed"),
    "offered": ("応答対象", "Offered"),
    "answered": ("応答", "Answered"),
    "abandoned": ("放棄", "Abandoned"),
    "abandoned_short": ("うち短時間 {n}", "{n} short"),
    "closed_calls": ("時間外", "Closed"),
    "arrived": ("総着信", "Arrived"),
    "lost_otherwise": ("その他未応答", "Unanswered"),
    "wait_max": ("応答の最長待ち", "Max wait"),
    "wait_mean": ("平均応答速度", "ASA"),
    "open_calls": ("未終了 {n} 件", "{n} open"),
    "final": ("全件終了", "none open"),
    "reconstructed": ("うち復元 {n} 件", "{n} reconstructed"),
    # waiting callers
    "waiting.caption": ("待っている入電者", "Waiting callers"),
    "waiting.empty": ("待っている人はいません", "Nobody is waiting"),
    "col.position": ("順", "Place"),
    "col.number": ("発信番号", "Caller"),
    "col.queue": ("待ち行列", "Queue"),
    "col.stage": ("状態", "State"),
    "col.wait": ("待ち時間", "Wait"),
    "col.estimate": ("予想", "EWT"),
    "col.priority": ("優先", "Prio."),
    "stage.announced": ("案内中", "Announcement"),
    "stage.waiting": ("待ち", "Waiting"),
    "stage.offered": ("呼出中", "Ringing"),
    "offered_to": ("→ {agent}", "→ {agent}"),
    "stage.net": ("非常時分配", "Safety net"),
    "over": ("超過", "late"),
    "withheld": ("非通知・不明", "no number"),
    # agents
    "agents.caption": ("オペレーター", "Agents"),
    "agents.empty": ("登録されたオペレーターがいません", "No agents in the centre file"),
    "agents.out": ("受付終了中のオペレーター({n} 人)", "Signed out ({n})"),
    "agents.none_in": ("受付中のオペレーターはいません", "Nobody is signed in"),
    "col.seat": ("席", "Seat"),
    "col.agent": ("番号", "Number"),
    "col.name": ("名前", "Name"),
    "col.phone": ("電話機", "Phone"),
    "col.state": ("状態", "State"),
    "col.since": ("経過", "For"),
    "col.with": ("相手", "With"),
    "state.ready": ("受付可", "Ready"),
    "state.resting": ("受付可・休止", "Ready, resting"),
    "state.reserved": ("呼出開始", "Reserved"),
    "state.ringing": ("呼出中", "Ringing"),
    "state.talking": ("通話中", "Talking"),
    "state.calling_out": ("発信中", "Calling out"),
    "state.acw": ("後処理", "After-call work"),
    "state.paused": ("離席", "Paused"),
    "state.busy": ("他の通話中", "On another call"),
    "state.unreachable": ("電話機不通", "Phone unreachable"),
    "state.signed_out": ("受付終了", "Signed out"),
    "guest": ("兼務", "guest"),
    "misses": ("不応答 {n} 回", "{n} missed"),
    "rung": ("条件緩和 {n}", "relaxed {n}"),
    "held": ("保留中", "on hold"),
    "outgoing": ("発信", "Calls out"),
    "emergency": (
        "警報: {time} 席 {seat} から {digits} に通報できませんでした。すぐに本人に確かめてください",
        "Alarm: at {time} seat {seat} could not reach {digits}. Ask there at once",
    ),
    "rest": ("残り {time}", "{time} left"),
}


def texts(language: Language) -> dict[str, str]:
    """Every text in one language."""
    column = LANGUAGES.index(language)
    return {key: both[column] for key, both in TABLE.items()}


def choose(asked: str | None, accept: str | None) -> Language:
    """The language of a page: what was asked for, else the first of ours that the browser prefers, else Japanese."""
    for language in LANGUAGES:
        if asked == language:
            return language
    ranked: list[tuple[float, int, Language]] = []
    for place, part in enumerate((accept or "").split(",")[:20]):
        tag, _, parameters = part.strip().partition(";")
        wanted = tag.lower().partition("-")[0]
        quality = _quality(parameters)
        ranked.extend((-quality, place, ours) for ours in LANGUAGES if ours == wanted and quality > 0)
    return min(ranked)[2] if ranked else "ja"


def _quality(parameters: str) -> float:
    name, _, value = parameters.strip().partition("=")
    if name.strip() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
