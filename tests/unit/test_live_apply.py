"""An operator applies: all of it or nothing, and who would be left without a place is named."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from callcore.access.rights import system_person
from callcore.centres import CentreFileErrors, load
from callcore.demo.centre import DemoCentre
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain.centre import Configuration, ListedCaller
from callcore.domain.ids import Instant
from callcore.installation import pbx_settings, phone_ids
from callcore.live.apply import Configurator, in_force, in_the_way
from callcore.pbx import loaded
from callcore.pbx.process import AsteriskToolchain
from callcore.pbx.render import write
from callcore.runtime.commands import Refused
from callcore.runtime.loop import Loop
from callcore.runtime.ports import Seq
from callcore.settings import Settings, load_secrets, owner_only
from tests.support.centre import small_centre
from tests.support.floors import Desk

QUEUE = '\n[[queues]]\nid = "second"\nname = "二次"\n'
AGENT = '\n[[agents]]\nid = "1009"\nname = "オペレーター09"\n'
PHONE = '\n[[phones]]\nid = "p9"\nseat = "A-9"\nmaker = "simulated"\nmodel = "baresip"\n'

BY = system_person("test")


class NoSuchModule(Exception):
    """What the link raises when Asterisk says no."""


@dataclass
class Paper:
    """A pen that keeps what was written."""

    facts: list[f.Fact] = field(default_factory=list)

    def write(self, at: Instant, facts: tuple[f.Fact, ...]) -> Seq:
        self.facts.extend(facts)
        return Seq(1, len(self.facts))


@dataclass
class Office:
    """An installation whose engine is at work, with an Asterisk that only says what it was told to read."""

    settings: Settings
    loop: Loop
    paper: Paper
    read: list[str] = field(default_factory=list)
    pushed: list[str] = field(default_factory=list)
    refuses: str = ""

    async def reload(self, file: str) -> None:
        self.read.append(file)
        if file == self.refuses:
            raise NoSuchModule("no such module")

    async def renew(self, configuration: Configuration) -> bool:
        self.pushed.append(configuration.version)
        return True

    @property
    def file(self) -> Path:
        return self.settings.centres / "demo.toml"

    def edit(self, old: str, new: str, more: str = "") -> None:
        self.file.write_text(self.file.read_text("utf-8").replace(old, new, 1) + more, encoding="utf-8")

    def folder(self) -> dict[str, bytes]:
        etc = self.settings.asterisk / "etc"
        return {path.name: path.read_bytes() for path in etc.iterdir()}

    def running(self) -> Configuration:
        assert self.loop.floor.configuration is not None
        return self.loop.floor.configuration

    def configurator(self) -> Configurator:
        return Configurator(
            self.settings,
            self.loop,
            self.running(),
            reload=self.reload,
            renew=self.renew,
            failure=NoSuchModule,
            now=lambda: Instant(self.loop.floor.at + 1),
        )

    async def apply(self) -> dict[str, object]:
        """Plan, and apply what was planned."""
        commands = self.configurator().commands
        planned = await commands["plan"].handler({}, BY)
        return await commands["apply"].handler({"version": planned["version"]}, BY)  # type: ignore[no-any-return]


def toolchain(folder: Path) -> Path:
    path = folder / "toolchain.json"
    found = {
        "argv": ["/usr/sbin/asterisk"],
        "version": "22.0.0",
        "source": "test",
        "modules_dir": "/usr/lib/asterisk/modules",
        "data_dir": "/usr/share/asterisk",
    }
    path.write_text(json.dumps({"asterisk": found}), encoding="utf-8")
    return path


@asynccontextmanager
async def office(home: Path) -> AsyncIterator[Office]:
    (home / "centres").mkdir()
    (home / "centres" / "demo.toml").write_text(DemoCentre(agents=2).toml(), encoding="utf-8")
    settings = Settings(home=home, centres=home / "centres", toolchain=toolchain(home), sip_host="127.0.0.1")
    configuration = load(settings.centres, settings.prompts)
    pbx = pbx_settings(
        settings,
        load_secrets(settings, phone_ids(configuration)),
        AsteriskToolchain.load(settings.toolchain_file),
    )
    write(configuration, pbx)
    owner_only(settings.run)
    loaded.note(settings.run, loaded.of_folder(pbx.etc_dir))
    desk = Desk().begin(configuration)
    desk.sign_in(1, 1)

    async def perform(effect: e.Effect) -> None:
        return None

    paper = Paper()
    loop = Loop(desk.floor, paper, perform, lambda: desk.floor.at)
    running = asyncio.create_task(loop.run())
    try:
        yield Office(settings, loop, paper)
    finally:
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running


async def test_only_the_files_that_changed_are_read_again_in_the_order_in_which_they_need_each_other(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as o:
        o.edit("ring_s = 15", "ring_s = 20")
        await o.apply()
        assert o.read == ["queues.conf"]
        o.edit("", "", QUEUE + AGENT + PHONE)
        await o.apply()
        assert o.read == ["queues.conf", "pjsip.conf", "queues.conf", "extensions.conf"]
        assert [q.id for q in o.running().centres[0].queues] == ["demo-general", "demo-second"]
        assert o.pushed[-1] == o.running().version
        o.edit('name = "オペレーター09"', 'name = "オペレーター09"\nskills = { en = 1 }')
        await o.apply()
        assert len(o.read) == 4
        assert o.loop.floor.agents["1009"].skills == (("en", 1),)  # type: ignore[index]
        assert "demo-p9" in (o.settings.home / "secrets.json").read_text()
        assert not (o.settings.asterisk / "etc.new").exists()


async def test_a_plan_writes_nothing_not_even_a_new_phones_password(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        before, secrets = o.folder(), (tmp_path / "secrets.json").read_bytes()
        o.edit("", "", PHONE)
        told = await o.configurator().commands["plan"].handler({}, BY)
        assert [change["name"] for change in told["changes"]] == ["p9"]
        assert o.folder() == before
        assert (tmp_path / "secrets.json").read_bytes() == secrets
        assert o.read == []


async def test_what_asterisk_does_not_take_is_put_back_whole(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        before, version, noted = o.folder(), o.running().version, loaded.noted(o.settings.run)
        o.edit("ring_s = 15", "ring_s = 20", QUEUE + AGENT + PHONE)
        o.refuses = "extensions.conf"
        with pytest.raises(Refused, match="元に戻しました"):
            await o.apply()
        assert o.read == ["pjsip.conf", "queues.conf", "extensions.conf"] * 2
        assert o.folder() == before
        assert o.running().version == version
        assert o.paper.facts == []
        assert o.pushed == []
        # The dialplan's second reading failed too, so it is read again with the next one.
        assert noted is not None
        assert loaded.noted(o.settings.run) == {k: v for k, v in noted.items() if k != "extensions.conf"}
        o.refuses = ""
        await o.apply()
        assert o.running().version != version
        assert o.read[-1] == "extensions.conf"


async def test_a_file_that_changed_after_it_was_shown_is_not_applied(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        commands = o.configurator().commands
        o.edit("ring_s = 15", "ring_s = 20")
        planned = await commands["plan"].handler({}, BY)
        o.edit("ring_s = 20", "ring_s = 25")
        with pytest.raises(Refused, match="the files have changed"):
            await commands["apply"].handler({"version": planned["version"]}, BY)
        assert o.running().centres[0].queues[0].ring_s == 15


async def test_without_a_link_to_asterisk_nothing_is_applied(tmp_path: Path) -> None:
    async with office(tmp_path) as o:
        o.loop.floor = replace(o.loop.floor, linked=False, blind_since=o.loop.floor.at)
        o.edit("ring_s = 15", "ring_s = 20")
        with pytest.raises(Refused, match="no link to Asterisk"):
            await o.apply()
        assert o.read == []


def test_a_phone_in_use_a_centre_with_calls_and_callers_without_a_number_are_in_the_way() -> None:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    configuration = desk.floor.configuration
    assert configuration is not None
    (centre,) = configuration.centres
    desk.wait(2, "c1")
    assert in_the_way(desk.floor, configuration) == []
    fewer = replace(centre, phones=centre.phones[1:])
    (phone,) = in_the_way(desk.floor, Configuration("v", (fewer,)))
    assert "demo-p1" in phone and "1001" in phone
    other = replace(centre.queues[0], id=centre.queues[0].id + "-x")  # type: ignore[arg-type]
    moved = replace(centre, queues=(other,), numbers=(replace(centre.numbers[0], queue=other.id),))
    assert in_the_way(desk.floor, Configuration("v", (moved,))) == []
    (caller,) = in_the_way(desk.floor, Configuration("v", (replace(moved, numbers=()),)))
    assert "demo-general" in caller
    gone = in_the_way(desk.floor, Configuration("v", ()))
    assert any("センター demo" in text for text in gone)


async def test_an_engine_that_starts_in_the_middle_of_an_editing_goes_on_with_what_is_in_force(
    tmp_path: Path,
) -> None:
    async with office(tmp_path) as o:
        was = o.running()
        assert in_force(o.settings, None) == was
        o.edit("ring_s = 15", "ring_s = 20")
        assert in_force(o.settings, was) == was
        o.edit("ring_s = 20", "rings_s = 20")
        assert in_force(o.settings, was) == was
        with pytest.raises(CentreFileErrors):
            in_force(o.settings, None)
        o.edit("rings_s = 20", "ring_s = 20")
        now = load(o.settings.centres, o.settings.prompts)
        pbx = pbx_settings(
            o.settings,
            load_secrets(o.settings, phone_ids(now)),
            AsteriskToolchain.load(o.settings.toolchain_file),
        )
        write(now, pbx)  # what a start of everything does
        assert in_force(o.settings, was) == now


def test_a_list_of_callers_stays_in_the_files_and_never_comes_to_the_journal() -> None:
    listed = ListedCaller("0312345678", 1, "本庁")
    known = Configuration(
        "v", (replace(small_centre().centres[0], callers=(listed,), test_numbers=("0399999999",)),)
    )
    number = known.centres[0].numbers[0].digits
    assert known.listed(number, "0312345678") == listed
    assert known.listed(number, None) is None and known.listed("0", "0312345678") is None
    assert known.tests(number, "0399999999")
    assert not any(
        known.tests(*call) for call in ((number, None), (number, "0312345678"), ("0", "0399999999"))
    )
    assert not re.search("0312345678|0399999999", repr(known.without_callers()))
