"""A language that a number chose before is not asked for again, callcore alive or dead: by what the caller hears."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain.blocked import hashed
from callcore.domain.ids import CentreId
from callcore.domain.stages import Choice
from callcore.runtime import dialplan
from tests.integration.test_dialplan_menus import (
    MENUS,
    NEVER,
    chosen,
    heard,
    hears,
    make_prompts,
    menu_centre,
    nobody_left,
)
from tests.support.floor import Floor, running_floor

SECRET = "0123456789abcdef"
CALLER = "09012345678"


def centre(*, night: bool = False) -> object:
    """The language menu is a choice of languages; out of hours it leads on to another one."""
    configuration = menu_centre(NEVER) if night else menu_centre()
    oita, beppu = configuration.centres
    keys = tuple(
        replace(key, choice=Choice.MENU, to="oita-night") if night else key for key in MENUS[0].keys[:2]
    )
    first = replace(MENUS[0], languages=True, keys=keys)
    oita = replace(oita, menus=(first, *MENUS[1:]), closed_menu=first.id)
    return replace(configuration, centres=(oita, beppu))


async def known(floor: Floor, value: str, *, number: str = CALLER, secret: str = SECRET) -> None:
    key = f"oita/{hashed(SECRET, CentreId('oita'), number)}"
    await floor.ami.action("Setvar", Variable=dialplan.SECRET, Value=secret)
    answer = await floor.ami.action("DBPut", Family=dialplan.LANGUAGES, Key=key, Val=value)
    assert answer[0]["Response"] == "Success", answer


def later(seconds: int = 3600) -> int:
    return int(time.time()) + seconds


async def test_a_known_number_is_not_asked_and_hears_the_next_menu_in_its_language(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre(), phones=0) as floor:  # type: ignore[arg-type]
        make_prompts(tmp_path)  # no heart beats: callcore is dead
        await known(floor, f"en~{later()}")
        call, channel = await floor.caller()
        await hears(call, "subject", "en")
        assert heard(call, "language_choice", "ja") is None
        await chosen(floor, channel, "menu")
        [keyed] = [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreMenu"]
        assert keyed["Key"] == "known"
        assert await floor.variable(channel, "CALLCORE_LANGUAGE") == "en"
        call.hang_up()
        await nobody_left(floor)


async def test_out_of_hours_the_announcement_comes_in_the_known_language(tmp_path: Path) -> None:
    async with running_floor(tmp_path, centre(night=True), phones=0) as floor:  # type: ignore[arg-type]
        make_prompts(tmp_path)
        await known(floor, f"en~{later()}")
        call, _ = await floor.caller()
        await hears(call, "closed", "en")
        await hears(call, "lost_card", "en")
        assert heard(call, "language_choice", "ja") is None
        call.hang_up()
        await nobody_left(floor)


@pytest.mark.parametrize(
    ("value", "number", "secret"),
    [
        ("en~{past}", CALLER, SECRET),
        ("en~{later}", "0312345678", SECRET),
        ("en~{later}", CALLER, ""),
        ("fr~{later}", CALLER, SECRET),
        ("en", CALLER, SECRET),
        ("~", CALLER, SECRET),
    ],
    ids=["expired", "another number", "no secret", "a language that went", "no time", "nothing"],
)
async def test_whoever_is_not_known_is_asked(tmp_path: Path, value: str, number: str, secret: str) -> None:
    async with running_floor(tmp_path, centre(), phones=0) as floor:  # type: ignore[arg-type]
        make_prompts(tmp_path)
        await known(floor, value.format(later=later(), past=later(-1)), number=number, secret=secret)
        call, channel = await floor.caller()
        await hears(call, "language_choice", "ja")
        await chosen(floor, channel)
        call.hang_up()
        await nobody_left(floor)
