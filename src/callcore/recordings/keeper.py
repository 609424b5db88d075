"""Recordings of calls that are over, brought from the spool into the store: sealed, proven, and the plain file removed.

Rules
- A recording is due when its call is over, nobody writes the file any more (till then who was called talks on with
  somebody to whom the phone passed them on: it does not lie there yet), and it has been measured and was plain for
  `plain_s`; or sooner, measured or not, so that all that lie there are sealed `AT_MOST_S` after their calls
  (`Pressure`). A file whose call nobody knows is due `AT_MOST_S` after its last byte, while the engine is there to say
  which calls go on.
- What a recording holds beyond its centre's rule is cut and measured first, however long that takes.
- It is kept in its centre's channels (`sides`), measured or not: both together are what was captured. In its format
  (`formats`), which is for good, if it was measured and there is time left. Where these cannot be made it is kept as it
  is, and that is counted: a recording is never lost for them, nor does another one wait. Its sides go before the plain
  file, whatever became of them; those whose plain file is gone are removed.
- The centre of a call that is in neither floor nor books is asked of the database, after all whose centre is known;
  while that is away, it waits.
- Plain is told of whatever lies there after its call, also what cannot be sealed yet: what is to be cut, and, while
  nobody says which calls go on, whatever nobody writes any more.
- In this order, each on the disk before the next: the recording's key; the sealed file, aside; that file read back and
  decrypted with the key as it stands on the disk, and found to be the same sound; the file in its place; its line in
  the chain; the protected link; and only then the plain file is removed. Killed between any two of them, the next try
  begins again and nothing is lost or told of twice.
- What cannot be done (disk full, a key lost) leaves the plain file where it is, is told in the log and by gauges, and
  is tried again. Where the disk would be full meanwhile, nothing is begun: the talks that go on need what is left.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import re
import signal
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO, cast
from zoneinfo import ZoneInfo

import structlog

from callcore.domain.centre import Centre
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, CallId, CentreId, Instant
from callcore.domain.recording import (
    OF_MESSAGE,
    UNASSIGNED,
    Channels,
    RecordingKind,
    SoundFormat,
    kind_of_side,
)
from callcore.domain.sides import SideRecord
from callcore.files import make_folder, needs_free, stamp, sync_folder
from callcore.recordings.chain import Chain, Kept, kept_line, signing
from callcore.recordings.errors import RecordingError, StillWritten
from callcore.recordings.formats import BY_FFMPEG, NotConverted, converted
from callcore.recordings.keys import KeyRing
from callcore.recordings.library import PLAIN_ENDS, Recordings
from callcore.recordings.lost import keyless, needs
from callcore.recordings.measure import Unreadable, length_s
from callcore.recordings.protect import link_plain, link_sealed
from callcore.recordings.sides import SIDE_ENDS, Joined, NotJoined, discard, joined, plain_of, sides_of
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
SETTLES_S = 2.0
"""Seconds after a call's end within which Asterisk has closed its recording."""
MARGIN_S = 10.0
"""Of `AT_MOST_S`: for a look, a recording that is being kept meanwhile, and a database that does not answer (5 s).
ffmpeg may use half of it."""
AT_ONCE = 2
"""So many are kept at once, and so many ffmpeg run at most: the cores of a small machine."""
SPARE = 10**8
"""Bytes that stay free beside what is sealed and converted: as much as 150 talks in two channels record in 14 s."""
SEALED_A_SECOND = 15e6
"""Bytes of sound that are joined, sealed and read back in a second (`bench/spool.py`)."""
CONVERTED_A_SECOND = 2e6
"""Bytes of sound that ffmpeg makes Opus in a second, and decodes again, on a busy core (likewise)."""
AGAIN_S = 15.0
"""After a failure, until the next try of that recording."""
REST_S = 300.0
"""After ffmpeg has hung, so long recordings are kept as they are, so that they do not wait for one another."""
KEYS_EVERY_S = 600.0
"""Between two looks whether what opens the kept recordings is there."""
UNKNOWN = "unknown"
ZONE = "Asia/Tokyo"
_NAME = re.compile(r"((?:[^.]*-)?\d+\.\d+)(?:\..+)?")
"""A call's id (`node1-1795193503.12`), and what stands behind it."""


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
    if name == f"{call}{OF_MESSAGE}":
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
    form = centre.recordings.format
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


def uncut_since(name: str, floor: Floor) -> Instant | None:
    """Since when a recording that is yet to be cut (or to go) lies there without its call; None: it is none, or the
    call goes on."""
    found = _NAME.fullmatch(name)
    if found is None or (call := CallId(found[1])) in floor.calls or call in floor.sides:
        return None
    of = call if call in floor.tapes else next((c for c, t in floor.tapes.items() if call in t.unheld), None)
    return None if of is None else floor.unfiled.get(of)


@dataclass(frozen=True, slots=True)
class Pressure:
    """Seconds that it takes to seal all that lie plain, and to convert those of them that may be."""

    seal_s: float
    convert_s: float


def pressure(lying: Iterable[tuple[Whose, int]]) -> Pressure:
    """`lying`: recordings of calls that are over, each with the bytes of its mixed file."""
    seal = convert = 0
    for of, size in lying:
        kept = size * (2 if of.stereo else 1)
        seal += kept
        convert += kept if of.measured and of.form in BY_FFMPEG else 0
    return Pressure(seal / SEALED_A_SECOND, convert / CONVERTED_A_SECOND)


def due(
    of: Whose,
    written_at: Instant,
    now: Instant,
    *,
    plain_s: float,
    engine: bool,
    press: Pressure,
) -> bool:
    """`written_at`: when the file's last byte was written. `engine`: it is there and says which calls go on.
    `press`: of all that lie there."""
    if of.ended_at is None:
        return engine and now - written_at >= AT_MOST_S * SECOND
    age_s, at_most_s = (now - of.ended_at) / SECOND, AT_MOST_S - MARGIN_S - press.seal_s
    if of.measured:
        at_most_s = min(at_most_s - press.convert_s, plain_s)
    return age_s >= max(at_most_s, SETTLES_S)


@dataclass(slots=True)
class Keeper:
    recordings: Recordings
    protected: Path
    live: LiveSource
    plain_s: float
    engine: Callable[[], bool]
    """Whether the engine is there, and the view has caught up with it."""
    centre_of: Callable[[CallId], Awaitable[CentreId | None]]
    """The centre of a call of former days; None: nobody knows it. Raises one of `away` when it cannot be asked now."""
    away: tuple[type[Exception], ...]
    step: Callable[[str], None] = lambda what: None
    """Told before each step, for tests that stop it there."""
    failures: int = 0
    unconverted: int = 0
    """Recordings that were kept as they are because their centre's format or its two channels could not be made, since
    the start."""
    _rests: float = 0.0
    """Until when (monotonic) nothing is converted."""
    _keyless: int = 0
    _keys_looked: float = -math.inf
    """When (monotonic) it was looked last whether keys are missing."""
    _waiting: dict[str, float] = field(default_factory=dict)
    """Recordings that could not be kept, until when (monotonic) they wait."""
    _failed: dict[str, tuple[tuple[type[Exception], int | None], int]] = field(default_factory=dict)
    """Recordings that could not be kept, with the kind of the last error, and how often it was that."""
    _late: tuple[int, float] = (0, 0.0)
    _press: Pressure = Pressure(0.0, 0.0)
    """As of the last look."""
    _unwatched_since: Instant | None = None
    """Since when nobody says which calls go on."""

    async def run(self) -> None:
        """Look at the spool each second. What is kept is kept beside the loop."""
        tidied = False
        while True:
            began = time.monotonic()
            try:
                # First of all: what lies plain is told also while nothing can be kept.
                found = await asyncio.to_thread(self.looked)
                if began >= self._keys_looked + KEYS_EVERY_S:
                    self._keys_looked = began
                    await asyncio.to_thread(self.look_at_keys)
                if not tidied:
                    await asyncio.to_thread(self.tidy)
                    tidied = True
                rest = iter(found)
                await asyncio.gather(*(self._in_turn(rest, began + LOOK_EVERY_S) for _ in range(AT_ONCE)))
            except (OSError, RecordingError) as error:
                self.failures += 1
                log.error("録音を暗号化できません / recordings cannot be kept", why=str(error))
                await asyncio.sleep(AGAIN_S)
            except Exception:  # page, metrics and the database's drain must not end for it
                self.failures += 1
                log.exception("録音を暗号化できません / recordings cannot be kept")
                await asyncio.sleep(AGAIN_S)
            await asyncio.sleep(max(0.0, began + LOOK_EVERY_S - time.monotonic()))

    async def _in_turn(self, rest: Iterator[tuple[Path, Whose]], until: float) -> None:
        """Keep one after the other until then (monotonic): after that it is looked anew how they stand."""
        for path, of in rest:
            try:
                known = await self._known(of)
            except Exception:  # what nobody foresaw at one holds up neither the others nor what is in work
                self.failures += 1
                log.exception("録音を暗号化できません / a recording cannot be kept", file=path.name)
                self._waiting[path.name] = time.monotonic() + AGAIN_S
                continue
            if known is None:
                return  # those behind it are to be asked for, too
            await asyncio.to_thread(self.kept, path, known)
            if time.monotonic() >= until:
                return

    async def _known(self, of: Whose) -> Whose | None:
        """With the centre that the database knows; None: it is away."""
        if of.call is None or not _is_asked(of):
            return of
        try:
            centre = await self.centre_of(CallId(of.call))
        except self.away as error:
            log.debug("whose recording it is cannot be asked yet", call=of.call, why=str(error))
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
            "sidecar_recordings_keyless": float(self._keyless),
            "sidecar_recordings_unconverted": float(self.unconverted),
        }

    # -- which ----------------------------------------------------------------------------------------------------

    def looked(self) -> list[tuple[Path, Whose]]:
        """What is due, the oldest first, and behind that what the database is to be asked for. Raises OSError."""
        view, now, engine = self.live.view(), self.live.now(), self.engine()
        if engine and view.floor.linked:
            self._unwatched_since = None
        elif self._unwatched_since is None:
            self._unwatched_since = now
        found: list[tuple[Whose, int, Instant, Path]] = []
        ages = [0.0]
        for entry in os.scandir(self.recordings.spool):
            if entry.name.endswith(SIDE_ENDS):
                self._without_its_recording(Path(entry.path), now)
            name = entry.name.removesuffix(PLAIN_ENDS)
            if not entry.name.endswith(PLAIN_ENDS) or not entry.is_file(follow_symlinks=False):
                continue
            try:
                stat = entry.stat()
            except FileNotFoundError:
                continue
            written = Instant(stat.st_mtime_ns // 1000)
            of = whose(name, view)
            since = uncut_since(name, view.floor) if of is None else of.ended_at
            may_go_on = of is None or of.of is RecordingKind.OUTGOING
            if since is not None and may_go_on and is_open(Path(entry.path)):
                continue  # who was called talks on with somebody else
            if of is not None:
                found.append((of, stat.st_size, written, Path(entry.path)))
            if since is None:
                since = self._left_since(of, written, Path(entry.path), engine=engine)
            if since is not None:
                ages.append((now - since) / SECOND)
        self._late = (len(ages) - 1, max(ages))
        soon = time.monotonic()
        self._waiting = {name: at for name, at in self._waiting.items() if at > soon}
        there = {path.name for *_, path in found}
        self._failed = {name: how for name, how in self._failed.items() if name in there}
        found = [each for each in found if each[-1].name not in self._waiting]
        self._press = pressure((of, size) for of, size, _, _ in found if of.ended_at is not None)
        ready = [
            (of, written, path)
            for of, _, written, path in found
            if due(of, written, now, plain_s=self.plain_s, engine=engine, press=self._press)
        ]
        return [(path, of) for of, _, path in sorted(ready, key=lambda x: (_is_asked(x[0]), x[1]))]

    def look_at_keys(self) -> None:
        """Count the recordings that no key opens because a table, or a month's key, is gone. Raises OSError."""
        ring = KeyRing(self.recordings.ring.folder)
        found = list(keyless(self.recordings.store, ring, _not_looked, thorough=False))
        self._keyless = sum(len(each.names) for each in found)
        for each in found:
            log.error("録音の鍵がありません / keys of recordings are missing", why=str(each))

    def _left_since(self, of: Whose | None, written: Instant, path: Path, *, engine: bool) -> Instant | None:
        """Since when one lies there whose call nobody knows, or whose call goes on by a floor that nobody keeps; None:
        the call may go on. `engine` as in `due`."""
        if of is not None and engine:
            return written
        if self._unwatched_since is None or is_open(path):
            return None
        return written if of is not None else max(written, self._unwatched_since)

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
        except Exception as error:  # what is wrong with one ends neither the others nor the sidecar
            self.failures += 1
            if self._is_told(path.name, error):
                log.error(
                    "録音を暗号化できません。ファイルはそのまま残し、また試します / "
                    "a recording cannot be kept; its file stays, and it is tried again",
                    file=path.name,
                    why=str(error),
                    exc_info=not isinstance(error, OSError | RecordingError | UnicodeEncodeError),
                )
        else:
            self._failed.pop(path.name, None)
            return True
        self._waiting[path.name] = time.monotonic() + AGAIN_S
        return False

    def _is_told(self, name: str, error: Exception) -> bool:
        """Whether the log is to say so: at the first time of each reason, the second, the fourth, and so on."""
        kind = type(error), error.errno if isinstance(error, OSError) else None
        before, times = self._failed.get(name, (kind, 0))
        times = times + 1 if before == kind else 1
        self._failed[name] = kind, times
        return times & (times - 1) == 0

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
        before = stamp(sound)
        make_folder(self.recordings.store)
        needs_free(self.recordings.store, _beside(before[0] * (2 if of.stereo else 1)))
        if before[0] <= HEADER:  # nothing was recorded: of who hung up in the line, for example
            of = replace(of, form=SoundFormat.WAV, stereo=False)
        with ExitStack() as opened:
            both = self._joined(plain, of)
            whole: BinaryIO = plain.open("rb", buffering=0) if both is None else cast("BinaryIO", both)
            kept = opened.enter_context(whole)
            made = self._converted(kept, both, of, plain.parent)
            if made is not None:
                kept = opened.enter_context(made)
            of = replace(of, form=of.form if made is not None else SoundFormat.WAV, stereo=both is not None)
            captured = both.captured if both is not None else None if made is None else digest(plain)

            def changed() -> bool:
                return stamp(sound) != before or (both is not None and both.changed())

            self._seal(plain, sound, changed, kept, captured, name, of)

    def _joined(self, plain: Path, of: Whose) -> Joined | None:
        """Its two sides; None: it is kept as one channel."""
        if not of.stereo or (of.before and not any(side.exists() for side in sides_of(plain))):
            return None
        self.step("join")
        try:
            return joined(plain)
        except (NotJoined, OSError) as error:
            log.error("録音が1チャンネルです / a recording has one channel", file=plain.name, why=str(error))
        self.unconverted += 1
        return None

    def _converted(self, source: BinaryIO, both: Joined | None, of: Whose, folder: Path) -> BinaryIO | None:
        """`both`: it is these. None: it is kept as it is."""
        if of.form is SoundFormat.WAV:
            return None
        try:
            within_s = self._time_for(source, of)
            if time.monotonic() >= self._rests:
                needs_free(folder, _beside(source.seek(0, os.SEEK_END)))
                self.step("convert")
                with ExitStack() as opened:
                    if both is not None and of.form in BY_FFMPEG:
                        source = opened.enter_context(both.written(folder))
                    return converted(source, of.form, folder, within_s)
        except (NotConverted, OSError) as error:
            if isinstance(error, NotConverted) and error.hung:
                self._rests = time.monotonic() + REST_S
            log.error(
                "録音の形式を変えられません / a recording cannot be converted", call=of.call, why=str(error)
            )
        self.unconverted += 1
        return None

    def _time_for(self, source: BinaryIO, of: Whose) -> float:
        """How many seconds its conversion may take. Raises NotConverted: none is left, or it can still be measured
        only as it is."""
        if not of.measured:
            raise NotConverted(of.form, "期限までに測れなかった / it was not measured in time")
        age_s = float("inf") if of.ended_at is None else (self.live.now() - of.ended_at) / SECOND
        left_s = AT_MOST_S - MARGIN_S / 2 - self._press.seal_s - age_s
        by_ffmpeg = of.form in BY_FFMPEG
        if by_ffmpeg and left_s < source.seek(0, os.SEEK_END) / CONVERTED_A_SECOND:
            raise NotConverted(
                of.form, "暗号化の期限まで時間がない / no time is left until it must be sealed"
            )
        return left_s

    def _seal(
        self,
        plain: Path,
        sound: BinaryIO,
        changed: Callable[[], bool],
        kept: BinaryIO,
        captured: Digest | None,
        name: str,
        of: Whose,
    ) -> None:
        """`kept`: what goes into the store, at its begin, of two channels if `of` says so; `changed`: whether
        what it was made of was written to meanwhile. `captured` None: they are the same."""
        recordings = self.recordings
        at = datetime.fromtimestamp(self.live.now() / SECOND, ZoneInfo(of.zone))
        chain = self._signed()
        day = chain.day(of.centre, at.date().isoformat())
        self.step("key")
        needs(recordings.store, recordings.ring, of.centre, day)
        file, key = recordings.ring.new(of.centre, day, name)
        head = Head(
            name=name,
            form=of.form.value,
            call=of.call,
            centre=of.centre,
            day=day,
            file=file,
            nonce=new_nonce(),
            size=kept.seek(0, os.SEEK_END),
            captured=captured,
            channels=2 if of.stereo else 1,
        )
        folder = recordings.store / of.centre
        make_folder(folder)
        aside = folder / being_sealed(name)
        try:
            self.step("seal")
            kept.seek(0)
            held, stored = _sealed(kept, head, key, aside)
            self.step("read back")
            with recordings.unsealed(aside) as back:
                same = back.check() == held
            if changed():
                raise StillWritten(plain.name)
            if not same:  # else it is byte for byte what was written: all of it is authenticated (`vault`)
                raise OSError(
                    f"{aside}: 書いた内容と読んだ内容が違います / what was written reads differently"
                )

            def place(into: Path) -> None:
                self.step("place")
                if (
                    into.name != day
                ):  # somebody began the next day meanwhile, and its key stands in the table of this
                    raise StillWritten(plain.name)
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
        store, keys = self.recordings.store, self.recordings.ring.folder
        # Each time as it is on the disk: it may be lost, or put back.
        return Chain(store, keys, signing(store, keys))


def _beside(size: int) -> int:
    """Bytes that must be free for so many to be written: the talks that go on record into what is left."""
    return AT_ONCE * size + SPARE


def _sealed(sound: BinaryIO, head: Head, key: bytes, aside: Path) -> tuple[Digest, Digest]:
    fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(fd, "wb") as out:
        digests = seal(sound, head, key, out)
        out.flush()
        os.fsync(fd)
    return digests


def _not_looked(error: OSError) -> None:
    log.error(
        "録音の鎖が読めず、鍵を確かめられません / a chain of recordings cannot be read, nor whether its keys are there",
        why=str(error),
    )


def _seconds(sound: BinaryIO) -> float:
    sound.seek(0)
    try:
        return round(length_s(sound), 3)
    except Unreadable:
        return 0.0


def _is_asked(of: Whose) -> bool:
    """Whether the database is to say whose it is."""
    return of.centre == UNASSIGNED and of.call is not None


def is_open(path: Path) -> bool:
    """Whether it is still written. Of one that cannot be opened nobody knows that it is."""
    try:
        with path.open("rb") as file:
            return _is_written(file)
    except OSError:
        return False


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
