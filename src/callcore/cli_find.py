"""The command that finds recordings."""

from __future__ import annotations

import asyncio
import re
from datetime import datetime, time, timedelta, tzinfo
from typing import Annotated
from zoneinfo import ZoneInfo

import typer
from rich.table import Table

from callcore.access.rights import Right, needs, system_person
from callcore.centres import CentreFileErrors, read
from callcore.console import day_of, fail, no_day, note, out, settings_or_fail
from callcore.domain.centre import Centre
from callcore.domain.findings import Finding
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, DepartmentId, Instant, QueueId
from callcore.domain.recording import (
    Direction,
    PausedBy,
    Place,
    RecordingKind,
    RecordingMark,
    SoundFormat,
    Through,
)
from callcore.domain.retention import WORDS, Why
from callcore.domain.stages import PauseEnd, ResultKind
from callcore.installation import trail_of
from callcore.runtime.commands import this_account
from callcore.runtime.detail import NumbersClosed
from callcore.runtime.recordings import Recording, RecordingPage, RecordingSearch
from callcore.settings import Settings

MOST = 1000
_NUMBER = re.compile(r"\+?[0-9]{3,20}")


@needs(Right.READ_CALLS)
def find(
    centre: Annotated[str | None, typer.Option(help="センター、例 oita / the centre")] = None,
    first: Annotated[
        str | None, typer.Option(help="この日・時刻から、例 2026-11-20、2026-11-20T09:00 / from then on")
    ] = None,
    last: Annotated[
        str | None,
        typer.Option(help="この日まで、または 2026-11-20T10:30 より前 / to this day, or before that minute"),
    ] = None,
    ended_from: Annotated[
        str | None, typer.Option(help="終了がこの日・時刻以降 / ended on this day, at this time, or later")
    ] = None,
    ended_before: Annotated[
        str | None, typer.Option(help="終了がこの日・時刻より前 / ended before this day or time")
    ] = None,
    number: Annotated[str | None, typer.Option(help="電話番号 / the citizen's number")] = None,
    agent: Annotated[str | None, typer.Option(help="オペレーター番号 / the agent's number")] = None,
    call: Annotated[str | None, typer.Option(help="通話の ID / the call's id")] = None,
    kind: Annotated[RecordingKind | None, typer.Option(help="種類 / kind")] = None,
    mark: Annotated[RecordingMark | None, typer.Option(help="目印 / mark")] = None,
    result: Annotated[str | None, typer.Option(help="通話の結果 / the result that was keyed")] = None,
    department: Annotated[str | None, typer.Option(help="部署の番号 / the department")] = None,
    language: Annotated[str | None, typer.Option(help="言語、例 en / the language that was chosen")] = None,
    problem: Annotated[
        Finding | None, typer.Option(help="異常のひとつ / among what is wrong with it")
    ] = None,
    segments_least: Annotated[
        int | None,
        typer.Option(min=1, help="通話の録音数、以上 / of a call with so many recordings, at least"),
    ] = None,
    recording: Annotated[str | None, typer.Option(help="録音の名前 / its name")] = None,
    queue: Annotated[str | None, typer.Option(help="待ち行列、例 oita-general / the queue")] = None,
    direction: Annotated[Direction | None, typer.Option(help="向き / direction")] = None,
    result_kind: Annotated[ResultKind | None, typer.Option(help="結果の種類 / kind of result")] = None,
    through: Annotated[
        Through | None, typer.Option(help="取り次ぎ方 / how the caller stayed with the department")
    ] = None,
    paused: Annotated[
        bool | None, typer.Option("--paused/--not-paused", help="一時停止の有無 / whether it was paused")
    ] = None,
    paused_by: Annotated[
        PausedBy | None, typer.Option(help="一時停止の操作: 電話機のキー、画面・API / how that was asked for")
    ] = None,
    pause_ended: Annotated[PauseEnd | None, typer.Option(help="再開の理由 / why it went on")] = None,
    pauses_least: Annotated[
        int | None, typer.Option(min=1, help="一時停止の回数、以上 / pauses, at least")
    ] = None,
    form: Annotated[SoundFormat | None, typer.Option("--format", help="形式 / format")] = None,
    channels: Annotated[
        int | None, typer.Option(min=1, max=2, help="チャンネル数、1 か 2 / how many channels")
    ] = None,
    seconds_least: Annotated[float | None, typer.Option(min=0, help="秒、以上 / seconds, at least")] = None,
    seconds_most: Annotated[float | None, typer.Option(min=0, help="秒、以下 / at most")] = None,
    size_least: Annotated[int | None, typer.Option(min=0, help="バイト、以上 / bytes, at least")] = None,
    size_most: Annotated[int | None, typer.Option(min=0, help="バイト、以下 / at most")] = None,
    sha256: Annotated[str | None, typer.Option(help="ファイルの SHA-256 / the file's digest")] = None,
    place: Annotated[Place | None, typer.Option(help="保管場所 / where it lies")] = None,
    key_period: Annotated[str | None, typer.Option(help="鍵の月、例 2026-11 / the month of its key")] = None,
    kept_from: Annotated[
        str | None, typer.Option(help="保存期限がこの日以降 / to be kept until this day or later")
    ] = None,
    kept_before: Annotated[
        str | None, typer.Option(help="保存期限がこの日より前 / to be kept until a day before")
    ] = None,
    legal_hold: Annotated[
        bool | None, typer.Option("--held/--not-held", help="消去の保留 / whether an order holds it")
    ] = None,
    listener: Annotated[
        str | None, typer.Option(help="聞いた人、保存した人、例 user:sato / who listened or downloaded")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="件数 / how many, the newest first")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="API と同じ JSON / the API's own JSON")] = False,
) -> None:
    """録音を探す(新しい順) / Find recordings, the newest first."""
    from callcore.departed import every

    settings = settings_or_fail()
    try:
        centres = tuple(every(settings, read(settings.centres).centres))
    except CentreFileErrors as errors:
        raise fail("\n".join(errors.texts("ja"))) from None
    except OSError as error:
        raise fail(str(error)) from None
    _ask(Right.READ_PERSONAL, "--number", number, centre)
    _ask(Right.READ_TRAIL, "--listener", listener, centre)
    digits = None if number is None else number.replace("-", "").replace(" ", "")
    if digits is not None and not _NUMBER.fullmatch(digits):
        raise fail(f"{number}: 番号は数字で書いてください / {number}: write the number in digits")
    zone = ZoneInfo(next((c.time_zone for c in centres if centre in (None, c.id)), "UTC"))
    wanted = RecordingSearch(
        centres=None if centre is None else [CentreId(centre)],
        first=_midnight(first, 0, zone),
        before=_midnight(last, 1, zone),
        ended_from=_midnight(ended_from, 0, zone),
        ended_before=_midnight(ended_before, 0, zone),
        number=digits,
        agent=None if agent is None else AgentId(agent),
        call=None if call is None else CallId(call),
        kind=kind,
        mark=mark,
        result=result,
        department=None if department is None else DepartmentId(department),
        language=language,
        problem=None if problem is None else problem.value,
        segments_least=segments_least,
        name=recording,
        names=None if listener is None else _heard_by(settings, listener),
        queue=None if queue is None else QueueId(queue),
        direction=direction,
        result_kind=result_kind,
        through=through,
        paused=paused,
        paused_by=paused_by,
        pause_ended=pause_ended,
        pauses_least=pauses_least,
        format=None if form is None else form.value,
        channels=channels,
        seconds_least=seconds_least,
        seconds_most=seconds_most,
        size_least=size_least,
        size_most=size_most,
        sha256=sha256,
        place=place,
        key_period=key_period,
        kept_from=_midnight(kept_from, 0, zone),
        kept_before=_midnight(kept_before, 0, zone),
        legal_hold=legal_hold,
    )
    try:
        page = asyncio.run(_found(settings, centres, wanted, limit))
    except (NumbersClosed, OSError) as error:
        raise fail(str(error)) from None
    if not page.recordings and centre not in (None, *(c.id for c in centres)):
        note(f"センター {centre} の設定ファイルはありません / there is no centre file of {centre}")
    if as_json:
        _print_json(page)
    else:
        _print_table(page, centres)


def _ask(right: Right, option: str, given: str | None, centre: str | None) -> None:
    """As page and API do, for what takes a right beside the command's own."""
    person = system_person(this_account())
    if given is not None and not person.may(right, None if centre is None else CentreId(centre)):
        raise fail(f"{option}: 権限 {right.value} がありません / {option} takes the right {right.value}", 2)


def _heard_by(settings: Settings, who: str) -> set[str]:
    from callcore.web.recordings import heard_by

    return heard_by(trail_of(settings), who, lambda line: True)


def _midnight(text: str | None, days: int, zone: ZoneInfo) -> Instant | None:
    """The begin of that day or, some days on, of another; or the very time, where there is one."""
    if text is None:
        return None
    if "T" not in text and " " not in text:
        at = datetime.combine(day_of(text) + timedelta(days=days), time(), zone)
    else:
        try:
            at = datetime.fromisoformat(text)
        except ValueError:
            raise no_day(text) from None
        day_of(at.date().isoformat())
    return Instant(round((at if at.tzinfo else at.replace(tzinfo=zone)).timestamp()) * SECOND)


async def _found(
    settings: Settings, centres: tuple[Centre, ...], wanted: RecordingSearch, limit: int
) -> RecordingPage:
    from callcore.db import Database
    from callcore.journal import KeyStore
    from callcore.recorded import Recorded

    database = Database(settings.database)
    try:
        with KeyStore.open(settings.journal, settings.keys) as keys:
            recorded = Recorded(settings, database, keys, lambda: centres)
            return await recorded.find(wanted, None, limit)
    finally:
        await database.close()


def _print_json(page: RecordingPage) -> None:
    from callcore.web.recordings import PageOut, cursor_text, recording_out

    person = system_person(this_account())
    shown = [recording_out(each, person) for each in page.recordings]
    print(PageOut(recordings=shown, after=cursor_text(page.after)).model_dump_json())


def _print_table(page: RecordingPage, centres: tuple[Centre, ...]) -> None:
    zones = {centre.id: ZoneInfo(centre.time_zone) for centre in centres}
    table = Table(
        *("開始–終了 / from–to", "録音 / recording", "種類 / kind", "センター / centre", "番号 / number"),
        *("オペレーター / agents", "秒 / s", "結果 / result", "目印 / marks", "保存期限 / kept until"),
    )
    for each in page.recordings:
        began = datetime.fromtimestamp(each.began_at // SECOND, zones.get(each.centre, ZoneInfo("UTC")))
        zone = began.tzinfo
        ended = None if each.ended_at is None else datetime.fromtimestamp(each.ended_at // SECOND, zone)
        table.add_row(
            f"{began:%Y-%m-%d %H:%M:%S}–" + ("" if ended is None else f"{ended:%H:%M:%S}"),
            each.name,
            each.kind.value,
            each.centre,
            (each.other.masked() if each.other is not None else None) or "–",
            ", ".join(each.agents) or "–",
            f"{each.seconds:.0f}",
            each.result or "–",
            _noted(each),
            _kept(each, zone),
        )
    out.print(table)
    if page.after is not None:
        out.print(f"ほかにもあります (--limit, 最大 {MOST}) / there are more (--limit, at most {MOST})")


def _kept(of: Recording, zone: tzinfo | None) -> str:
    if of.kept_by is None:
        return "–"
    words = WORDS[Why(of.kept_by.value)]
    if of.keep_until is None:
        return words
    return f"{datetime.fromtimestamp(of.keep_until // SECOND, zone):%Y-%m-%d %H:%M} {words}"


def _noted(of: Recording) -> str:
    return ", ".join([*(mark.value for mark in of.marks), *of.findings]) or "–"
