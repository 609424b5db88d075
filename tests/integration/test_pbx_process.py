"""Asterisk's process: up, ended, stuck, and not able to start."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from callcore.pbx.process import AsteriskProcess, AsteriskToolchain, PbxError
from callcore.pbx.render import PbxSettings, write
from tests.support.asterisk import running_asterisk, settings_for, toolchain
from tests.support.centre import make_sounds, small_centre


@pytest.fixture
def written(tmp_path: Path) -> Iterator[PbxSettings]:
    """Settings with everything rendered; nothing runs yet."""
    folder = Path(tempfile.mkdtemp(prefix="cc-"))
    prompts, music = make_sounds(tmp_path)
    settings = settings_for(small_centre(), folder, prompts=prompts, music=music)
    write(small_centre(), settings)
    yield settings
    shutil.rmtree(folder)


def process(settings: PbxSettings, found: AsteriskToolchain | None = None) -> AsteriskProcess:
    return AsteriskProcess(found or toolchain(), settings.etc_dir, settings.run_dir, settings.log_dir)


async def test_it_starts_answers_and_stops_cleanly(written: PbxSettings) -> None:
    asterisk = process(written)
    await asterisk.start()
    try:
        assert "Asterisk" in await asterisk.command("core show version")
        assert asterisk.pid is not None
        # Its own group: Ctrl-C at the operator's terminal is not for it.
        assert os.getpgid(asterisk.pid) == asterisk.pid
    finally:
        assert list(await asterisk.stop()) == []
    assert asterisk.returncode == 0
    assert list(await asterisk.stop()) == []


async def test_several_run_side_by_side(tmp_path: Path) -> None:
    prompts, music = make_sounds(tmp_path)
    async with (
        running_asterisk(small_centre(), prompts, music) as one,
        running_asterisk(small_centre(), prompts, music) as two,
    ):
        assert one.process.pid != two.process.pid
        assert one.ami != two.ami


async def test_a_stuck_one_is_killed_and_the_stages_are_named(written: PbxSettings) -> None:
    asterisk = process(written)
    await asterisk.start()
    assert asterisk.pid is not None
    os.kill(asterisk.pid, signal.SIGSTOP)
    assert list(await asterisk.stop(deadline_s=0.5)) == ["core stop now", "SIGTERM"]
    assert asterisk.returncode == -signal.SIGKILL


async def test_after_a_kill_the_left_over_socket_does_not_deceive_the_next_start(
    written: PbxSettings,
) -> None:
    asterisk = process(written)
    await asterisk.start()
    assert asterisk.pid is not None
    os.kill(asterisk.pid, signal.SIGKILL)
    assert await asterisk.wait() == -signal.SIGKILL
    again = process(written)
    await again.start()
    try:
        assert "Asterisk" in await again.command("core show version")
    finally:
        await again.stop()


async def test_a_missing_module_stops_the_start_with_its_name(written: PbxSettings) -> None:
    modules = written.etc_dir / "modules.conf"
    modules.write_text(modules.read_text().replace("app_waitforcond.so", "app_no_such_thing.so"))
    asterisk = process(written)
    with pytest.raises(PbxError, match="app_no_such_thing"):
        await asterisk.start()
    assert asterisk.pid is None


async def test_what_cannot_start_at_all_says_so(written: PbxSettings) -> None:
    broken = replace(toolchain(), argv=("/bin/false",))
    with pytest.raises(PbxError, match="終了"):
        await process(written, broken).start()


async def test_what_never_comes_up_is_ended_at_the_deadline(written: PbxSettings) -> None:
    # A program that stays, whatever it is told.
    patient = replace(toolchain(), argv=("/bin/sh", "-c", "exec sleep 60"))
    asterisk = process(written, patient)
    async with asyncio.timeout(20):
        with pytest.raises(PbxError, match="was not up"):
            await asterisk.start(deadline_s=0.3)
    assert asterisk.pid is None


@pytest.mark.parametrize("content", [None, "", "{}", '{"asterisk": {"argv": []}}', '{"asterisk": null}'])
def test_a_broken_description_of_the_toolchain_says_what_to_do(tmp_path: Path, content: str | None) -> None:
    file = tmp_path / "toolchain.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(PbxError, match="scripts/run"):
        AsteriskToolchain.load(file)
