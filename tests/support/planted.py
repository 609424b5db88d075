"""Citizens whose numbers, names and voices stand in every place that an installation has, and the search for them."""

from __future__ import annotations

import contextlib
import gzip
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from callcore.db import DatabaseAway
from callcore.domain import facts as f
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, NodeId, QueueId, VisitId
from callcore.domain.personal import Personal
from callcore.domain.recording import UNASSIGNED
from callcore.domain.stages import Outcome, Party
from callcore.installation import recordings_of
from callcore.journal import Codec, KeyStore, Spool
from callcore.pbx.render import CDR_FILE, CEL_FILE
from callcore.recordings import Keeper, KeyRing, RecordingError, Recordings
from callcore.recordings.keeper import Whose
from callcore.recordings.vault import ENDS
from callcore.settings import owner_only
from tests.chaos.test_journal import a_past_day
from tests.support import audio
from tests.support.floors import NUMBER
from tests.support.station import Station
from tests.support.store import World

VOICE_S = 1.5


@dataclass(frozen=True, slots=True)
class Marker:
    """One citizen: the call, the number, a name in a note, and some bytes of the voice as Asterisk recorded it; `more`:
    of the voice in files that no row tells of."""

    call: CallId
    number: str
    name: str
    voice: bytes
    more: tuple[bytes, ...] = ()

    def ways(self) -> list[bytes]:
        """Everything that no file may hold."""
        texts = [self.number, f"81{self.number[1:]}", self.name]
        found = [self.voice, *self.more]
        for text in texts:
            found += [text.encode(how) for how in ("utf-8", "utf-16-le", "utf-16-be")]
            found += [text.encode().hex().encode()]
        return found


def plant(s: Station, count: int, seed: int = 8) -> list[Marker]:
    """Calls of a day that is over: in the journal, with notes; recorded; in CEL, CDR and the logs, rotated ones too.
    A tenth more of them were not answered, after a message in which nothing was said, and there is sound of both; of
    every other one that was, there is sound among that of no centre."""
    chance = random.Random(seed)
    frames, markers = [], []
    folder = owner_only(s.settings.recordings)
    for frame in a_past_day(s, count):
        told: list[f.Fact] = []
        for fact in frame:
            if isinstance(fact, f.CallArrived):
                marker = _marker(fact.call, len(markers), chance, folder)
                markers.append(marker)
                caller = Personal(fact.call, fact.centre, fact.at, marker.number)
                told.append(
                    f.CallArrived(
                        at=fact.at,
                        call=fact.call,
                        node=fact.node,
                        channel_name=fact.channel_name,
                        centre=fact.centre,
                        number=fact.number,
                        queue=fact.queue,
                        caller=caller,
                    )
                )
            else:
                told.append(fact)
        frames.append(tuple(told))
        if isinstance(told[-1], f.CallEnded):
            frames.append(_notes(markers[-1], told[-1].at))
            if len(markers) % 2 == 0:
                markers[-1] = _among_nobodys(s, markers[-1], chance)
    for n in range(max(1, count // 10)):
        at = Instant(frames[-1][-1].at + SECOND)
        call = CallId(f"test1-{at // SECOND}.{count + n}")
        marker = _marker(call, len(markers), chance, folder)
        marker = replace(marker, more=(_voice(folder / f"{call}.message.wav", chance),))
        markers.append(marker)
        frames += _not_answered(marker, at)
    with KeyStore.open(s.settings.journal, s.settings.keys, write=True) as keys:
        spool = Spool.open(s.settings.journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync)
        for each in frames:
            spool.append(spool.frame(each[-1].at, each))
        spool.flush()
        spool.close()
    _books(s, markers)
    return markers


def _marker(call: CallId, n: int, chance: random.Random, folder: Path) -> Marker:
    voice = _voice(folder / f"{call}.wav", chance)
    return Marker(call, f"0{chance.randrange(3, 9)}{chance.randrange(10**8):08}", f"架空 {n:04}郎", voice)


def _voice(path: Path, chance: random.Random) -> bytes:
    """A file as Asterisk leaves it, closed a while ago; some bytes of its sound."""
    rng = np.random.default_rng(chance.randrange(1 << 30))
    sound = (rng.standard_normal(round(VOICE_S * audio.RATE)) * 3000).astype("<i2")
    audio.write(path, sound.astype(float) / 32768)
    path.chmod(0o600)
    old = time.time() - 90
    os.utime(path, (old, old))
    data = path.read_bytes()
    middle = len(data) // 2
    return data[middle : middle + 48]


def _among_nobodys(s: Station, marker: Marker, chance: random.Random) -> Marker:
    """Sound of a call that was kept while nobody knew its centre."""
    settings, world = s.settings, World(Instant(time.time_ns() // 1000))
    plain = settings.recordings / f"{marker.call}.early.wav"
    voice = _voice(plain, chance)
    away = (DatabaseAway,)
    keeper = Keeper(
        recordings_of(settings), settings.protected, world, 0, lambda: True, world.centre_of, away
    )
    keeper.keep(plain, Whose(UNASSIGNED, "Asia/Tokyo", marker.call, None, None, True))
    return replace(marker, more=(*marker.more, voice))


def _not_answered(marker: Marker, at: Instant) -> list[tuple[f.Fact, ...]]:
    """Frames of a caller who said nothing after the tone, waited, and hung up; a second in all."""
    call, centre, queue = marker.call, CentreId("demo"), QueueId("demo-general")
    caller = Personal(call, centre, at, marker.number)
    arrived = f.CallArrived(
        at=at,
        call=call,
        node=NodeId("test1"),
        channel_name=f"PJSIP/trunk-{call}",
        centre=centre,
        number=NUMBER,
        queue=queue,
        caller=caller,
    )
    over = Instant(at + SECOND // 2)
    return [
        (arrived,),
        (f.CallAdmitted(at=at, call=call, reason="pushed"),),
        (f.MessageBegan(at=at, call=call), f.MessageEmpty(at=at, call=call)),
        (f.VisitBegan(at=at, call=call, visit=VisitId(f"{call}/1"), queue=queue, priority=5, since=at),),
        (
            f.CallEnded(
                at=over, call=call, outcome=Outcome.ABANDONED_SHORT, hung_up_by=Party.CALLER, reason="-"
            ),
        ),
    ]


def plant_stranger(s: Station, seed: int = 9) -> Marker:
    """Sound of a call that nobody knows."""
    return _marker(CallId("test1-1600000000.7"), 9999, random.Random(seed), s.settings.recordings)


def plant_second_files(s: Station, markers: list[Marker], seed: int = 10) -> list[Marker]:
    """Of every other one a second file of the same name; once the first ones are sealed."""
    chance = random.Random(seed)
    return [
        replace(marker, more=(*marker.more, _voice(s.settings.recordings / f"{marker.call}.wav", chance)))
        if n % 2 == 0
        else marker
        for n, marker in enumerate(markers)
    ]


def opening(root: Path) -> dict[Path, bytes]:
    """The sound of every sealed file below a folder that any keys below it open."""
    rings = [KeyRing(path.parent) for path in root.rglob("files") if path.is_dir()]
    found = {}
    for path in root.rglob(f"*{ENDS}"):
        for ring in rings:
            with contextlib.suppress(RecordingError), Recordings(root, root, ring).opened(path) as sound:
                found[path] = sound.read()
    return found


def _notes(marker: Marker, at: Instant) -> tuple[f.Fact, ...]:
    centre = CentreId("demo")
    return (
        f.TaskKept(
            at=at,
            call=marker.call,
            centre=centre,
            queue=QueueId("demo-general"),
            language=None,
            subject=Personal(marker.call, centre, at, f"{marker.name} 様へ折り返し"),
            department=None,
            due_at=Instant(at + 3600 * SECOND),
            by="user:sato",
        ),
        f.MessageDone(
            at=at,
            call=marker.call,
            result=Personal(marker.call, centre, at, f"{marker.name} 様 {marker.number} に回答"),
            by="user:sato",
        ),
    )


def _books(s: Station, markers: list[Marker]) -> None:
    """What Asterisk would have written, and a line of a log, packed by rotation for every other citizen."""
    log = s.pbx.log_dir
    cel, cdr, messages = (log / CEL_FILE, log / CDR_FILE, log / "messages")
    rows: dict[Path, list[str]] = {cel: [], cdr: [], messages: []}
    for n, m in enumerate(markers):
        at = float(m.call.split("-")[1].split(".")[0])
        channel = f"PJSIP/trunk-{n:08x}"
        for event, when in (("CHAN_START", at), ("HANGUP", at + 20), ("CHAN_END", at + 20)):
            fields = (
                event,
                "",
                f"{when:.6f}",
                m.call,
                m.call,
                channel,
                "callcore-in",
                "0312345678",
                "",
                "",
                m.number,
                "",
            )
            rows[cel].append(",".join(f'"{each}"' for each in fields))
        fields = (m.call, m.call, str(n), f"+81{m.number[1:]}", "s", "callcore-in", channel, "", "Wait")
        ends = (f"{at:.6f}", f"{at:.6f}", f"{at + 20:.6f}", "20", "20", "ANSWERED")
        rows[cdr].append(",".join(f'"{each}"' for each in (*fields, *ends)))
        rows[messages].append(
            f"[2026-11-20 10:00:00] WARNING[1] res_pjsip.c: Endpoint 'trunk': refused sip:{m.number}@x"
        )
    for path, lines in rows.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        half = len(lines) // 2
        path.with_name(f"{path.name}.1.gz").write_bytes(
            gzip.compress("\n".join([*lines[:half], ""]).encode())
        )
        with path.open("a", encoding="utf-8") as file:
            file.writelines(f"{line}\n" for line in lines[half:])


def _row(fields: tuple[str, ...]) -> str:
    return ",".join(f'"{each}"' for each in fields)


def left(roots: list[Path], markers: list[Marker], apart: tuple[str, ...] = ()) -> list[str]:
    """Where something of the citizens stands: every byte of every file, packed ones unpacked. `apart`: folders that are
    no part of the installation, by name."""
    begins: dict[int, list[tuple[str, bytes]]] = {}
    for marker in markers:
        for way in marker.ways():
            begins.setdefault(int.from_bytes(way[:WORD], "little"), []).append((marker.number, way))
    words = np.array(sorted(begins), "<u8")
    low = np.zeros(1 << 16, bool)
    low[words & 0xFFFF] = True
    found = []
    for path, data in _files(roots, apart):
        here = {
            (number, way)
            for at in _places(data, words, low)
            for number, way in begins[int.from_bytes(data[at : at + WORD], "little")]
            if data.startswith(way, at)
        }
        found += [f"{path}: {number}: {way!r}" for number, way in sorted(here)]
    return found


WORD = 8
"""Bytes by which a place is looked at first; all that is sought is longer."""


def _places(data: bytes, words: np.ndarray[Any, Any], low: np.ndarray[Any, Any]) -> Iterator[int]:
    """Where one of these words (sorted) begins. `low`: whether any has these two bytes first."""
    for shift in range(WORD):
        count = (len(data) - shift) // WORD
        if count <= 0:
            return
        there = np.frombuffer(data, "<u8", count, shift)
        maybe = np.flatnonzero(low[there & 0xFFFF])
        near = np.searchsorted(words, there[maybe])
        same = words[np.minimum(near, len(words) - 1)] == there[maybe]
        yield from (maybe[same] * WORD + shift).tolist()


def _files(roots: list[Path], apart: tuple[str, ...]) -> Iterator[tuple[Path, bytes]]:
    for root in roots:
        for path in sorted(root.rglob("*")):
            if not path.is_file() or path.is_symlink() or path.relative_to(root).parts[0] in apart:
                continue
            data = path.read_bytes()
            yield path, data
            if path.suffix == ".gz":
                yield path, gzip.decompress(data)
