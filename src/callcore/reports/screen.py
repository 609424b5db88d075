"""A report and a replayed floor for a terminal, in Japanese and English. What cannot be said is "–"."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from fractions import Fraction
from zoneinfo import ZoneInfo

from rich.box import SIMPLE_HEAD
from rich.console import JustifyMethod, RenderableType
from rich.table import Table
from rich.text import Text

from callcore.domain.asks import AskEnd
from callcore.domain.board import AgentWord
from callcore.domain.ids import SECOND
from callcore.domain.measures import Ratio
from callcore.domain.shifts import Doing, per_hour
from callcore.domain.stages import Outcome, Stage
from callcore.domain.visits import VisitEnd
from callcore.reports.report import Report, Row, local, month_of
from callcore.reports.sheet import department_name, lines
from callcore.web import models as m

NOTHING = "–"
_DAYS = "月火水木金土日"

STATES = {
    AgentWord.READY: "待機 ready",
    AgentWord.RESTING: "休止 resting",
    AgentWord.RESERVED: "呼出前 reserved",
    AgentWord.RINGING: "呼出中 ringing",
    AgentWord.TALKING: "通話中 talking",
    AgentWord.CALLING_OUT: "発信中 calling out",
    AgentWord.ACW: "後処理 ACW",
    AgentWord.PAUSED: "離席 paused",
    AgentWord.BUSY: "他の通話 busy",
    AgentWord.UNREACHABLE: "電話機不通 unreachable",
    AgentWord.SIGNED_OUT: "受付終了 signed out",
}
STAGES = {
    Stage.ARRIVED: "着信 arrived",
    Stage.ANNOUNCED: "案内中 announced",
    Stage.WAITING: "待ち waiting",
    Stage.OFFERED: "呼出中 offered",
    Stage.TALKING: "通話中 talking",
    Stage.PARTED: "通話後 parted",
}


def percent(ratio: Ratio | m.RatioOut, *, parts: bool = True) -> str:
    """A ratio in per cent, with its two parts. Only all is shown as 100 %, and only none as 0 %."""
    if ratio.value is None:
        return NOTHING
    places = 1
    if 0 < ratio.part < ratio.whole:
        while places < 6 and f"{100 * ratio.value:.{places}f}" in (f"{100:.{places}f}", f"{0:.{places}f}"):
            places += 1
    shown = f"{100 * ratio.value:.{places}f}%"
    return f"{shown} ({ratio.part}/{ratio.whole})" if parts else shown


def clock(seconds: float | None) -> str:
    """A length as h:mm:ss or m:ss."""
    if seconds is None:
        return NOTHING
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def tidy(number: Fraction | float | None) -> str:
    """A number of persons: two places where it is no whole one."""
    return NOTHING if number is None else f"{float(number):.2f}".rstrip("0").rstrip(".")


# -- a report ------------------------------------------------------------------------------------------------

Column = tuple[str, Callable[[Row], str]]


def report_tables(report: Report, *, half_hours: bool) -> Iterator[RenderableType]:
    """The head, and the tables: calls, waits and handling, queues, departments, calls out, agents. The last three but
    agents only where there is something to tell."""
    yield _head(report)
    yield _table("入電 / Calls", report, list(_calls(report)), half_hours)
    yield _table("応答と処理 / Waits and handling", report, list(_handling(report)), half_hours)
    yield _queues(report)
    if report.total.by_department:
        yield _departments(report, half_hours)
    if any(each.made for each in (report.total.outgoing, report.total.contact, report.total.departments)):
        yield _table("発信と連絡用番号 / Calls out and contact numbers", report, list(_apart()), half_hours)
    yield _table("要員 (時:分:秒) / Agents (h:mm:ss)", report, list(_agents(report)), half_hours)


def _head(report: Report) -> Text:
    centre, of = report.centre, report.total.figures
    first, last = report.dates
    title = f"{first.isoformat()} – {last.isoformat()}"
    if report.one_day:
        title = f"{first.isoformat()} ({_DAYS[first.weekday()]})"
    elif (first, last) == month_of(first):
        title = f"{first:%Y-%m}"
    told = f"{local(report.at, centre):%Y-%m-%d %H:%M:%S}"
    text = Text(f"{centre.name} / {centre.name_en}  {title}\n", style="bold")
    state = "確定 / final" if report.final else f"未確定: 未終了 {of.open}件 / not final: {of.open} open"
    until = "" if report.final else f"{told} {centre.time_zone} まで / until then, "
    text.append(f"{state}  ({until}seq {report.seq})\n", style="")
    notes = [f"再構成 {of.reconstructed}件 / {of.reconstructed} reconstructed"]
    if report.since > report.span[0]:
        since = f"{local(report.since, centre):%Y-%m-%d %H:%M}"
        notes.append(f"記録は {since} から / told since then")
    if of.imprecise:
        notes.append(f"時刻不正確 {of.imprecise}件 / {of.imprecise} imprecise")
    if of.tests:
        notes.append(f"試験呼 {of.tests}件を除く / without {of.tests} test calls")
    if report.total.endings.by_net:
        notes.append(f"非常時分配による応答 {report.total.endings.by_net}件 / answered by the safety net")
    if n := report.total.endings.moved_by_hand:
        notes.append(f"責任者が移動した待ち {n}件 / {n} waiting callers moved by a supervisor")
    n = report.policy_rejections
    notes.append(f"端末ポリシー違反 {n}件 / {n} refused as no phone of the inventory")
    if report.total.handling.unknown:
        notes.append(f"後処理不明 {report.total.handling.unknown}件 / ACW not known")
    text.append("  ".join(notes), style="")
    for day, proof in sorted(report.proofs.items()):
        if proof.root is not None:
            text.append(
                f"\n{day} 録音 保存 {proof.kept}件・消去 {proof.erased}件 / "
                f"recordings: {proof.kept} kept, {proof.erased} erased; 根 root {proof.root}"
            )
        if proof.unassigned is not None:
            text.append(
                f"\n{day} センター不明の録音の根 / root of recordings of no known centre {proof.unassigned}"
            )
    return text


def _table(title: str, report: Report, columns: list[Column], half_hours: bool) -> Table:
    table = _empty(title, "")
    for name, _ in columns:
        table.add_column(name, justify="right", no_wrap=True)
    for kind, row in lines(report, half_hours=half_hours):
        table.add_row(
            _label(kind, row, report),
            *(cell(row) for _, cell in columns),
            style="bold" if kind == "total" or (half_hours and kind == "day") else None,
            end_section=half_hours and kind == "day",
        )
    return table


def _queues(report: Report) -> Table:
    """Visits by the queue's name: a call that moved on stands in two rows."""
    table = _empty("待ち行列ごとの待ち(1回) / Visits by queue", "")
    for name in _VISITS:
        table.add_column(name, justify="right", no_wrap=True)
    for queue, of in report.queues.items():
        cells = (
            *(str(count) for count in (of.visits, *(of.ends[end] for end in VisitEnd), of.waiting)),
            *(clock(s) for s in (of.wait_mean_s, of.wait_median_s, of.wait_p90_s, of.wait_max_s)),
            clock(of.before_mean_s),
        )
        table.add_row(queue, *cells)
    return table


_VISITS = (
    "待ち\nvisits",
    "応答\nanswered",
    "移動\nmoved",
    "切電\ngave up",
    "あふれ\noverflowed",
    "その他\nother",
    "待ち中\nwaiting",
    "平均\nmean",
    "中央値\nmedian",
    "90%値\nP90",
    "最大\nmax",
    "前の案内\nbefore it",
)


def _departments(report: Report, half_hours: bool) -> Table:
    """Each department of the time, and with half hours each of each of these, by the arrival of the call."""
    table = _empty("部署ごと / By department", "", "部署\ndepartment")
    for name in _ASKED:
        table.add_column(name, justify="right", no_wrap=True)
    for kind, row in lines(report, half_hours=half_hours):
        whole = kind == "total" or (report.one_day and kind == "day")
        if not (whole or kind == "half_hour"):
            continue
        for department, of in row.by_department.items():
            counts = (of.transferred_attended, of.transferred_blind, of.asked, of.unasked)
            ends = (of.ends[end] for end in AskEnd if end is not AskEnd.LOST_ON_HOLD)
            table.add_row(
                _label(kind, row, report),
                Text(department_name(report, department) or department or NOTHING),
                *(str(count) for count in (*counts, *ends, of.lost_on_hold, of.open, of.answered)),
                *(clock(s) for s in (of.answer_median_s, of.answer_p90_s, of.answer_max_s)),
                style="bold" if half_hours and whole else None,
            )
    return table


_ASKED = (
    "転送(相談後)\nattended",
    "転送(なし)\nblind",
    "相談\nasked",
    "相談なし\nunasked",
    "取り次ぎ\nput through",
    "戻った\ncame back",
    "応答なし\nno answer",
    "話し中\nbusy",
    "時間外\nclosed",
    "拒否\nrefused",
    "失敗\nfailed",
    "保留中切電\nlost on hold",
    "未終了\nopen",
    "応答\nanswered",
    "応答まで中央値\nmedian",
    "90%値\nP90",
    "最長\nmax",
)


def _label(kind: str, row: Row, report: Report) -> str:
    if kind == "total" or report.one_day:
        return "計 total" if kind != "half_hour" else _half_hour(row, report)
    if kind == "day":
        return f"{row.date:%m-%d} ({_DAYS[row.date.weekday()]})"
    return _half_hour(row, report)


def _half_hour(row: Row, report: Report) -> str:
    first, before = (local(at, report.centre) for at in row.span)
    return f"{first:%H:%M}–{before:%H:%M}"


def _calls(report: Report) -> Iterator[Column]:
    def count(*which: Outcome) -> Callable[[Row], str]:
        return lambda row: str(sum(row.endings.by_outcome[o] for o in which))

    yield "着信\narrivals", lambda row: str(row.figures.arrivals)
    yield "応答\nanswered", lambda row: str(row.figures.answered)
    yield "応答前切電\nhang-ups", lambda row: str(row.figures.hangups_before_answer)
    yield "応答率\nanswer ratio", lambda row: percent(row.figures.answer_ratio)
    yield "放棄呼率\nabandoned", lambda row: percent(row.figures.abandon_ratio)
    yield "あふれ\noverflow", lambda row: str(row.figures.overflow)
    for name, outcome in (
        ("うち満員\nfull", Outcome.OVERFLOW_FULL),
        ("待ち時間\nwait", Outcome.OVERFLOW_WAIT),
        ("要員なし\nno agent", Outcome.OVERFLOW_NO_AGENT),
        ("キー操作\nkey", Outcome.OVERFLOW_KEY),
    ):
        if report.total.endings.by_outcome[outcome]:
            yield name, count(outcome)
    yield "失敗\nfailed", lambda row: str(row.figures.failed)
    yield "時間外\nclosed", lambda row: str(row.figures.closed)
    yield "未終了\nopen", lambda row: str(row.figures.open)


def _apart() -> Iterator[Column]:
    """Calls that are no arrivals, which no other table counts."""
    yield "発信\nmade", lambda row: str(row.outgoing.made)
    yield "通話\nconnected", lambda row: str(row.outgoing.connected)
    yield "話し中\nbusy", lambda row: str(row.outgoing.busy)
    yield "応答なし\nno answer", lambda row: str(row.outgoing.no_answer)
    yield "拒否\nrefused", lambda row: str(row.outgoing.refused)
    yield "失敗\nfailed", lambda row: str(row.outgoing.failed)
    yield "通話時間\ntalk", lambda row: clock(row.outgoing.talk_s)
    yield "連絡用\ncontact", lambda row: str(row.contact.made)
    yield "うち通話\nconnected", lambda row: str(row.contact.connected)
    yield "部署\ndepartments", lambda row: str(row.departments.made)
    yield "うち通話\nconnected", lambda row: str(row.departments.connected)


def _handling(report: Report) -> Iterator[Column]:
    yield (
        f"SL({report.centre.service_level_s}秒)\nservice level",
        lambda row: percent(row.figures.service_level),
    )
    yield "平均応答\nASA", lambda row: clock(row.figures.wait_mean_s)
    yield "中央値\nmedian", lambda row: clock(row.figures.wait_median_s)
    yield "90%値\nP90", lambda row: clock(row.figures.wait_p90_s)
    yield "最大\nmax", lambda row: clock(row.figures.wait_max_s)
    yield "保留(中央/90%/最大)\nhold", _hold
    yield "平均処理\nAHT", _aht
    yield "完了率\ncompletion", lambda row: percent(row.endings.completion_ratio)
    yield "転送率\ntransfer", lambda row: percent(row.endings.transfer_ratio)
    yield "相談後/なし\nattended/blind", _transferred
    yield "保留中切電\nlost on hold", lambda row: str(row.asks.lost_on_hold)
    yield "苦情\ncomplaints", lambda row: str(row.endings.complaints)
    yield "予約\nbookings", lambda row: str(row.endings.bookings)


def _transferred(row: Row) -> str:
    return f"{row.asks.transferred_attended}/{row.asks.transferred_blind}"


def _hold(row: Row) -> str:
    of = row.figures
    if not of.held:
        return NOTHING
    return f"{clock(of.hold_median_s)}/{clock(of.hold_p90_s)}/{clock(of.hold_max_s)} ({of.held}件)"


def _aht(row: Row) -> str:
    mean = row.handling.mean_s
    return NOTHING if mean is None else f"{clock(mean)} ({row.handling.time.whole}件)"


def _agents(report: Report) -> Iterator[Column]:
    def length(doing: Doing) -> Callable[[Row], str]:
        return lambda row: _length(row.staffing.lengths[doing])

    def paused(reason: str) -> Callable[[Row], str]:
        return lambda row: _length(row.staffing.pauses.get(reason, 0))

    yield "配置人数\nstaffed", lambda row: tidy(row.staffing.staffed.value)
    yield "最少–最多\nleast–most", _at_once
    yield "受付\nsigned in", lambda row: _length(row.staffing.signed_in)
    total = report.total.staffing
    for ja, doing in (
        ("待機", Doing.READY),
        ("呼出", Doing.RINGING),
        ("通話", Doing.TALKING),
        ("後処理", Doing.ACW),
        ("発信", Doing.OUTGOING),
        ("他の通話", Doing.BUSY),
        ("不通", Doing.UNREACHABLE),
        ("不明", Doing.UNKNOWN),
    ):
        if total.lengths[doing] or doing in (Doing.READY, Doing.TALKING, Doing.ACW):
            yield f"{ja}\n{doing.value}", length(doing)
    for reason in total.pauses:
        yield f"離席\n{reason}", paused(reason)
    yield "占有率\noccupancy", lambda row: percent(row.staffing.occupancy, parts=False)
    yield "件/時\nCPH", lambda row: tidy(per_hour(row.figures.answered, row.staffing.signed_in))


def _at_once(row: Row) -> str:
    least, most = row.staffing.least, row.staffing.most
    return NOTHING if least is None else f"{tidy(least)}–{tidy(most)}"


def _length(length: int) -> str:
    return clock(length / SECOND) if length else "0"


# -- a replayed floor ----------------------------------------------------------------------------------------


def floor_tables(live: m.Live) -> Iterator[RenderableType]:
    """The floor as the live board showed it, centre by centre."""
    for centre in live.centres:
        yield from _centre(live, centre)


def _wall(at: datetime | None, zone: ZoneInfo) -> str:
    return NOTHING if at is None else f"{at.astimezone(zone):%H:%M:%S}"


def _centre(live: m.Live, centre: m.CentreOut) -> Iterator[RenderableType]:
    zone = ZoneInfo(centre.window.time_zone)
    of = centre.figures
    text = Text(f"{centre.name} / {centre.name_en}\n", style="bold")
    text.append(f"{live.at.astimezone(zone):%Y-%m-%d %H:%M:%S} {zone.key}  seq {live.seq}", style="")
    if not live.linked:
        text.append("  Asterisk に接続していない / not linked to Asterisk", style="bold red")
    text.append(f"\n{centre.hours.reason.ja} / {centre.hours.reason.en}", style="")
    yield text
    yield _figures(of)
    yield _waiting(centre, live.at, zone)
    yield _people(centre, zone)
    yield _open_calls(centre, zone)


def _empty(title: str, *columns: str, justify: JustifyMethod = "left") -> Table:
    """An empty table in the manner of all of these."""
    table = Table(title=title, title_justify="left", title_style="bold", header_style="", box=SIMPLE_HEAD)
    for name in columns:
        table.add_column(name, justify=justify, no_wrap=True)
    return table


def _figures(of: m.FiguresOut) -> Table:
    cells = {
        "着信\narrivals": str(of.arrivals),
        "応答\nanswered": str(of.answered),
        "応答前切電\nhang-ups": str(of.hangups_before_answer),
        "応答率\nanswer ratio": percent(of.answer_ratio),
        f"SL({of.service_level_s}秒)\nservice level": percent(of.service_level),
        "平均応答\nASA": clock(of.wait_mean_s),
        "90%値\nP90": clock(of.wait_p90_s),
        "待ち\nwaiting": str(of.waiting),
        "通話中\ntalking": str(of.talking),
        "時間外\nclosed": str(of.closed),
        "再構成\nreconstructed": str(of.reconstructed),
        "未終了\nopen": str(of.open),
        "試験呼(除く)\ntests": str(of.tests),
    }
    table = _empty("本日 / Today", *cells, justify="right")
    table.add_row(*cells.values())
    return table


def _waiting(centre: m.CentreOut, at: datetime, zone: ZoneInfo) -> RenderableType:
    if not centre.waiting:
        return Text("待っている入電者はいません / nobody waits")
    table = _empty(
        "待ち / Waiting",
        "順\n#",
        "待ち行列\nqueue",
        "状態\nstage",
        "から\nsince",
        "待ち時間\nwaited",
        "番号\nnumber",
        "呼出先\noffered to",
        "予想待ち\nestimate",
        "理由\nwhy",
    )
    reasons = {each.id: f"{each.ja}\n{each.en}" for each in centre.reasons}
    for one in centre.waiting:
        table.add_row(
            NOTHING if one.position is None else str(one.position),
            Text(one.queue_name),
            "非常時分配 net" if one.in_net else STAGES[one.stage],
            _wall(one.since, zone),
            clock(None if one.since is None else (at - one.since).total_seconds()),
            one.number or NOTHING,
            one.offered_to or NOTHING,
            clock(one.estimate_s),
            Text("" if one.because is None else reasons[one.because]),
        )
    return table


def _people(centre: m.CentreOut, zone: ZoneInfo) -> Table:
    table = _empty(
        "オペレーター / Agents",
        "番号\nagent",
        "名前\nname",
        "席\nseat",
        "状態\nstate",
        "から\nsince",
        "まで\nuntil",
        "相手\ncaller",
    )
    for one in centre.agents:
        caller = one.caller
        held = (
            "" if caller is None or not caller.on_hold else f" (保留 held {_wall(caller.held_since, zone)})"
        )
        table.add_row(
            one.agent,
            Text(one.name),
            Text(one.seat or NOTHING),
            STATES[one.state] + ("" if one.pause is None else f" ({one.pause})"),
            _wall(one.since, zone),
            _wall(one.until, zone),
            NOTHING if caller is None else f"{caller.number or NOTHING}{held}",
        )
    return table


def _open_calls(centre: m.CentreOut, zone: ZoneInfo) -> RenderableType:
    if not centre.open_calls:
        return Text("")
    table = _empty(
        "続いている入電 / Open calls",
        "呼\ncall",
        "状態\nstage",
        "着信\narrived",
        "応答\nanswered",
        "番号\nnumber",
        "オペレーター\nagent",
    )
    for one in centre.open_calls:
        table.add_row(
            one.call,
            STAGES[one.stage],
            _wall(one.arrived_at, zone),
            _wall(one.answered_at, zone),
            one.number or NOTHING,
            one.agent or NOTHING,
        )
    return table
