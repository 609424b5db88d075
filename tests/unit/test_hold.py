"""A caller on hold for too long: who is warned, when, and by what."""

from __future__ import annotations

from dataclasses import replace

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import Hold, Outgoing
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId
from callcore.domain.lamps import HOLD, Lamp, of_phone
from callcore.domain.stages import Device
from tests.support.floors import NUMBER, Desk, centre, configuration
from tests.unit.test_core_sides import dial, reach

TIMER = i.Timer(i.TimerKind.HOLD, "c1")


def desk(warn_after_s: int = 60) -> tuple[Desk, ChannelId]:
    """A talk, and the phone's leg."""
    files = configuration(replace(centre(2), hold=Hold(warn_after_s=warn_after_s), outgoing=Outgoing(NUMBER)))
    made = Desk().begin(files)
    made.sign_in(1, 1)
    made.wait(5, "c1")
    return made, made.pick_up(8)


def hold(made: Desk, s: float, leg: ChannelId, held: bool = True) -> None:
    made.tell(i.HoldChanged(at=made.at(s), channel=leg, held=held))


def fires(made: Desk, s: float) -> None:
    made.tell(i.TimerFired(at=made.at(s), timer=TIMER))


def lamp(made: Desk) -> Lamp:
    agent = made.floor.agents[AgentId("1001")]
    call = made.floor.calls.get(agent.call) if agent.call is not None else None
    [home] = made.floor.centres.values()
    return dict(of_phone(home, agent, call))[HOLD]


def armed(floor: Floor) -> list[int]:
    return [due for timer, due in floor.deadlines() if timer == TIMER]


def test_a_long_hold_is_told_once_by_the_lamp_until_the_citizen_is_back() -> None:
    made, leg = desk()
    assert lamp(made) is Lamp.OFF
    hold(made, 20, leg)
    assert (lamp(made), armed(made.floor)) == (Lamp.STEADY, [made.at(80)])
    assert e.SetTimer(TIMER, made.at(80)) in made.effects
    fires(made, 79)
    assert made.told(f.HoldOverran) == []
    fires(made, 80)
    fires(made, 81)
    assert [fact.at for fact in made.told(f.HoldOverran)] == [made.at(80)]
    assert (lamp(made), armed(made.floor)) == (Lamp.FLASHING, [])
    hold(made, 90, leg, held=False)
    assert lamp(made) is Lamp.OFF
    # Each hold by itself: 40 s more are none too many.
    hold(made, 100, leg)
    fires(made, 140)
    hold(made, 141, leg, held=False)
    fires(made, 160)
    assert len(made.told(f.HoldOverran)) == 1


@pytest.mark.parametrize("way", ["caller gone", "agent gone", "leg lost"])
def test_a_hold_that_ended_with_the_talk_warns_nobody(way: str) -> None:
    made, leg = desk()
    hold(made, 20, leg)
    if way == "leg lost":
        bridge = made.floor.calls[CallId("c1")].bridge
        assert bridge is not None
        made.tell(i.BridgeLeft(at=made.at(30), bridge=bridge, channel=leg))
    else:
        made.hang_up(30, by=leg if way == "agent gone" else None)
    assert armed(made.floor) == []
    fires(made, 80)
    assert made.told(f.HoldOverran) == []
    assert lamp(made) is Lamp.OFF


def test_a_centre_may_want_no_warning() -> None:
    made, leg = desk(warn_after_s=0)
    hold(made, 20, leg)
    assert armed(made.floor) == []
    fires(made, 4000)
    assert made.told(f.HoldOverran) == []


def test_in_a_consult_the_agent_hears_a_tone_on_the_leg_that_is_not_on_hold() -> None:
    made, leg = desk()
    hold(made, 20, leg)
    consult = dial(made, 25)
    fires(made, 80)
    assert not [x for x in made.effects if isinstance(x, e.WarnOfHold)], "nobody can be heard there yet"
    hold(made, 81, leg, held=False)
    hold(made, 82, leg)
    reach(made, 85, consult)
    fires(made, 142)
    assert [x for x in made.effects if isinstance(x, e.WarnOfHold)] == [e.WarnOfHold(ChannelId(consult))]


def test_the_clock_that_is_set_back_makes_no_hold_longer() -> None:
    made, leg = desk()
    hold(made, 20, leg)
    made.tell(i.ClockJumped(at=made.at(30 - 3600), by=-3600 * SECOND))
    assert armed(made.floor) == [made.at(80 - 3600)]


def test_hold_is_told_of_calls_that_ended_and_were_held() -> None:
    made, _ = desk()
    for n, lengths in enumerate(((10, 20), (), (50,), (5,)), start=1):
        call, at = f"c{n}", 1000.0 * n
        if n > 1:
            made.wait(at, call)
            made.pick_up(at, call)
        leg = made.floor.calls[CallId(call)].talking_leg
        assert leg is not None
        for k, length in enumerate(lengths):
            hold(made, at + 100 * (k + 1), leg)
            hold(made, at + 100 * (k + 1) + length, leg, held=False)
        if n < 4:  # the last one still talks
            made.hang_up(at + 500, call, by=leg)
            made.tell(i.TimerFired(at=made.at(at + 600), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
            made.device(at + 600, 1, Device.FREE)
    told = made.figures(made.at(5000))
    assert (told.held, told.hold_median_s, told.hold_p90_s, told.hold_max_s) == (2, 30.0, 50.0, 50.0)
    nothing = Desk().figures(made.at(0))
    assert (nothing.held, nothing.hold_median_s, nothing.hold_p90_s, nothing.hold_max_s) == (
        0,
        None,
        None,
        None,
    )
