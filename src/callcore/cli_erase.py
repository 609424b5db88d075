"""The commands about how long recordings and what belongs to a person are kept, and about erasing them with proof."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, TypeVar
from zoneinfo import ZoneInfo

import msgspec
import typer

from callcore.access.rights import Right, needs
from callcore.access.trail import TrailUnwritable
from callcore.centres import CentreFileErrors, read
from callcore.console import audited, day_of, fail, note, say, settings_or_fail
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND, CentreId, Instant
from callcore.domain.recording import UNASSIGNED
from callcore.domain.retention import CALLS_MOST, REASON_LONGEST, WORDS, Item, Judged, Verdict, Why
from callcore.erasing.plan import Busy, Left, Shelf, Unit
from callcore.erasing.report import SCOPES, Report, checked
from callcore.recordings import RecordingError
from callcore.recordings.signing import installed
from callcore.runtime.commands import CommandClient, CommandFailed, this_account
from callcore.settings import Settings

if TYPE_CHECKING:
    from callcore.erasure import Erasure

T = TypeVar("T")
DUE_MOST = 100_000
"""Calls that a preview looks at."""
NOT_ASKED = (
    "適用中の設定でなくディスクのセンターファイルで判定し、エンジンが今は残すもの(対応の済んでいない伝言など)も"
    "「消去」と示します / judged by the centre files on the disk, not by what is applied; what the engine would leave "
    "for now, as an open message, is told as erased"
)
NOT_APPLIED = (
    "まだ適用されていないため、適用するまで何も消去しません。ディスクのセンターファイルで判定します / "
    "not applied yet, and until it is nothing is erased; judged by its file on the disk"
)
NO_FILE = (
    "適用中のセンターにないため、指示があるまで保存します / "
    "not among the centres that are applied: kept until told"
)
NOT_FOUND = (
    "この鍵が読めないため、その月のものは番号では見つかりません / "
    "this key cannot be read, so what is of its month is not found by a number"
)
PATIENCE_S = 120.0
"""Seconds to wait for an erasure that is going on, as one that the sidecar finishes."""
SHOWN = 50
"""Calls that a preview names; of the others it tells the count."""
_NUMBER = re.compile(r"\+?[0-9]{3,20}")

OfCentre = Annotated[str | None, typer.Option("--centre", help="センター、例 oita / the centre")]
OfCalls = Annotated[
    list[str] | None, typer.Option("--call", help="通話の ID (いくつでも) / the call's id; repeatable")
]
OfNumber = Annotated[
    str | None,
    typer.Option("--number", help="電話番号 (--centre も) / a person's number, with --centre"),
]
First = Annotated[
    str | None,
    typer.Option("--first", help="この日から、例 2026-11-20 (--centre も) / from this day on, with --centre"),
]
Last = Annotated[str | None, typer.Option("--last", help="この日まで / to this day")]
Reason = Annotated[str, typer.Option("--reason", help="理由 / the reason")]


class _Chosen(msgspec.Struct):
    centre: Any
    scope: str
    what: str
    items: list[Item]
    entries: list[str]
    unread: list[str] = []
    """What could not be looked into for it, each with why."""


@needs(Right.READ_CALLS)
def due(
    centre: OfCentre = None,
    on: Annotated[
        str | None, typer.Option(help="この日なら、例 2027-06-01 / as it will be on this day")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON を1行ずつ / JSON lines")] = False,
) -> None:
    """保存期間が満了したもの。消去はしない / What is due to be erased, and what is kept beyond; erases nothing."""
    settings = settings_or_fail()

    async def asked(of: Erasure) -> list[tuple[Centre, list[Verdict]]]:
        from callcore.departed import stand_in
        from callcore.erasure import CannotErase, midnight

        found = []
        for each in _reached(of, centre):
            rule, engine = each, True
            try:
                in_force = await of.in_force(each)
            except CannotErase as error:
                engine = False
                note(f"{each.id}: {error.__cause__ or error}\n{NOT_ASKED}")
            else:
                if in_force is None:
                    note(f"{each.id}: {NOT_APPLIED}")
                elif in_force == stand_in(each.id):
                    note(f"{each.id}: {NO_FILE}")
                rule = in_force or each
            at = _now() if on is None else midnight(_day(on), rule.time_zone)
            verdicts = await of.judged(rule, at, DUE_MOST + 1, engine=engine)
            if len(verdicts) > DUE_MOST:
                note(
                    f"{each.id}: 古いほうから {DUE_MOST} 通話だけを見ました。ほかにもあります / "
                    f"these are the oldest {DUE_MOST} calls alone; there are more"
                )
            found.append((rule, verdicts[:DUE_MOST]))
        return found

    for each, verdicts in _with(settings, asked):
        for line in _json(each, verdicts) if as_json else _text(each, verdicts):
            say(line)


def _text(centre: Centre, verdicts: list[Verdict]) -> list[str]:
    gone = [v for v in verdicts if v.due or v.personal_due]
    tasks = sum(v.item.task for v in gone)
    kept = [v for v in verdicts for _, judged in v.sounds if judged.why in (Why.EXTENDED, Why.HELD)]
    left = [v for v in verdicts if v.left is not None]
    lines = [
        f"{centre.id}: 消去の対象 {len(gone) - tasks}通話・録音 {sum(len(v.due) for v in gone)}件・用件 {tasks}件、"
        f"指示により保存 {len(kept)}件 / due: {len(gone) - tasks} calls, {sum(len(v.due) for v in gone)} recordings, "
        f"{tasks} tasks; "
        f"kept by order: {len(kept)}"
    ]
    if left:
        lines.append(
            f"  満了しても今は残すもの {len(left)}件 / over by the rule, and left for now: {len(left)}"
        )
    listed = list({v.item.call: v for v in (*gone, *kept, *left)}.values())
    for verdict in listed[:SHOWN]:
        lines.append(f"  {verdict.item.call} {_when(verdict.item.over, centre)}")
        lines += [
            f"    {sound.kind.value} {sound.name}: {_said(judged, centre)}"
            for sound, judged in verdict.sounds
        ]
        if verdict.personal is not None:
            lines.append(f"    番号・メモ / number and notes: {_said(verdict.personal, centre)}")
        if verdict.left is not None:
            lines.append(f"    × {verdict.left}")
    beyond = len(listed) - SHOWN
    return [*lines, f"  ほか {beyond}通話 / and {beyond} more"] if beyond > 0 else lines


def _when(over: Instant | None, centre: Centre) -> str:
    if over is None:
        return "時刻不明 / at no known time"
    return f"{datetime.fromtimestamp(over / SECOND, ZoneInfo(centre.time_zone)):%Y-%m-%d %H:%M}"


def _said(judged: Judged, centre: Centre) -> str:
    parts = [WORDS[judged.why]]
    if judged.until is not None:
        until = datetime.fromtimestamp(judged.until / SECOND, ZoneInfo(centre.time_zone))
        parts.append(f"{until:%Y-%m-%d %H:%M} まで / until then")
    if judged.order is not None:
        parts.append(f"{judged.order.id} {judged.order.reason} ({judged.order.by})")
    return ", ".join(parts)


def _json(centre: Centre, verdicts: list[Verdict]) -> list[str]:
    def told(judged: Judged | None) -> dict[str, Any] | None:
        if judged is None:
            return None
        return {
            "why": judged.why.value,
            "until": None if judged.until is None else judged.until / SECOND,
            "order": None if judged.order is None else judged.order.id,
        }

    return [
        msgspec.json.encode(
            {
                "centre": centre.id,
                "call": verdict.item.call,
                "task": verdict.item.task,
                "over": None if verdict.item.over is None else verdict.item.over / SECOND,
                "recordings": [
                    {"recording": sound.name, "kind": sound.kind.value, **(told(judged) or {})}
                    for sound, judged in verdict.sounds
                ],
                "personal": told(verdict.personal),
                "left": verdict.left,
            }
        ).decode()
        for verdict in verdicts
    ]


@needs(Right.ERASE)
def hold(
    reason: Reason,
    calls: OfCalls = None,
    number: OfNumber = None,
    first: First = None,
    last: Last = None,
    centre: OfCentre = None,
) -> None:
    """保全: 解くまで消去しない / A legal hold: erased by nobody until it is released."""
    _order(None, reason, calls, number, first, last, centre)


@needs(Right.ERASE)
def extend(
    until: Annotated[str, typer.Option(help="この日の終わりまで、例 2027-12-31 / to the end of this day")],
    reason: Reason,
    calls: OfCalls = None,
    number: OfNumber = None,
    first: First = None,
    last: Last = None,
    centre: OfCentre = None,
) -> None:
    """延長: この日まで保存する / Keep to this day, at least."""
    _order(_day(until), reason, calls, number, first, last, centre)


def _order(
    until: str | None,
    reason: str,
    calls: list[str] | None,
    number: str | None,
    first: str | None,
    last: str | None,
    centre: str | None,
) -> None:
    settings = settings_or_fail()
    text = _reason(reason)

    async def asked(of: Erasure) -> list[str]:
        from callcore.erasure import midnight

        chosen = await _chosen(of, calls, number, first, last, centre)
        named = list(dict.fromkeys(item.about for item in chosen.items))
        if not named:
            raise fail("当てはまる通話がありません / no call fits")
        end = None if until is None else midnight(until, chosen.centre.time_zone, 1) / SECOND
        made = []
        for n in range(0, len(named), CALLS_MOST):
            answer = await of.engine.ask(
                "keep_order",
                centre=chosen.centre.id,
                calls=named[n : n + CALLS_MOST],
                until=end,
                reason=text,
            )
            if not answer["done"]:
                raise fail(str(answer["why"]))
            made.append(f"{answer['order']}: {len(named[n : n + CALLS_MOST])} 通話 / calls")
        return made

    action = "keep_extended" if until else "legal_hold"
    with audited(settings, action, on=" ".join(calls or ()) or None, centre=centre, why=text) as noted:
        made = _with(settings, asked)
        noted.on = ", ".join(made)
    for line in made:
        say(line)


@needs(Right.ERASE)
def release(
    order: Annotated[str, typer.Argument(help="指示の ID、例 keep-1a2b3c4d / the order's id")],
    centre: Annotated[str, typer.Option(help="センター / the centre")],
    reason: Reason,
) -> None:
    """保全・延長の指示を解く / Take an order to keep back."""
    settings = settings_or_fail()
    text = _reason(reason)

    async def asked(of: Erasure) -> None:
        answer = await of.engine.ask("keep_release", centre=centre, order=order, reason=text)
        if not answer["done"]:
            raise fail(str(answer["why"]))

    with audited(settings, "keep_released", on=order, centre=centre, why=text):
        _with(settings, asked)
    say(f"{order}: 解きました / released")


@needs(Right.READ_CALLS)
def orders(centre: OfCentre = None) -> None:
    """保全・延長の指示の一覧 / The orders that count."""
    settings = settings_or_fail()

    async def asked(of: Erasure) -> list[tuple[Centre, list[dict[str, Any]]]]:
        return [(each, await of.engine.ask("keep_list", centre=each.id)) for each in _reached(of, centre)]

    for each, found in _with(settings, asked):
        for order in found:
            zone = ZoneInfo(each.time_zone)
            until = order["until"]
            end = "解くまで / until released"
            if until is not None:
                end = f"{datetime.fromtimestamp(until, zone) - timedelta(seconds=1):%Y-%m-%d} まで / to"
            say(
                f"{order['order']} {each.id} {len(order['calls'])} 通話 / calls, {end}: "
                f"{order['reason']} ({order['by']}, {datetime.fromtimestamp(order['at'], zone):%Y-%m-%d})"
            )


@needs(Right.ERASE)
def erase(
    reason: Reason,
    calls: OfCalls = None,
    number: OfNumber = None,
    first: First = None,
    last: Last = None,
    centre: OfCentre = None,
    reported: Annotated[
        bool,
        typer.Option("--reported", help="悪質・脅迫の通報があった通話も / calls that were reported, too"),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="確認せずに / without a question")] = False,
) -> None:
    """通話と用件・番号・期間・センターを消去し、作業完了報告書を作る / Erase, with a report. Cannot be undone.

    終了コード: 0 残りなし、1 できない、3 残ったものか確かめられないものがある / status 3: something was left, or could
    not be looked into, as the report says.
    """
    settings = settings_or_fail()
    text = _reason(reason)

    async def asked(of: Erasure) -> Report | None:
        from callcore.erasure import parted

        await of.finish()
        chosen = await _chosen(of, calls, number, first, last, centre)
        units, left = parted(chosen.items, reported=reported)
        if not units and not chosen.entries:
            say("消去するものがありません / there is nothing to erase")
            if chosen.unread:
                raise typer.Exit(3)
            return None
        say(_preview(chosen, units, left))
        if not yes and not typer.confirm("元に戻せません。消去しますか / This cannot be undone. Erase?"):
            raise typer.Exit(1)
        plan = of.plan(
            chosen.centre,
            chosen.scope,
            chosen.what,
            units,
            reason=text,
            by=this_account(),
            now=_now(),
            entries=chosen.entries,
            left=left,
            reported=reported,
            unread=chosen.unread,
        )
        return await of.run(plan)

    done = _with(settings, asked)
    if done is None:
        return
    shelf = Shelf(settings.erasures)
    say(
        f"{done.id}: {len(done.calls)} 通話・録音 {len(done.recordings)}件・用件 {len(done.tasks)}件を消去、"
        f"{len(done.left)}件は消去せず / erased {len(done.calls)} calls, {len(done.recordings)} recordings, "
        f"{len(done.tasks)} tasks; {len(done.left)} left"
    )
    for left in done.left[:SHOWN]:
        say(f"  {left.call}: {left.why}")
    say(f"作業完了報告書 / report: {shelf.folder / done.id}.json, .html")
    if not done.complete:
        raise fail(
            "消去すべきものが残っているか、確かめられないものがあります。報告書を確かめてください / "
            "something is left, or could not be looked into; see the report",
            3,
        )


def _preview(chosen: _Chosen, units: list[Unit], left: list[Left]) -> str:
    sounds, tasks = sum(len(unit.recordings) for unit in units), sum(unit.task for unit in units)
    ja, en = SCOPES[chosen.scope]
    lines = [
        f"{ja} / {en}: {chosen.centre.id} {chosen.what}",
        f"  通話 {len(units) - tasks}・録音 {sounds}・用件 {tasks}・着信拒否の登録 {len(chosen.entries)} / "
        f"{len(units) - tasks} calls, {sounds} recordings, {tasks} tasks, "
        f"{len(chosen.entries)} entries of the list of unwelcome callers",
        *(f"  {unit.call} {' '.join(unit.recordings)}" for unit in units[:SHOWN]),
    ]
    if len(units) > SHOWN:
        lines.append(f"  ほか {len(units) - SHOWN}件 / and {len(units) - SHOWN} more")
    return "\n".join([*lines, *(f"  × {each.call}: {each.why}" for each in left[:SHOWN])])


@needs(Right.READ_CALLS)
def erasures(
    report: Annotated[
        str | None, typer.Argument(help="報告書の ID。なければ一覧 / a report's id; none: the list")
    ] = None,
) -> None:
    """作業完了報告書の一覧、または1件の署名を確かめて JSON で / The reports; one, its signature checked, as JSON."""
    settings = settings_or_fail()
    shelf = Shelf(settings.erasures)
    try:
        keys = installed(settings.recordings_keys) if shelf.reports() else {}
    except RecordingError as error:
        raise fail(str(error)) from None
    if report is None:
        for each in shelf.reports():
            raw = shelf.file(each, "json")
            found = None if raw is None else checked(raw, keys)
            say(f"{each} {_row(found)}")
        return
    raw = shelf.file(report, "json")
    if raw is None:
        raise fail(f"{report}: その報告書はありません / there is no such report")
    if checked(raw, keys) is None:
        raise fail(
            f"{report}: 署名が合いません。書き換えられています / its signature does not fit: it was altered"
        )
    say(raw.decode().rstrip())


def _row(found: Report | None) -> str:
    if found is None:
        return "署名が合いません / its signature does not fit"
    state = "残りなし / nothing left" if found.complete else "残りあり / something left"
    return (
        f"{found.centre} {found.scope} {len(found.calls)} 通話 / calls: {state} ({found.by}, {found.done_at})"
    )


# -- what they share ------------------------------------------------------------------------------------------


def _with(settings: Settings, work: Callable[[Erasure], Awaitable[T]]) -> T:
    """Do something with everything opened; what goes wrong is said in words."""
    # Not above: every command would load the database's libraries.
    from callcore.db import Database, DatabaseAway
    from callcore.departed import every
    from callcore.erasure import CannotErase, Erasure
    from callcore.journal import JournalError, KeyStore

    async def done() -> T:
        database = Database(settings.database)
        engine = CommandClient(settings.engine_socket)
        try:
            with KeyStore.open(settings.journal, settings.keys) as keys:
                centres = every(settings, _of_the_files(settings))
                return await work(
                    Erasure(settings, database, keys, engine, lambda: centres, patience_s=PATIENCE_S)
                )
        finally:
            await engine.close()
            await database.close()

    try:
        return asyncio.run(done())
    except Busy:
        raise fail(
            "ほかの消去が進行中です。終わってからもう一度 / another erasure is going on; try again when it is done"
        ) from None
    except (
        CannotErase,
        CommandFailed,
        DatabaseAway,
        JournalError,
        RecordingError,
        TrailUnwritable,
        OSError,
    ) as error:
        raise fail(str(error)) from None


async def _chosen(
    of: Erasure,
    calls: list[str] | None,
    number: str | None,
    first: str | None,
    last: str | None,
    centre: str | None,
) -> _Chosen:
    """What is meant: calls, else a number of a centre, else days of a centre, else a whole centre."""
    from callcore.erasure import midnight

    if calls and (number, first, last) != (None, None, None):
        raise fail("--call だけを指定してください / give --call alone")
    if centre == UNASSIGNED:
        return await _nobodys(of, calls, number, first, last)
    if calls:
        found = {await of.centre_of(each) for each in calls}
        name = found.pop()
        if name is None or found:
            raise fail(
                "そのような通話がないか、複数のセンターのものです / no such call, or calls of several centres"
            )
        if centre not in (None, name):
            raise fail(
                f"その通話はセンター {name} のものです。--centre を確かめてください / "
                f"that is of the centre {name}; see to --centre"
            )
        one = of.centre(name)
        return _Chosen(one, "call", ", ".join(calls), await of.of_calls(calls), [])
    if centre is None:
        raise fail("--call か --centre を指定してください / give --call, or --centre")
    one = _named(of, centre)
    if number is not None:
        digits = number.replace("-", "").replace(" ", "")
        if (first, last) != (None, None) or not _NUMBER.fullmatch(digits):
            raise fail("番号は数字で、期間なしで / write the number in digits, and no days beside it")
        unread = list[str]()
        items, entries = await of.of_number(one.id, digits, unread)
        for why in unread:
            note(f"{NOT_FOUND}: {why}")
        return _Chosen(one, "number", "番号ひとつ / one number", items, entries, unread)
    if first is not None or last is not None:
        if first is None or last is None:
            raise fail("--first と --last の両方を / give both --first and --last")
        begin, end = midnight(_day(first), one.time_zone), midnight(_day(last), one.time_zone, 1)
        return _Chosen(one, "period", f"{first} – {last}", await of.between(one.id, begin, end), [])
    items = await of.between(one.id)
    listed = await of.engine.ask("blocked_list", centre=one.id)
    return _Chosen(one, "centre", one.name, items, [each["entry"] for each in listed])


async def _nobodys(
    of: Erasure, calls: list[str] | None, number: str | None, first: str | None, last: str | None
) -> _Chosen:
    """The same among recordings of which nobody knows the centre: names, days on which they were kept, or all."""
    from callcore.erasure import midnight
    from callcore.unassigned import NO_CENTRE

    if number is not None:
        raise fail(
            "センター不明の録音は番号では選べません / recordings of no known centre are not found by a number"
        )
    items, zone = await of.unassigned(), NO_CENTRE.time_zone
    if calls:
        named = set(calls)
        found = [item for item in items if named & {item.call, *(sound.name for sound in item.sounds)}]
        return _Chosen(NO_CENTRE, "call", ", ".join(calls), found, [])
    if first is not None and last is not None:
        begin, end = midnight(_day(first), zone), midnight(_day(last), zone, 1)
        found = [item for item in items if item.over is not None and begin <= item.over < end]
        return _Chosen(NO_CENTRE, "period", f"{first} – {last}", found, [])
    if first is not None or last is not None:
        raise fail("--first と --last の両方を / give both --first and --last")
    return _Chosen(NO_CENTRE, "centre", NO_CENTRE.name, items, [])


def _reached(of: Erasure, centre: str | None) -> list[Centre]:
    """All centres, and what stands for recordings of which nobody knows the centre, where there are any."""
    from callcore.unassigned import NO_CENTRE, is_there

    if centre == UNASSIGNED:
        return [NO_CENTRE]
    if centre is not None:
        return [_named(of, centre)]
    return [*of.centres(), *((NO_CENTRE,) if is_there(of.settings.store) else ())]


def _of_the_files(settings: Settings) -> tuple[Centre, ...]:
    try:
        return read(settings.centres).centres
    except CentreFileErrors as errors:
        raise fail("\n".join(errors.texts("ja"))) from None


def _named(of: Erasure, centre: str) -> Centre:
    known = {each.id: each for each in of.centres()}
    if CentreId(centre) not in known:
        names = ", ".join(sorted(known))
        raise fail(
            f"センター {centre} はありません。次のいずれかです / there is no centre {centre}; one of: {names}"
        )
    return known[CentreId(centre)]


def _reason(text: str) -> str:
    one = " ".join(text.split())
    if not one or len(one) > REASON_LONGEST or not one.isprintable():
        raise fail(
            f"理由は1〜{REASON_LONGEST}文字で指定してください / give the reason in 1 to {REASON_LONGEST} characters"
        )
    return one


def _day(text: str) -> str:
    """As ISO."""
    return day_of(text).isoformat()


def _now() -> Instant:
    return Instant(time.time_ns() // 1000)
