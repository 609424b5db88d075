"""The engine's side of `callcore plan` and `callcore apply`.

Files are read, checked and rendered whole before anything is touched. Then Asterisk's folder is exchanged in one
instant and Asterisk reads again what changed; only when it has, the core is told, which is the point of no return.
Until then every failure puts the old folder back, and Asterisk reads that.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import structlog

from callcore.access.rights import Person, Right
from callcore.centres import CentreFileErrors, load
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration
from callcore.domain.floor import Floor
from callcore.domain.ids import Instant
from callcore.installation import pbx_settings, phone_ids
from callcore.live.changes import LIVE, Change, between
from callcore.pbx import loaded
from callcore.pbx.process import AsteriskToolchain, PbxError
from callcore.pbx.render import PbxSettings, RenderError, exchange, render, rendered_version, stage, templates
from callcore.runtime.commands import Command, Refused
from callcore.runtime.loop import Loop
from callcore.settings import PROJECT, Secrets, Settings, load_secrets

log = structlog.get_logger(__name__)

NOT_YET = "not-known-before-apply"
"""Stands for the password of a phone that has none yet, while a plan is made."""


@dataclass(frozen=True, slots=True)
class Draft:
    """What the files come to, checked and rendered. Nothing has been touched."""

    configuration: Configuration
    pbx: PbxSettings
    files: dict[str, bytes]
    stale: tuple[str, ...]
    """What Asterisk would have to read again."""


class Configurator:
    """`reload` has Asterisk read one file again and raises when it did not; `renew` pushes opening hours.

    `running` is the configuration in force as the files have it, with what the journal does not keep: the lists of
    callers.
    """

    def __init__(
        self,
        settings: Settings,
        loop: Loop,
        running: Configuration,
        *,
        reload: Callable[[str], Awaitable[None]],
        renew: Callable[[Configuration], Awaitable[bool]],
        failure: type[Exception],
        now: Callable[[], Instant],
    ) -> None:
        """`failure` is what `reload` raises."""
        self.running = running
        self._settings = settings
        self._loop = loop
        self._reload = reload
        self._renew = renew
        self._failure = failure
        self._now = now
        self._templates = templates(PROJECT)
        self._turn = asyncio.Lock()

    @property
    def commands(self) -> Mapping[str, Command]:
        return {"plan": Command(Right.CONFIGURE, self._plan), "apply": Command(Right.CONFIGURE, self._apply)}

    # -- plan -------------------------------------------------------------------------------------------------

    async def _plan(self, request: Mapping[str, Any], _: Person) -> dict[str, Any]:
        """Every difference between what runs and the files. Raises Refused when the files are wrong."""
        async with self._turn:
            draft = await asyncio.to_thread(self._draft, self._known_secrets)
            return self._told(draft, self._environment(request))

    def _told(self, draft: Draft, environment: list[Change]) -> dict[str, Any]:
        changes = between(self.running, draft.configuration)
        explained = {file for change in changes for file in change.files}
        files = [
            Change("", "file", name, "", "", "", (name,) if name in LIVE else (), at_stop=name not in LIVE)
            for name in draft.stale
            if name not in explained
        ]
        return {
            "version": draft.configuration.version,
            "changes": [asdict(change) for change in (*environment, *changes, *files)],
        }

    def _environment(self, request: Mapping[str, Any]) -> list[Change]:
        """Where the environment that the command was given differs from the one that the engine runs in."""
        asked = request.get("settings")
        if not isinstance(asked, Mapping):
            return []
        mine = spoken(self._settings)
        return [
            Change("", "setting", f"CALLCORE_{name.upper()}", "", value, str(asked[name]), at_stop=True)
            for name, value in mine.items()
            if name in asked and str(asked[name]) != value
        ]

    def _known_secrets(self, configuration: Configuration) -> Secrets:
        """The secrets as they are, and something for phones that have none: a plan writes nothing."""
        known = load_secrets(self._settings, ())
        wanted = dict.fromkeys(phone_ids(configuration), NOT_YET)
        return Secrets(known.ami, known.session, {**wanted, **known.phones}, known.callers)

    def _draft(self, secrets: Callable[[Configuration], Secrets]) -> Draft:
        """Read, check and render. Raises Refused, with all that is wrong."""
        if templates(PROJECT) != self._templates:
            raise Refused(
                "動いている callcore より新しいソフトウェアが置かれています。時間外に止めて起動し直してください / "
                "the software on the disk is newer than what runs: stop and start callcore out of hours"
            )
        try:
            configuration = load(self._settings.centres, self._settings.prompts)
            toolchain = AsteriskToolchain.load(self._settings.toolchain_file)
            pbx = pbx_settings(self._settings, secrets(configuration), toolchain)
            files = render(configuration, pbx)
        except CentreFileErrors as errors:
            raise Refused("\n".join((*errors.texts("ja"), *errors.texts("en")))) from None
        except (PbxError, RenderError, PermissionError) as error:
            raise Refused(str(error)) from None
        stale = loaded.stale(pbx.run_dir, files, unknown=LIVE)
        return Draft(configuration, pbx, files, tuple(stale))

    # -- apply ------------------------------------------------------------------------------------------------

    async def _apply(self, request: Mapping[str, Any], person: Person) -> dict[str, Any]:
        """Bring in the version that was planned, whole or not at all. Raises Refused; then all is as it was."""
        async with self._turn:
            environment = self._environment(request)
            if environment:
                raise Refused(
                    "次の環境変数は、動いたままでは変えられません。callcore と同じ環境変数で実行するか、時間外に止めて"
                    "起動し直してください / these cannot be changed while callcore runs: use its own environment, or "
                    "stop and start it out of hours: " + ", ".join(change.name for change in environment)
                )
            draft = await asyncio.to_thread(self._draft, self._secrets)
            if draft.configuration.version != request.get("version"):
                raise Refused(
                    "確認のあとでファイルが変わりました。もう一度実行してください / "
                    "the files have changed since they were shown: do it again"
                )
            self._must_fit(draft.configuration)
            told = self._told(draft, [])
            await self._bring_in(draft, person.id)
            told["hours_pushed"] = await self._renew(draft.configuration)
            log.info("configuration applied", version=draft.configuration.version, files=draft.stale)
            return told

    def _secrets(self, configuration: Configuration) -> Secrets:
        return load_secrets(self._settings, phone_ids(configuration))

    def _must_fit(self, configuration: Configuration) -> None:
        """Refuses what would leave somebody without a place."""
        floor = self._loop.floor
        if not floor.linked:
            raise Refused(
                "Asterisk に接続していないため反映できません。つながってからもう一度実行してください / "
                "there is no link to Asterisk: do it again when there is"
            )
        problems = in_the_way(floor, configuration)
        if problems:
            raise Refused("\n".join(problems))

    async def _bring_in(self, draft: Draft, by: str) -> None:
        todo = [name for name in LIVE if name in {_file_of(name) for name in draft.stale}]
        etc, run = draft.pbx.etc_dir, draft.pbx.run_dir
        before = loaded.noted(run) or loaded.of_folder(etc)
        try:
            new = await asyncio.to_thread(stage, draft.configuration, draft.files, draft.pbx)
            exchange(etc, new)  # from here on the old folder stands in the new one's place
        except OSError as error:
            raise Refused(
                f"{etc} に書けません。ディスクの空きと権限を確認してください / "
                f"{etc} cannot be written: see to space and permissions ({error})"
            ) from None
        done: list[str] = []
        try:
            for name in todo:
                done.append(name)
                await self._reload(name)
            if draft.configuration.version != self._version:
                kept = draft.configuration.without_callers()
                told = i.ConfigurationChanged(at=self._now(), configuration=kept, by=by)
                await self._loop.ask(told)
            self.running = draft.configuration
        except (self._failure, RuntimeError) as error:
            exchange(etc, new)
            unmended = await self._read_again(done)
            loaded.note(run, {name: digest for name, digest in before.items() if name not in unmended})
            raise Refused(
                f"Asterisk が受け付けなかったため、元に戻しました / Asterisk did not take it, all is as before: {error}"
                + (f" ({', '.join(unmended)}: callcore apply)" if unmended else "")
            ) from None
        finally:
            shutil.rmtree(new, ignore_errors=True)
        wanted = loaded.digests(draft.files)
        loaded.note(run, {**before, **{name: wanted[name] for name in todo}})

    async def _read_again(self, names: list[str]) -> list[str]:
        """Have Asterisk read the old files; the names of those that it did not."""
        failed = []
        for name in names:
            try:
                await self._reload(name)
            except self._failure as error:
                log.error("the old file was not read again", file=name, why=str(error))
                failed.append(name)
        return failed

    @property
    def _version(self) -> str | None:
        running = self._loop.floor.configuration
        return running.version if running is not None else None


def _file_of(name: str) -> str:
    """The file that a digest is of; the transport is no file of its own, and not read again."""
    return "" if name == loaded.TRANSPORT else name


def spoken(settings: Settings) -> dict[str, str]:
    """The settings by name, as text; the database's without what may hold a password."""
    return {
        name: str(getattr(settings, name)) for name in type(settings).model_fields if name != "database_url"
    }


def in_the_way(floor: Floor, configuration: Configuration) -> list[str]:
    """Who would be left without a place by this configuration, in words; nobody is the only good answer."""
    phones = set(phone_ids(configuration))
    centres = {centre.id for centre in configuration.centres}
    queues = {queue.id for centre in configuration.centres for queue in centre.queues}
    numbers = {number.digits for centre in configuration.centres for number in centre.numbers}
    found = [
        f"電話機 {agent.phone} はオペレーター {agent.id} が使用中です。受付を終了してから消してください / "
        f"the phone {agent.phone} is in use by agent {agent.id}: take it out after signing out"
        for agent in sorted(floor.agents.values(), key=lambda each: each.id)
        if agent.phone is not None and agent.phone not in phones
    ]
    calls = floor.calls.values()
    found += [
        f"センター {centre} には通話があります。終わってから消してください / "
        f"the centre {centre} has open calls: take it out when they have ended"
        for centre in sorted({call.centre for call in calls} - centres)
    ]
    found += [
        f"待ち行列 {queue} の通話は番号も消えて行き先がなくなります。先に番号だけを消してください / "
        f"callers of the queue {queue} would have no place, for their number goes too: take out the number first"
        for queue in sorted({call.queue for call in calls if call.number not in numbers} - queues)
    ]
    return found


def in_force(settings: Settings, running: Configuration | None) -> Configuration:
    """What an engine that starts decides by: the files, unless Asterisk runs on what the journal has last.

    So an engine that is started again in the middle of somebody's editing goes on as before: files count from a
    start of everything or from `callcore apply` on. Raises CentreFileErrors when there is nothing to go on with.
    """
    etc = settings.asterisk / "etc"
    runs, rendered = loaded.noted(settings.run), rendered_version(etc)
    if runs is not None and runs != loaded.of_folder(etc):
        log.warning("Asterisk runs on older files than stand in its folder: callcore plan, callcore apply")
    kept = running if running is not None and running.version == rendered else None
    try:
        found = load(settings.centres, settings.prompts)
    except CentreFileErrors as errors:
        if kept is None:
            raise
        log.error("the centre files are wrong; the configuration in force stays", problems=errors.texts("en"))
        return kept
    if kept is not None and found.version != kept.version:
        log.warning(
            "centre files differ from what is in force (lists of callers are not in force until then): "
            "callcore plan, callcore apply"
        )
        return kept
    return found
