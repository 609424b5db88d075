"""Whole states kept now and then, so that a start need not fold the journal from its beginning.

A checkpoint is never the truth: it is passed over when anything is wrong with it, and the journal is folded
from an older one, or from the start. Files `<run>-<n>.checkpoint`: magic, record (`framing`) of the heading,
SHA-256, state.
"""

from __future__ import annotations

import hashlib
import logging
import re
from dataclasses import dataclass
from pathlib import Path

import msgspec

from callcore import files
from callcore.journal import framing
from callcore.journal.codec import Seq

log = logging.getLogger(__name__)

MAGIC = b"CCCHECK\x01"
KEEP = 4
_NAME = re.compile(r"(\d{10})-(\d{12})\.checkpoint")
_heading = msgspec.msgpack.Decoder(tuple[int, int, str])


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state after `seq`. `digest` is what `save` was given: it names the fold that made the state."""

    seq: Seq
    digest: str
    state: bytes
    path: Path


@dataclass(frozen=True, slots=True)
class PassedOver:
    path: Path
    why: str


@dataclass(frozen=True, slots=True)
class Loaded:
    """The newest that can be used, if any, and those newer ones that could not."""

    checkpoint: Checkpoint | None
    passed_over: tuple[PassedOver, ...]


def save(folder: Path, seq: Seq, state: bytes, digest: str, *, keep: int = KEEP) -> Path:
    """Writes a checkpoint durably and drops all but the newest `keep`. `seq` should be synced already.

    `digest` names what can read it again: e.g. `codec.shape(Floor)` with a version of the fold. OSError: not
    saved.
    """
    files.make_folder(folder)
    heading = framing.pack(msgspec.msgpack.encode((*seq, digest)))
    body = heading + state
    path = folder / f"{seq[0]:010d}-{seq[1]:012d}.checkpoint"
    files.write_whole(path, MAGIC + hashlib.sha256(body).digest() + body)
    for _, old in _found(folder)[keep:]:
        old.unlink()
    return path


def load(folder: Path, digest: str, up_to: Seq | None = None) -> Loaded:
    """The newest whole checkpoint of this digest at or before `up_to`. A bad one is named and passed over."""
    passed = []
    for seq, path in _found(folder):
        if up_to is not None and seq > up_to:
            passed.append(PassedOver(path, f"newer than the journal's end {up_to}"))
            continue
        got = _read(path, seq)
        if isinstance(got, Checkpoint) and got.digest == digest:
            return Loaded(got, _warned(passed))
        why = got if isinstance(got, str) else f"made by another version ({got.digest})"
        passed.append(PassedOver(path, why))
    return Loaded(None, _warned(passed))


def _found(folder: Path) -> list[tuple[Seq, Path]]:
    """Newest first."""
    found = []
    for path in folder.glob("*.checkpoint"):
        match = _NAME.fullmatch(path.name)
        if match:
            found.append(((int(match[1]), int(match[2])), path))
    return sorted(found, reverse=True)


def _read(path: Path, seq: Seq) -> Checkpoint | str:
    try:
        data = path.read_bytes()
    except OSError as error:
        return f"cannot be read ({error})"
    head, body = data[: len(MAGIC) + 32], data[len(MAGIC) + 32 :]
    if not head.startswith(MAGIC):
        return "not a checkpoint of this format"
    if hashlib.sha256(body).digest() != head[len(MAGIC) :]:
        return "damaged (SHA-256)"
    heading = framing.unpack(body, 0)
    if not isinstance(heading, tuple):
        return "damaged (heading)"
    run, n, digest = _heading.decode(heading[0])
    if (run, n) != seq:
        return f"named {seq} but made at {(run, n)}"
    return Checkpoint(seq, digest, body[heading[1] :], path)


def _warned(passed: list[PassedOver]) -> tuple[PassedOver, ...]:
    for each in passed:
        log.warning("checkpoint %s passed over: %s", each.path, each.why)
    return tuple(passed)
