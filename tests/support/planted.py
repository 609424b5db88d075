"""Citizens whose numbers, names and voices stand in every place that an installation has, and the search for them."""

from __future__ import annotations

import gzip
import os
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from callcore.domain import facts as f
from callcore.domain.ids import SECOND, CallId, CentreId, Instant, QueueId
from callcore.domain.personal import Personal
from callcore.journal import Codec, KeyStore, Spool
from callcore.pbx.render import CDR_FILE, CEL_FILE
from callcore.settings import owner_only
from tests.chaos.test_journal import a_past_day
from tests.support import audio
from tests.support.station import Station

VOICE_S = 1.5


@dataclass(frozen=True, slots=True)
class Marker:
    """One citizen: the call, the number, a name in a note, and some bytes of the voice as Asterisk recorded it."""

    call: CallId
    number: str
    name: str
    voice: bytes

    def ways(self) -> list[bytes]:
        """Everything that no file may hold."""
        texts = [self.number, f"81{self.number[1:]}", self.name]
        found = [self.voice]
        for text in texts:
            found += [text.encode(how) for how in ("utf-8", "utf-16-le", "utf-16-be")]
            found += [text.encode().hex().encode()]
        return found


def plant(s: Station, count: int, seed: int = 8) -> list[Marker]:
    """Calls of a day that is over: in the journal, with notes; recorded; in CEL, CDR and the logs, rotated ones too."""
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
    with KeyStore.open(s.settings.journal, s.settings.keys, write=True) as keys:
        spool = Spool.open(s.settings.journal, Codec(f.KINDS, {}, keys), before_sync=keys.sync)
        for each in frames:
            spool.append(spool.frame(each[-1].at, each))
        spool.flush()
        spool.close()
    _books(s, markers)
    return markers


def _marker(call: CallId, n: int, chance: random.Random, folder: Path) -> Marker:
    rng = np.random.default_rng(chance.randrange(1 << 30))
    sound = (rng.standard_normal(round(VOICE_S * audio.RATE)) * 3000).astype("<i2")
    path = folder / f"{call}.wav"
    audio.write(path, sound.astype(float) / 32768)
    path.chmod(0o600)
    old = time.time() - 90
    os.utime(path, (old, old))
    data = path.read_bytes()
    middle = len(data) // 2
    return Marker(
        call,
        f"0{chance.randrange(3, 9)}{chance.randrange(10**8):08}",
        f"架空 {n:04}郎",
        data[middle : middle + 48],
    )


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
