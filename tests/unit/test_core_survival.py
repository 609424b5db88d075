"""What the core makes of a dying Asterisk and of a clock that was set: streams seen on a real one."""

from __future__ import annotations

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.ids import SECOND, ChannelId
from callcore.domain.stages import OfferStage, Outcome, Party
from tests.support.floors import NODE, Desk, centre, configuration


def test_call_that_went_with_asterisk_ended_when_the_link_was_last_watched_not_with_the_last_fact() -> None:
    """`kill -9` of Asterisk two seconds after the last thing that happened; CEL has no end."""
    desk = Desk().begin()
    desk.sign_in(1, 1)
    call = desk.wait(2)
    desk.pick_up(5)
    desk.tell(i.LinkDropped(at=desk.at(9), node=NODE))
    desk.snapshot(20)
    (ended,) = [x for x in desk.facts if isinstance(x, f.CallEnded)]
    assert (ended.call, ended.at, ended.outcome) == (call, desk.at(9), Outcome.CUT_OFF)


def test_talk_that_an_orderly_stop_of_asterisk_ended_is_cut_off_and_not_completed() -> None:
    """Seen at `core stop now`: both leave the bridge, then the arriving channel ends; nobody asked for it."""
    desk = Desk().begin()
    desk.sign_in(1, 1)
    call = desk.wait(2)
    leg = desk.pick_up(5)
    for channel in (ChannelId(call), leg):
        desk.tell(i.BridgeLeft(at=desk.at(9), bridge=f"b-{leg}", channel=channel))
    desk.tell(i.ChannelGone(at=desk.at(9), channel=ChannelId(call), cause=16))
    desk.tell(i.ChannelGone(at=desk.at(9), channel=leg, cause=16))
    (ended,) = [x for x in desk.facts if isinstance(x, f.CallEnded)]
    assert (ended.outcome, ended.hung_up_by) == (Outcome.CUT_OFF, Party.SYSTEM)


def test_ring_beyond_its_bound_is_taken_from_the_phone() -> None:
    """The clock was set back an hour while it rang: `Dial` counts by it, and would ring for as long."""
    desk = Desk().begin(configuration(centre(1, ring_s=15)))
    desk.sign_in(1, 1)
    desk.wait(2)
    leg = desk.ring(3)
    offer = desk.open_offer()
    hour = -3600 * SECOND
    desk.tell(i.ClockJumped(at=desk.at(5 - 3600), by=hour))
    assert desk.floor.offers[offer].made_at == desk.at(2 - 3600)
    overdue = desk.floor.offers[offer].overdue_at
    desk.tell(i.TimerFired(at=overdue, timer=i.Timer(i.TimerKind.OFFER, offer)))
    assert e.WithdrawOffer(offer, leg) in desk.effects
    (failed,) = [x for x in desk.facts if isinstance(x, f.OfferFailed)]
    assert failed.result is OfferStage.WITHDRAWN
