"""The table of rights: what each role may do, and that nothing is left without a right."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from callcore.access.people import Token, User
from callcore.access.rights import (
    NOBODY,
    ROLES,
    SCOPES,
    SIDECAR_PERSON,
    Person,
    Reach,
    Right,
    Role,
    Scope,
    system_person,
)
from callcore.cli import app
from callcore.domain.ids import AgentId, CentreId
from callcore.runtime.commands import Command, CommandClient, CommandDenied, CommandFailed, CommandServer

OITA, AGEO = CentreId("oita"), CentreId("ageo")


def of(role: Role, *centres: str, agent: str | None = None) -> Person:
    return User(id="x", name="x", role=role, centres=centres, agent=agent).person


def test_each_role_reaches_as_far_as_the_table_in_the_head_of_the_file_says() -> None:
    """The table that people read is held against the one that decides."""
    from callcore.access import rights

    text = rights.__doc__ or ""
    names = {
        "document": Right.READ_DOCUMENT,
        "own account": Right.OWN_ACCOUNT,
        "live board": Right.READ_LIVE,
        "single calls": Right.READ_CALLS,
        "agents' states": Right.READ_AGENTS,
        "personal values": Right.READ_PERSONAL,
        "act on agents": Right.ACT_AGENTS,
        "emergency": Right.EMERGENCY,
        "block callers": Right.BLOCK_CALLERS,
        "watch": Right.WATCH,
        "supervise": Right.SUPERVISE,
        "listen": Right.LISTEN,
        "download": Right.DOWNLOAD,
        "erase": Right.ERASE,
        "audit trail": Right.READ_TRAIL,
        "configuration": Right.CONFIGURE,
        "operation": Right.READ_OPERATION,
        "users": Right.MANAGE_USERS,
    }
    seen = set()
    for row in text.splitlines():
        for name, right in names.items():
            if row.startswith(f"    {name} "):
                cells = row[4 + len(name) :].split()[:4]
                reaches = [ROLES[role].get(right) for role in Role]
                assert cells == ["–" if reach is None else reach.value for reach in reaches], name
                seen.add(right)
    assert seen == set(names.values())
    assert {right for table in ROLES.values() for right in table} == seen


def test_nothing_of_another_centre_is_seen_or_moved() -> None:
    supervisor, viewer = of(Role.SUPERVISOR, "oita"), of(Role.VIEWER, "oita")
    for right, reach in ROLES[Role.SUPERVISOR].items():
        if reach is Reach.CENTRES:
            assert supervisor.may(right, OITA)
            assert not supervisor.may(right, AGEO)
    assert viewer.among(Right.READ_LIVE, [OITA, AGEO]) == (OITA,)
    assert of(Role.ADMINISTRATOR, "*").among(Right.READ_LIVE, [OITA, AGEO]) == (OITA, AGEO)


def test_an_operator_reaches_nobody_but_themselves() -> None:
    operator = of(Role.OPERATOR, "oita", agent="1001")
    assert operator.may(Right.ACT_AGENTS, OITA, AgentId("1001"))
    assert not operator.may(Right.ACT_AGENTS, OITA, AgentId("1002"))
    assert not operator.may(Right.ACT_AGENTS, OITA)
    assert operator.among(Right.READ_AGENTS, [OITA]) == ()
    assert not of(Role.OPERATOR, "oita").may(Right.ACT_AGENTS)


def test_nobody_may_what_is_for_somebody() -> None:
    assert [right for right in Right if NOBODY.may(right)] == [Right.ANYONE]


def test_a_token_has_what_its_scopes_give_and_nothing_else() -> None:
    for scope in Scope:
        token = Token(id="t", scopes=(scope,), centres=("oita",), secret="", made_by="x", made_at=0).person
        assert {right for right in Right if token.may(right)} == {Right.ANYONE, *SCOPES[scope]}
        assert not token.may(Right.READ_LIVE, AGEO)


def commands(of: typer.Typer, path: str = "callcore") -> Iterator[tuple[str, Any]]:
    for command in of.registered_commands:
        assert command.callback is not None
        yield f"{path} {command.name or command.callback.__name__}", command.callback
    for group in of.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, f"{path} {group.name}")


def test_every_command_of_the_shell_names_its_right_and_the_machines_own_account_has_it() -> None:
    found = dict(commands(app))
    assert len(found) >= 30
    for name, callback in found.items():
        right = getattr(callback, "right", None)
        assert isinstance(right, Right), f"{name} names no right"
        assert system_person("root").may(right), name


# -- the engine's ear ------------------------------------------------------------------------------------------

PERSONS = {
    "user:ope": of(Role.OPERATOR, "oita", agent="1001"),
    "user:sup": of(Role.SUPERVISOR, "oita"),
    "user:other": of(Role.SUPERVISOR, "ageo"),
    "user:city": of(Role.VIEWER, "oita"),
    "user:chief": of(Role.ADMINISTRATOR, "*"),
    "system:root": system_person("root"),
    "service:sidecar": SIDECAR_PERSON,
}


def asked(path: Path, command: Command, by: str) -> Any:
    async def run() -> Any:
        server = CommandServer(path / "engine.sock", {"it": command}, PERSONS.get)
        await server.start()
        client = CommandClient(path / "engine.sock", by=by)
        try:
            return await client.ask("it")
        finally:
            await client.close()
            await server.close()

    return asyncio.run(run())


@pytest.mark.parametrize("right", [Right.ACT_AGENTS, Right.CONFIGURE, Right.SERVICE, Right.READ_OPERATION])
def test_the_engine_judges_the_right_again(tmp_path: Path, right: Right) -> None:
    done: list[str] = []

    async def handler(_: Any, person: Person) -> str:
        done.append(person.id)
        return person.id

    command = Command(right, handler, lambda _: (OITA, AgentId("1001")))
    may = {
        Right.ACT_AGENTS: {"user:ope", "user:sup", "user:chief", "system:root"},
        Right.CONFIGURE: {"user:chief", "system:root"},
        Right.SERVICE: {"service:sidecar"},
        Right.READ_OPERATION: {"user:chief", "system:root", "service:sidecar"},
    }[right]
    for name in (*PERSONS, "user:nobody", "anonymous", "", "user:"):
        before = len(done)
        if name in may:
            asked(tmp_path, command, name)
            assert len(done) == before + 1
        elif name:
            with pytest.raises(CommandDenied):
                asked(tmp_path, command, name)
            assert len(done) == before


def test_who_claims_to_be_the_command_itself_is_not_believed(tmp_path: Path) -> None:
    async def handler(_: Any, person: Person) -> str:
        return person.id

    async def run() -> None:
        server = CommandServer(tmp_path / "s", {"it": Command(Right.CONFIGURE, handler)}, PERSONS.get)
        await server.start()
        client = CommandClient(tmp_path / "s", by="user:city")
        with pytest.raises(CommandDenied):
            await client.ask("it", command_by="user:chief")
        with pytest.raises(CommandFailed):
            await client.ask("nothing", by="user:chief")
        await client.close()
        await server.close()

    asyncio.run(run())
