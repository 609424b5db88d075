"""What registers, held against its line of the inventory; and the journal, figures and report of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration, Phone
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.ids import CentreId, Instant, PhoneId
from callcore.domain.measures import Books
from callcore.domain.phones import REFUSALS, WORDS, Policy
from callcore.domain.step import step
from callcore.phones import MAKERS
from callcore.phones.policy import Contact, judge, printable, seal
from tests.support.centre import small_centre

DESK = "Yealink SIP-T46U 108.86.0.20 00005e005301"
LINE = Phone(
    PhoneId("oita-p1"),
    "A-1",
    "SIP-T46U",
    "00:00:5e:00:53:01",
    maker="yealink",
    networks=("192.0.2.0/24",),
    transport="tls",
    certificate=True,
)
GOOD = Contact("oita-p1;@1", "sip:oita-p1@192.0.2.7:40000;transport=TLS", DESK, True)


def verdict(line: Phone = LINE, *contacts: Contact, certificate: bool | None = None) -> Policy:
    return judge(line, contacts, certificate_seen=certificate).policy


def test_the_phone_of_the_inventory_is_let_in() -> None:
    assert verdict(LINE, GOOD) is Policy.MATCHED
    assert verdict(LINE, GOOD, certificate=True) is Policy.MATCHED
    assert verdict(LINE) is Policy.ABSENT


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"uri": "sip:oita-p1@192.0.2.7:5060"}, Policy.TRANSPORT),
        ({"uri": "sip:oita-p1@198.51.100.7:40000;transport=TLS"}, Policy.ADDRESS),
        ({"uri": "sip:oita-p1@[2001:db8::7]:40000;transport=TLS"}, Policy.ADDRESS),
        ({"uri": "sip:oita-p1@phone.example:40000;transport=TLS"}, Policy.ADDRESS),
        ({"uri": "rubbish"}, Policy.TRANSPORT),
        ({"user_agent": "MicroSIP/3.21.3"}, Policy.MAKER),
        ({"user_agent": ""}, Policy.MAKER),
        ({"user_agent": f"x {DESK}"}, Policy.MAKER),
        ({"user_agent": f"{DESK} x"}, Policy.MAKER),
        ({"user_agent": DESK.replace("T46U", "T46S")}, Policy.MODEL),
        ({"user_agent": DESK.replace("5301", "5302")}, Policy.MAC),
        ({"user_agent": "Yealink SIP-T46U 108.86.0.20"}, Policy.MAC),
        ({"answers": None}, Policy.UNANSWERED),
        ({"answers": False}, Policy.UNANSWERED),
    ],
)
def test_what_differs_from_the_inventory_is_refused_with_its_reason(
    change: dict[str, object], reason: Policy
) -> None:
    assert verdict(LINE, replace(GOOD, **change)) is reason  # type: ignore[arg-type]


def test_two_contacts_are_refused_and_a_model_with_a_certificate_must_have_shown_it() -> None:
    assert verdict(LINE, GOOD, replace(GOOD, id="oita-p1;@2")) is Policy.CONTACTS
    assert verdict(LINE, GOOD, certificate=False) is Policy.CERTIFICATE
    assert verdict(replace(LINE, certificate=False), GOOD, certificate=False) is Policy.MATCHED, (
        "it is waived"
    )
    panasonic = replace(LINE, maker="panasonic", model="KX-HDV230", certificate=False)
    named = replace(GOOD, user_agent="Panasonic_KX-HDV230N/05.016 (00005e005301)")
    assert verdict(panasonic, named, certificate=False) is Policy.MATCHED, "this model has no certificate"


def test_a_line_from_before_there_was_an_inventory_lets_nobody_in() -> None:
    old = Phone(PhoneId("oita-p1"), "A-1", "KX-HDV230")
    assert verdict(replace(old, transport="udp", networks=("192.0.2.0/24",)), GOOD) is Policy.MAKER
    assert verdict(old, GOOD) is Policy.ADDRESS


def test_a_phone_of_another_maker_begins_its_user_agent_as_the_line_says() -> None:
    line = replace(LINE, maker="generic", model="DT900", user_agent="NEC-DT900")
    assert verdict(line, replace(GOOD, user_agent="NEC-DT900/1.2")) is Policy.MATCHED
    assert verdict(line, replace(GOOD, user_agent="a NEC-DT900/1.2")) is Policy.MAKER
    assert verdict(replace(line, user_agent=None), GOOD) is Policy.MAKER
    assert verdict(replace(line, user_agent=""), GOOD) is Policy.MAKER


def test_a_simulated_phone_passes_on_loopback_only_whatever_its_line_says() -> None:
    line = replace(LINE, maker="simulated", transport="udp", networks=("0.0.0.0/0",))
    mine = Contact("x", "sip:x@127.0.0.5:5060", "callcore-simulated-phone/1", True)
    assert verdict(line, mine) is Policy.MATCHED
    assert verdict(line, replace(mine, user_agent="baresip v1.1.0 (x86_64/linux)")) is Policy.MATCHED
    assert verdict(line, replace(mine, uri="sip:x@192.0.2.7:5060")) is Policy.MAKER


def test_a_verdict_is_sealed_for_one_contact_and_what_it_calls_itself() -> None:
    assert seal(GOOD) != seal(replace(GOOD, id="oita-p1;@2")) != seal(replace(GOOD, user_agent="x"))
    assert printable("a\x1bb" + "c" * 200) == "a.b" + "c" * 117


def test_every_maker_says_who_it_is_and_every_reason_has_words() -> None:
    assert {maker.id for maker in MAKERS.values()} == set(MAKERS)
    assert set(WORDS) == set(Policy)
    assert Policy.MATCHED not in REFUSALS and Policy.ABSENT not in REFUSALS


# -- the core ------------------------------------------------------------------------------------------------


def floor_of(configuration: Configuration) -> Floor:
    return evolve(Floor(), f.Configured(at=Instant(1), configuration=configuration))


def judged(policy: Policy, at: int = 2, **more: str) -> i.PhoneJudged:
    return i.PhoneJudged(at=Instant(at), phone=PhoneId("oita-p1"), policy=policy, **more)


def test_each_verdict_is_a_fact_once_and_the_floor_shows_the_present_one() -> None:
    floor = floor_of(small_centre())
    books = Books()
    told: list[str] = []
    for given in (
        judged(Policy.ABSENT),
        judged(Policy.MAKER, user_agent="SIPp", address="192.0.2.9"),
        judged(Policy.MAKER, user_agent="SIPp", address="192.0.2.9"),
        judged(Policy.ABSENT, 3),
        judged(Policy.MATCHED, 4, user_agent=DESK, address="192.0.2.7", contact="a"),
        judged(Policy.MATCHED, 5, user_agent=DESK, address="192.0.2.7", contact="a"),
        i.PhoneTurnedAway(
            at=Instant(6), phone=PhoneId("oita-p1"), reason=Policy.UNREGISTERED, address="192.0.2.9"
        ),
        i.PhoneTurnedAway(
            at=Instant(7), phone=PhoneId("nobody"), reason=Policy.UNREGISTERED, address="192.0.2.9"
        ),
    ):
        done = step(floor, given)
        floor = done.floor
        for fact in done.facts:
            books = books.after(fact)
        told += [type(fact).__name__ for fact in done.facts]
    assert told == ["PhoneRefused", "PhoneLeft", "PhoneMatched", "PhoneAttemptRefused"]
    state = floor.registered[PhoneId("oita-p1")]
    assert (state.policy, state.user_agent, state.contact) == (Policy.MATCHED, DESK, "a")
    oita = CentreId("oita")
    assert books.refused(oita, Instant(0), Instant(10)) == 2
    assert books.refused(oita, Instant(3), Instant(10)) == books.since(Instant(3)).refused(
        oita, Instant(0), Instant(10)
    )
    assert books.refused(CentreId("beppu"), Instant(0), Instant(10)) == 0
    assert floor.problems() == []


def test_a_phone_that_is_taken_out_of_the_file_is_forgotten_and_a_step_of_the_clock_moves_the_rest() -> None:
    floor = floor_of(small_centre())
    floor = step(floor, judged(Policy.MATCHED, user_agent=DESK, address="192.0.2.7")).floor
    moved = evolve(floor, f.ClockStepped(at=Instant(100), by=50))
    assert moved.registered[PhoneId("oita-p1")].since == 52
    fewer = evolve(floor, f.Configured(at=Instant(9), configuration=Configuration("none", ())))
    assert not fewer.registered
