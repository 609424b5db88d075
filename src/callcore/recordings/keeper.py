"""Recordings of calls that are over, brought from the spool into the store: sealed, proven, and the plain file removed.

Rules
- A recording is due when its call is over, nobody writes the file any more, and it has been measured and was plain for
  `plain_s`; or after `AT_MOST_S` in any case. A file whose call nobody knows is due `AT_MOST_S` after its last byte,
  while the engine is there to say which calls go on.
- What a recording holds beyond its centre's rule is cut first, however long that takes.
- It is kept in its centre's channels (`sides`) and format (`formats`) if it was measured before. Where these cannot be
  made it is kept as it is: a recording is never lost for them. Its sides go before the plain file, whatever became of
  them; those whose plain file is gone are removed.
- The centre of a call that is in neither floor nor books is asked of the database; while that is away, it waits.
- In this order, each on the disk before the next: the recording's key; the sealed file, aside; that file read back and
  decrypted with the key as it stands on the disk, and found to be the same sound; the file in its place; its line in
  the chain; the protected link; and only then the plain file is removed. Killed between any two of them, the next try
  begins again and nothing is lost or told of twice.
- What cannot be done (disk full, a key lost) leaves the plain file where it is, is told in the log and by gauges, and
  is tried again.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO
from zoneinfo import ZoneInfo

import structlog

from callcore.domain.centre import Centre
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.recording import UNASSIGNED, Channels, RecordingKind, SoundFormat, kind_of_side
from callcore.domain.sides import SideRecord
from callcore.files import make_folder, sync_folder
from callcore.recordings.chain import Chain, Kept, kept_line
from callcore.recordings.errors import RecordingError, StillWritten
from callcore.recordings.formats import NotConverted, converted
from callcore.recordings.library import PLAIN_ENDS, Recordings
from callcore.recordings.measure import Unreadable, length_s
from callcore.recordings.protect import link_plain, link_sealed
from callcore.recordings.sides import SIDE_ENDS, NotJoined, discard, joined, plain_of, sides_of
from callcore.recordings.signing import signer
from callcore.recordings.vault import ENDS, Digest, Head, being_sealed, new_nonce, seal
from callcore.recordings.verify import digest
from callcore.recordings.wavs import HEADER
from callcore.runtime.ports import LiveSource, View

log = structlog.get_logger(__name__)

AT_MOST_S = 60
"""So long after the end of a call its recording may lie plain (the customer's bound)."""
LOOK_EVERY_S = 1.0
APPLIED_WITHIN = 10 * SECOND
"""So long after the core knows a changed centre file, at most, every new call is recorded by it."""
AGAIN_S = 15.0
"""After a failure, until the next try of that recording."""
REST_S = 300.0
"""After ffmpeg has hung, so long recordings are kept as they are, so that they do not wait for one another."""
UNKNOWN = "unknown"
ZONE = "Asia/Tokyo"
_NAME = re.compile(r"((?:[^.]*-)?\d+\.\d+)(?:\..+)?")
"""A call's id (`node1-1795193503.12`), and what stands behind it."""
MESSAGE = ".message"


@dataclass(frozen=True, slots=True)
class Whose:
    """What is known of a file in the spool. `ended_at` None: nobody knows the call."""

    centre: str
    zone: str
    call: str | None
    of: RecordingKind | None
    ended_at: Instant | None
    measured: bool
    form: SoundFormat = SoundFormat.WAV
    """What it is to be kept as."""
    stereo: bool = False
    before: bool = False
    """It was there before its centre wanted two channels, so nothing of either side need have been written."""


def whose(name: str, view: View) -> Whose | None:
    """Whose recording a file without its ending is; None: the call goes on, or it is yet to be cut."""
    found = _NAME.fullmatch(name)
    call = CallId(found[1]) if found is not None else None
    floor, books = view.floor, view.books
    if call is None:
        return Whose(UNASSIGNED, ZONE, None, None, None, True)
    if call in floor.calls or call in floor.sides or _is_cut(floor, call):
        return None
    message = floor.messages.get(call)
    side = books.sides.get(call)
    record = books.records.get(call) or side
    centre = message.centre if message is not None else None if record is None else record.centre
    ended_at = floor.ended.get(call)
    if ended_at is None and record is not None:
        ended_at = record.ended_at
    of: RecordingKind | None
    if name == f"{call}{MESSAGE}":
        of, measured = RecordingKind.MESSAGE, message is None or message.filed
    else:
        of = _kind(record is not None, side)
        measured = call not in floor.unfiled
    known = floor.centres.get(centre) if centre is not None else None
    whole = Whose(centre or UNASSIGNED, ZONE, call, of, ended_at, measured)
    if known is None:
        return whole
    began = (
        None if record is None else record.began_at if isinstance(record, SideRecord) else record.arrived_at
    )
    changed = floor.channels_changed.get(known.id)
    early = began is not None and changed is not None and began < changed + APPLIED_WITHIN
    return replace(_by_its_centre(whole, known), before=early)


def _by_its_centre(of: Whose, centre: Centre) -> Whose:
    """One that was not measured stays as it is, so that it can still be."""
    form = centre.recordings.format if of.measured else SoundFormat.WAV
    stereo = centre.recordings.channels is Channels.STEREO and of.of is not RecordingKind.MESSAGE
    return replace(of, centre=centre.id, zone=centre.time_zone, form=form, stereo=stereo)


def _kind(known: bool, side: SideRecord | None) -> RecordingKind | None:
    if side is not None:
        return kind_of_side(side.kind, consult=side.beside is not None)
    return RecordingKind.CALL if known else None


def _is_cut(floor: Floor, call: CallId) -> bool:
    """Whether something is yet to be cut out of it, or all of it is to go, by the centre's rule (`cut`)."""
    if call in floor.tapes:
        return call in floor.unfiled
    tapes = [*floor.tapes.values(), *(each.tape for each in floor.calls.values())]
    return any(call in tape.unheld for tape in tapes)


def due(of: Whose, written_at: Instant, now: Instant, *, plain_s: float, engine: bool) -> bool:
    """`written_at`: when the file's last byte was written. `engine`: it is there and says which calls go on."""
    if of.ended_at is None:
        return engine and now - written_at >= AT_MOST_S * SECOND
    age = now - of.ended_at
    return age >= AT_MOST_S * SECOND or (of.measured and age >= plain_s * SECOND)


@dataclass(slots=True)
class Keeper:
    recordings: Recordings
    protected: Path
    live: LiveSource
    plain_s: float
    engine: Callable[[], bool]
    """Whether the engine is there, and the view has caught up with it."""
    centre_of: Callable[[CallId], Awaitable[CentreId | None]]
    """The centre of a call of former days; None: nobody knows it. Raises OSError when it cannot be asked."""
    step: Callable[[str], None] = lambda what: None
    """Told before each step, for tests that stop it there."""
    failures: int = 0
    unconverted: int = 0
    """Recordings that were kept as they are because their centre's format or its two channels could not be made, since
    the start."""
    _rests: float = 0.0
    """Until when (monotonic) nothing is converted."""
    _waiting: dict[str, float] = field(default_factory=dict)
    """Recordings that could not be kept, until when (monotonic) they wait."""
    _chain: Chain | None = None
    _late: tuple[int, float] = (0, 0.0)

    async def run(self) -> None:
        """Look at the spool each second. One recording at a time, beside the loop."""
        tidied = False
        while True:
            try:
                if not tidied:
                    await asyncio.to_thread(self.tidy)
                    tidied = True
                for path, of in await asyncio.to_thread(self.looked):
                    known = await self._known(of)
                    if known is not None:
                        await asyncio.to_thread(self.kept, path, known)
            except (OSError, RecordingError) as error:
                self.failures += 1
                log.error("録音を暗号化できません / recordings cannot be kept", why=str(error))
                await asyncio.sleep(AGAIN_S)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _known(self, of: Whose) -> Whose | None:
        """With the centre that the database knows; None: it is away."""
        if of.centre != UNASSIGNED or of.call is None:
            return of
        try:
            centre = await self.centre_of(CallId(of.call))
        except OSError:
            return None
        if centre is None:
            return of
        known = self.live.view().floor.centres.get(centre)
        return replace(of, centre=centre) if known is None else _by_its_centre(of, known)

    def gauges(self) -> Mapping[str, float]:
        late, age = self._late
        return {
            "sidecar_recordings_plain": float(late),
            "sidecar_recordings_plain_oldest_seconds": age,
            "sidecar_recordings_keep_failures": float(self.failures),
            "sidecar_recordings_unconverted": float(self.unconverted),
        }

    # -- which ----------------------------------------------------------------------------------------------------

    def looked(self) -> list[tuple[Path, Whose]]:
        """What is due, the oldest first. Raises OSError."""
        view, now, engine = self.live.view(), self.live.now(), self.engine()
        found: list[tuple[int, Path, Whose]] = []
        ages = [0.0]
        for entry in os.scandir(self.recordings.spool):
            if entry.name.endswith(SIDE_ENDS):
                self._without_its_recording(Path(entry.path), now)
            name = entry.name.removesuffix(PLAIN_ENDS)
            if not entry.name.endswith(PLAIN_ENDS) or not entry.is_file(follow_symlinks=False):
                continue
            of = whose(name, view)
            if of is None:
                continue
            written = Instant(entry.stat().st_mtime_ns // 1000)
            ages.append((now - (written if of.ended_at is None else of.ended_at)) / SECOND)
            if due(of, written, now, plain_s=self.plain_s, engine=engine):
                found.append((written, Path(entry.path), of))
        self._late = (len(ages) - 1, max(ages))
        soon = time.monotonic()
        self._waiting = {name: at for name, at in self._waiting.items() if at > soon}
        return [
            (path, of) for _, path, of in sorted(found, key=lambda x: x[0]) if path.name not in self._waiting
        ]

    def _without_its_recording(self, side: Path, now: Instant) -> None:
        """Remove a side whose recording somebody took away."""
        with contextlib.suppress(FileNotFoundError):
            written = side.stat().st_mtime_ns // 1000
            if now - written >= AT_MOST_S * SECOND and not plain_of(side).exists():
                side.unlink()
                log.warning("a recording's side without the recording was removed", file=side.name)

    def kept(self, path: Path, of: Whose) -> bool:
        """Keep one recording; False: not now, and why is in the log."""
        try:
            self.keep(path, of)
        except StillWritten:
            pass
        except (OSError, RecordingError, UnicodeEncodeError) as error:
            self.failures += 1
            log.error(
                "録音を暗号化できません。ファイルはそのまま残し、また試します / "
                "a recording cannot be kept; its file stays, and it is tried again",
                file=path.name,
                why=str(error),
            )
        else:
            return True
        self._waiting[path.name] = time.monotonic() + AGAIN_S
        return False

    # -- keeping one ----------------------------------------------------------------------------------------------

    def keep(self, plain: Path, of: Whose) -> None:
        """Raises StillWritten, RecordingError, OSError: then the plain file is there as it was."""
        with plain.open("rb") as sound:
            if _is_written(sound):
                raise StillWritten(plain.name)
            name = self._free_name(plain)
            if name is not None:
                self._into_store(plain, sound, name, of)
            else:
                self._signed().settle()  # its line may be the last thing that was written
            name = name or plain.stem
        self.step("protect")
        self._protect(plain.name, name)
        self.step("remove")
        discard(plain)
        plain.unlink()
        sync_folder(plain.parent)
        self.step("protect once more")
        self._protect(plain.name, name)  # the engine may have linked it between the two

    def _free_name(self, plain: Path) -> str | None:
        """By what name it is kept: another recording may have had its own already. None: it is in the store.

        The same sound in the store without a line that tells of it was left by a crash, and is sealed anew.
        """
        name, number = plain.stem, 1
        while (there := self.recordings.find(name)) is not None:
            centre, day = there.parent.parent.name, there.parent.name
            line = kept_line(self.recordings.store, centre, day, name)
            with self.recordings.unsealed(there) as sealed:
                held = sealed.check()
                same = (sealed.head.captured or held) == digest(plain)
            if same and line is not None:
                return None
            if same:
                there.unlink()
                sync_folder(there.parent)
                return name
            number += 1
            name = f"{plain.stem}~{number}"
        return name

    def _into_store(self, plain: Path, sound: BinaryIO, name: str, of: Whose) -> None:
        before = os.fstat(sound.fileno())
        if before.st_size <= HEADER:  # nothing was recorded: of who hung up in the line, for example
            of = replace(of, form=SoundFormat.WAV, stereo=False)
        with ExitStack() as opened:
            both = self._joined(plain, of)
            kept = opened.enter_context(plain.open("rb", buffering=0) if both is None else both)
            made = self._converted(kept, of.form, plain.parent)
            if made is None:
                kept.seek(0)
                of = replace(of, form=SoundFormat.WAV)
            else:
                kept = opened.enter_context(made)
            captured = None if both is None and made is None else digest(plain)
            self._seal(plain, sound, before, kept, captured, name, replace(of, stereo=both is not None))

    def _joined(self, plain: Path, of: Whose) -> BinaryIO | None:
        """Its two sides; None: it is kept as one channel."""
        if not of.stereo or (of.before and not any(side.exists() for side in sides_of(plain))):
            return None
        self.step("join")
        try:
            if not of.measured:
                raise NotJoined("測っていない / it was not measured")
            return joined(plain)
        except (NotJoined, OSError) as error:
            log.error("録音が1チャンネルです / a recording has one channel", file=plain.name, why=str(error))
        self.unconverted += 1
        return None

    def _converted(self, source: BinaryIO, form: SoundFormat, folder: Path) -> BinaryIO | None:
        """None: it is kept as it is."""
        if form is SoundFormat.WAV:
            return None
        if time.monotonic() >= self._rests:
            self.step("convert")
            try:
                return converted(source, form, folder)
            except (NotConverted, OSError) as error:
                if isinstance(error, NotConverted) and error.hung:
                    self._rests = time.monotonic() + REST_S
                log.error("録音の形式を変えられません / a recording cannot be converted", why=str(error))
        self.unconverted += 1
        return None

    def _seal(
        self,
        plain: Path,
        sound: BinaryIO,
        before: os.stat_result,
        kept: BinaryIO,
        captured: Digest | None,
        name: str,
        of: Whose,
    ) -> None:
        """`kept`: what goes into the store, at its begin, of two channels if `of` says so; `before`: of the plain file,
        before any of it was read. `captured` None: they are the same."""
        recordings = self.recordings
        at = datetime.fromtimestamp(self.live.now() / SECOND, ZoneInfo(of.zone))
        chain = self._signed()
        day = chain.day(of.centre, at.date().isoformat())
        self.step("key")
        file, key = recordings.ring.new(of.centre, day, name)
        head = Head(
            name=name,
            form=of.form.value,
            call=of.call,
            centre=of.centre,
            day=day,
            file=file,
            nonce=new_nonce(),
            size=os.fstat(kept.fileno()).st_size,
            captured=captured,
            channels=2 if of.stereo else 1,
        )
        folder = recordings.store / of.centre
        make_folder(folder)
        aside = folder / being_sealed(name)
        try:
            self.step("seal")
            held, stored = _sealed(kept, head, key, aside)
            self.step("read back")
            with recordings.unsealed(aside) as back:
                same = back.check() == held
            now = os.fstat(sound.fileno())
            if (before.st_size, before.st_mtime_ns) != (now.st_size, now.st_mtime_ns):
                raise StillWritten(plain.name)
            if not same or digest(aside) != stored:
                raise OSError(
                    f"{aside}: 書いた内容と読んだ内容が違います / what was written reads differently"
                )

            def place(into: Path) -> None:
                self.step("place")
                aside.rename(into / (name + ENDS))
                sync_folder(into)
                self.step("line")

            chain.add(
                Kept(
                    centre=of.centre,
                    day=day,
                    at=at.isoformat(timespec="milliseconds"),
                    name=name,
                    form=head.form,
                    call=of.call,
                    of=UNKNOWN if of.of is None else of.of.value,
                    seconds=_seconds(sound),
                    period=day[:7],
                    captured=captured or held,
                    sound=held,
                    stored=stored,
                    protected=(self.protected / plain.name).exists(),
                    channels=head.channels,
                ),
                place,
            )
        finally:
            aside.unlink(missing_ok=True)
        log.info("recording kept", file=plain.name, centre=of.centre, day=day, form=head.form)

    def _protect(self, file: str, name: str) -> None:
        """A reported call's recording has its second link as before, now of the sealed file."""
        plain, sealed = self.protected / file, self.recordings.find(name)
        if plain.exists() and sealed is not None:
            link_sealed(sealed, self.protected)
            discard(plain)
            plain.unlink()
            sync_folder(self.protected)

    # -- start ----------------------------------------------------------------------------------------------------

    def tidy(self) -> None:
        """What a crash left: half-written files, a destroying half done, lines that no root tells of."""
        make_folder(self.recordings.store)
        for aside in self.recordings.store.glob(f"*/{being_sealed('*')}"):
            aside.unlink()
        self.recordings.ring.tidy()
        self._signed().settle()
        for plain in self.protected.glob("*" + PLAIN_ENDS):
            if self.recordings.find(plain.stem) is not None:
                self._protect(plain.name, plain.stem)
            else:  # deleted among the others
                with contextlib.suppress(FileExistsError):
                    link_plain(plain, self.recordings.spool)
        for side in self.protected.glob("*.sln"):
            if not plain_of(side).exists():
                side.unlink()

    def _signed(self) -> Chain:
        if self._chain is None:
            keys = self.recordings.ring.folder
            self._chain = Chain(self.recordings.store, keys, signer(keys))
        return self._chain


def _sealed(sound: BinaryIO, head: Head, key: bytes, aside: Path) -> tuple[Digest, Digest]:
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as out:
        digests = seal(sound, head, key, out)
        out.flush()
        os.fsync(fd)
    return digests


def _seconds(sound: BinaryIO) -> float:
    sound.seek(0)
    try:
        return round(length_s(sound), 3)
    except Unreadable:
        return 0.0


def _is_written(file: BinaryIO) -> bool:
    """Whether any process has it open for writing: then the kernel gives no read lease (fcntl(2))."""
    try:
        fcntl.fcntl(
            file, fcntl.F_SETSIG, signal.SIGURG
        )  # who opens it meanwhile must not end this process (SIGIO)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except BlockingIOError:
        return True
    except OSError:
        return False  # a file system without leases: the call's end and the file's own time must do
    return False
