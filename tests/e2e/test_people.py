"""People act on a running installation: what they ask on the page reaches desk phones, the journal and the trail."""

from __future__ import annotations

import httpx

from callcore.access.rights import Role
from callcore.access.trail import Result, Wanted
from callcore.demo.centre import CENTRE, DemoCentre
from callcore.domain import facts as f
from callcore.installation import accounts_of, trail_of
from tests.support.people import PASSWORD, first_administrator, read_page, user
from tests.support.station import Station, station, until

AGENT = "1001"


async def signed_in(s: Station, name: str) -> httpx.AsyncClient:
    """A browser in which that user has signed in."""
    client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{s.settings.web_port}", timeout=20)
    answer = await client.post("/sign-in", data={"user": name, "password": PASSWORD})
    assert answer.status_code == 303, answer.text
    found = accounts_of(s.settings).session(client.cookies["callcore-session"])
    assert found is not None
    client.headers["x-csrf-token"] = found[0].csrf
    return client


async def pause(client: httpx.AsyncClient, reason: str) -> httpx.Response:
    return await client.post(f"/api/v1/agents/{AGENT}/pause", json={"reason": reason})


async def test_a_supervisor_pauses_a_ringing_agent_from_the_page_and_everything_names_the_supervisor() -> (
    None
):
    async with station(DemoCentre(agents=1, acw_s=0)) as s:
        s.start("sidecar")
        accounts = accounts_of(s.settings)
        first_administrator(accounts)
        user(accounts, "sato", Role.SUPERVISOR, (CENTRE,))
        user(accounts, "stranger", Role.SUPERVISOR, ("elsewhere",))
        user(accounts, "ope", Role.OPERATOR, (CENTRE,), AGENT)
        [desk] = await s.staff(1)

        await until(lambda: "オペレーター01" in _page(s), 40, "the sidecar shows the agent")
        sato, stranger, ope = [await signed_in(s, name) for name in ("sato", "stranger", "ope")]
        caller = await s.caller()
        await s.dial_in(caller)
        await desk.incoming(20)

        assert (await pause(stranger, "研修")).status_code == 403
        done = await pause(sato, "研修")
        assert (done.status_code, done.json()) == (200, {"done": True})
        await until(lambda: s.told(f.AgentPaused), what="the fact")
        [fact] = s.told(f.AgentPaused)
        assert (fact.agent, fact.reason, fact.by) == (AGENT, "研修", "user:sato")
        assert (await pause(sato, "研修")).status_code == 409, "paused for that already"

        # The operator ends it; the caller, who has kept the place, rings again.
        ready = await ope.post(f"/api/v1/agents/{AGENT}/ready")
        assert ready.status_code == 200
        await desk.incoming(20)
        [resumed] = s.told(f.AgentResumed)
        assert resumed.by == "user:ope"

        # The engine judges again: the page's copy of the rights is not what counts.
        accounts.disable("sato")
        assert (await pause(sato, "会議")).status_code in (401, 403)
        lines = trail_of(s.settings).newest(Wanted(text=AGENT), 20)
        assert [(line.who, line.action, line.result) for line in reversed(lines)] == [
            ("user:stranger", f"POST /api/v1/agents/{AGENT}/pause", Result.REFUSED),
            ("user:sato", "agent_pause", Result.DONE),
            ("user:sato", "agent_pause", Result.FAILED),
            ("user:ope", "agent_ready", Result.DONE),
        ]
        assert trail_of(s.settings).verify().faults == ()
        for client in (sato, stranger, ope):
            await client.aclose()


async def test_without_the_engine_the_page_says_so_and_nobody_is_told_that_it_was_done() -> None:
    async with station(DemoCentre(agents=1)) as s:
        s.start("sidecar")
        accounts = accounts_of(s.settings)
        first_administrator(accounts)
        user(accounts, "sato", Role.SUPERVISOR, (CENTRE,))
        await s.staff(1)
        await until(lambda: "オペレーター01" in _page(s), 40, "the sidecar shows the agent")
        sato = await signed_in(s, "sato")
        s.kill("engine")
        answer = await pause(sato, "研修")
        await sato.aclose()
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:callcore:problem:engine-away")


def _page(s: Station) -> str:
    try:
        return read_page(s.settings, "/api/v1/live")[1]
    except OSError:
        return ""
