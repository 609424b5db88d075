"""What was handed over, held against what was kept: needs the archive and the public key, nothing else.

Rules
- An export (`export`) has a signed list of its files and the signed chain of its days: each file by the list, each
  sound by the chain as well. Where the list or its signature is gone, the chain still proves the sound.
- Files without either are proven by the chains of a store, which then must be named.
- An archive may be looked at as it came or in the folder into which it was unpacked.
"""

from __future__ import annotations

import re
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from callcore.recordings.chain import CHAIN, ROOT
from callcore.recordings.export import AUDIO, CHAINS, FIRST_LINE, SIGNATURE, SUMS
from callcore.recordings.signing import PublicKeys, signed_by
from callcore.recordings.vault import Digest
from callcore.recordings.verify import (
    Fault,
    Found,
    NothingToVerify,
    Verdict,
    centres_in,
    check_known,
    differs,
    digest_of,
    read_chain,
)

_SUM = re.compile(r"([0-9a-f]{64})  (.+)")
_CHAIN_FILE = re.compile(
    rf"{CHAINS}/[A-Za-z0-9_-]+/(?:\d{{4}}-\d{{2}}-\d{{2}}/(?:{CHAIN}|{ROOT})|{ROOT})".replace(".", r"\.")
)


class _Files(Protocol):
    """What an export consists of, as it came."""

    names: list[str]
    twice: list[str]

    def open(self, name: str) -> BinaryIO: ...


class _Folder:
    def __init__(self, folder: Path, but: Path | None) -> None:
        self._folder = folder
        found = (p for p in folder.rglob("*") if p.is_file() and (but is None or but not in p.parents))
        self.names = sorted(str(p.relative_to(folder)) for p in found)
        self.twice: list[str] = []

    def open(self, name: str) -> BinaryIO:
        return (self._folder / name).open("rb")


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        told = [info.filename for info in archive.infolist() if not info.is_dir()]
        self.names = sorted(set(told))
        self.twice = sorted({name for name in self.names if told.count(name) > 1})

    def open(self, name: str) -> BinaryIO:
        return cast("BinaryIO", self._archive.open(name))


def verify_export(
    export: Path,
    keys: PublicKeys,
    store: Path | None = None,
    *,
    since: str | None = None,
    known: Collection[str] = (),
) -> Verdict:
    """Each file of an archive or folder. `store`: whose chains count instead of the export's own; of loose files the
    only ones. `since`, `known`: as of `verify`. Raises NothingToVerify, OSError."""
    verdict = Verdict()
    try:
        with _opened(export, store) as files:
            _verify(files, export, keys, store, since, known, verdict)
    except zipfile.BadZipFile:
        verdict.found.append(Found(Fault.TRUNCATED, "", "", export.name))
    return verdict


@contextmanager
def _opened(export: Path, store: Path | None) -> Iterator[_Files]:
    if export.is_dir():
        yield _Folder(export, store)
    else:
        with zipfile.ZipFile(export) as archive:
            yield _Zip(archive)


def _verify(
    files: _Files,
    export: Path,
    keys: PublicKeys,
    store: Path | None,
    since: str | None,
    known: Collection[str],
    verdict: Verdict,
) -> None:
    own = any(name in (SUMS, SIGNATURE) or name.startswith(f"{CHAINS}/") for name in files.names)
    listed = _listed(files, keys, verdict) if own else None
    proven: set[str] = set()
    by_name: dict[str, Digest] = {}
    marks: set[str] = set()
    with tempfile.TemporaryDirectory() as aside:
        if own and store is None:
            store, since = Path(aside), ""  # its own chain begins with its first day
            _take_chain(files, store)
        if store is None:
            raise NothingToVerify(export)
        for centre in () if own and not any(store.iterdir()) else centres_in(store):
            chain = read_chain(store, centre, keys, since, verdict)
            marks |= chain.marks
            for line in chain.lines:
                proven |= {line.sound.sha256, line.captured.sha256}
                by_name[line.name] = line.sound
    check_known(known, marks, verdict)
    verdict.found += [Found(Fault.ADDED, "", "", name) for name in files.twice]
    if listed is not None:
        missing = sorted(listed.keys() - set(files.names))
        verdict.found += [Found(Fault.MISSING, "", "", name) for name in missing]
    for name in files.names:
        if own and name in (SUMS, SIGNATURE):
            continue
        sound = not own or name.startswith(f"{AUDIO}/")
        if listed is None and not sound:
            continue  # nothing is there to hold it against, which was told
        verdict.files += 1
        got = _digest(files, name)
        if got is None:
            verdict.found.append(Found(Fault.ALTERED, "", "", name))
            continue
        listed_so = listed is None or listed.get(name) == got.sha256
        if listed_so and (not sound or not proven or got.sha256 in proven):
            continue
        told = by_name.get(_recording(name)) if sound else None
        if told is not None and told.sha256 != got.sha256:
            verdict.found.append(differs("", "", name, got, told))
        else:
            unknown = listed_so or listed is None or name not in listed
            verdict.found.append(Found(Fault.ADDED if unknown else Fault.ALTERED, "", "", name))


def _recording(name: str) -> str:
    """Whose sound a file of that name should be: exports put the begin before it."""
    stem = Path(name).stem
    return stem.partition("_")[2] if name.startswith(f"{AUDIO}/") else stem


def _listed(files: _Files, keys: PublicKeys, verdict: Verdict) -> dict[str, str] | None:
    """The signed hashes by name; None: there are none that one of the keys signed, which the verdict says."""
    lacking = [name for name in (SUMS, SIGNATURE) if name not in files.names]
    if lacking:
        verdict.found += [Found(Fault.LIST_MISSING, "", "", name) for name in lacking]
        return None
    told, signature = _content(files, SUMS), _content(files, SIGNATURE)
    if (
        told is None
        or signature is None
        or not told.startswith(FIRST_LINE.encode() + b"\n")
        or not any(signed_by(keys, key, told, signature.hex()) for key in keys)
    ):
        verdict.found.append(Found(Fault.LIST_ALTERED, "", "", SUMS))
        return None
    found = (_SUM.fullmatch(line) for line in told.decode().split("\n"))
    return {match[2]: match[1] for match in found if match is not None}


def _content(files: _Files, name: str) -> bytes | None:
    """None: it is not there, or cannot be read."""
    if name not in files.names:
        return None
    try:
        with files.open(name) as file:
            return file.read()
    except _UNREADABLE:
        return None


def _digest(files: _Files, name: str) -> Digest | None:
    """None: what the archive says of it does not fit what it holds."""
    try:
        with files.open(name) as file:
            return digest_of(file)
    except _UNREADABLE:
        return None


_UNREADABLE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError)
"""What `zipfile` says to bytes that somebody changed."""


def _take_chain(files: _Files, into: Path) -> None:
    """The chain that came along, where it can be read as that of a store."""
    for name in files.names:
        content = _content(files, name) if _CHAIN_FILE.fullmatch(name) else None
        if content is not None:
            path = into / name.removeprefix(f"{CHAINS}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
