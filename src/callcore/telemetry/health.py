"""Checks behind `/readyz`. Each answers at once, never raises, and says what to do in Japanese and English."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

from callcore.runtime.ports import Health, HealthCheck, LiveSource

WELL = "正常 / well"


def engine_check(live: LiveSource) -> HealthCheck:
    """Whether the engine shows signs of life."""

    async def engine() -> Health:
        stale = live.stale_s()
        if stale is None:
            return Health("engine", True, WELL)
        return Health(
            "engine",
            False,
            f"エンジンから {stale:.0f} 秒応答がない。記録を確かめてください。待ち呼は非常時分配で応答されます。 / "
            f"no sign of life from the engine for {stale:.0f} s. Look at its log; the safety net serves callers.",
        )

    return engine


def link_check(live: LiveSource) -> HealthCheck:
    """Whether the engine is logged in to Asterisk and decides."""

    async def asterisk() -> Health:
        if live.view().floor.linked:
            return Health("asterisk", True, WELL)
        return Health(
            "asterisk",
            False,
            "Asterisk に接続していない。Asterisk が動いているか、AMI の設定と暗証が合うかを確かめてください。 / "
            "not linked to Asterisk. See whether it runs, and whether the AMI user and secret agree.",
        )

    return asterisk


def written_check(name: str, stuck_s: Callable[[], float], otherwise: HealthCheck) -> HealthCheck:
    """Whether the engine can write its journal; then what `otherwise` says.

    `stuck_s`: seconds since which it cannot, 0 while it can.
    """

    async def written() -> Health:
        stuck = stuck_s()
        if not stuck:
            return await otherwise()
        return Health(
            name,
            False,
            f"{stuck:.0f} 秒前からジャーナルに書けず、判断を止めている。ディスクの空きを確かめてください。"
            "待ち呼は非常時分配で応答され、空きができれば自動で再開します。 / "
            f"the journal cannot be written for {stuck:.0f} s, so nothing is decided. See whether the disk is full; "
            "the safety net serves callers, and it goes on by itself when there is room.",
        )

    return written


def space_check(name: str, folder: Path, least_bytes: int) -> HealthCheck:
    """Whether a folder is there and its disk has at least so many bytes free."""

    async def space() -> Health:
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
        except OSError as error:
            return Health(
                name,
                False,
                f"{folder} を使えない({error.strerror})。権限と設定を確かめてください。 / "
                f"{folder} cannot be used ({error.strerror}). See to its rights and the settings.",
            )
        if free >= least_bytes:
            return Health(name, True, WELL)
        return Health(
            name,
            False,
            f"{folder} の空きが {free // 2**20} MiB しかない。古いファイルを移してください。 / "
            f"only {free // 2**20} MiB free in {folder}. Move old files away.",
        )

    return space
