"""A report as CSV: RFC 4180, UTF-8 with a byte order mark, for that is what a Japanese Excel opens by a double click.

One line per day, or per half hour, and one for the whole. Lengths are seconds, ratios 0 to 1 beside their two parts;
an empty cell is what a screen shows as "–". A text that a spreadsheet would take for a formula gets an apostrophe in
front (`cells`).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from fractions import Fraction

from callcore.cells import defused
from callcore.domain.asks import AskEnd
from callcore.domain.by_department import DepartmentFigures
from callcore.domain.ids import SECOND, DepartmentId
from callcore.domain.measures import Ratio
from callcore.domain.shifts import Doing, per_hour
from callcore.domain.stages import CallbackEnd, Outcome
from callcore.domain.visits import VisitEnd
from callcore.reports.report import Report, Row, local

BOM = "\ufeff"

Cell = str | int | float | None


PROOF_COLUMNS = [
    *("録音保存 recordings_kept", "録音消去 recordings_erased", "録音の根 recordings_root"),
    "センター不明の録音の根 unassigned_root",
]
"""Of a day alone, and empty where nothing was kept or erased on it."""


def csv_of(report: Report, *, half_hours: bool) -> str:
    """The whole file, byte order mark included."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    pauses = sorted(report.total.staffing.pauses)
    columns = list(_columns(report, pauses))
    writer.writerow([defused(name) for name, _ in columns] + PROOF_COLUMNS)
    for kind, row in lines(report, half_hours=half_hours):
        proof = report.proofs.get(row.date) if kind == "day" else None
        proven: list[Cell] = [None] * len(PROOF_COLUMNS)
        if proof is not None:
            counts = [None, None] if proof.root is None else [proof.kept, proof.erased]
            proven = [*counts, proof.root, proof.unassigned]
        cells = [*(cell(row) for _, cell in columns[1:]), *proven]
        writer.writerow([kind, *map(_written, cells)])
    return BOM + out.getvalue()


def queues_csv_of(report: Report) -> str:
    """One line for each queue that had a visit in the time: visits by their end, waits in seconds."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    head = ["センター centre", "開始 from", "終了 to", "待ち行列 queue", "待ち visits"]
    head += [f"{_ENDED[end]} {end.value}" for end in VisitEnd]
    head += ["待ち中 waiting", "平均(秒) wait_mean_s", "中央値(秒) wait_median_s", "P90(秒) wait_p90_s"]
    head += ["最大(秒) wait_max_s", "前の案内の平均(秒) before_mean_s"]
    writer.writerow(head)
    span = [f"{local(at, report.centre):%Y-%m-%d %H:%M}" for at in report.span]
    for queue, of in report.queues.items():
        waits = (of.wait_mean_s, of.wait_median_s, of.wait_p90_s, of.wait_max_s, of.before_mean_s)
        counts = (of.visits, *(of.ends[end] for end in VisitEnd), of.waiting)
        cells: list[Cell] = [report.centre.id, *span, queue, *counts, *waits]
        writer.writerow([_written(cell) for cell in cells])
    return BOM + out.getvalue()


def departments_csv_of(report: Report, *, half_hours: bool) -> str:
    """One line for each department in each row of the report (`lines`) that tells something of it."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    head = ["行 kind", "センター centre", "日付 date", "開始 from", "終了 to"]
    head += ["部署 department", "部署名 department_name"]
    writer.writerow([*head, *(name for name, _ in _asked(""))])
    for kind, row in lines(report, half_hours=half_hours):
        span = [f"{local(at, report.centre):%Y-%m-%d %H:%M}" for at in row.span]
        for department, of in row.by_department.items():
            name = department_name(report, department)
            cells: list[Cell] = [kind, report.centre.id, row.date.isoformat(), *span, department, name]
            cells += [cell(of) for _, cell in _asked("")]
            writer.writerow([_written(cell) for cell in cells])
    return BOM + out.getvalue()


def department_name(report: Report, department: DepartmentId | None) -> str | None:
    """As the centre's directory has it at the end of the time; None: it is there no more, or it is no department."""
    return next((each.name for each in report.centre.departments if each.id == department), None)


def _asked(prefix: str) -> Iterator[tuple[str, Callable[[DepartmentFigures], Cell]]]:
    """Headings, with the prefix before the English word, and cells."""
    if not prefix:
        yield "転送(相談後) transferred_attended", lambda of: of.transferred_attended
        yield "転送(相談なし) transferred_blind", lambda of: of.transferred_blind
    yield f"部署に相談 {prefix}asked", lambda of: of.asked
    yield f"部署に相談なし {prefix}unasked", lambda of: of.unasked
    for ja, end in (
        ("取り次ぎ", AskEnd.PUT_THROUGH),
        ("戻った", AskEnd.CAME_BACK),
        ("応答なし", AskEnd.NO_ANSWER),
        ("話し中", AskEnd.BUSY),
        ("時間外", AskEnd.CLOSED),
        ("拒否", AskEnd.REFUSED),
        ("失敗", AskEnd.FAILED),
    ):
        yield f"部署 {ja} {prefix}{end.value}", _ended(end)
    if prefix:
        yield f"部署 保留中切電 {prefix}lost_on_hold", _ended(AskEnd.LOST_ON_HOLD)
    else:
        yield "保留中切電 lost_on_hold", lambda of: of.lost_on_hold
    yield f"部署 未終了 {prefix}open", lambda of: of.open
    yield f"部署 応答 {prefix}answered", lambda of: of.answered
    yield f"部署 応答まで中央値(秒) {prefix}answer_median_s", lambda of: of.answer_median_s
    yield f"部署 応答までP90(秒) {prefix}answer_p90_s", lambda of: of.answer_p90_s
    yield f"部署 応答まで最長(秒) {prefix}answer_max_s", lambda of: of.answer_max_s


def _ended(end: AskEnd) -> Callable[[DepartmentFigures], Cell]:
    return lambda of: of.ends[end]


_ENDED = {
    VisitEnd.ANSWERED: "応答",
    VisitEnd.MOVED: "移動",
    VisitEnd.GAVE_UP: "切電",
    VisitEnd.OVERFLOWED: "あふれ",
    VisitEnd.OTHER: "その他",
}


def lines(report: Report, *, half_hours: bool) -> Iterator[tuple[str, Row]]:
    """The rows with their kind: `half_hour`, `day`, and last, of several days, `total`."""
    if report.one_day:
        if half_hours:
            yield from (("half_hour", row) for row in report.days[0].half_hours)
        yield "day", report.total
        return
    for day in report.days:
        if half_hours:
            for row in day.half_hours:
                yield "half_hour", row
        yield "day", day.row
    yield "total", report.total


def _written(cell: Cell) -> str:
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.6f}".rstrip("0").rstrip(".")
    return defused(cell) if isinstance(cell, str) else str(cell)


def _seconds(length: int) -> float:
    return length / SECOND


def _count(number: Fraction | None) -> float | None:
    return None if number is None else float(number)


Column = tuple[str, Callable[[Row], Cell]]


def _ratio(ja: str, en: str, of: Callable[[Row], Ratio]) -> Iterator[Column]:
    yield f"{ja} {en}", lambda row: of(row).value
    yield f"{ja} 分子 {en}_part", lambda row: of(row).part
    yield f"{ja} 分母 {en}_whole", lambda row: of(row).whole


def _columns(report: Report, pauses: list[str]) -> Iterator[Column]:
    """Each column's heading (Japanese, then the word of the definitions) and what stands in it."""
    centre = report.centre

    def outcome(which: Outcome) -> Callable[[Row], Cell]:
        return lambda row: row.endings.by_outcome[which]

    def length(doing: Doing) -> Callable[[Row], Cell]:
        return lambda row: _seconds(row.staffing.lengths[doing])

    yield "行 kind", lambda row: ""
    yield "センター centre", lambda row: centre.id
    yield "日付 date", lambda row: row.date.isoformat()
    yield "開始 from", lambda row: f"{local(row.span[0], centre):%Y-%m-%d %H:%M}"
    yield "終了 to", lambda row: f"{local(row.span[1], centre):%Y-%m-%d %H:%M}"
    yield "総着信 arrived", lambda row: row.figures.arrived
    yield "着信件数 arrivals", lambda row: row.figures.arrivals
    yield "対応対象 offered", lambda row: row.figures.offered
    yield "応答件数 answered", lambda row: row.figures.answered
    yield "応答前切電件数 hangups_before_answer", lambda row: row.figures.hangups_before_answer
    for ja, which in (
        ("放棄", Outcome.ABANDONED),
        ("短時間放棄", Outcome.ABANDONED_SHORT),
        ("あふれ(満員)", Outcome.OVERFLOW_FULL),
        ("あふれ(待ち時間)", Outcome.OVERFLOW_WAIT),
        ("あふれ(要員なし)", Outcome.OVERFLOW_NO_AGENT),
        ("あふれ(キー操作)", Outcome.OVERFLOW_KEY),
        ("折り返し受付", Outcome.CALLBACK_REQUESTED),
        ("伝言", Outcome.MESSAGE_LEFT),
        ("失敗", Outcome.FAILED),
        ("完了", Outcome.COMPLETED),
        ("転送(相談後)", Outcome.TRANSFERRED_ATTENDED),
        ("転送(相談なし)", Outcome.TRANSFERRED_BLIND),
        ("保留中切電", Outcome.LOST_ON_HOLD),
        ("通話断", Outcome.CUT_OFF),
    ):
        yield f"{ja} {which.value}", outcome(which)
    yield "時間外 closed", lambda row: row.figures.closed
    yield "緊急閉鎖 emergency_closed", lambda row: row.figures.emergency_closed
    yield "拒否 blocked", lambda row: row.figures.blocked
    yield "音声のみ ivr_only", lambda row: row.figures.ivr_only
    yield "待ち(未確定) waiting", lambda row: row.figures.waiting
    yield "通話中(未確定) talking", lambda row: row.figures.talking
    yield from _ratio("応答率", "answer_ratio", lambda row: row.figures.answer_ratio)
    yield from _ratio(
        "応答率(短時間放棄を除く)",
        "answer_ratio_without_short",
        lambda row: row.endings.answer_ratio_without_short,
    )
    yield from _ratio(
        "応答率(音声のみを含む)", "answer_ratio_of_arrivals", lambda row: row.endings.answer_ratio_of_arrivals
    )
    yield from _ratio(
        "応答率(折り返し含む)",
        "answer_ratio_with_callbacks",
        lambda row: row.endings.answer_ratio_with_callbacks,
    )
    yield from _ratio("サービスレベル", "service_level", lambda row: row.figures.service_level)
    yield "サービスレベルの秒数 service_level_s", lambda row: row.figures.service_level_s
    yield from _ratio("放棄呼率", "abandon_ratio", lambda row: row.figures.abandon_ratio)
    yield from _ratio(
        "放棄呼率(短時間放棄を除く)",
        "abandon_ratio_without_short",
        lambda row: row.endings.abandon_ratio_without_short,
    )
    yield from _ratio("センター内完了率", "completion_ratio", lambda row: row.endings.completion_ratio)
    yield from _ratio("転送率", "transfer_ratio", lambda row: row.endings.transfer_ratio)
    yield "苦情件数 complaints", lambda row: row.endings.complaints
    yield "予約受付件数 bookings", lambda row: row.endings.bookings
    yield "結果未入力 without_result", lambda row: row.endings.without_result
    for result in sorted(report.total.endings.results):
        yield f"結果 {result}(件)", _result(result)
    yield "手上げ helped", lambda row: row.endings.helped
    yield "悪質・脅迫通報 abuse", lambda row: row.endings.abuse
    yield "電話リレー relay", lambda row: row.endings.relay
    yield "伝言(時間外も) messages", lambda row: row.endings.messages
    for ja, end in (
        ("折り返し到達(当日)", CallbackEnd.REACHED),
        ("折り返し到達(翌日以降)", CallbackEnd.REACHED_LATER),
        ("折り返し断念", CallbackEnd.GIVEN_UP),
        ("折り返し取消", CallbackEnd.CANCELLED),
    ):
        yield f"{ja} callbacks_{end.value}", _callbacks(end)
    yield "電話リレー通話 分子(秒) relay_talk_part_s", lambda row: _seconds(row.endings.relay_talk.part)
    yield "電話リレー通話 分母(件) relay_talk_whole", lambda row: row.endings.relay_talk.whole
    yield "平均応答速度(秒) wait_mean_s", lambda row: row.figures.wait_mean_s
    yield "待ち時間中央値(秒) wait_median_s", lambda row: row.figures.wait_median_s
    yield "待ち時間P90(秒) wait_p90_s", lambda row: row.figures.wait_p90_s
    yield "最大待ち時間(秒) wait_max_s", lambda row: row.figures.wait_max_s
    yield "保留のあった入電 held", lambda row: row.figures.held
    yield "保留時間中央値(秒) hold_median_s", lambda row: row.figures.hold_median_s
    yield "保留時間P90(秒) hold_p90_s", lambda row: row.figures.hold_p90_s
    yield "最長保留時間(秒) hold_max_s", lambda row: row.figures.hold_max_s
    yield "平均処理時間(秒) aht_s", lambda row: row.handling.mean_s
    yield "処理時間 分子(秒) aht_part_s", lambda row: _seconds(row.handling.time.part)
    yield "処理時間 分母(件) aht_whole", lambda row: row.handling.time.whole
    yield "後処理不明(件) acw_unknown", lambda row: row.handling.unknown
    yield "非常時分配による応答 by_net", lambda row: row.endings.by_net
    yield "責任者が移動した待ち moved_by_hand", lambda row: row.endings.moved_by_hand
    yield "配置人数 staffed", lambda row: row.staffing.staffed.value
    yield "配置 分子(秒) staffed_part_s", lambda row: _seconds(row.staffing.staffed.part)
    yield "配置 分母(秒) staffed_whole_s", lambda row: _seconds(row.staffing.staffed.whole)
    yield "最少人数 staffed_least", lambda row: _count(row.staffing.least)
    yield "最多人数 staffed_most", lambda row: _count(row.staffing.most)
    yield "受付(秒) signed_in_s", lambda row: _seconds(row.staffing.signed_in)
    for ja, doing in (
        ("待機", Doing.READY),
        ("呼出", Doing.RINGING),
        ("通話", Doing.TALKING),
        ("後処理", Doing.ACW),
        ("発信", Doing.OUTGOING),
        ("離席", Doing.PAUSED),
        ("他の通話", Doing.BUSY),
        ("電話機不通", Doing.UNREACHABLE),
        ("不明", Doing.UNKNOWN),
    ):
        yield f"{ja}(秒) {doing.value}_s", length(doing)
    for reason in pauses:
        yield f"離席 {reason}(秒)", _paused(reason)
    yield "占有率 occupancy", lambda row: row.staffing.occupancy.value
    yield "占有 分子(秒) occupancy_part_s", lambda row: _seconds(row.staffing.occupancy.part)
    yield "占有 分母(秒) occupancy_whole_s", lambda row: _seconds(row.staffing.occupancy.whole)
    yield "時間当たり処理件数 cph", lambda row: per_hour(row.figures.answered, row.staffing.signed_in)
    for ja, word in SIDE_WORDS:
        yield f"発信 {ja} outgoing_{word}", _side("outgoing", word)
    yield "発信 通話(秒) outgoing_talk_s", lambda row: row.outgoing.talk_s
    for ja, word in SIDE_WORDS:
        yield f"連絡用番号 {ja} contact_{word}", _side("contact", word)
    for ja, word in SIDE_WORDS:
        yield f"部署への発信 {ja} departments_{word}", _side("departments", word)
    for name, cell in _asked("asks_"):
        yield name, _of_all(cell)
    yield "再構成 reconstructed", lambda row: row.figures.reconstructed
    yield "時刻不正確 imprecise", lambda row: row.figures.imprecise
    yield "未終了 open", lambda row: row.figures.open
    yield "試験呼(除く) tests", lambda row: row.figures.tests


SIDE_WORDS = (
    ("件数", "made"),
    ("通話", "connected"),
    ("話し中", "busy"),
    ("応答なし", "no_answer"),
    ("拒否", "refused"),
    ("失敗", "failed"),
    ("未終了", "open"),
)


def _side(which: str, word: str) -> Callable[[Row], Cell]:
    return lambda row: int(getattr(getattr(row, which), word))


def _of_all(cell: Callable[[DepartmentFigures], Cell]) -> Callable[[Row], Cell]:
    return lambda row: cell(row.asks)


def _callbacks(end: CallbackEnd) -> Callable[[Row], int]:
    return lambda row: row.endings.callbacks[end]


def _result(name: str) -> Callable[[Row], Cell]:
    return lambda row: row.endings.results.get(name, 0)


def _paused(reason: str) -> Callable[[Row], Cell]:
    return lambda row: _seconds(row.staffing.pauses.get(reason, 0))
