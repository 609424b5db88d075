"""A live board's view as it was: the same fold over the same frames, and the same words of the API.

Rules
- A view is named by its `seq`, and judged at an instant. The two stand in every answer of `/api/v1/live`; given again
  they yield the same answer to the last bit, whatever happened since.
- Without a `seq` the view is that of the last frame whose own instant is not beyond the one asked for. What was told
  of that time only later (after a gap in which nobody watched) is not in it, as it was not on any board.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import CentreId, Instant
from callcore.domain.measures import Books
from callcore.reports.tape import FrameLike, NothingThere, Stop, facts_of, later
from callcore.runtime.ports import Seq, View
from callcore.web import models as m
from callcore.web import show


def view_at(frames: Iterable[FrameLike], stop: Stop) -> tuple[View, Instant]:
    """The view where the fold ends, and the instant of its last frame. NothingThere: no frame is that old."""
    floor, books = Floor(), Books()
    seq, at = Seq(0, 0), Instant(0)
    for frame in frames:
        then, told = floor, books
        for fact in facts_of(frame):
            then = evolve(then, fact)
            told = told.after(fact)
        if stop.before(frame, then):
            break
        floor, books = then, told
        seq, at = Seq(frame.run, frame.n), later(at, frame)
    if seq.n == 0:
        raise NothingThere(
            "その時点の記録はジャーナルにありません。日付と CALLCORE_HOME を確認してください / "
            "the journal holds nothing so old; check the date and CALLCORE_HOME"
        )
    if stop.seq is not None and seq != stop.seq:
        raise NothingThere(
            f"seq {stop.seq} はジャーナルにありません。その前は {seq} です / "
            f"there is no seq {stop.seq} in the journal; the one before it is {seq}"
        )
    return View(seq, floor, books), at


def live_again(view: View, at: Instant, centre: CentreId | None = None) -> m.Live:
    """What `/api/v1/live` answered at `at`. The engine's signs of life stand in no journal: `stale_s` is None.

    NothingThere: no such centre.
    """
    told = show.live(view, at, None)
    if centre is None:
        return told
    if centre not in view.floor.centres:
        raise unknown_centre(view.floor, centre)
    return told.model_copy(update={"centres": [c for c in told.centres if c.id == centre]})


def unknown_centre(floor: Floor, centre: CentreId) -> NothingThere:
    known = ", ".join(sorted(floor.centres)) or "–"
    return NothingThere(
        f"センター {centre} はありません。次のいずれかです / there is no centre {centre}; one of: {known}"
    )


def zone_of(floor: Floor, centre: CentreId | None) -> ZoneInfo:
    """A centre's time zone; without one, the only zone of all centres. NothingThere: it cannot be said."""
    if centre is not None:
        found = floor.centres.get(centre)
        if found is None:
            raise unknown_centre(floor, centre)
        return ZoneInfo(found.time_zone)
    zones = {c.time_zone for c in floor.centres.values()}
    if len(zones) != 1:
        raise NothingThere(
            "時間帯の違うセンターがあります。--centre で指定してください / "
            "the centres are in several time zones; name one with --centre"
        )
    return ZoneInfo(zones.pop())


def local_instant(day: date, at: time | None, zone: ZoneInfo) -> Instant:
    """An instant of a local day; None: its last microsecond."""
    if at is None:
        end = datetime.combine(day + timedelta(days=1), time(), zone)
        return Instant(round(end.timestamp()) * 1_000_000 - 1)
    moment = datetime.combine(day, at, zone)
    return Instant(int(moment.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond)
