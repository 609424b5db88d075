"""`callcore phones`: the inventory with what is registered, and the phones' files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.box import SIMPLE_HEAD
from rich.table import Table

from callcore import phonefiles
from callcore.access.rights import Right, needs
from callcore.centres import CentreFileErrors, load
from callcore.console import audited, fail, out, settings_or_fail
from callcore.domain.ids import SECOND, Instant, PhoneId
from callcore.domain.phones import REFUSALS, WORDS, Policy
from callcore.phones.maker import Unprintable
from callcore.phones.provision import Named, find
from callcore.runtime.commands import CommandFailed, ask_once
from callcore.settings import Settings, load_secrets

phones_app = typer.Typer(
    help="電話機の台帳と登録の状態、設定ファイル / The inventory of desk phones, what is registered, and their files.",
    invoke_without_command=True,
)
PhoneArgument = Annotated[str, typer.Argument(help="電話機、例 oita-p1 / the phone, e.g. oita-p1")]
VIOLATION = 3
"""Status of the list when something is registered that is no phone of the inventory."""
OWNER_ONLY = 0o600


def _ask(settings: Settings, command: str, **fields: str) -> Any:
    try:
        return asyncio.run(ask_once(settings.engine_socket, command, **fields))
    except CommandFailed as error:
        raise fail(str(error)) from None


def _named(settings: Settings, phone: str) -> Named:
    try:
        named = find(load(settings.centres, settings.prompts), PhoneId(phone))
    except CentreFileErrors as errors:
        raise fail(str(errors)) from None
    if named is None:
        raise fail(
            f"{phone}: センターファイルの [[phones]] にありません / "
            f"{phone}: not among the [[phones]] of the centre files"
        )
    return named


@phones_app.callback()
@needs(Right.READ_OPERATION)
def phones(context: typer.Context) -> None:
    """席、機種、ファームウェア、最終確認、台帳との一致を一覧する / List seats, models, firmware, last seen, policy."""
    if context.invoked_subcommand is not None:
        return
    rows = _ask(settings_or_fail(), "phones")
    table = Table(box=SIMPLE_HEAD)
    for name in (
        "電話機 phone",
        "席 seat",
        "内線 ext.",
        "機種 model",
        "firmware",
        "最終確認 last seen",
        "台帳との一致 policy",
        "アドレス address",
    ):
        table.add_column(name, no_wrap=True)
    for row in rows:
        table.add_row(*_cells(row), style=None if Policy(row["policy"]) not in REFUSALS else "bold red")
    out.print(table)
    for row in rows:
        if Policy(row["policy"]) in REFUSALS:
            out.print(f"{row['phone']}: User-Agent {row['user_agent']!r}", markup=False)
    if any(Policy(row["policy"]) in REFUSALS for row in rows):
        raise typer.Exit(VIOLATION)


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    ja, en = WORDS[Policy(row["policy"])]
    seen = row["seen_at"]
    at = (
        "–"
        if seen is None
        else f"{datetime.fromtimestamp(seen / SECOND, UTC).astimezone():%Y-%m-%d %H:%M:%S}"
    )
    return (
        row["phone"],
        row["seat"],
        row["extension"] or "–",
        f"{row['maker']} {row['model']}",
        row["firmware"] or "–",
        at,
        f"{ja} / {en}",
        row["address"] or "–",
    )


@phones_app.command()
@needs(Right.OPERATE)
def config(
    phone: PhoneArgument,
    to: Annotated[
        Path | None, typer.Option(help="書き出す先。なければ表示 / where to write it; without it it is shown")
    ] = None,
) -> None:
    """電話機の設定ファイル(または印刷用のページ)を作る / Make a phone's file, or the page to print."""
    settings = settings_or_fail()
    named = _named(settings, phone)
    secrets = load_secrets(settings, [named.phone.id])
    try:
        with audited(settings, "phones_config", on=phone):
            content = phonefiles.file_of(settings, secrets, named)
    except Unprintable as error:
        raise fail(str(error)) from None
    if content is None:
        raise fail(
            f"{phone}: {named.maker.name} には設定ファイルがありません / there is no file for such a phone"
        )
    if to is None:
        typer.echo(content.decode(), nl=False)
        return
    to.touch(mode=OWNER_ONLY)
    to.chmod(OWNER_ONLY)
    to.write_bytes(content)
    name = named.file or "–"
    out.print(
        f"{to} に書きました。電話機のパスワードが入っています。配る名前: {name} / "
        f"written; it holds the phone's password. Its name for the phone: {name}",
        markup=False,
    )


@phones_app.command()
@needs(Right.OPERATE)
def token(phone: PhoneArgument) -> None:
    """新しい電話機に入れる URL を作る(24時間、1回) / Make the URL for a new phone: for 24 hours, of one use."""
    settings = settings_or_fail()
    named = _named(settings, phone)
    if named.file is None or not settings.phones_url:
        raise fail(
            f"{phone}: 配信できません。メーカーの設定ファイルと CALLCORE_PHONES_URL が必要です"
            "(callcore phones config を使ってください) / it cannot be served: that wants a maker with files and "
            "CALLCORE_PHONES_URL (use callcore phones config)"
        )
    with audited(settings, "phones_token", on=phone):
        made = phonefiles.TokenFile(settings.phone_tokens).begin(
            named.phone.id, Instant(time.time_ns() // 1000)
        )
    out.print(f"{phonefiles.reach(settings, made).url}{named.file}", markup=False)


SAID = {
    "now": "設定の取り直しを伝えました / it was told to fetch its file",
    "when_idle": "通話中か不通です。空いたら伝えます / in a call or out of reach: it is told as soon as it is idle",
    "by_hand": "この電話機には伝える方法がありません。手で入力してください / it cannot be told: type it in by hand",
}


@phones_app.command()
@needs(Right.CONFIGURE)
def sync(phone: PhoneArgument) -> None:
    """設定を取り直すよう電話機に伝える(通話中なら終わってから) / Tell a phone to fetch its file, once it is idle."""
    settings = settings_or_fail()
    with audited(settings, "phones_sync", on=phone):
        said = str(_ask(settings, "phone_sync", phone=phone))
    out.print(SAID[said], markup=False)
