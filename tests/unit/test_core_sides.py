"""Calls that agents make, and 連絡用番号: what the core makes of them, without Asterisk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain import sides
from callcore.domain.board import AgentWord, agent_word
from callcore.domain.centre import Outgoing
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, ChannelId, PhoneId
from callcore.domain.shifts import Doing, Roster
from callcore.domain.stages import Device, OfferStage, Party, SideKind, SideOutcome, Work
from callcore.journal import Codec, Frame, KeyStore
from callcore.runtime.known import KnownCallers
from tests.support.floors import NODE, NUMBER, Desk, centre, configuration

OFFICE = "0975346111"


def desk(acw_s: int = 20) -> Desk:
    files = configuration(replace(centre(2), outgoing=Outgoing(NUMBER, acw_s=acw_s)))
    made = Desk().begin(files)
    made.sign_in(1, 1)
    return made


def dial(
    made: Desk,
    s: float,
    *,
    kind: SideKind = SideKind.OUTGOING,
    other: str = OFFICE,
    refused: bool = False,
    why: str = "landline",
) -> CallId:
    made.device(s, 1, Device.BUSY)
    made.tell(
        i.SideCallTold(
            at=made.at(s),
            node=NODE,
            call=CallId(f"o{s:g}"),
            centre=CentreId("demo"),
            kind=kind,
            phone=PhoneId("demo-p1"),
            number=NUMBER,
            other=other,
            why=why,
            refused=refused,
        )
    )
    return CallId(f"o{s:g}")


def reach(made: Desk, s: float, call: CallId) -> ChannelId:
    leg = ChannelId(f"{call}-carrier")
    made.tell(i.SideDialBegan(at=made.at(s - 1), call=call, channel=leg, phone=None))
    for channel in (leg, ChannelId(call)):
        made.tell(i.BridgeEntered(at=made.at(s), bridge="b", channel=channel))
    return leg


def gone(made: Desk, s: float, channel: str, sent: float | None = None, before: float | None = 0) -> None:
    """`sent`: seconds of sound that came in on the channel, `before`: of them until the call was connected."""
    told, early = (None if each is None else round(each * SECOND) for each in (sent, before))
    made.tell(i.ChannelGone(at=made.at(s), channel=ChannelId(channel), cause=16, received=told, before=early))


def end(
    made: Desk, s: float, call: CallId, by: ChannelId, own: float | None = None, far: float | None = None
) -> None:
    """`own`, `far`: as `sent`."""
    made.tell(i.HangupRequested(at=made.at(s), channel=by))
    gone(made, s, f"{call}-carrier", far)
    made.tell(i.SideReturned(at=made.at(s), call=call, outcome=SideOutcome.CONNECTED))
    gone(made, s, call, own)
    made.device(s, 1, Device.FREE)


def agent_of(made: Desk) -> Work:
    return made.floor.agents[AgentId("1001")].work


def outgoing(made: Desk) -> sides.SideFigures:
    return sides.figures(made.books.sides.values(), sides.OUTGOING)


def test_who_calls_out_gets_no_offer_and_wraps_up_as_the_centre_says() -> None:
    made = desk(acw_s=20)
    call = dial(made, 10)
    floor = made.floor
    assert agent_word(floor, floor.agents[AgentId("1001")], CentreId("demo")) is AgentWord.CALLING_OUT
    made.wait(12, "c1")
    reach(made, 15, call)
    end(made, 45, call, ChannelId(call))
    assert agent_of(made) is Work.WRAPPING_UP
    assert not made.told(f.OfferMade)
    made.tell(i.TimerFired(at=made.at(65), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    assert [x.at for x in made.told(f.OfferMade)] == [made.at(65)]
    [ended] = made.told(f.SideCallEnded)
    assert isinstance(ended, f.SideCallEnded)
    assert (ended.outcome, ended.hung_up_by) == (SideOutcome.CONNECTED, Party.AGENT)
    assert (outgoing(made).made, outgoing(made).connected, outgoing(made).talk_s) == (1, 1, 30.0)
    # Of the arrivals' books it is no part.
    assert made.figures(made.at(65)).arrived == 1


def test_a_call_back_out_of_after_call_work_ends_that_work_and_begins_another() -> None:
    made = desk()
    made.wait(5, "c1")
    made.pick_up(8)
    made.hang_up(20)
    assert agent_of(made) is Work.WRAPPING_UP
    call = dial(made, 25)
    assert agent_of(made) is Work.CALLING_OUT
    # The timer of the former after-call work finds nothing to end.
    made.tell(i.TimerFired(at=made.at(50), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    assert agent_of(made) is Work.CALLING_OUT
    reach(made, 30, call)
    end(made, 60, call, ChannelId(f"{call}-carrier"))
    assert agent_of(made) is Work.WRAPPING_UP
    [ended] = made.told(f.SideCallEnded)
    assert isinstance(ended, f.SideCallEnded)
    assert ended.hung_up_by is Party.CALLED


@pytest.mark.parametrize(
    ("told", "counted"),
    [
        (SideOutcome.BUSY, "busy"),
        (SideOutcome.NO_ANSWER, "no_answer"),
        (SideOutcome.REFUSED, "refused"),
        (SideOutcome.FAILED, "failed"),
    ],
)
def test_each_outcome_is_counted_once_and_their_sum_is_what_was_made(told: SideOutcome, counted: str) -> None:
    made = desk()
    call = dial(made, 10)
    made.tell(i.SideReturned(at=made.at(30), call=call, outcome=told))
    made.tell(i.ChannelGone(at=made.at(31), channel=ChannelId(call), cause=17))
    found = outgoing(made)
    assert getattr(found, counted) == 1
    assert found.made == found.connected + found.busy + found.no_answer + found.refused + found.failed == 1
    assert not made.told(f.EmergencyNotCarried)
    assert call not in made.floor.unfiled


def test_an_agent_who_puts_down_before_the_answer_did_not_reach_anybody() -> None:
    made = desk()
    call = dial(made, 10)
    made.tell(i.HangupRequested(at=made.at(14), channel=ChannelId(call)))
    made.tell(i.ChannelGone(at=made.at(14), channel=ChannelId(call), cause=16))
    [ended] = made.told(f.SideCallEnded)
    assert isinstance(ended, f.SideCallEnded)
    assert (ended.outcome, ended.hung_up_by) == (SideOutcome.NO_ANSWER, Party.AGENT)


def test_a_number_that_the_list_refuses_costs_the_agent_no_after_call_work() -> None:
    made = desk()
    made.wait(5, "c1")
    made.pick_up(8)
    made.hang_up(20)
    before = made.floor.agents[AgentId("1001")].wrap_up_until
    dial(made, 25, refused=True)
    assert agent_of(made) is Work.WRAPPING_UP
    assert made.floor.agents[AgentId("1001")].wrap_up_until == before
    assert outgoing(made).refused == 1


def test_an_emergency_call_that_reaches_nobody_is_an_alarm_and_one_that_does_is_none() -> None:
    made = desk()
    call = dial(made, 10, kind=SideKind.EMERGENCY, other="119")
    made.tell(i.SideReturned(at=made.at(11), call=call, outcome=SideOutcome.FAILED))
    [alarm] = made.told(f.EmergencyNotCarried)
    assert isinstance(alarm, f.EmergencyNotCarried)
    assert (alarm.digits, alarm.phone) == ("119", PhoneId("demo-p1"))
    assert [x for x in made.effects if isinstance(x, e.Alarm)]
    assert made.books.sides[call].not_carried == "119"
    made.device(40, 1, Device.FREE)
    reached = dial(made, 60, kind=SideKind.EMERGENCY, other="110")
    reach(made, 62, reached)
    end(made, 90, reached, ChannelId(reached))
    assert len(made.told(f.EmergencyNotCarried)) == 1


def test_an_offer_that_rings_goes_to_another_agent_when_this_one_calls_out() -> None:
    made = desk()
    made.wait(5, "c1")
    made.ring(6)
    made.sign_in(7, 2)
    dial(made, 8)
    [failed] = made.told(f.OfferFailed)
    assert isinstance(failed, f.OfferFailed)
    assert failed.result is OfferStage.BUSY
    assert [x for x in made.effects if isinstance(x, e.WithdrawOffer)]
    assert made.phone_of() == PhoneId("demo-p2")
    assert agent_of(made) is Work.CALLING_OUT


def test_a_consult_beside_a_talk_leaves_the_talk_the_agents_work() -> None:
    made = desk()
    made.wait(5, "c1")
    leg = made.pick_up(8)
    call = dial(made, 20)
    assert agent_of(made) is Work.TALKING
    reach(made, 25, call)
    made.hang_up(40, by=leg)
    end(made, 50, call, ChannelId(call))
    assert agent_of(made) is Work.WRAPPING_UP
    assert outgoing(made).connected == 1
    assert made.outcomes() == {"c1": "completed"}


def test_the_agents_seconds_of_calling_out_are_neither_talk_nor_ready_nor_after_call_work() -> None:
    made = desk(acw_s=20)
    call = dial(made, 10)
    reach(made, 15, call)
    end(made, 45, call, ChannelId(call))
    made.tell(i.TimerFired(at=made.at(65), timer=i.Timer(i.TimerKind.WRAP_UP, "1001")))
    from callcore.domain.evolve import evolve
    from callcore.domain.floor import Floor

    roster, floor = Roster(), Floor()
    for fact in made.facts:
        after = evolve(floor, fact)
        roster.after(floor, fact, after)
        floor = after
    lengths = dict.fromkeys(Doing, 0)
    for stretch in roster.stretches(made.at(70)):
        lengths[stretch.doing] += stretch.before - stretch.first
    assert lengths[Doing.OUTGOING] == made.at(65) - made.at(10)
    assert lengths[Doing.ACW] == lengths[Doing.TALKING] == 0


def test_a_call_to_the_contact_number_is_no_arrival_and_takes_no_agent() -> None:
    made = desk()
    made.tell(
        i.SideCallTold(
            at=made.at(10),
            node=NODE,
            call=CallId("k1"),
            centre=CentreId("demo"),
            kind=SideKind.CONTACT,
            phone=None,
            number="0975105160",
            other="0975346111",
            why="contact",
        )
    )
    leg = ChannelId("k1-phone")
    made.tell(i.SideDialBegan(at=made.at(11), call=CallId("k1"), channel=leg, phone=PhoneId("demo-p1")))
    for channel in (leg, ChannelId("k1")):
        made.tell(i.BridgeEntered(at=made.at(14), bridge="b", channel=channel))
    made.tell(i.HangupRequested(at=made.at(30), channel=ChannelId("k1")))
    made.tell(i.ChannelGone(at=made.at(30), channel=ChannelId("k1"), cause=16))
    [begun] = made.told(f.SideCallConnected)
    assert isinstance(begun, f.SideCallConnected)
    assert (begun.phone, begun.agent) == (PhoneId("demo-p1"), AgentId("1001"))
    assert agent_of(made) is Work.IDLE
    assert made.figures(made.at(30)).arrived == 0
    assert sides.figures(made.books.sides.values(), sides.CONTACT).connected == 1
    assert outgoing(made).made == 0


def test_late_and_doubled_events_change_nothing() -> None:
    made = desk()
    call = dial(made, 10)
    reach(made, 15, call)
    end(made, 45, call, ChannelId(call))
    before = len(made.facts)
    dialled = made.tell(
        i.SideCallTold(
            at=made.at(46),
            node=NODE,
            call=call,
            centre=CentreId("demo"),
            kind=SideKind.OUTGOING,
            phone=PhoneId("demo-p1"),
            number=NUMBER,
            other=OFFICE,
            why="landline",
        )
    )
    assert dialled.disregarded is not None
    end(made, 47, call, ChannelId(call))
    assert len(made.facts) == before


def test_an_answer_is_kept_for_the_next_call_of_that_number_and_shown_with_its_date() -> None:
    made = desk()
    call = dial(made, 10)
    made.tell(i.SideReturned(at=made.at(40), call=call, outcome=SideOutcome.NO_ANSWER))
    asked = made.tell(i.AnswerAsked(at=made.at(60), call=call, text="本人確認書類は窓口でお預かりします。"))
    assert asked.disregarded is None
    made.tell(
        i.ChannelArrived(
            at=made.at(90),
            node=NODE,
            channel=ChannelId("c9"),
            name="PJSIP/trunk-c9",
            number=NUMBER,
            caller=OFFICE,
            again=True,
            answer=call,
        )
    )
    [note] = [x for x in made.effects if isinstance(x, e.ShowNote)]
    assert (note.note, note.roman) == ("回答あり11/23 再入電", "answer 11/23 again")
    arrived = made.told(f.CallArrived)[0]
    assert isinstance(arrived, f.CallArrived)
    assert (arrived.again, arrived.answer) == (True, call)


def test_an_answer_goes_when_a_call_reaches_the_number_when_it_is_dropped_and_when_it_is_too_old() -> None:
    made = desk()
    answers = []
    for n, s in enumerate((10, 110, 210)):
        call = dial(made, s, other=OFFICE if n == 0 else f"097534600{n}")
        made.tell(i.SideReturned(at=made.at(s + 20), call=call, outcome=SideOutcome.NO_ANSWER))
        made.tell(i.AnswerAsked(at=made.at(s + 30), call=call, text="はい"))
        answers.append(call)
    assert set(made.floor.answers) == set(answers)
    reached = dial(made, 400)
    reach(made, 410, reached)
    end(made, 430, reached, ChannelId(reached))
    assert set(made.floor.answers) == set(answers[1:])
    made.tell(i.AnswerDropAsked(at=made.at(440), call=answers[1], reason="伝えた"))
    assert set(made.floor.answers) == {answers[2]}
    later = 15 * 86_400
    call = dial(made, later)
    made.tell(i.SideReturned(at=made.at(later + 20), call=call, outcome=SideOutcome.NO_ANSWER))
    made.tell(i.AnswerAsked(at=made.at(later + 30), call=call, text="はい"))
    assert set(made.floor.answers) == {call}
    # Written anew, and by its own timer gone; each time what the text was sealed under is destroyed, and no more.
    made.tell(i.AnswerAsked(at=made.at(later + 40), call=call, text="いいえ"))
    assert made.floor.answers[call].text.text == "いいえ"
    over = i.Timer(i.TimerKind.ANSWER, call)
    assert dict(made.floor.deadlines())[over] == made.floor.answers[call].until
    made.tell(i.TimerFired(at=made.floor.answers[call].until, timer=over))
    assert not made.floor.answers
    destroyed = [x.sealed for x in made.effects if isinstance(x, e.DestroyKey)]
    texts = [x.text.call for x in made.facts if isinstance(x, f.AnswerPrepared)]
    assert sorted(destroyed) == sorted(texts) and not {*destroyed} & {x.id for x in made.floor.sides.values()}
    assert all("/answer/" in name for name in destroyed)


@pytest.mark.parametrize("outcome", [SideOutcome.CONNECTED, SideOutcome.REFUSED])
def test_no_answer_is_put_on_a_call_that_reached_somebody_or_was_never_made(outcome: SideOutcome) -> None:
    made = desk()
    call = dial(made, 10, refused=outcome is SideOutcome.REFUSED)
    if outcome is SideOutcome.CONNECTED:
        reach(made, 15, call)
        end(made, 30, call, ChannelId(call))
    for name in (call, CallId("nobody")):
        assert made.tell(i.AnswerAsked(at=made.at(60), call=name, text="はい")).disregarded is not None
    assert not made.floor.answers


def test_who_calls_again_within_a_day_is_known_by_the_fingerprint_also_over_a_months_end_and_a_restart() -> (
    None
):
    def fingerprint(centre: CentreId, at: int, text: str) -> str:
        return f"{centre}/{at // (30 * 86_400_000_000)}/{text}"

    made = desk()
    known = KnownCallers(fingerprint)
    hour = 3600
    at = made.at
    assert known.arrived(made.floor, NUMBER, OFFICE, at(0)) == (False, None)
    assert known.arrived(made.floor, NUMBER, OFFICE, at(23 * hour)) == (True, None)
    assert known.arrived(made.floor, NUMBER, None, at(23 * hour)) == (False, None)
    assert known.arrived(made.floor, NUMBER, OFFICE, at(48 * hour)) == (False, None)
    made.arrive(49 * hour, "c1", caller="0312345678")
    anew = KnownCallers(fingerprint)
    anew.remember(made.floor)
    assert anew.arrived(made.floor, NUMBER, "0312345678", at(50 * hour)) == (True, None)


def test_what_an_answer_was_sealed_under_is_destroyed_alone_and_the_journal_has_its_text_no_more(
    tmp_path: Path,
) -> None:
    made = desk()
    call = dial(made, 10)
    made.tell(i.SideReturned(at=made.at(40), call=call, outcome=SideOutcome.NO_ANSWER))
    made.tell(i.AnswerAsked(at=made.at(60), call=call, text="本人確認書類は窓口でお預かりします。"))
    made.tell(i.AnswerDropAsked(at=made.at(90), call=call, reason="伝えた"))
    [destroyed] = [x for x in made.effects if isinstance(x, e.DestroyKey)]
    with KeyStore.open(tmp_path / "journal", tmp_path / "keys", write=True) as keys:
        codec = Codec(f.KINDS, {}, keys)
        payload = codec.encode(Frame(1, 1, made.at(90), tuple(made.told(f.AnswerPrepared))))
        assert keys.destroy_call(destroyed.sealed)
        [prepared] = codec.decode(payload).facts
    assert isinstance(prepared, f.AnswerPrepared)
    assert prepared.text.text is None and prepared.number.text == OFFICE
