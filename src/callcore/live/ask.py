"""The person's side of `callcore plan` and `callcore apply`."""

from __future__ import annotations

from typing import Any

from callcore.live.apply import spoken
from callcore.live.changes import Change, Language
from callcore.runtime.commands import CommandClient
from callcore.settings import Settings

DIFFERS = 3
"""The status of `callcore plan` when something differs. (2 is the shell's own for a wrong option.)"""
TIMEOUT_S = 120.0
"""Forty days of opening hours for each centre are pushed one by one."""


async def ask(settings: Settings, command: str, **fields: Any) -> dict[str, Any]:
    """Ask the engine, telling it the environment of this command. Raises CommandFailed with what is wrong."""
    client = CommandClient(settings.engine_socket, timeout_s=TIMEOUT_S)
    try:
        answer = await client.ask(command, settings=spoken(settings), **fields)
    finally:
        await client.close()
    assert isinstance(answer, dict)
    return answer


def lines(answer: dict[str, Any], language: Language) -> list[str]:
    """What differs, a line each."""
    return [
        Change(**{**change, "files": tuple(change["files"])}).text(language) for change in answer["changes"]
    ]
