"""What was handed over, held against what was kept: needs the archive and the public key, nothing else.

Rules
- An export (`export`) has a signed list of its files and the signed chain of its days: each file by the list, each
  sound by the chain as well. Where the list or its signature is gone, the chain still proves the sound.
- Files without either, or one of them alone, are proven by the chains of a store, which then must be named. A file may
  have any name, but one that is a recording's has that recording's sound.
- Of a chain that cannot be read nobody knows of what it told: no sound is called added for it.
- An archive may be looked at as it came or in the folder into which it was unpacked.
"""

from __future__ import annotations

import lzma
import os
import re
import struct
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from callcore.recordings.chain import CHAIN, LOST_FOUND, ROOT, Kept
from callcore.recordings.errors import RecordingError
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
    opened,
    read_chain,
    unreadable,
)

_ZIP = b"PK"
"""What every archive of ours begins with."""
_SUM = re.compile(r"([0-9a-f]{64})  (.+)")
_CHAIN_FILE = re.compile(
    rf"{CHAINS}/[A-Za-z0-9_-]+/(?:\d{{4}}-\d{{2}}-\d{{2}}/(?:{CHAIN}|{ROOT})|{ROOT})".replace(".", r"\.")
)


class _Files(Protocol):
    """What an export consists of, as it came."""

    names: list[str]
    twice: list[str]
    shut: dict[str, OSError]
    """Folders that cannot be read."""

    def open(self, name: str) -> BinaryIO:
        """Raises FileNotFoundError, OSError, and of an archive what `zipfile` says to bytes that somebody changed."""
        ...

    def chains(self, aside: Path) -> Path:
        """Its chains as those of a store. `aside`: an empty folder for them."""
        ...


class _Folder:
    def __init__(self, folder: Path, but: Path | None) -> None:
        """Raises OSError."""
        self._folder, self._but = folder, but
        self.names: list[str] = []
        self.twice: list[str] = []
        self.shut: dict[str, OSError] = {}
        self._look(folder)
        if "" in self.shut:
            raise self.shut[""]

    def _look(self, folder: Path) -> None:
        try:
            for path in sorted(folder.iterdir()):
                if path == self._but:
                    continue
                if os.path.isdir(path) and not path.is_symlink():
                    self._look(path)
                else:
                    self.names.append(str(path.relative_to(self._folder)))
        except OSError as error:
            name = "" if folder == self._folder else str(folder.relative_to(self._folder))
            if name != LOST_FOUND:
                self.shut[name] = error

    def open(self, name: str) -> BinaryIO:
        return opened(self._folder / name)

    def chains(self, aside: Path) -> Path:
        chains = self._folder / CHAINS
        return chains if os.path.isdir(chains) else aside


class _OneFile:
    """As a folder of it alone."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.names = [file.name]
        self.twice: list[str] = []
        self.shut: dict[str, OSError] = {}

    def open(self, name: str) -> BinaryIO:
        if name not in self.names:
            raise FileNotFoundError(name)
        return opened(self._file)

    def chains(self, aside: Path) -> Path:
        return aside


class _Zip:
    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        told = [info.filename for info in archive.infolist() if not info.is_dir()]
        self.names = sorted(set(told))
        self.twice = sorted({name for name in self.names if told.count(name) > 1})
        self.shut: dict[str, OSError] = {}

    def open(self, name: str) -> BinaryIO:
        if name not in self.names:
            raise FileNotFoundError(name)
        return cast("BinaryIO", self._archive.open(name))

    def chains(self, aside: Path) -> Path:
        for name in filter(_CHAIN_FILE.fullmatch, self.names):
            path = aside / name.removeprefix(f"{CHAINS}/")
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                content = _content(self, name)
            except OSError:
                path.mkdir()  # so that it cannot be read there either
            else:
                if content is not None:
                    path.write_bytes(content)
        return aside


class NoExport(RecordingError):
    def __init__(self, path: Path) -> None:
        super().__init__(
            f"{path} は ZIP でもフォルダでもありません。音のファイルひとつなら、録音の保管先の写しも --store で"
            f"指定してください / {path} is neither ZIP nor folder; of one file of sound name a copy of the recordings' "
            "store, too, by --store"
        )


def verify_export(
    export: Path,
    keys: PublicKeys,
    store: Path | None = None,
    *,
    since: str | None = None,
    known: Collection[str] = (),
) -> Verdict:
    """Each file of an archive or folder, or a loose one. `store`: whose chains count instead of the export's own; of
    loose files the only ones. `since`, `known`: as of `verify`. What cannot be read is named, and the rest is looked at
    all the same. Raises NothingToVerify, NoExport; OSError: archive, folder or store themselves cannot be read."""
    verdict = Verdict()
    try:
        with _opened(export, store) as files:
            _verify(files, export, keys, store, since, known, verdict)
    except _NoArchive as error:
        verdict.found.append(Found(error.fault, "", "", export.name))
    return verdict


class _NoArchive(Exception):
    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.fault = fault


@contextmanager
def _opened(export: Path, store: Path | None) -> Iterator[_Files]:
    """Raises _NoArchive, NoExport, OSError."""
    if export.is_dir():
        yield _Folder(export, store)
        return
    with ExitStack() as stack:
        try:
            files: _Files = _Zip(stack.enter_context(zipfile.ZipFile(export)))
        except zipfile.BadZipFile:
            files = _no_zip(export, store)
        except _CHANGED:
            raise _NoArchive(Fault.ALTERED) from None
        yield files


def _no_zip(export: Path, store: Path | None) -> _Files:
    """Raises _NoArchive: it is the begin of one; NoExport, OSError."""
    with opened(export) as file:
        begin = file.read(len(_ZIP))
    if begin == _ZIP or (store is None and _ZIP.startswith(begin)):
        raise _NoArchive(Fault.TRUNCATED) from None
    if store is None:
        raise NoExport(export) from None
    return _OneFile(export)


def _verify(
    files: _Files,
    export: Path,
    keys: PublicKeys,
    store: Path | None,
    since: str | None,
    known: Collection[str],
    verdict: Verdict,
) -> None:
    archive = store is None and not export.is_dir()
    there = (*files.names, *files.shut)
    own = archive or any(name in (SUMS, SIGNATURE) or _is_in(CHAINS, name) for name in there)
    told = _proof(files, export, own, keys, store, since, known, verdict)
    listed = _listed(files, keys, verdict) if own else None
    verdict.found += [Found(Fault.ADDED, "", "", name) for name in files.twice]
    verdict.found += [unreadable("", "", name, error) for name, error in files.shut.items()]
    for name in sorted({*files.names, *(listed or ())}):
        if own and name in (SUMS, SIGNATURE):
            continue
        try:
            got = _digest(files, name)
        except OSError as error:
            verdict.found.append(_not_read(files, name, error, Fault.MISSING))
            continue
        sound = not own or _is_in(AUDIO, name)
        if listed is None and not sound:
            continue  # nothing is there to hold it against, which was told
        verdict.files += 1
        if got is None:
            verdict.found.append(Found(Fault.ALTERED, "", "", name))
            continue
        lines = told.of(name) if sound else []
        if lines and not any(got.sha256 in _hashes(line) for line in lines):
            verdict.found.append(differs("", "", name, got, lines[-1].sound))
        elif listed is not None and listed.get(name) != got.sha256:
            verdict.found.append(Found(Fault.ALTERED if name in listed else Fault.ADDED, "", "", name))
        elif sound and told.whole and not lines and got.sha256 not in told.hashes:
            verdict.found.append(Found(Fault.ADDED, "", "", name))


def _is_in(folder: str, name: str) -> bool:
    return name.startswith(f"{folder}/") or name == folder


@dataclass(slots=True)
class _Proof:
    """What the chains tell of sounds."""

    hashes: set[str] = field(default_factory=set)
    by_name: dict[str, list[Kept]] = field(default_factory=dict)
    """By the recording's name; one that was kept anew has more than one line."""
    whole: bool = False
    """There is something to hold them against, and all of it could be read."""

    def of(self, name: str) -> list[Kept]:
        """The lines of the recording whose sound a file of that name should be: exports put the begin before it."""
        stem = Path(name).stem
        return self.by_name.get(stem) or self.by_name.get(stem.partition("_")[2]) or []


def _hashes(line: Kept) -> set[str]:
    return {line.sound.sha256, line.captured.sha256}


def _proof(
    files: _Files,
    export: Path,
    own: bool,
    keys: PublicKeys,
    store: Path | None,
    since: str | None,
    known: Collection[str],
    verdict: Verdict,
) -> _Proof:
    """By the chains of the store, or of the export itself: then what cannot be read of them is left to who looks at all
    its files. Raises NothingToVerify, OSError."""
    proof = _Proof()
    marks: set[str] = set()
    with tempfile.TemporaryDirectory() as aside:
        if store is not None:
            chains, centres = store, centres_in(store)
        elif own:
            chains, since = files.chains(Path(aside)), ""  # its own chain begins with its first day
            centres = _centres_of(chains)
        else:
            raise NothingToVerify(export)
        for centre in centres:
            chain = read_chain(chains, centre, keys, since, verdict)
            marks |= chain.marks
            for line in chain.lines:
                proof.hashes |= _hashes(line)
                proof.by_name.setdefault(line.name, []).append(line)
    read = [found for found in verdict.found if found.fault is not Fault.UNREADABLE]
    proof.whole = bool(proof.hashes) and read == verdict.found
    if store is None:
        verdict.found = read
    check_known(known, marks, verdict)
    return proof


def _centres_of(chains: Path) -> list[str]:
    """[]: it came without, or they cannot be read."""
    try:
        return centres_in(chains)
    except (NothingToVerify, OSError):
        return []


def _listed(files: _Files, keys: PublicKeys, verdict: Verdict) -> dict[str, str] | None:
    """The signed hashes by name; None: there are none that one of the keys signed, which the verdict says."""
    parts: list[bytes | None] = []
    for name in (SUMS, SIGNATURE):
        try:
            parts.append(_content(files, name))
        except OSError as error:
            verdict.found.append(_not_read(files, name, error, Fault.LIST_MISSING))
    if len(parts) < 2:
        return None
    told, signature = parts
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


def _not_read(files: _Files, name: str, error: OSError, missing: Fault) -> Found:
    if isinstance(error, FileNotFoundError) and name not in files.names:
        return Found(missing, "", "", name)
    return unreadable("", "", name, error)


def _content(files: _Files, name: str) -> bytes | None:
    """None: what the archive says of it does not fit what it holds. Raises OSError."""
    try:
        with files.open(name) as file:
            return file.read()
    except _CHANGED:
        return None


def _digest(files: _Files, name: str) -> Digest | None:
    """As `_content`."""
    try:
        with files.open(name) as file:
            return digest_of(file)
    except _CHANGED:
        return None


_CHANGED = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(NotImplementedError, RuntimeError, EOFError, ValueError, LookupError),
)
"""What `zipfile` says to bytes that somebody changed."""
