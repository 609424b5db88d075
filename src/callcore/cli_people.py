"""The commands about users, machine tokens and the audit trail."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.table import Table

from callcore.access.accounts import AccountError, Accounts
from callcore.access.people import User
from callcore.access.rights import ALL_CENTRES, Right, Role, Scope, needs
from callcore.access.store import AccessDamaged
from callcore.access.trail import Result, Wanted
from callcore.centres import CentreFileErrors, read
from callcore.console import audited, fail, out, say, settings_or_fail, welcome_link
from callcore.installation import accounts_of, trail_of
from callcore.runtime.commands import this_account
from callcore.settings import Settings

users_app = typer.Typer(help="利用者 / Users.", no_args_is_help=True)
tokens_app = typer.Typer(help="機械用のトークン / Machine tokens.", no_args_is_help=True)
audit_app = typer.Typer(help="監査記録 / The audit trail.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="利用者名 / the user's name")]
Why = Annotated[str, typer.Option(help="理由 / the reason, for the audit trail")]
Centres = Annotated[
    list[str] | None,
    typer.Option(
        "--centre", help="センターの id、または all (いくつでも) / a centre's id, or all; repeatable"
    ),
]


def _accounts(settings: Settings) -> Accounts:
    accounts = accounts_of(settings)
    try:
        accounts.users()
    except (AccessDamaged, PermissionError) as error:
        raise fail(str(error)) from None
    return accounts


def _give(settings: Settings, name: str, secret: str) -> None:
    say(f"{name}: {welcome_link(settings, secret)}")
    say(
        "このリンクを本人に安全な方法で渡してください。3日間、一度だけ使えます / "
        "hand this link over safely; it works once, within 3 days"
    )


def _state(user: User) -> str:
    if user.disabled:
        return "停止中 / switched off"
    if user.locked_until > time.time():
        return "ロック中 / locked out"
    return "有効 / active" if user.password else "パスワード未設定 / no password yet"


def _named_centres(settings: Settings, given: list[str] | None) -> list[str]:
    wanted = [ALL_CENTRES if name == "all" else name for name in given or ()]
    try:
        known = {centre.id for centre in read(settings.centres).centres} | {ALL_CENTRES}
    except CentreFileErrors as errors:
        raise fail("\n".join(errors.texts("ja"))) from None
    for name in wanted:
        if name not in known:
            shown = ", ".join(sorted(known - {ALL_CENTRES}))
            raise fail(
                f"センター {name} はありません。次のいずれかです / there is no centre {name}; one of: {shown}"
            )
    return wanted


@users_app.command("list")
@needs(Right.MANAGE_USERS)
def users_list() -> None:
    """利用者の一覧 / All users."""
    table = Table(
        "利用者 / user",
        "名前 / name",
        "役割 / role",
        "センター / centres",
        "二段階 / 2nd factor",
        "状態 / state",
    )
    for user in _accounts(settings_or_fail()).users():
        role = user.role.value + (f" {user.agent}" if user.agent else "")
        table.add_row(
            user.id, user.name, role, ", ".join(user.centres), "on" if user.totp else "–", _state(user)
        )
    out.print(table)


@users_app.command("add")
@needs(Right.MANAGE_USERS)
def users_add(
    name: Name,
    role: Annotated[Role, typer.Option(help="役割 / role")],
    centre: Centres = None,
    display: Annotated[str, typer.Option("--name", help="表示名 / the name to show")] = "",
    agent: Annotated[
        str | None,
        typer.Option(help="オペレーター番号 / agent's number: of operators; of supervisors, to listen in"),
    ] = None,
) -> None:
    """利用者を加え、パスワード設定のリンクを表示する / Add a user and show the link that sets the password."""
    settings = settings_or_fail()
    accounts, centres = _accounts(settings), _named_centres(settings, centre)
    with audited(settings, "user_added", on=name, why=f"{role.value} {','.join(centres)}"):
        try:
            secret = accounts.add(name, display, role, centres, agent, this_account())
        except AccountError as error:
            raise fail(str(error)) from None
    _give(settings, name, secret)


@users_app.command("disable")
@needs(Right.MANAGE_USERS)
def users_disable(name: Name, why: Why) -> None:
    """利用者を停止し、サインアウトさせる / Switch a user off and sign out everywhere."""
    settings = settings_or_fail()
    accounts = _accounts(settings)
    with audited(settings, "user_disabled", on=name, why=why):
        try:
            accounts.disable(name)
        except AccountError as error:
            raise fail(str(error)) from None
    say(f"{name}: 停止しました / switched off")


@users_app.command("enable")
@needs(Right.MANAGE_USERS)
def users_enable(name: Name) -> None:
    """停止した利用者を再開する / Switch a user on again."""
    settings = settings_or_fail()
    accounts = _accounts(settings)
    with audited(settings, "user_enabled", on=name):
        try:
            accounts.enable(name)
        except AccountError as error:
            raise fail(str(error)) from None
    say(f"{name}: 再開しました / switched on")


@users_app.command("reset")
@needs(Right.MANAGE_USERS)
def users_reset(name: Name, why: Why) -> None:
    """パスワードと二段階認証を消し、新しいリンクを表示する / Take password and second factor away; show a new link."""
    settings = settings_or_fail()
    accounts = _accounts(settings)
    with audited(settings, "user_reset", on=name, why=why):
        try:
            secret = accounts.reset(name, this_account())
        except AccountError as error:
            raise fail(str(error)) from None
    _give(settings, name, secret)


@users_app.command("unlock")
@needs(Right.MANAGE_USERS)
def users_unlock(name: Name) -> None:
    """ロックを解除する / End a lock-out."""
    settings = settings_or_fail()
    accounts = _accounts(settings)
    with audited(settings, "user_unlocked", on=name):
        try:
            accounts.unlock(name)
        except AccountError as error:
            raise fail(str(error)) from None
    say(f"{name}: 解除しました / unlocked")


@tokens_app.command("list")
@needs(Right.MANAGE_USERS)
def tokens_list() -> None:
    """トークンの一覧 / All tokens."""
    table = Table("名前 / name", "範囲 / scopes", "センター / centres", "期限 / until")
    for token in _accounts(settings_or_fail()).tokens():
        until = (
            "–"
            if token.until is None
            else datetime.fromtimestamp(token.until, UTC).strftime("%Y-%m-%d %H:%MZ")
        )
        table.add_row(
            token.id, ", ".join(scope.value for scope in token.scopes), ", ".join(token.centres), until
        )
    out.print(table)


@tokens_app.command("add")
@needs(Right.MANAGE_USERS)
def tokens_add(
    name: Annotated[str, typer.Argument(help="名前、例 prometheus / a name")],
    scope: Annotated[list[Scope], typer.Option(help="範囲 (いくつでも) / scope; repeatable")],
    centre: Centres = None,
    days: Annotated[int | None, typer.Option(min=1, max=3650, help="有効日数 / days it counts")] = None,
) -> None:
    """トークンを作り、一度だけ表示する / Make a token and show it once."""
    settings = settings_or_fail()
    accounts, centres = _accounts(settings), _named_centres(settings, centre or ["all"])
    granted = f"{','.join(each.value for each in scope)} {','.join(centres)}"
    with audited(settings, "token_added", on=name, why=granted):
        try:
            shown = accounts.add_token(name, scope, centres, this_account(), days)
        except AccountError as error:
            raise fail(str(error)) from None
    print(shown)


@tokens_app.command("revoke")
@needs(Right.MANAGE_USERS)
def tokens_revoke(name: Annotated[str, typer.Argument(help="名前 / the name")]) -> None:
    """トークンを取り消す / Revoke a token."""
    settings = settings_or_fail()
    accounts = _accounts(settings)
    with audited(settings, "token_revoked", on=name):
        try:
            accounts.revoke_token(name)
        except AccountError as error:
            raise fail(str(error)) from None
    say(f"{name}: 取り消しました / revoked")


@audit_app.command("list")
@needs(Right.READ_TRAIL)
def audit_list(
    text: Annotated[str | None, typer.Option(help="語 / words")] = None,
    who: Annotated[str | None, typer.Option(help="だれが、例 user:sato / who")] = None,
    centre: Annotated[str | None, typer.Option(help="センター / the centre")] = None,
    result: Annotated[Result | None, typer.Option(help="結果 / the result")] = None,
    first: Annotated[str | None, typer.Option(help="この日から (UTC)、例 2026-11-28 / from")] = None,
    last: Annotated[str | None, typer.Option(help="この日まで (UTC) / to")] = None,
    most: Annotated[int, typer.Option(min=1, help="行数 / how many")] = 100,
) -> None:
    """監査記録を新しい順に表示する / Lines of the audit trail, the newest first."""
    wanted = Wanted(who=who, centre=centre, result=result, text=text, first=first, last=last)
    for line in trail_of(settings_or_fail()).newest(wanted, most):
        parts = (
            line.at,
            line.who,
            line.action,
            line.on or "-",
            line.centre or "-",
            line.origin,
            line.result.value,
        )
        say("  ".join((str(line.n), *parts, line.why or "")).rstrip())


@audit_app.command("verify")
@needs(Right.READ_TRAIL)
def audit_verify() -> None:
    """監査記録の連鎖を確かめる / Check the chain; status 1: a line was changed, is missing or was added."""
    try:
        found = trail_of(settings_or_fail()).verify()
    except OSError as error:
        raise fail(str(error), 2) from None
    for fault in found.faults:
        say(str(fault))
    if found.faults:
        raise fail(
            f"{found.lines} 行、不一致 {len(found.faults)} / {found.lines} lines, {len(found.faults)} faults"
        )
    say(f"{found.lines} 行、すべて一致 / {found.lines} lines, all of them fit")
