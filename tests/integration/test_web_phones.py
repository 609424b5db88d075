"""A phone fetches its file from the real server: over TLS, once for each token, and whoever guesses learns nothing."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx
import pytest

from callcore import sipcert
from callcore.access.trail import Result, Trail, TrailUnwritable, Wanted
from callcore.certificate import Certificate
from callcore.domain.centre import Configuration, Phone
from callcore.domain.ids import PhoneId
from callcore.domain.inputs import PhoneJudged
from callcore.domain.phones import Policy
from callcore.phonefiles import Shelf, TokenFile
from callcore.settings import Settings, load_secrets
from callcore.web import show
from tests.support.certificates import Made, make
from tests.support.floors import Desk, centre, configuration
from tests.support.web import DeskSource, Served, served

MAC, FILE = "00:00:5e:00:53:01", "00005e005301.cfg"
URL = "https://127.0.0.1:8730/phones"


def line(n: int, **more: object) -> Phone:
    made = Phone(
        PhoneId(f"demo-p{n}"),
        f"A-{n}",
        "SIP-T46U",
        f"00:00:5e:00:53:{n:02x}",
        maker="yealink",
        networks=("127.0.0.0/8",),
    )
    return replace(made, **more)  # type: ignore[arg-type]


@dataclass
class Shop:
    served: Served
    shelf: Shelf
    settings: Settings
    source: DeskSource
    made: Made

    def token(self, phone: str = "demo-p1") -> str:
        return TokenFile(self.settings.phone_tokens).begin(PhoneId(phone), self.source.now())

    async def get(self, path: str, **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(verify=self.made.trusting()) as client:
            return await client.get(f"{self.served.url}/phones/{path}", headers=headers)

    def lines(self, result: Result) -> list[tuple[str, str | None, str | None, str]]:
        found = self.served.trail.newest(Wanted(action="phone_file", result=result), 100)
        return [(x.who, x.on, x.centre, x.why or "") for x in found]


@asynccontextmanager
async def shop(folder: Path, *lines: Phone, tls: bool = True) -> AsyncIterator[Shop]:
    settings = Settings(home=folder / "home", phones_url=URL, sip_host="127.0.0.1")
    phones = lines or (line(1), line(2, networks=("192.0.2.0/24",)))
    load_secrets(settings, [phone.id for phone in phones])
    sipcert.ensure(settings.tls, ("127.0.0.1",))
    source = DeskSource(Desk().begin(configuration(replace(centre(2), phones=phones))))
    shelf = Shelf(settings, lambda: Configuration("", tuple(source.view().floor.centres.values())))
    made = make(folder)
    certificate = Certificate(made.certificate, made.key) if tls else None
    async with served(source, phones=shelf, certificate=certificate) as running:
        yield Shop(running, shelf, settings, source, made)


async def test_a_phone_fetches_its_file_and_the_next_one_by_what_stands_in_it(tmp_path: Path) -> None:
    async with shop(tmp_path) as s:
        first = s.token()
        secret = load_secrets(s.settings, ()).phones[PhoneId("demo-p1")]
        answer = await s.get(
            f"{first}/{FILE}", **{"user-agent": "Yealink SIP-T46U 108.86.0.20 00:00:5e:00:53:01"}
        )
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        assert answer.text.startswith("#!version:1.0.0.1") and secret in answer.text
        found = re.search(rf"{URL}/([A-Za-z0-9_-]+)/", answer.text)
        assert found is not None and found[1] != first
        assert (await s.get(f"{found[1]}/{FILE}")).status_code == 200  # without a word of itself
        assert TokenFile(s.settings.phone_tokens).firmware() == {"demo-p1": "108.86.0.20"}
        used = await s.get(f"{first}/{FILE}")
        assert (used.status_code, used.content) == (404, b"")
        assert [x[:3] for x in s.lines(Result.DONE)] == [("phone:demo-p1", "demo-p1", "demo")] * 2
        [refused] = s.lines(Result.REFUSED)
        assert refused[:3] == ("anonymous", "demo-p1", "demo") and refused[3].startswith("token ×1: ")
        kept = "".join(path.read_text() for path in s.served.trail._folder.glob("*.jsonl"))
        assert not any(word in kept for word in (first, found[1], secret)), (
            "no token and no secret is written down"
        )


async def test_whatever_is_guessed_gets_the_same_answer_is_counted_and_is_in_the_trail(
    tmp_path: Path,
) -> None:
    async with shop(tmp_path) as s:
        token, others = s.token(), s.token("demo-p2")
        guesses = {
            f"{token}/00005e005399.cfg": "file",
            "00005e005301.cfg": "token",
            f"{'x' * 24}/{FILE}": "token",
            f"{token}/00005e005302.cfg": "token",
            f"{others}/00005e005302.cfg": "network",
            f"{token}/y000000000108.cfg": "file",
            f"{token}/../../secrets.json": "file",
            f"{token}/%2e%2e%2fsecrets.json": "file",
            "": "file",
        }
        answers = [await s.get(path) for path in guesses]
        assert {(a.status_code, a.content) for a in answers if "phones" in a.request.url.path} == {(404, b"")}
        assert s.shelf.refused["network"] == 1 and s.shelf.refused["token"] == 3
        assert s.shelf.refused["file"] >= 3
        told = s.lines(Result.REFUSED)
        assert {why.split(" ")[0] for _, _, _, why in told} == {"file", "token", "network"}
        assert ("anonymous", "00005e005399.cfg", None) in [x[:3] for x in told], "a guessed MAC"
        for n in range(50):
            await s.get(f"{token}/00005e0054{n:02x}.cfg")
        assert len(s.lines(Result.REFUSED)) == len(told), "one who guesses on and on fills no trail"
        assert s.shelf.refused["file"] >= 53
        assert (await s.get(f"{token}/{FILE}")).status_code == 200, "the phone itself is not kept out by it"


async def test_the_certificate_that_phones_trust_is_for_anyone(tmp_path: Path) -> None:
    async with shop(tmp_path) as s:
        answer = await s.get("ca.pem")
        assert answer.content == (s.settings.tls / sipcert.CA).read_bytes()
        assert b"PRIVATE" not in answer.content


async def test_nothing_is_given_away_in_clear_text(tmp_path: Path) -> None:
    async with shop(tmp_path, tls=False) as s:
        token = s.token()
        for path in (f"{token}/{FILE}", "ca.pem"):
            answer = await s.get(path)
            assert (answer.status_code, answer.content) == (404, b"")
        assert s.shelf.refused["clear_text"] == 2


async def test_where_the_trail_cannot_be_written_no_file_is_given_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with shop(tmp_path) as s:
        token = s.token()

        def full(_: Trail) -> None:
            raise TrailUnwritable("no space")

        monkeypatch.setattr(Trail, "check", full)
        assert (await s.get(f"{token}/{FILE}")).status_code == 404
        monkeypatch.undo()
        assert (await s.get(f"{token}/{FILE}")).status_code == 200, "and it has used nothing up"


async def test_tokens_that_cannot_be_read_give_nothing_away_and_no_path_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with shop(tmp_path) as s:
        token = s.token()
        s.settings.phone_tokens.write_text("{")
        answer = await s.get(f"{token}/{FILE}")
        assert (answer.status_code, answer.content) == (404, b"")
        assert "phone-tokens.json" in caplog.text and token not in caplog.text


async def test_without_a_url_for_phones_there_is_no_such_door(tmp_path: Path) -> None:
    async with served(DeskSource(Desk().begin())) as server, httpx.AsyncClient() as client:
        assert not [route for route in server.app.routes if "/phones" in getattr(route, "path", "")]
        assert (await client.get(f"{server.url}/phones/ca.pem")).status_code == 404


def test_the_name_under_which_phones_come_is_served() -> None:
    settings = Settings(phones_url="https://pbx.example:8730/phones")
    assert "pbx.example" in settings.web_hosts


def test_a_phone_that_is_refused_is_an_alarm_on_the_board_until_it_has_gone_and_is_counted_all_day() -> None:
    desk = Desk().begin()
    phone = PhoneId("demo-p1")
    seen = []
    for n, policy in enumerate((Policy.MATCHED, Policy.MAC, Policy.ABSENT), 1):
        desk.tell(PhoneJudged(at=desk.at(n), phone=phone, policy=policy, user_agent="x", address="192.0.2.7"))
        [told] = show.live(DeskSource(desk).view(), desk.at(10), None).centres
        seen.append((told.policy_rejections, [(p.phone, p.seat, p.reason) for p in told.phones_refused]))
    assert seen == [(0, []), (1, [(phone, "A-1", Policy.MAC)]), (1, [])]
