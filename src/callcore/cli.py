"""The command `callcore`. What people see is in Japanese and English and says what to do next."""

from __future__ import annotations

import asyncio
import getpass
import os
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from callcore import __version__
from callcore.access.rights import Right, needs
from callcore.centres import LANGUAGES, CentreFileErrors, load, look, read
from callcore.centres import check as check_centres
from callcore.centres.diagram import drawn
from callcore.cli_backup import backup, restore
from callcore.cli_erase import erase, erasures
from callcore.cli_people import audit_app, tokens_app, users_app
from callcore.cli_recordings import recordings_app
from callcore.console import audited, err, fail, invite_first_administrator, out, say, settings_or_fail
from callcore.domain.centre import Announcement, Configuration
from callcore.domain.ids import AgentId, PhoneId
from callcore.installation import asterisk_process, pbx_settings, phone_ids, without_certificate
from callcore.log import configure
from callcore.pbx.process import AsteriskProcess, AsteriskToolchain, PbxError
from callcore.pbx.render import RenderError, write
from callcore.phonescli import phones_app
from callcore.pins import PinError, PinFile
from callcore.settings import Secrets, Settings, SettingsError, load_secrets, owner_only, read_settings
from callcore.starting import uncollected

app = typer.Typer(
    name="callcore",
    help="公共コールセンターの電話制御 / Telephone control for public call centres.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
prompts_app = typer.Typer(help="案内音声 / Prompts.", no_args_is_help=True)
app.add_typer(prompts_app, name="prompts")
agent_app = typer.Typer(
    help="オペレーターの状態を見る・変える / See and change agents' states.", no_args_is_help=True
)
app.add_typer(agent_app, name="agent")
app.add_typer(phones_app, name="phones")
app.add_typer(users_app, name="users")
app.add_typer(tokens_app, name="tokens")
app.add_typer(audit_app, name="audit")
app.add_typer(recordings_app, name="recordings")
emergency_app = typer.Typer(
    help="臨時休止を始める・終える・見る / Begin, end and see emergency closures.", no_args_is_help=True
)
app.add_typer(emergency_app, name="emergency")
callbacks_app = typer.Typer(no_args_is_help=True, help="折り返し / Call-backs", rich_markup_mode=None)
app.add_typer(callbacks_app, name="callbacks")
messages_app = typer.Typer(
    no_args_is_help=True, help="伝言 / Messages that callers left", rich_markup_mode=None
)
app.add_typer(messages_app, name="messages")
blocked_app = typer.Typer(
    help="迷惑電話の発信者の一覧 / The list of unwelcome callers.", no_args_is_help=True
)
app.add_typer(blocked_app, name="blocked")
app.command("erase")(erase)
app.command("erasures")(erasures)
app.command("backup")(backup)
app.command("restore")(restore)
PromptName = Annotated[
    str,
    typer.Argument(help="名前、例 oita/ja/closed、en/overflow / its name, as callcore prompts list shows it"),
]
MessageCall = Annotated[
    str,
    typer.Argument(help="伝言の入電の ID、または task-… / the id of the call that left it, or a task's name"),
]
AgentNumber = Annotated[str, typer.Argument(help="オペレーター番号 / the agent's number")]


def _configuration(settings: Settings) -> Configuration:
    try:
        return load(settings.centres, settings.prompts)
    except CentreFileErrors as errors:
        for text in (*errors.texts("ja"), *errors.texts("en")):
            err.print(text, markup=False)
        raise fail(
            "センターファイルに誤りがあるため起動しません / nothing starts on a wrong centre file"
        ) from None


def _secrets(settings: Settings, configuration: Configuration) -> Secrets:
    try:
        return load_secrets(settings, phone_ids(configuration))
    except PermissionError as error:
        raise fail(str(error)) from None


@app.command()
@needs(Right.ANYONE)
def version() -> None:
    """版を表示する / Print the version."""
    say(f"callcore {__version__}")


@app.command()
@needs(Right.CONFIGURE)
def check(
    language: Annotated[Literal["ja", "en"], typer.Option(help="ja | en")] = "ja",
    centres: Annotated[
        Path | None, typer.Option(help="センターファイルのフォルダ / the centre files' folder")
    ] = None,
) -> None:
    """センターファイルを調べる / Check the centre files; status 1 if anything is wrong."""
    settings = settings_or_fail()
    folder = centres or settings.centres
    problems = check_centres(folder, settings.prompts, language)
    for text in problems:
        err.print(text, markup=False)
    if problems:
        raise typer.Exit(1)
    found, warnings = look(folder, settings.prompts)
    for warning in warnings:
        err.print(warning.text(language), markup=False, style="yellow")
    bare = without_certificate(settings, found)
    if bare:
        err.print(
            f"メーカーの証明書を見せるべき電話機 {len(bare)} 台({bare[0]} など)が、見せる先がなく使えません。"
            "CALLCORE_SIP_TLS_CERTIFICATE_PORT と CALLCORE_SIP_CLIENT_CAS を設定するか、"
            "証明書を求めないと決めた電話機に certificate = false を書いてください"
            if language == "ja"
            else f"{len(bare)} phones ({bare[0]} and others) have to show their maker's certificate and have no port "
            "to show it at, so they are not served: set CALLCORE_SIP_TLS_CERTIFICATE_PORT and "
            "CALLCORE_SIP_CLIENT_CAS, or write certificate = false for phones of which it was decided not to ask",
            markup=False,
        )
        raise typer.Exit(1)
    names = "、".join(f"{c.id} ({c.name})" for c in found.centres)
    say(f"問題なし: {names}" if language == "ja" else f"no problem: {', '.join(c.id for c in found.centres)}")


@app.command()
@needs(Right.READ_OPERATION)
def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="JSON で / as JSON")] = False,
) -> None:
    """動作を支えるものを調べ、直し方を示す / Look at all it rests on and say how to mend it; status 0, 1 or 2."""
    import msgspec

    from callcore.doctor import Level, judge, look, status

    try:
        settings = read_settings()
    except SettingsError as error:
        raise fail(str(error), 2) from None
    found = judge(asyncio.run(look(settings)))
    if as_json:
        say(msgspec.json.encode(found).decode())
    else:
        styles = {Level.OK: "green", Level.WARN: "yellow", Level.FAIL: "bold red"}
        for each in found:
            out.print(
                f"{each.level.value:<5} {each.check:<13} {each.what}", markup=False, style=styles[each.level]
            )
            if each.mend is not None:
                out.print(f"      → {each.mend}", markup=False)
    raise typer.Exit(status(found))


@app.command()
@needs(Right.READ_LIVE)
def hours(
    centre: Annotated[str, typer.Argument(help="センター、例 oita / the centre")],
    month: Annotated[
        str | None, typer.Option(help="月、例 2026-09。なければ今月 / the month; none: this")
    ] = None,
    at: Annotated[
        str | None,
        typer.Option(help="この時点の答え、例 2026-09-22T10:00:00 / the answer for one instant"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON で / as JSON")] = False,
    language: Annotated[Literal["ja", "en"], typer.Option(help="ja | en")] = "ja",
) -> None:
    """営業時間: 月の表(確認書)か、ある時点の答え / Hours: a month to be signed off, or the answer for one instant."""
    from callcore.centres.asked import NotUnderstood, show_at, show_month

    settings = settings_or_fail()
    try:
        if at is not None:
            show_at(settings, centre, at, as_json=as_json, language=language)
        else:
            show_month(settings, centre, month, as_json=as_json, language=language)
    except NotUnderstood as error:
        raise fail(str(error)) from None
    except CentreFileErrors as errors:
        raise fail("\n".join(errors.texts(language))) from None


def _render(settings: Settings, configuration: Configuration) -> tuple[AsteriskToolchain, int]:
    try:
        toolchain = AsteriskToolchain.load(settings.toolchain_file)
        pbx = pbx_settings(settings, _secrets(settings, configuration), toolchain)
        return toolchain, len(write(configuration, pbx))
    except (PbxError, RenderError) as error:
        raise fail(str(error)) from None


@app.command()
@needs(Right.CONFIGURE)
def render(
    diagram: Annotated[
        bool,
        typer.Option("--diagram", help="メニューの図 (Mermaid) だけを表示 / only draw the menus, as Mermaid"),
    ] = False,
) -> None:
    """Asterisk の設定を書き出す / Render the centre files into Asterisk's configuration."""
    settings = settings_or_fail()
    if diagram:
        say(drawn(_configuration(settings)))
        return
    _, count = _render(settings, _configuration(settings))
    say(f"{count} ファイルを書き出しました / wrote {count} files: {settings.asterisk / 'etc'}")


@app.command()
@needs(Right.CONFIGURE)
def plan(
    language: Annotated[Literal["ja", "en"], typer.Option(help="ja | en")] = "ja",
) -> None:
    """動いている設定とファイルの違いを示す / Show what differs from what runs; status 3 if anything does."""
    from callcore.live.ask import DIFFERS

    if _planned(language)["changes"]:
        raise typer.Exit(DIFFERS)


@app.command()
@needs(Right.CONFIGURE)
def apply(
    language: Annotated[Literal["ja", "en"], typer.Option(help="ja | en")] = "ja",
    yes: Annotated[bool, typer.Option("--yes", help="確認なしで反映する / do not ask")] = False,
) -> None:
    """動いたままで設定を反映する / Bring the centre files in while calls go on; all of it or nothing."""
    planned = _planned(language)
    if not planned["changes"]:
        return
    if not yes and not typer.confirm("反映しますか / apply?" if language == "ja" else "apply?"):
        raise fail("反映していません / nothing was applied")
    settings = settings_or_fail()
    with audited(settings, "apply", on=planned["version"]):
        told = _live("apply", version=planned["version"])
    say("反映しました / applied")
    if not told["hours_pushed"]:
        say("営業時間は自動で再送します / opening hours are sent again by themselves")


def _planned(language: Literal["ja", "en"]) -> dict[str, Any]:
    from callcore.live.ask import lines

    answer = _live("plan")
    for text in lines(answer, language):
        say(text)
    if not answer["changes"]:
        say("違いはありません" if language == "ja" else "nothing differs")
    return answer


def _live(command: str, **fields: str) -> dict[str, Any]:
    from callcore.live.ask import ask
    from callcore.runtime.commands import CommandFailed

    try:
        return asyncio.run(ask(settings_or_fail(), command, **fields))
    except CommandFailed as error:
        raise fail(str(error)) from None


@app.command()
@needs(Right.MANAGE_USERS)
def pin(
    agent: Annotated[str, typer.Argument(help="オペレーター番号 / the agent's number")],
    random: Annotated[
        bool, typer.Option("--random", help="作って一度だけ表示する / make one and show it once")
    ] = False,
    stdin: Annotated[
        bool, typer.Option("--stdin", help="標準入力から読む / read it from standard input")
    ] = False,
) -> None:
    """オペレーターの暗証番号を設定・再設定する / Set or reset an agent's PIN."""
    settings = settings_or_fail()
    known = {a.id: c.id for c in _configuration(settings).centres for a in c.agents}
    if agent not in known:
        raise fail(
            f"オペレーター {agent} はどのセンターファイルにもありません / agent {agent} is in no centre file"
        )
    owner_only(settings.home)
    file = PinFile(settings.home / "pins.json")
    with audited(settings, "pin_set", on=agent, centre=known[AgentId(agent)]):
        try:
            if random:
                say(f"{agent}: {file.generate(AgentId(agent))}")
                return
            entered = sys.stdin.readline().strip() if stdin else getpass.getpass("暗証番号 / PIN: ")
            if not stdin and entered != getpass.getpass("もう一度 / again: "):
                raise fail("二つの番号が違います / the two are not the same")
            file.set(AgentId(agent), entered)
        except PinError as error:
            raise fail(str(error)) from None
    say(f"{agent}: 設定しました / set")


@app.command()
@needs(Right.CONFIGURE)
def phone(
    name: Annotated[
        str | None,
        typer.Argument(help="電話機の id、例 oita-p1。なければ一覧 / the phone's id; none: a list"),
    ] = None,
) -> None:
    """電話機に設定する値を表示する (秘密を含む) / Show what to enter into a desk phone, its password included."""
    settings = settings_or_fail()
    configuration = _configuration(settings)
    found = {p.id: (c, p) for c in configuration.centres for p in c.phones}
    if name is None:
        for centre, known in found.values():
            say(f"{known.id}  {centre.name} 席 / seat {known.seat} ({known.model})")
        return
    if name not in found:
        raise fail(
            f"電話機 {name} はありません。次のいずれかです / there is no phone {name}; one of: "
            + ", ".join(sorted(found))
        )
    centre, known = found[PhoneId(name)]
    anywhere = settings.sip_host in ("0.0.0.0", "::")  # noqa: S104
    host = (
        "(このサーバーの LAN のアドレス / this server's address in the LAN)"
        if anywhere
        else settings.sip_host
    )
    say(f"{centre.name} 席 / seat {known.seat} ({known.model})")
    say(f"SIP サーバー / server   {host}")
    say(f"ポート / port           {settings.sip_port} (UDP)")
    say(f"ユーザー / user         {name}")
    with audited(settings, "phone_password_shown", on=name, centre=centre.id):
        say(f"パスワード / password   {_secrets(settings, configuration).phones[PhoneId(name)]}")


@app.command(hidden=True)
@needs(Right.OPERATE)
def engine() -> None:
    """判断するプロセス / The engine's process; `callcore serve` starts it."""
    with uncollected():
        from callcore.engine import main as engine_main

    raise typer.Exit(engine_main(settings_or_fail()))


@app.command(hidden=True)
@needs(Right.OPERATE)
def sidecar() -> None:
    """画面・API・データベースのプロセス / The sidecar's process; `callcore serve` starts it."""
    with uncollected():
        from callcore.sidecar import main as sidecar_main

    sidecar_main(settings_or_fail())


@app.command()
@needs(Right.OPERATE)
def migrate() -> None:
    """データベースを最新の形にする / Bring the database to the newest form."""
    settings = settings_or_fail()
    owner_only(settings.home)
    _migrate(settings)
    say(f"データベースは最新です / the database is up to date ({_shown(settings.database)})")


def _migrate(settings: Settings) -> None:
    from callcore.db import DatabaseAway, UnknownDatabase
    from callcore.db.migrate import upgrade

    try:
        asyncio.run(upgrade(settings.database))
    except (DatabaseAway, UnknownDatabase) as error:
        raise fail(str(error)) from None


def _shown(url: str) -> str:
    """A database URL without its password."""
    from sqlalchemy.engine import make_url

    return make_url(url).render_as_string(hide_password=True)


@app.command()
@needs(Right.OPERATE)
def serve() -> None:
    """エンジンと画面を起動する (Asterisk は別に) / Start engine and sidecar beside a running Asterisk."""
    settings = settings_or_fail()
    _configuration(settings)
    owner_only(settings.home)
    raise typer.Exit(_supervise(settings, None))


@app.command()
@needs(Right.OPERATE)
def asterisk() -> None:
    """Asterisk だけを起動する (serve のとなりで) / Start Asterisk alone, for `serve` beside it: in a container."""
    settings = settings_or_fail()
    raise typer.Exit(_kept(settings, (), _asterisk(settings), lock="asterisk.lock"))


@app.command()
@needs(Right.OPERATE)
def run(
    demo: Annotated[
        bool, typer.Option("--demo", help="模擬の一日を再生する / play a simulated working day")
    ] = False,
    speed: Annotated[
        float, typer.Option(help="着信間隔・通話・我慢・後処理を割る数 / divides gaps, talk, patience, ACW")
    ] = 1.0,
    calls: Annotated[int, typer.Option(help="一日の着信数 / calls in the day")] = 150,
    agents: Annotated[int, typer.Option(help="オペレーター数 / agents on duty")] = 6,
    seed: Annotated[int, typer.Option(help="乱数の種 / seed of the day's chance")] = 1,
) -> None:
    """すべてを起動する: Asterisk、エンジン、画面 / Start everything: Asterisk, engine, web page. Ctrl-C stops."""
    settings = settings_or_fail()
    if demo:
        from callcore.demo.day import Plan
        from callcore.demo.show import play

        raise typer.Exit(play(Plan(speed=speed, calls=calls, agents=agents, seed=seed), settings, say))
    raise typer.Exit(_supervise(settings, _asterisk(settings)))


@app.command()
@needs(Right.READ_LIVE)
def replay(
    day: Annotated[str | None, typer.Option(help="現地の日付、例 2026-11-20 / the local date")] = None,
    until: Annotated[
        str | None, typer.Option(help="時刻、例 14:05:30 / the time; none: the day's end")
    ] = None,
    seq: Annotated[str | None, typer.Option(help="API の seq、例 3.1207 / a seq as the API shows it")] = None,
    centre: Annotated[str | None, typer.Option(help="このセンターだけ、例 oita / this centre only")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="API と同じ JSON / the API's own JSON")] = False,
) -> None:
    """過去のある時点のフロアを再現する / Show the floor as it was at an instant."""
    from callcore.reports.commands import CannotTell, replay_shown, replayed

    try:
        live = replayed(settings_or_fail(), day=day, until=until, seq=seq, centre=centre)
    except CannotTell as error:
        raise fail(str(error)) from None
    if as_json:
        print(live.model_dump_json())
    else:
        replay_shown(out, live)


@app.command()
@needs(Right.READ_CALLS)
def report(
    kind: Annotated[Literal["day", "month", "range"], typer.Argument(help="day | month | range")],
    centre: Annotated[str, typer.Option(help="センター、例 oita / the centre")],
    date: Annotated[str | None, typer.Option(help="日付、例 2026-11-20 / the day; none: the latest")] = None,
    month: Annotated[str | None, typer.Option(help="月、例 2026-11 / the month; none: the latest")] = None,
    first: Annotated[
        str | None, typer.Option("--from", help="range の最初の日 / the first day of a range")
    ] = None,
    last: Annotated[str | None, typer.Option("--to", help="range の最後の日 / its last day")] = None,
    csv: Annotated[bool, typer.Option("--csv", help="CSV (UTF-8、BOM 付き) / as CSV with BOM")] = False,
    half_hours: Annotated[bool, typer.Option("--half-hours", help="30分ごと / by half hour")] = False,
    queues: Annotated[
        bool, typer.Option("--queues", help="--csv を待ち行列ごとにする / with --csv: by queue")
    ] = False,
    departments: Annotated[
        bool, typer.Option("--departments", help="--csv を部署ごとにする / with --csv: by department")
    ] = False,
) -> None:
    """日次・月次・期間の集計を表示する / Print the figures of a centre for a day, a month or a range of days."""
    from callcore.reports.commands import CannotTell, reported

    try:
        reported(
            settings_or_fail(),
            kind,
            centre=centre,
            day=date,
            month=month,
            first=first,
            last=last,
            csv=csv,
            half_hours=half_hours,
            queues=queues,
            departments=departments,
            out=out,
        )
    except CannotTell as error:
        raise fail(str(error)) from None


def _asterisk(settings: Settings) -> Callable[[], AsteriskProcess]:
    """Renders its configuration, and says how it is started."""
    configuration = _configuration(settings)
    toolchain, _ = _render(settings, configuration)
    say(f"Asterisk {toolchain.version} ({toolchain.source})")
    pbx = pbx_settings(settings, _secrets(settings, configuration), toolchain)
    return lambda: asterisk_process(pbx, toolchain)


def _supervise(settings: Settings, make: Callable[[], AsteriskProcess] | None) -> int:
    _certified(settings)

    def begin() -> None:
        say(addresses(settings, with_pbx=make is not None))
        invite_first_administrator(settings, say)

    return _kept(settings, ("engine", "sidecar"), make, begin)


def _kept(
    settings: Settings,
    names: Sequence[str],
    make: Callable[[], AsteriskProcess] | None,
    begin: Callable[[], None] = lambda: None,
    lock: str = "supervisor.lock",
) -> int:
    """Run these processes, and Asterisk where it is ours, until a signal. `begin`: first, once the lock is held."""
    from callcore.runtime.process import run_process
    from callcore.service import Service
    from callcore.supervisor import NeedsAPerson, alone, child, supervise

    service = Service.taken_from(os.environ)
    configure(settings.log_level, "supervisor", settings.node)

    async def body(stop: asyncio.Event) -> int:
        with alone(settings.home, lock):
            begin()
            return await supervise([child(name) for name in names], make, stop, say=say, service=service)

    return run_process(body, fast=False, final=(NeedsAPerson, PbxError))


def _certified(settings: Settings) -> None:
    """Before anything starts: later a certificate that cannot be used must not end what carries the calls."""
    certificate, key = settings.web_tls_certificate, settings.web_tls_key
    if certificate is None or key is None:
        return
    from callcore import certificate as certificates
    from callcore.runtime.process import FINAL_STATUS

    try:
        warning = certificates.check(certificate, key, datetime.now(UTC))
    except certificates.CertificateFault as error:
        raise fail(str(error), FINAL_STATUS) from None
    if warning is not None:
        err.print(warning, markup=False, style="bold red")


def addresses(settings: Settings, *, with_pbx: bool) -> str:
    """Where people and phones find this installation."""
    page = settings.web_url
    lines = [
        f"画面 / page        {page}/",
        f"指標 / metrics     {page}/metrics",
        f"API                {page}/api/v1/openapi.json",
    ]
    if with_pbx:
        lines.append(f"SIP (UDP)          {settings.sip_host}:{settings.sip_port}")
    lines.append(f"状態 / state       {settings.home}")
    lines.append("Ctrl-C で停止します / Ctrl-C stops")
    return "\n".join(lines)


@app.command()
@needs(Right.READ_CALLS)
def reconcile(
    day: Annotated[
        str | None,
        typer.Option(help="センターの現地日。なければ昨日と今日 / local day; none: yesterday and today"),
    ] = None,
    centre: Annotated[
        str | None, typer.Option(help="センターの id。なければすべて / the centre's id; none: all")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON を1行ずつ / JSON lines")] = False,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="終わった日の結果を保存する / keep the result of days that are over"),
    ] = False,
) -> None:
    """ジャーナル・CDR・CEL・録音を照合する / Reconcile them call by call; status 1: differences, 2: not possible."""
    from callcore.audit import headline, json_lines, text
    from callcore.reconciliation import CannotReconcile, by_hand

    try:
        settings = read_settings()
        results = by_hand(settings, read(settings.centres), day=day, centre=centre, keeping=keep)
    except CentreFileErrors as errors:
        raise fail("\n".join((*errors.texts("ja"), *errors.texts("en"))), 2) from None
    except (SettingsError, CannotReconcile) as error:
        raise fail(str(error), 2) from None
    for result in results:
        for each in json_lines(result) if as_json else text(result):
            say(each)
    if not as_json:
        say(headline(results))
    raise typer.Exit(2 if any(r.gaps for r in results) else int(any(r.faults for r in results)))


@app.command()
@needs(Right.ANYONE)
def erlang(
    arrivals_per_hour: Annotated[float, typer.Option(help="1 時間の着信数 / arrivals per hour")],
    aht: Annotated[
        float, typer.Option(help="平均処理時間(通話 + 後処理)、秒 / mean talk + after-call work, s")
    ],
    seats: Annotated[int, typer.Option(help="席数 / agents on duty")],
    patience: Annotated[
        float | None, typer.Option(help="平均我慢時間、秒(Erlang A)/ mean patience, s (Erlang A)")
    ] = None,
    service_level: Annotated[float, typer.Option(help="サービスレベルの秒数 / service level, s")] = 20.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON で / as JSON")] = False,
) -> None:
    """応答率や待ち時間を計算する (Erlang A・B・C) / Compute answer ratio and waits exactly (Erlang A, B, C)."""
    from callcore.staffing.erlang import StaffingError, three
    from callcore.staffing.report import erlang_json, erlang_table

    try:
        a, b, c = three(arrivals_per_hour, aht, seats, patience, service_level)
    except StaffingError as error:
        raise fail(str(error)) from None
    if as_json:
        print(erlang_json(a, b, c))
    else:
        out.print(erlang_table(a, b, c))


@app.command()
@needs(Right.ANYONE)
def simulate(
    arrivals_per_hour: Annotated[
        str,
        typer.Option(
            help="1 時間の着信数。半時間ごとなら 20,40,60 / arrivals per hour; by half hour: 20,40,60"
        ),
    ],
    aht: Annotated[
        float, typer.Option(help="平均処理時間(通話 + 後処理)、秒 / mean talk + after-call work, s")
    ],
    seats: Annotated[int, typer.Option(help="席数 / agents on duty")],
    patience: Annotated[
        float | None,
        typer.Option(help="平均我慢時間、秒。なければ全員が待つ / mean patience, s; none: everybody waits"),
    ] = None,
    hours: Annotated[float, typer.Option(help="測る時間数 / hours measured")] = 1000.0,
    seed: Annotated[int, typer.Option(help="乱数の種 / seed of chance")] = 1,
    service_level: Annotated[int, typer.Option(help="サービスレベルの秒数 / service level, s")] = 20,
    handling: Annotated[
        Literal["exponential", "constant", "lognormal"],
        typer.Option(help="処理時間の分布 / how handling times vary"),
    ] = "exponential",
    handling_variation: Annotated[
        float, typer.Option(help="lognormal の標準偏差 ÷ 平均 / standard deviation ÷ mean, for lognormal")
    ] = 1.0,
    acw_share: Annotated[
        float, typer.Option(help="処理時間のうち後処理の割合 / what share of it is after-call work")
    ] = 0.0,
    answer_time: Annotated[
        float, typer.Option(help="電話機が鳴ってから出るまで、秒 / ringing until the agent answers, s")
    ] = 0.0,
    as_json: Annotated[bool, typer.Option("--json", help="JSON で / as JSON")] = False,
) -> None:
    """同じ判断の仕組みで一日を何度も試す / Let callcore's own core live many hours, with how sure the figures are."""
    from time import perf_counter

    from callcore.staffing.erlang import StaffingError
    from callcore.staffing.report import trial_json, trial_table
    from callcore.staffing.trial import Plan, per_half_hour, run_trial

    began = perf_counter()
    try:
        plan = Plan(
            per_hour=per_half_hour(arrivals_per_hour),
            aht_s=aht,
            seats=seats,
            hours=hours,
            seed=seed,
            patience_s=patience,
            service_level_s=service_level,
            handling=handling,
            handling_variation=handling_variation,
            acw_share=acw_share,
            answer_s=answer_time,
        )
        with err.status("シミュレーション中 / simulating …"):
            trial = run_trial(plan)
    except StaffingError as error:
        raise fail(str(error)) from None
    if as_json:
        print(trial_json(plan, trial))
        return
    took = perf_counter() - began
    out.print(trial_table(plan, trial))
    say(
        f"{trial.calls:,} 件、{took:.1f} 秒、毎秒 {trial.calls / took:,.0f} 件 / "
        f"{trial.calls:,} calls in {took:.1f} s, {trial.calls / took:,.0f} calls/s"
    )


@prompts_app.command("build")
@needs(Right.CONFIGURE)
def prompts_build(
    again: Annotated[
        bool, typer.Option("--again", help="合成音声をすべて作り直す / all voices anew")
    ] = False,
) -> None:
    """文から音声を作る / Make the audio that is missing or whose text or recording has changed."""
    from callcore.prompts.build import build
    from callcore.prompts.voices import PromptsUnavailable

    settings = settings_or_fail()
    told = _announcements(_centre_files(settings))
    with audited(settings, "prompts_build"):
        try:
            built = build(
                settings.prompts,
                told,
                again=again,
                progress=lambda name, kana: say(f"{name}  {kana or ''}"),
            )
        except PromptsUnavailable as error:
            raise fail(str(error)) from None
    say(f"{len(built.made)} 件を作りました / made {len(built.made)}")
    stuck = [f"{name}: {_LEFT[why]}" for name, why in built.left if why != "no_voice"]
    voiceless = sum(why == "no_voice" for _, why in built.left)
    if voiceless:
        say(f"{voiceless} 件: {_LEFT['no_voice']}")
    if stuck:
        raise fail("\n".join(stuck))


_LEFT = {
    "no_voice": "合成音声がありません。録音するか、substitutes で代用します / "
    "there is no voice for it: record it, or have a substitute",
    "recorded_for_another_text": "録音と文が違います。録音し直して callcore prompts use / "
    "the recording is of another text: record it anew, then callcore prompts use",
    "put_there_by_hand": "callcore が作った音声ではありません。録音なら callcore prompts use、違うなら消してください / "
    "not made by callcore: if it was recorded, callcore prompts use; else delete it",
    "text_missing": "文がありません / its text is missing",
}


def _announcements(configuration: Configuration) -> list[Announcement]:
    """Of all centres and of the demo's, which stands in no file."""
    from callcore.demo.centre import ANNOUNCEMENTS

    return [*(each for centre in configuration.centres for each in centre.announcements), *ANNOUNCEMENTS]


def _owner(told: list[Announcement], name: str) -> str | None:
    """The centre whose own prompt it is; None: it is common to all, or there is no such prompt."""
    owner = name.split("/", maxsplit=1)[0]
    return owner if owner not in LANGUAGES and any(each.sound == name for each in told) else None


def _centre_files(settings: Settings) -> Configuration:
    """The files without a look at the audio."""
    try:
        return read(settings.centres)
    except CentreFileErrors as errors:
        raise fail("\n".join((*errors.texts("ja"), *errors.texts("en")))) from None


@prompts_app.command("list")
@needs(Right.READ_LIVE)
def prompts_list(
    every: Annotated[
        bool, typer.Option("--all", help="数・時刻・日付も / numbers, times, dates too")
    ] = False,
    language: Annotated[str | None, typer.Option(help="この言語だけ、例 en / this language only")] = None,
) -> None:
    """すべての音声の状態・長さ・音量を見る / Each prompt with its state, length and loudness."""
    from callcore.prompts import desk

    settings = settings_or_fail()
    found = desk.items(settings.prompts, _told_and_heard(settings))
    for line in desk.listed(
        (each for each in found if language in (None, each.wanted.language)), phrases=every
    ):
        say(line)


def _told_and_heard(settings: Settings) -> list[Announcement]:
    """What the centres want to say and, where nothing is wrong, what callers hear, so that substitutes show."""
    told = _announcements(_centre_files(settings))
    try:
        return [*told, *_announcements(load(settings.centres, settings.prompts))]
    except CentreFileErrors:
        return told


@prompts_app.command("export")
@needs(Right.READ_LIVE)
def prompts_export(
    name: PromptName,
    file: Annotated[Path, typer.Argument(help="書き出す wav / the wav to write")],
) -> None:
    """音声を wav に書き出して聞く (反映前の試聴にも) / Write one as a wav to listen to, before it is applied too."""
    from callcore.prompts import desk
    from callcore.prompts.voices import PromptsUnavailable

    settings = settings_or_fail()
    try:
        desk.export(settings.prompts, settings.kept_prompts, name, file)
    except PromptsUnavailable as error:
        raise fail(str(error)) from None
    say(str(file))


@prompts_app.command("play")
@needs(Right.READ_LIVE)
def prompts_play(name: PromptName) -> None:
    """音声をこのマシンで鳴らす / Play one on this machine."""
    from callcore.prompts import desk
    from callcore.prompts.voices import PromptsUnavailable

    settings = settings_or_fail()
    try:
        desk.play(settings.prompts, settings.kept_prompts, name)
    except PromptsUnavailable as error:
        raise fail(str(error)) from None


@prompts_app.command("use")
@needs(Right.CONFIGURE)
def prompts_use(
    name: PromptName,
    file: Annotated[Path, typer.Argument(help="録音 (wav、flac、mp3 …) / the recording, of any format")],
) -> None:
    """録音を取り込み、仮の音声に替える / Take a recording in; it takes the placeholder's place."""
    from callcore.prompts import build, desk
    from callcore.prompts.voices import PromptsUnavailable

    settings = settings_or_fail()
    told = _announcements(_centre_files(settings))
    with audited(settings, "prompt_recorded", on=name, centre=_owner(told, name)):
        try:
            wanted = desk.found(settings.prompts, told, name)
            made = build.use(settings.prompts, wanted, file)
        except PromptsUnavailable as error:
            raise fail(str(error)) from None
    say(f"{name}: {made.duration_s:.1f} s  {made.loudness_lufs:.1f} LUFS  {wanted.text}")


@prompts_app.command("approve")
@needs(Right.CONFIGURE)
def prompts_approve(
    names: Annotated[list[str], typer.Argument(help="名前、例 oita/ja/closed / names")],
    by: Annotated[str, typer.Option(help="承認した人 / who approves")],
) -> None:
    """聞いて確かめた人を記録する / Note who has listened to prompts and lets them go out."""
    from datetime import datetime

    from callcore.prompts import build, desk
    from callcore.prompts.voices import PromptsUnavailable

    settings = settings_or_fail()
    told = _announcements(_centre_files(settings))
    today = datetime.now().astimezone().date().isoformat()
    for name in names:
        with audited(settings, "prompt_approved", on=name, centre=_owner(told, name), why=by):
            try:
                build.approve(settings.prompts, desk.found(settings.prompts, told, name), by, today)
            except PromptsUnavailable as error:
                raise fail(str(error)) from None
        say(f"{name}: {by} {today}")


@prompts_app.command("history")
@needs(Right.READ_LIVE)
def prompts_history(
    centre: Annotated[str, typer.Argument(help="センター、例 oita / the centre")],
    kind: Annotated[str, typer.Argument(help="種類、例 closed / the kind")],
    at: Annotated[
        str | None, typer.Option(help="センターの現地時刻、例 2026-11-20T10:00:00 / a local instant")
    ] = None,
    language: Annotated[str | None, typer.Option(help="この言語だけ、例 ja / this language only")] = None,
) -> None:
    """案内がいつからいつまで何と言っていたか / What an announcement said, from when to when, and its audio."""
    from callcore.reports.commands import CannotTell
    from callcore.reports.said import lines, said

    settings = settings_or_fail()
    try:
        found, zone = said(settings, centre, kind, language=language, at=at)
    except CannotTell as error:
        raise fail(str(error)) from None
    for line in lines(found, zone, settings.kept_prompts):
        say(line)


@agent_app.command("list")
@needs(Right.READ_AGENTS)
def agent_list() -> None:
    """オペレーターの一覧と状態 / All agents and their states."""
    from callcore.runtime.staffdesk import line

    for row in _engine("agents"):
        say(line(row))


@agent_app.command("pause")
@needs(Right.ACT_AGENTS)
def agent_pause(
    agent: AgentNumber,
    reason: Annotated[str, typer.Option(help="理由、20文字まで、例 休憩 / up to 20 characters")],
) -> None:
    """離席にする / Pause an agent: a ringing offer is taken back, a talk goes on."""
    _agent_does("agent_pause", agent, "離席にしました / paused", reason=reason)


@agent_app.command("ready")
@needs(Right.ACT_AGENTS)
def agent_ready(agent: AgentNumber) -> None:
    """離席と後処理を終える / End an agent's pause and after-call work."""
    _agent_does("agent_ready", agent, "受付中です / ready")


@agent_app.command("sign-out")
@needs(Right.ACT_AGENTS)
def agent_sign_out(agent: AgentNumber) -> None:
    """受付を終了させる / Sign an agent out; not while a call rings or is talked."""
    _agent_does("agent_sign_out", agent, "受付を終了しました / signed out")


@agent_app.command("extend")
@needs(Right.ACT_AGENTS)
def agent_extend(agent: AgentNumber) -> None:
    """後処理を延ばす / Lengthen an agent's after-call work."""
    _agent_does("agent_extend", agent, "後処理を延長しました / extended")


@agent_app.command("unlock")
@needs(Right.ACT_AGENTS)
def agent_unlock(agent: AgentNumber) -> None:
    """暗証番号の誤りによる停止を解く / Let an agent sign in again who was locked out for wrong PINs."""
    _agent_does("agent_unlock", agent, "停止を解除しました / unlocked")


@agent_app.command("result")
@needs(Right.ACT_AGENTS)
def agent_result(
    agent: AgentNumber, key: Annotated[int, typer.Argument(min=0, max=9, help="結果の数字 / its digit")]
) -> None:
    """通話の結果を記録する / Key the result of the call in an agent's hand, as `*20` and the digit do."""
    _agent_does("agent_result", agent, "結果を記録しました / result written down", key=key)


@agent_app.command("talk-key")
@needs(Right.ACT_AGENTS)
def agent_talk_key(
    agent: AgentNumber,
    key: Annotated[
        Literal["help", "abuse", "relay", "recording"],
        typer.Argument(help="手上げ、悪質通報、電話リレー、録音一時停止 / *31 *32 *33 *34"),
    ],
) -> None:
    """通話中のキーと同じ操作 / The same as that key on the agent's phone in a talk."""
    _agent_does("agent_talk_key", agent, "受け付けました / done", key=key)


@agent_app.command("transfer")
@needs(Right.ACT_AGENTS)
def agent_transfer(
    agent: AgentNumber,
    department: Annotated[
        str | None,
        typer.Option(help="短縮番号。なければ相談中の相手 / its short number; none: who is being consulted"),
    ] = None,
) -> None:
    """入電者を部署へ取り次ぐ / Put the agent's caller through to a department, as `*35` does."""
    _agent_does("agent_transfer", agent, "受け付けました / done", department=department or "")


@callbacks_app.command("list")
@needs(Right.READ_LIVE)
def callbacks_list(
    centre: Annotated[str | None, typer.Argument(help="センター、例 oita / the centre; none: all")] = None,
) -> None:
    """折り返し待ちの一覧 / Who is to be called back, as they stand in the line."""
    from callcore.runtime.callbackdesk import line

    rows = _engine("callbacks", centre=centre)
    for row in rows:
        say(line(row))
    if not rows:
        say("折り返し待ちはありません / there is none")


@callbacks_app.command("drop")
@needs(Right.ACT_AGENTS)
def callbacks_drop(
    call: Annotated[str, typer.Argument(help="折り返しを希望した入電の ID / the id of the call that asked")],
) -> None:
    """折り返しを取り消す / Take a call-back off the list."""
    _message_does("callback_drop", call, "取り消しました / taken off the list")


@messages_app.command("list")
@needs(Right.READ_AGENTS)
def messages_list(
    centre: Annotated[str | None, typer.Argument(help="センター、例 oita / the centre; none: all")] = None,
) -> None:
    """伝言の一覧、期限の早い順 / The messages that callers left: those that wait first, by their deadline."""
    from callcore.runtime.messagedesk import line

    rows = _engine("messages", centre=centre)
    for row in rows:
        say(line(row))
    if not rows:
        say("伝言はありません / there is none")


@messages_app.command("add")
@needs(Right.ACT_AGENTS)
def messages_add(
    subject: Annotated[str, typer.Option(help="件名、100文字まで / what it is about")],
    call: Annotated[
        str | None,
        typer.Argument(help="入電の ID、古くてもよい / the id of a call, however old; none: give --centre"),
    ] = None,
    centre: Annotated[
        str | None, typer.Option(help="入電がないとき、センター / without a call: the centre")
    ] = None,
    number: Annotated[
        str | None, typer.Option(help="入電がないとき、相手の番号 / without a call: the citizen's number")
    ] = None,
    note: Annotated[str | None, typer.Option(help="メモ、500文字まで / what else is to be known")] = None,
    department: Annotated[
        str | None,
        typer.Option(help="折り返す部署の短縮番号 / the department that calls back: its short number"),
    ] = None,
    agent: Annotated[str | None, typer.Option(help="受け持つオペレーター番号 / who deals with it")] = None,
    due: Annotated[
        datetime | None, typer.Option(help="期限、この機械の時刻 / until when, by this machine's clock")
    ] = None,
) -> None:
    """エスカレーションを残す / Keep an escalation, about a call or about none: on the list with a deadline."""
    from callcore.archived import of_call

    if (call is None) == (centre is None) or (call is not None and number is not None):
        raise fail(
            "入電の ID か --centre のどちらかを指定してください。--number は --centre と使います / "
            "give a call or --centre; --number goes with --centre"
        )
    settings, unknown = settings_or_fail(), ""
    if call is not None:
        try:
            centre, number = asyncio.run(of_call(settings, call)) or (None, None)
        except OSError as error:
            unknown = f"\n古い入電は調べられません / older calls cannot be looked up: {error}"
    with audited(settings, "task_keep", on=call or centre, centre=centre) as noted:
        answer = _engine(
            "task_keep",
            call=call,
            centre=centre,
            number=number,
            subject=subject,
            note=note,
            department=department,
            agent=agent,
            due=None if due is None else due.timestamp(),
        )
        if not answer["done"]:
            raise fail(f"{call or centre}: {answer['why']}{unknown}")
        noted.on = call or answer["task"]
    say(f"{answer['task']}: 残しました / kept")


@messages_app.command("take")
@needs(Right.ACT_AGENTS)
def messages_take(
    call: MessageCall,
    agent: Annotated[str, typer.Option(help="受け持つオペレーター番号 / who deals with it")],
) -> None:
    """伝言を受け持たせる / Have an agent deal with a message; also with one that was dealt with."""
    _message_does("message_take", call, "受け持ちました / taken", agent, agent=agent)


@messages_app.command("done")
@needs(Right.ACT_AGENTS)
def messages_done(
    call: MessageCall,
    result: Annotated[str, typer.Option(help="結果、200文字まで / what became of it")],
    undone: Annotated[
        bool, typer.Option("--undone", help="対応できなかった / it could not be dealt with")
    ] = False,
) -> None:
    """伝言の対応を終える / Say what became of a message."""
    _message_does("message_done", call, "記録しました / written down", result=result, done=not undone)


@messages_app.command("dial")
@needs(Right.ACT_AGENTS)
def messages_dial(call: MessageCall) -> None:
    """受け持つ人の電話機から相手に発信させる / Ring the phone of whoever has taken it, which then calls the citizen."""
    _message_does("message_dial", call, "電話機を呼び出しています / the phone rings")


def _message_does(command: str, call: str, said: str, why: str | None = None, **fields: str | bool) -> None:
    with audited(settings_or_fail(), command, on=call, why=why):
        answer = _engine(command, call=call, **fields)
        if not answer["done"]:
            raise fail(f"{call}: {answer['why']}")
    say(f"{call}: {said}")


@emergency_app.command("begin")
@needs(Right.EMERGENCY)
def emergency_begin(
    centre: Annotated[str, typer.Argument(help="センター、例 oita / the centre")],
    reason: Annotated[str, typer.Option(help="理由、例 地震 / why")],
    until: Annotated[
        str | None,
        typer.Option(help="終わり、例 18:00、2h、2026-11-29T08:30。なければ今日の24時 / none: midnight"),
    ] = None,
) -> None:
    """臨時休止を始める、または終わりと理由を改める / Close a centre now, or change the end and the reason."""
    from callcore.centres.asked import NotUnderstood, emergency_line, until_of

    settings = settings_or_fail()
    try:
        end = None if until is None else until_of(settings, centre, until)
    except NotUnderstood as error:
        raise fail(str(error)) from None
    except CentreFileErrors as errors:
        raise fail("\n".join(errors.texts("ja"))) from None
    with audited(settings, "emergency_begin", centre=centre, why=reason):
        answer = _engine("emergency_begin", centre=centre, reason=reason, until=end)
        if not answer["done"]:
            raise fail(f"{centre}: {answer['why']}")
    say(f"臨時休止にしました / closed: {emergency_line(answer['emergency'])}")


@emergency_app.command("end")
@needs(Right.EMERGENCY)
def emergency_end(
    centre: Annotated[str, typer.Argument(help="センター、例 oita / the centre")],
) -> None:
    """臨時休止を終える / End an emergency closure before its time."""
    with audited(settings_or_fail(), "emergency_end", centre=centre):
        answer = _engine("emergency_end", centre=centre)
        if not answer["done"]:
            raise fail(f"{centre}: {answer['why']}")
    say(f"{centre}: 臨時休止を終えました / ended")


@emergency_app.command("list")
@needs(Right.READ_LIVE)
def emergency_list() -> None:
    """いまの臨時休止 / The emergency closures that last."""
    from callcore.centres.asked import emergency_line

    found = _engine("emergency_list")
    for row in found:
        say(emergency_line(row))
    if not found:
        say("臨時休止はありません / there is none")


@blocked_app.command("add")
@needs(Right.BLOCK_CALLERS)
def blocked_add(
    centre: Annotated[str, typer.Argument(help="センター、例 oita / the centre")],
    number: Annotated[str, typer.Argument(help="発信番号、例 09012345678 / the caller's number")],
    reason: Annotated[str, typer.Option(help="理由、100字まで / why, at most 100 characters")],
    until: Annotated[str, typer.Option(help="終わり、例 30d、2026-12-31T00:00 / the end, at most 365 days")],
) -> None:
    """発信者を一覧に載せる、または終わりと理由を改める / List a caller, or change the end and the reason."""
    from datetime import UTC, datetime

    from callcore.centres.asked import NotUnderstood, until_of
    from callcore.domain.blocked import noted

    settings = settings_or_fail()
    try:
        end = until_of(settings, centre, until)
    except NotUnderstood as error:
        raise fail(str(error)) from None
    except CentreFileErrors as errors:
        raise fail("\n".join(errors.texts("ja"))) from None
    why = noted(reason, datetime.fromtimestamp(end, UTC).astimezone())
    with audited(settings, "blocked_add", centre=centre, why=why) as line:
        answer = _engine("blocked_add", centre=centre, number=number, reason=reason, until=end)
        if not answer["done"]:
            raise fail(f"{centre}: {answer['why']}")
        line.on = answer["entry"]
    say(f"{centre}: 一覧に載せました / listed: {answer['entry']}")


@blocked_app.command("remove")
@needs(Right.BLOCK_CALLERS)
def blocked_remove(
    centre: Annotated[str, typer.Argument(help="センター、例 oita / the centre")],
    entry: Annotated[
        str, typer.Argument(help="登録の名前。callcore blocked list に出ます / its name in the list")
    ],
) -> None:
    """期限の前に一覧から外す / Take a caller off the list before the end."""
    with audited(settings_or_fail(), "blocked_remove", on=entry, centre=centre):
        answer = _engine("blocked_remove", centre=centre, entry=entry)
        if not answer["done"]:
            raise fail(f"{entry}: {answer['why']}")
    say(f"{entry}: 外しました / taken off")


@blocked_app.command("list")
@needs(Right.BLOCK_CALLERS)
def blocked_list(
    centre: Annotated[str, typer.Argument(help="センター、例 oita / the centre")],
) -> None:
    """一覧を見る / Show the list of unwelcome callers."""
    from datetime import UTC, datetime

    found = _engine("blocked_list", centre=centre)
    for row in found:
        until = datetime.fromtimestamp(row["until"], UTC).astimezone().strftime("%Y-%m-%d %H:%M")
        say(f"{row['entry']}  {row['number'] or '–'}  {until} まで / until  {row['reason']}  {row['by']}")
    if not found:
        say("登録はありません / there is none")


def _engine(command: str, **fields: Any) -> Any:
    from callcore.runtime.commands import CommandFailed, ask_once

    try:
        return asyncio.run(ask_once(settings_or_fail().engine_socket, command, **fields))
    except CommandFailed as error:
        raise fail(str(error)) from None


def _agent_does(command: str, agent: str, done: str, **fields: str | int) -> None:
    with audited(
        settings_or_fail(), command, on=agent, why=str(fields["reason"]) if "reason" in fields else None
    ):
        answer = _engine(command, agent=agent, **fields)
        if not answer["done"]:
            raise fail(f"{agent}: {answer['why']}")
    say(f"{agent}: {done}")


def main() -> None:
    app()
