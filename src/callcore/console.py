"""How commands speak to people, and whose name what they do bears in the audit trail.

Whoever runs a command on this machine has the files of the installation, so the table of rights gives that account
everything; each command names its right all the same, and what changes something leaves its line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date

import typer
from rich.console import Console

from callcore.access.trail import Result, Trail, TrailUnwritable
from callcore.installation import accounts_of, trail_of
from callcore.runtime.commands import this_account
from callcore.settings import Settings, SettingsError, read_settings

ORIGIN = "cli"
LATEST = date(9000, 1, 1)
"""The last day that a person may name, as on the pages: far behind it no calendar goes on."""

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    out.print(text, markup=False)


def note(text: str) -> None:
    """Something to know about what is said, on the error output, so that JSON lines stay whole."""
    err.print(text, markup=False, style="yellow")


def fail(text: str, status: int = 1) -> typer.Exit:
    err.print(text, markup=False, style="bold red")
    return typer.Exit(status)


def day_of(text: str, status: int = 1) -> date:
    """The day that somebody typed; no other one is taken, and the command ends with that status."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        raise no_day(text, status) from None
    if day > LATEST:
        raise no_day(text, status)
    return day


def no_day(text: str, status: int = 1) -> typer.Exit:
    return fail(
        f"{text}: 日付は 2026-11-20 のように、{LATEST} までで書いてください / "
        f"write a date like 2026-11-20, not after {LATEST}",
        status,
    )


def settings_or_fail() -> Settings:
    try:
        return read_settings()
    except SettingsError as error:
        raise fail(str(error)) from None


def welcome_link(settings: Settings, secret: str) -> str:
    """The address of a one-time link, under the first name of this installation."""
    return f"{settings.web_url}/welcome/{secret}"


def invite_first_administrator(settings: Settings, say: Callable[[str], None]) -> None:
    """Say how the first administrator comes in, as long as there is none who can."""
    secret = accounts_of(settings).first_link()
    if secret is not None:
        say(
            "最初の管理者を登録してください(リンクは一度だけ、3日間有効) / "
            f"make the first administrator (the link works once, within 3 days):\n    {welcome_link(settings, secret)}"
        )


@dataclass(slots=True)
class Noted:
    """What a line of the trail is about; set inside `audited` where the thing is made only there."""

    on: str | None


@contextmanager
def audited(
    settings: Settings,
    action: str,
    *,
    on: str | None = None,
    centre: str | None = None,
    why: str | None = None,
) -> Iterator[Noted]:
    """What a command changes, with its line in the audit trail; nothing is begun when that cannot be written."""
    noted = Noted(on)
    trail = trail_of(settings)

    def told(result: Result, reason: str | None) -> None:
        _add(trail, action, noted.on, centre, result, reason)

    try:
        trail.check()
    except TrailUnwritable as error:
        raise fail(str(error)) from None
    try:
        yield noted
    except BaseException as error:
        told(Result.FAILED, None if isinstance(error, typer.Exit) else type(error).__name__)
        raise
    told(Result.DONE, why)


def _add(
    trail: Trail, action: str, on: str | None, centre: str | None, result: Result, why: str | None
) -> None:
    try:
        trail.add(this_account(), action, on=on, centre=centre, origin=ORIGIN, result=result, why=why)
    except TrailUnwritable as error:
        err.print(
            f"実行しましたが、監査記録に書けませんでした / done, but not written into the audit trail: {error}",
            markup=False,
            style="bold red",
        )
