"""The commands that take a back-up of an installation and put it back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from callcore.access.rights import Right, needs
from callcore.access.trail import Result
from callcore.console import ORIGIN, audited, err, fail, say, settings_or_fail
from callcore.installation import trail_of
from callcore.runtime.commands import this_account
from callcore.settings import owner_only

HalfA = Annotated[Path, typer.Argument(help="場所 A のフォルダ / the folder at place A")]
HalfB = Annotated[
    Path,
    typer.Argument(help="場所 B のフォルダ。A と離す / the folder at place B, apart from A"),
]


@needs(Right.CONFIGURE)
def backup(a: HalfA, b: HalfB) -> None:
    """バックアップを取る。通話中でもよい / Take a back-up into two new folders; status 3: keys or store are missing."""
    from callcore.backup import BackupError, back_up
    from callcore.db.copying import CopyFailed
    from callcore.recordings import RecordingError
    from callcore.recordings.soundness import unsound

    settings = settings_or_fail()
    with audited(settings, "backup", on=str(a)):
        try:
            made = back_up(settings, a.absolute(), b.absolute())
        except (BackupError, CopyFailed, RecordingError, OSError) as error:
            raise fail(f"バックアップできませんでした / no back-up was taken: {error}") from None
    say(f"バックアップ / back-up {made.id}, seq {made.seq}: {a}, {b}")
    lacking = list(unsound(settings.store, settings.recordings_keys))
    for each in lacking:
        err.print(each, markup=False)
    if lacking:
        err.print(
            "このバックアップには足りないものがあります。古いバックアップを消さないでください / "
            "this back-up lacks these: delete no older one",
            markup=False,
        )
        raise typer.Exit(3)


@needs(Right.CONFIGURE)
def restore(a: HalfA, b: HalfB) -> None:
    """バックアップを空の CALLCORE_HOME に戻す / Put a back-up back into an empty CALLCORE_HOME."""
    from callcore.backup import BackupError, put_back
    from callcore.db.copying import CopyFailed
    from callcore.supervisor import NeedsAPerson, alone

    settings = settings_or_fail()
    owner_only(settings.home)
    try:
        with alone(settings.home):
            made, left = put_back(settings, a.absolute(), b.absolute())
    except (BackupError, CopyFailed, NeedsAPerson, OSError) as error:
        raise fail(f"戻せませんでした / not put back: {error}") from None
    trail = trail_of(settings)
    trail.add(this_account(), "restore", on=made.id, centre=None, origin=ORIGIN, result=Result.DONE, why=None)
    say(f"戻しました / put back: {made.id}, {made.at}, seq {made.seq}")
    for each in left:
        err.print(each, markup=False)
