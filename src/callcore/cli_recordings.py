"""The commands about kept recordings: whether they are as they were, and the keys that open and that sign them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from callcore import cli_erase
from callcore.access.rights import Right, needs
from callcore.cli_export import export
from callcore.cli_find import find
from callcore.console import audited, day_of, fail, note, say, settings_or_fail
from callcore.recordings import KeyRing, RecordingError
from callcore.recordings.exported import verify_export
from callcore.recordings.lost import replace
from callcore.recordings.signing import PUBLIC, NoPublicKey, PublicKeys, installed, public_keys
from callcore.recordings.verify import FAULTS, Verdict, verify

recordings_app = typer.Typer(help="保存した録音 / Kept recordings.", no_args_is_help=True)
keys_app = typer.Typer(help="録音の鍵 / The keys of recordings.", no_args_is_help=True)
recordings_app.add_typer(keys_app, name="keys")
recordings_app.command("find")(find)
recordings_app.command("export")(export)
recordings_app.command("due")(cli_erase.due)
recordings_app.command("hold")(cli_erase.hold)
recordings_app.command("extend")(cli_erase.extend)
recordings_app.command("release")(cli_erase.release)
recordings_app.command("orders")(cli_erase.orders)


@recordings_app.command("verify")
@needs(Right.READ_CALLS)
def recordings_verify(
    store: Annotated[
        Path | None,
        typer.Option(
            help="録音の保管先。なければこの設置の / the recordings' store; none: this installation's"
        ),
    ] = None,
    public_key: Annotated[
        list[Path] | None,
        typer.Option(
            help="署名の公開鍵 (いくつでも)。なければこの設置の / repeatable; none: this installation's"
        ),
    ] = None,
    exported: Annotated[
        Path | None,
        typer.Option(
            "--export",
            help="書き出し (.zip または展開したフォルダ)。--store があれば音のファイルひとつも / "
            "an export, or a folder of its files; with --store one file of sound, too",
        ),
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(help="この日からのみある、例 2026-11-20 / there is nothing from before that day"),
    ] = None,
    root: Annotated[
        list[str] | None,
        typer.Option(
            help="日次報告にある根、64 桁 (いくつでも) / a root as it stands in a daily report; repeatable"
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON を1行ずつ / JSON lines")] = False,
) -> None:
    """録音が保存した時のままか確かめる / Verify them; status 1: something differs, 2: not possible."""
    since = None if since is None else day_of(since, 2).isoformat()
    known = [_root(each) for each in root or ()]
    try:
        keys = public_keys(public_key) if public_key else _installed()
        if exported is None:
            verdict = verify(store or settings_or_fail().store, keys, since=since, known=known)
        else:
            verdict = verify_export(exported, keys, store, since=since, known=known)
    except RecordingError as error:
        raise fail(str(error), 2) from None
    except OSError as error:
        raise fail(
            "読めません。パスと権限、ディスクを確かめてください / "
            f"cannot be read; see to its path, its rights, and the disk: {error}",
            2,
        ) from None
    if not verdict.found:
        if not verdict.days and (exported is None or store is not None):
            raise fail(
                f"{since} 以後の日がなく、何も確かめていません / there is no day from {since} on: nothing was verified",
                2,
            )
        if not verdict.files and exported is not None:
            raise fail(
                f"{exported} にファイルがなく、何も確かめていません / {exported} holds no file: nothing was verified",
                2,
            )
    for line in _json(verdict) if as_json else _text(verdict):
        say(line)
    raise typer.Exit(int(bool(verdict.found)))


def _root(text: str) -> str:
    found = text.strip().lower()
    if not re.fullmatch("[0-9a-f]{64}", found):
        raise fail(
            f"--root {text}: 日次報告にある 64 桁の16進数をすべて書いてください / "
            "write all 64 hex digits, as they stand in the daily report",
            2,
        )
    return found


def _installed() -> PublicKeys:
    """Raises NoPublicKey: there is none."""
    folder = settings_or_fail().recordings_keys
    found = installed(folder)
    if not found:
        raise NoPublicKey(folder / PUBLIC)
    return found


def _text(verdict: Verdict) -> list[str]:
    days = [
        f"{d.centre} {d.day}: 保存 {d.kept}件・消去 {d.erased}件 / {d.kept} kept, {d.erased} erased; 根 root {d.root}"
        for d in verdict.days
    ]
    whole = (
        f"{verdict.files} ファイルを確かめました。異常 {len(verdict.found)}件 / "
        f"{verdict.files} files verified, {len(verdict.found)} faults"
    )
    return [*days, *map(str, verdict.found), whole]


def _json(verdict: Verdict) -> list[str]:
    days = [{"kind": "day", **msgspec.to_builtins(day)} for day in verdict.days]
    found = [
        {"kind": "fault", **msgspec.to_builtins(x), "ja": FAULTS[x.fault][0], "en": FAULTS[x.fault][1]}
        for x in verdict.found
    ]
    whole = {"kind": "whole", "files": verdict.files, "faults": len(verdict.found)}
    return [msgspec.json.encode(line).decode() for line in (*days, *found, whole)]


@recordings_app.command("public-key")
@needs(Right.ANYONE)
def recordings_public_key() -> None:
    """署名の公開鍵 (PEM)。市に渡す / The public key that verifies recordings (PEM): hand it to the city."""
    path = settings_or_fail().recordings_keys / PUBLIC
    try:
        public_keys([path])
        say(path.read_text("ascii").rstrip())
    except (RecordingError, OSError) as error:
        raise fail(str(error)) from None


@keys_app.command("list")
@needs(Right.READ_OPERATION)
def keys_list() -> None:
    """鍵の一覧と、バックアップすべきフォルダ / The keys, and which folder belongs into the back-up.

    終了コード 1: 読めない鍵の表がある / status 1: a table of keys cannot be read.
    """
    folder = settings_or_fail().recordings_keys
    ring = KeyRing(folder)
    try:
        for row in ring.rows():
            say(
                f"{row.centre} {row.month} v{row.version}: 録音 {row.recordings}件・消去済み {row.destroyed}件 / "
                f"{row.recordings} recordings, {row.destroyed} erased"
            )
    except (RecordingError, OSError) as error:
        raise fail(str(error)) from None
    say(
        f"{folder} を毎日、録音とは別の場所にバックアップしてください。"
        "消去した録音の鍵が残らないよう、新しいものを確かめてから (callcore doctor) 古いものを消します / "
        f"back {folder} up daily, apart from the recordings; delete older copies, which hold keys that were destroyed, "
        "once callcore doctor finds no key missing"
    )
    unread = ring.unread()
    for why in unread:
        note(f"数に入っていない表があります / not counted: {why}")
    if unread:
        raise typer.Exit(1)


@keys_app.command("rotate")
@needs(Right.CONFIGURE)
def keys_rotate(
    why: Annotated[str, typer.Option(help="理由 / the reason, for the audit trail")],
    centre: Annotated[str | None, typer.Option(help="センター。なければすべて / none: all")] = None,
    month: Annotated[str | None, typer.Option(help="月、例 2026-11。なければすべて / none: all")] = None,
) -> None:
    """センターと月の鍵を新しくする。録音のファイルは変わらない / New keys of centre and month; no file changes.

    終了コード 1: 替えられない鍵がある、当てはまる鍵がない / status 1: some could not be changed, or there is none.
    """
    settings = settings_or_fail()
    on = " ".join(filter(None, (centre, month))) or None
    with audited(settings, "recordings_keys_rotated", on=on, why=why):
        try:
            done = KeyRing(settings.recordings_keys).rotate(centre, month)
        except OSError as error:
            raise fail(str(error)) from None
        if not any(row.left or row.version is not None for row in done):
            raise fail(
                "そのセンター・月(例 2026-11)の鍵はありません。callcore recordings keys list で確かめてください / "
                "there is no key of that centre and month (e.g. 2026-11); callcore recordings keys list shows them"
            )
        for row in done:
            if row.version is not None:
                say(
                    f"{row.centre} {row.month}: v{row.version}、録音 {row.recordings}件 / {row.recordings} recordings. "
                    "古い鍵はもう使えません。バックアップを取り直してください / back the keys up anew"
                )
        left = [(row, cause) for row in done for cause in row.left]
        for row, cause in left:
            note(f"{row.centre} {row.month}: 替えられない鍵があります / not wholly changed: {cause}")
        if left and all(row.version is None for row in done):
            raise typer.Exit(1)
    if left:
        raise typer.Exit(1)


@keys_app.command("replace")
@needs(Right.CONFIGURE)
def keys_replace(
    why: Annotated[str, typer.Option(help="理由 / the reason, for the audit trail")],
    former: Annotated[
        list[Path] | None,
        typer.Option(
            help="市に渡した、失われた鍵の公開鍵 (いくつでも)。ここになければ / "
            "repeatable; the lost key's public key, as the city has it, where it is lost here, too"
        ),
    ] = None,
) -> None:
    """どこにもない鍵の代わりを作り、暗号化を続ける / New keys in place of those that are lost for good."""
    settings = settings_or_fail()
    with audited(settings, "recordings_keys_replaced", why=why):
        try:
            done = replace(settings.store, settings.recordings_keys, public_keys(former or ()))
        except (RecordingError, OSError) as error:
            raise fail(str(error)) from None
    for path in done.made:
        say(f"作りました / made: {path}")
    if done.signer is not None:
        say(
            f"新しい署名の鍵 {done.signer.id} を作りました。新しい公開鍵 (callcore recordings public-key) を市に渡し、"
            "前の公開鍵も残すよう伝えてください。確かめるときは両方を指定します / "
            "there is a new signing key: hand the city its public key (callcore recordings public-key), and ask it to "
            "keep the former one: verify takes both"
        )
    say(
        "鍵のない録音は開けないままです (callcore doctor)。バックアップを取り直してください / "
        "recordings whose keys are lost stay closed (callcore doctor names them); back the keys up anew"
    )
