"""The command that writes recordings into one archive, to be handed over."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from pathlib import Path
from typing import Annotated

import typer

from callcore.access.rights import Right, needs
from callcore.access.trail import Result
from callcore.centres import CentreFileErrors, read
from callcore.console import ORIGIN, audited, day_of, err, fail, say, settings_or_fail
from callcore.domain.centre import Centre
from callcore.domain.ids import CallId
from callcore.files import sync_folder, write_all
from callcore.installation import trail_of
from callcore.recordings import RecordingError
from callcore.recordings.export import Export
from callcore.runtime.commands import this_account
from callcore.runtime.recordings import EXPORT_MOST, ExportAsked, Recording, TooManyRecordings, Unsigned
from callcore.settings import Settings

LACKING = 3
"""Status: the archive was written, and sound is lacking that should be there."""


@needs(Right.DOWNLOAD)
def export(
    centre: Annotated[str, typer.Option(help="センター、例 oita / the centre")],
    to: Annotated[Path, typer.Option("--out", help="書き出すファイル (.zip) / the archive to write")],
    why: Annotated[
        str, typer.Option(help="目的。監査記録と書き出しに残る / what for; told in trail and archive")
    ],
    first: Annotated[
        str | None, typer.Option("--from", help="この日から、例 2026-11-20 / from this day on")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", help="この日まで。なければ同じ日 / none: that day")
    ] = None,
    call: Annotated[
        list[str] | None, typer.Option(help="この通話だけ (いくつでも) / of these calls; repeatable")
    ] = None,
) -> None:
    """録音を引き渡す / Write recordings into one archive: index, sound, hashes, proof. Status 3: sound is lacking."""
    settings = settings_or_fail()
    asked = ExportAsked(
        centre=(known := _centre(settings, centre)).id,
        zone=known.time_zone,
        first=(begin := None if first is None else day_of(first)),
        last=begin if last is None else day_of(last),
        calls=tuple(map(CallId, call or ())),
        by=f"system:{this_account()}",
        purpose=why.strip(),
        numbers=True,
    )
    if not asked.purpose:
        raise fail("目的を書いてください (--why) / state the purpose (--why)")
    if asked.first is None and (last is not None or not asked.calls):
        raise fail("--from か --call を指定してください / give --from, or --call")
    if asked.first is not None and asked.last is not None and asked.last < asked.first:
        raise fail(f"--to {asked.last} は --from より前です / --to {asked.last} is before --from")
    if to.exists():
        raise fail(
            f"{to} はすでにあります。別の名前にしてください / {to} is there already; give another name"
        )
    with audited(settings, "recording_export", on=str(asked), centre=centre, why=asked.purpose):
        try:
            made = asyncio.run(_made(settings, asked, known))
            if not made.count:
                raise fail("条件に合う録音はありません / no recording fits")
            _must_fit(made, to)
            _write(made, to)
        except TooManyRecordings:
            raise fail(
                f"録音が {EXPORT_MOST:,} 件を超えます。期間を分けてください / "
                f"these are more than {EXPORT_MOST:,} recordings; take shorter ranges"
            ) from None
        except (RecordingError, Unsigned, OSError) as error:
            raise fail(
                f"書き出せませんでした。{to} はありません: {error} / not exported, and there is no {to}"
            ) from None
    say(
        f"{to}: 録音 {made.files}件・音なし {len(made.without)}件、{to.stat().st_size:,} バイト / "
        f"{made.files} recordings with sound, {len(made.without)} without, {to.stat().st_size:,} bytes"
    )
    for each in made.lacks:
        err.print(each, markup=False, style="bold red")
    if made.lacks:
        raise typer.Exit(LACKING)


def _centre(settings: Settings, wanted: str) -> Centre:
    from callcore.departed import every

    try:
        centres = every(settings, read(settings.centres).centres)
    except CentreFileErrors as errors:
        raise fail("\n".join(errors.texts("ja"))) from None
    except OSError as error:
        raise fail(str(error)) from None
    for each in centres:
        if each.id == wanted:
            return each
    shown = ", ".join(each.id for each in centres)
    raise fail(f"{wanted}: センターは {shown} / {wanted}: the centres are {shown}")


async def _made(settings: Settings, asked: ExportAsked, centre: Centre) -> Export:
    from callcore.db import Database
    from callcore.journal import KeyStore
    from callcore.recorded import Recorded

    trail = trail_of(settings)

    def heard(one: Recording) -> None:
        trail.add(
            asked.by,
            "recording_download",
            on=one.name,
            centre=one.centre,
            origin=ORIGIN,
            result=Result.DONE,
            why=asked.purpose,
        )

    database = Database(settings.database)
    try:
        with KeyStore.open(settings.journal, settings.keys) as keys:
            recorded = Recorded(settings, database, keys, lambda: [centre])
            return await recorded.export(asked, heard)
    finally:
        await database.close()


def _must_fit(made: Export, to: Path) -> None:
    wanted = sum(row.size for row in made.rows)
    free = shutil.disk_usage(to.parent).free
    if free < wanted:
        raise OSError(
            f"{to.parent} の空きは {free / 1e9:.1f} GB、必要なのは約 {wanted / 1e9:.1f} GB / "
            f"{free / 1e9:.1f} GB free, about {wanted / 1e9:.1f} GB needed"
        )


def _write(made: Export, to: Path) -> None:
    """Whole under its name, or not there at all. Raises OSError, RecordingError."""
    aside = to.with_name(f".{to.name}.part")
    try:
        fd = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            for piece in made.pieces():
                write_all(fd, piece)
            os.fsync(fd)
        finally:
            os.close(fd)
        aside.rename(to)
        sync_folder(to.absolute().parent)
    except BaseException:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)
        raise
