"""One call with all that can be known of its recordings, in a database of its own, with its keys and its sound."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from callcore.db import Database, DatabaseAway, Projection, Queries
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Centre
from callcore.domain.findings import Finding
from callcore.domain.ids import (
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    DepartmentId,
    Instant,
    NodeId,
    PhoneId,
    QueueId,
)
from callcore.domain.personal import Personal
from callcore.domain.recording import RecordingKind, RecordingMark, SoundFormat
from callcore.domain.retention import KeepOrder
from callcore.domain.stages import Choice, Mark, Outcome, Party, PauseEnd, ResultKind, SideKind, SideOutcome
from callcore.installation import recordings_of
from callcore.journal import KeyStore, period_of
from callcore.recorded import Recorded
from callcore.recordings import Keeper
from callcore.recordings.keeper import Whose
from callcore.recordings.sides import sides_of
from callcore.recordings.wavs import HEADER
from callcore.runtime.recordings import (
    Archive,
    Audio,
    ExportAsked,
    Recording,
    RecordingCursor,
    RecordingPage,
    RecordingSearch,
    Unassigned,
)
from callcore.settings import Settings
from callcore.stored import Stored
from tests.support.days import TestFrame
from tests.support.floors import NUMBER, Desk, centre
from tests.support.store import World

CALL, SIDE, DEMO, FIRST, SECOND_ONE = (
    CallId("c1"),
    CallId("s1"),
    CentreId("demo"),
    AgentId("1001"),
    AgentId("1002"),
)
CITIZEN = "09012345678"
SECONDS = 20


def filed(made: Desk, s: float, call: CallId, **more: Any) -> f.RecordingFiled:
    whole = {"file": f"{call}.wav", "size": 160_044, "seconds": 10.0, "sha256": "ab"} | more
    return f.RecordingFiled(at=made.at(s), call=call, **whole)


def sealed(at: Instant, name: str = "c1", line: int = 2, **more: Any) -> i.RecordingSealed:
    """What the keeper's chain tells of a recording of `filed`."""
    whole = {
        "call": CallId(name.removesuffix(".message")),
        "kind": RecordingKind.CALL,
        "folder": "demo",
        "day": "2026-11-20",
        "format": "wav",
        "seconds": 10.0,
        "captured_size": 160_044,
        "captured_sha256": "ab",
        "size": 160_044,
        "sha256": "ab",
        "stored_size": 160_400,
        "stored_sha256": "cd",
        "key_period": "2026-11",
        "kept_at": at,
    }
    return i.RecordingSealed(at=at, name=name, line=line, **(whole | more))


def a_talk(made: Desk) -> list[f.Fact]:
    """A talk in English with a pause, a consult and a colleague, then a department; keyed and marked afterwards."""
    at = made.at
    key = {
        "call": CALL,
        "menu": "m",
        "key": "2",
        "choice": Choice.LANGUAGE,
        "to": "m",
        "queue": None,
        "reason": "",
    }
    agent = {"call": CALL, "agent": FIRST}
    number = Personal(CALL, DEMO, at(1), "09012345678")
    other = Personal(SIDE, DEMO, at(30), "0975000011")
    return [
        f.CallArrived(
            at=at(1),
            call=CALL,
            node=NodeId("node1"),
            channel_name="x",
            centre=DEMO,
            number=NUMBER,
            queue=QueueId("demo-general"),
            caller=number,
        ),
        f.MenuAnswered(at=at(2), language="en", **key),  # type: ignore[arg-type]
        f.MenuAnswered(at=at(3), language=None, **key),  # type: ignore[arg-type]
        f.CallAnswered(at=at(10), phone=PhoneId("p1"), offer=None, by_net=True, **agent),  # type: ignore[arg-type]
        f.RecordingPaused(at=at(20), until=at(80), **agent),  # type: ignore[arg-type]
        f.RecordingResumed(at=at(25), call=CALL, early=True, why=PauseEnd.ASKED),
        f.SideCallBegan(
            at=at(30),
            call=SIDE,
            node=NodeId("node1"),
            centre=DEMO,
            kind=SideKind.DEPARTMENT,
            number=NUMBER,
            other=other,
            phone=PhoneId("p1"),
            agent=FIRST,
            why="11",
            beside=CALL,
        ),
        f.SideCallConnected(at=at(33), call=SIDE, phone=None, agent=None),
        f.CallAnswered(
            at=at(40), call=CALL, agent=SECOND_ONE, phone=PhoneId("p2"), offer=None, escalated=True
        ),
        f.SideCallEnded(
            at=at(41), call=SIDE, outcome=SideOutcome.CONNECTED, hung_up_by=Party.AGENT, reason=""
        ),
        filed(made, 43, SIDE, findings=(Finding.SHORT, Finding.CLIPPED)),
        f.RecordingPaused(at=at(50), call=CALL, agent=SECOND_ONE, until=at(110), by="user:sato", gap=True),
        f.TalkEnded(at=at(60), call=CALL, agent=SECOND_ONE, wrap_up_until=None),
        f.CallTransferred(
            at=at(60),
            call=CALL,
            agent=SECOND_ONE,
            department=DepartmentId("12"),
            channel=ChannelId("d"),
            blind=True,
        ),
        f.CallEnded(
            at=at(90), call=CALL, outcome=Outcome.TRANSFERRED_BLIND, hung_up_by=Party.CALLER, reason=""
        ),
        filed(made, 93, CALL, size=1_600_044, seconds=100.0),
        f.ResultKeyed(at=at(95), result="苦情", kind=ResultKind.COMPLAINT, **agent),  # type: ignore[arg-type]
        f.CallMarked(at=at(96), mark=Mark.ABUSE, **agent),  # type: ignore[arg-type]
    ]


def sound(path: Path, seconds: int = SECONDS) -> bytes:
    """A WAV file of a tone that rises each second, as Asterisk writes them; gives its bytes."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        for second in range(seconds):
            step = 2 * math.pi * (300 + 50 * second) / 8000
            file.writeframes(
                b"".join(struct.pack("<h", round(8000 * math.sin(step * n))) for n in range(8000))
            )
    return path.read_bytes()


class Empty:
    """Has no recording; keeps the port of `runtime.recordings`."""

    async def centres(self) -> list[Centre]:
        return [centre()]

    async def find(self, wanted: RecordingSearch, after: RecordingCursor | None, limit: int) -> RecordingPage:
        return RecordingPage((), None)

    async def one(self, name: str) -> tuple[Recording, ...]:
        return ()

    async def orders(self, of: Recording) -> tuple[KeepOrder, ...]:
        return ()

    async def unassigned(self) -> tuple[Unassigned, ...]:
        return ()

    async def audio(self, name: str, *, kept: bool) -> Audio:
        raise FileNotFoundError(name)

    async def export(self, asked: ExportAsked, heard: Callable[[Recording], None]) -> Archive:
        raise OSError("there is nothing")


@dataclass
class Stock:
    """`sound`: the bytes of the call's recording; the consult's is missing."""

    recorded: Recorded
    settings: Settings
    sound: bytes
    sink: Projection
    stored: Stored
    """Its call."""
    centres: list[Centre]
    """By whose rules recordings are kept; may be changed."""
    core: Desk = field(default_factory=lambda: Desk().begin())

    async def marks(self, command: str, *, by: str | None = None, **told: Any) -> dict[str, Any]:
        """Stands for the engine's commands of marks: what the core makes of them is drained."""
        assert by is not None and command in ("recording_mark", "recording_unreport"), command
        set_to = command == "recording_mark" and told["set"]
        mark = RecordingMark(told["mark"]) if command == "recording_mark" else RecordingMark.ABUSE
        at = self.core.at(200 + len(self.core.facts))
        before = len(self.core.facts)
        self.core.tell(
            i.MarkAsked(at=at, call=told["call"], centre=told["centre"], mark=mark, on=set_to, by=by)
        )
        facts = self.core.facts[before:]
        await self.sink.apply([TestFrame(1, 1000 + before, at, tuple(facts))])
        return {"done": bool(facts), "why": None}


def keep(
    stock: Stock, name: str = CALL, form: SoundFormat = SoundFormat.WAV, *, stereo: bool = False
) -> Path:
    """As the sidecar's keeper does when the call is over; the sealed file. `stereo`: all of it is on the left."""
    world, settings = World(), stock.settings
    recordings = recordings_of(settings)
    keeper = Keeper(recordings, settings.protected, world, 30, lambda: True, world.centre_of, (DatabaseAway,))
    plain = settings.recordings / f"{name}.wav"
    if stereo:
        left, right = sides_of(plain)
        left.write_bytes(plain.read_bytes()[HEADER:])
        right.write_bytes(bytes(left.stat().st_size))
    keeper.keep(
        plain, Whose(DEMO, "Asia/Tokyo", name, RecordingKind.CALL, world.at, True, form, stereo=stereo)
    )
    found = recordings.find(name)
    assert found is not None
    return found


@asynccontextmanager
async def stocked(url: str, folder: Path) -> AsyncIterator[Stock]:
    """`a_talk`, drained into the database (which has its tables) with real keys."""
    settings = Settings(home=folder / "home", database_url=url)
    for made in (settings.recordings, settings.journal, settings.keys):
        made.mkdir(parents=True, mode=0o700, exist_ok=True)
    keys = KeyStore.open(settings.journal, settings.keys, write=True)

    def seal(value: Personal) -> tuple[bytes, str | None, str] | None:
        assert value.text is not None
        sealed = keys.seal(value.call, value.centre, value.at, value.text)
        assert sealed is not None
        return sealed, keys.fingerprint(value.centre, value.at, value.text), period_of(value.at)

    facts = a_talk(Desk())
    rules = [centre()]
    database = Database(url)
    try:
        sink = Projection(database, seal)
        await sink.apply([TestFrame(1, n, fact.at, (fact,)) for n, fact in enumerate(facts, 1)])
        yield Stock(
            Recorded(settings, database, keys, lambda: tuple(rules)),
            settings,
            sound(settings.recordings / "c1.wav"),
            sink,
            Stored(settings, Queries(database), keys, lambda: (DEMO,), lambda: facts[-1].at),
            rules,
        )
    finally:
        await database.close()
        keys.close()
