"""What an agent keys: wrong PINs, reasons to pause and their limits, results, and the keys inside a talk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.board import AgentWord, agent_word
from callcore.domain.centre import Announcement, Recordings
from callcore.domain.ids import AgentId, CallId, CentreId, ChannelId, PhoneId
from callcore.domain.lamps import HELP, Lamp, of_emergency, of_help, of_phone, of_queues
from callcore.domain.measures import endings, figures
from callcore.domain.phones import Policy
from callcore.domain.staff import NOT_YET, PauseReason, Staff
from callcore.domain.stages import (
    Device,
    Mark,
    PauseAs,
    PauseEnd,
    Presence,
    ResultKind,
    SecondSignIn,
    TalkKey,
    Work,
)
from tests.support.acd import Acd, crew, opened, queue, site

ONE, TWO = AgentId("1001"), AgentId("1002")
P1, P2 = PhoneId("demo-p1"), PhoneId("demo-p2")
PLAIN = Recordings()


def desk(agents: int = 2, *, acw_s: int = 20, recordings: Recordings = PLAIN, **staff: Any) -> Acd:
    rules = replace(Staff(), **staff)
    made = site(queue(acw_s=acw_s, acw_most_s=60), staff=crew(agents))
    return opened(replace(made, staff=rules, recordings=recordings))


def keys_pin(d: Acd, s: float, right: bool, *, agent: AgentId = ONE, phone: PhoneId = P1) -> str:
    """The prompt that is the answer."""
    d.until(s)
    d.tell(i.SignInAsked(at=d.at(s), agent=agent, phone=phone, channel="x", verified=right))
    return d.effects[-1].word if isinstance(d.effects[-1], e.Reply) else _said(d)


def _said(d: Acd) -> str:
    return next(x.word for x in reversed(d.effects) if isinstance(x, e.Reply))


def says(d: Acd, told: i.Input) -> str:
    before = len(d.effects)
    d.tell(told)
    return next((x.word for x in d.effects[before:] if isinstance(x, e.Reply)), "")


def pauses(d: Acd, s: float, key: int, phone: PhoneId = P1) -> str:
    d.until(s)
    return says(d, i.PauseAsked(at=d.at(s), reason="離席", key=key, phone=phone, channel="x"))


def result(d: Acd, s: float, key: int, phone: PhoneId = P1) -> str:
    d.until(s)
    return says(d, i.ResultAsked(at=d.at(s), key=key, phone=phone, channel="x"))


def talk(d: Acd, s: float = 1, call: str = "c1", agent: int = 1) -> ChannelId:
    d.calls(s, call)
    return d.answers(s, agent, call)


def presses(d: Acd, s: float, key: TalkKey, leg: ChannelId) -> str:
    d.until(s)
    return says(d, i.TalkKeyed(at=d.at(s), key=key, leg=leg, channel="x"))


def switched(d: Acd, s: float, *, done: bool = True) -> str:
    """Asterisk's answer to the latest wish about a recording."""
    d.until(s)
    wish = next(x for x in reversed(d.effects) if isinstance(x, e.SwitchRecording))
    told = i.RecordingSwitched(
        at=d.at(s),
        call=wish.call,
        paused=wish.paused,
        done=done,
        agent=wish.agent,
        by=wish.by,
        channel=wish.channel,
        why=wish.why,
    )
    return says(d, told)


def lamps(d: Acd, phone: PhoneId = P1) -> dict[str, str]:
    """Those of a phone that burn."""
    name = d.floor.seated.get(phone)
    agent = None if name is None else d.floor.agents[name]
    call = None if agent is None or agent.call is None else d.floor.calls.get(agent.call)
    found = dict(of_phone(d.floor.centres[CentreId("demo")], agent, call))
    return {code: lamp.value for code, lamp in found.items() if lamp is not Lamp.OFF}


# -- signing in ----------------------------------------------------------------------------------------------


def test_too_many_wrong_pins_lock_the_agent_out_and_then_not_even_the_right_one_counts() -> None:
    d = desk(wrong_pins=3, lock_s=60)
    assert [keys_pin(d, s, False) for s in (0, 1, 2)] == ["refused", "refused", "locked"]
    assert [x.tries for x in d.facts if isinstance(x, f.PinRefused)] == [1, 2, 3]
    assert keys_pin(d, 61.9, True) == "locked"
    assert d.told(f.AgentSignedIn) == []
    assert keys_pin(d, 62, True) == "signed-in"
    assert (d.agent(1).wrong_pins, d.agent(1).locked_until) == (0, None)


def test_the_right_pin_forgets_the_wrong_ones_and_another_agent_is_not_touched() -> None:
    d = desk(wrong_pins=2)
    assert keys_pin(d, 0, False) == "refused"
    assert keys_pin(d, 1, True) == "signed-in"
    assert keys_pin(d, 2, False, phone=P2) == "refused"
    assert keys_pin(d, 3, False, phone=P2) == "locked"
    assert d.agent(1).presence is Presence.READY, "who is at work stays so"
    assert keys_pin(d, 4, True, agent=TWO, phone=P2) == "signed-in"


def test_a_lock_outlives_a_restart_and_ends_by_command() -> None:
    d = desk(wrong_pins=1, lock_s=3600)
    keys_pin(d, 0, False)
    d.restored()
    assert keys_pin(d, 1, True) == "locked"
    d.tell(i.UnlockAsked(at=d.at(2), agent=ONE, by="user:sato"))
    assert d.told(f.AgentUnlocked)[0].by == "user:sato"  # type: ignore[attr-defined]
    assert keys_pin(d, 3, True) == "signed-in"
    d.tell(i.UnlockAsked(at=d.at(4), agent=ONE, by="user:sato"))
    assert len(d.told(f.AgentUnlocked)) == 1


@pytest.mark.parametrize(
    ("rule", "said"), [(SecondSignIn.MOVES, "signed-in"), (SecondSignIn.REFUSED, "signed-in-elsewhere")]
)
def test_a_sign_in_on_a_second_phone_moves_the_agent_or_is_refused(rule: SecondSignIn, said: str) -> None:
    d = desk(second_sign_in=rule)
    keys_pin(d, 0, True)
    assert keys_pin(d, 1, True, phone=P2) == said
    assert d.agent(1).phone == (P2 if rule is SecondSignIn.MOVES else P1)


def test_a_shift_may_begin_paused_so_that_no_call_slips_in() -> None:
    d = desk(begins_paused=True)
    d.calls(0)
    d.comes(1, 1)
    assert (d.agent(1).pause, d.offered()) == (NOT_YET, [])
    assert [x.paused for x in d.effects if isinstance(x, e.AddMember)] == [True]
    d.ready(2, 1)
    assert d.rung() == [1]


# -- pauses --------------------------------------------------------------------------------------------------


def test_a_reason_is_keyed_by_its_digit_and_an_unknown_digit_changes_nothing() -> None:
    d = desk(pauses=(PauseReason(1, "休憩"), PauseReason(8, "見学")))
    assert pauses(d, 0, 8) == "refused", "nobody is signed in there"
    d.comes(1, 1)
    assert pauses(d, 2, 3) == "no-such-code"
    assert d.agent(1).presence is Presence.READY
    assert pauses(d, 3, 8) == "paused"
    assert d.agent(1).pause == "見学"
    assert lamps(d) == {"*11": "steady", "*15": "steady", "*158": "steady"}


def test_who_is_one_too_many_for_a_reason_is_refused_and_goes_on_working() -> None:
    d = desk(3, pauses=(PauseReason(1, "休憩", at_once=1), PauseReason(3, "研修")))
    d.comes(0, 1, 2, 3)
    assert pauses(d, 1, 1) == "paused"
    assert pauses(d, 2, 1, P2) == "pause-full"
    assert d.agent(2).presence is Presence.READY
    assert pauses(d, 3, 1) == "paused", "the same once more is no second one"
    assert pauses(d, 4, 3, P2) == "paused"
    d.ready(5, 1)
    assert pauses(d, 6, 1, P2) == "paused"


def test_a_pause_that_is_too_long_is_marked_once_and_by_the_time_from_where_the_work_ended() -> None:
    d = desk(1, acw_s=10, pauses=(PauseReason(1, "休憩", longest_s=60),))
    d.comes(0, 1)
    talk(d, 1)
    assert pauses(d, 2, 1) == "paused"
    d.goes(100)
    assert agent_word(d.floor, d.agent(1), CentreId("demo")) is AgentWord.ACW
    d.until(169.9)
    assert not d.agent(1).pause_overran
    d.until(170)
    assert d.agent(1).pause_overran
    assert lamps(d)["*15"] == "flashing"
    d.until(500)
    assert len(d.told(f.PauseOverran)) == 1
    d.ready(501, 1)
    assert not d.agent(1).pause_overran


# -- results -------------------------------------------------------------------------------------------------


def test_a_result_is_keyed_in_after_call_work_and_may_be_mended_there_but_not_later() -> None:
    d = desk(1)
    d.comes(0, 1)
    assert result(d, 0.5, 4) == "not-possible"
    talk(d, 1)
    d.goes(10)
    assert lamps(d)["*20"] == "flashing"
    assert result(d, 11, 9) == "no-such-code"
    assert result(d, 12, 4) == "result-keyed"
    assert result(d, 13, 5) == "result-keyed"
    assert lamps(d)["*20"] == "steady"
    d.until(30)
    assert "*20" not in lamps(d)
    assert result(d, 31, 1) == "not-possible"
    [record] = d.books.records.values()
    assert (record.result, record.result_kind) == ("予約", ResultKind.BOOKING)


def test_escalated_calls_are_not_completed_in_the_centre_and_complaints_and_bookings_are_counted() -> None:
    d = desk(1, acw_s=5)
    d.comes(0, 1)
    for n, key in enumerate((1, 2, 3, 4, 5)):
        talk(d, 10 * n + 1, f"c{n}")
        d.goes(10 * n + 3, f"c{n}")
        result(d, 10 * n + 4, key)
    talk(d, 61, "last")
    d.goes(63, "last")
    records = list(d.books.records.values())
    told = endings(records, figures(records, at=d.at(70), service_level_s=20))
    assert (told.completion_ratio.part, told.completion_ratio.whole) == (4, 6)
    assert (told.complaints, told.bookings, told.without_result) == (1, 1, 1)
    assert told.results == {"予約": 1, "完了": 1, "取り次ぎ": 1, "折り返し": 1, "苦情": 1}


# -- inside a talk -------------------------------------------------------------------------------------------


def test_an_agent_asks_for_help_and_takes_it_back_and_the_centres_lamp_follows() -> None:
    d = desk(1)
    d.comes(0, 1)
    leg = talk(d)
    assert presses(d, 2, TalkKey.HELP, leg) == "help-asked"
    assert dict(of_help(d.floor)) == {"demo": Lamp.FLASHING}
    assert lamps(d)["*31"] == "steady"
    assert presses(d, 3, TalkKey.HELP, leg) == "undone"
    assert dict(of_help(d.floor)) == {"demo": Lamp.OFF}
    presses(d, 4, TalkKey.HELP, leg)
    d.goes(5)
    assert dict(of_help(d.floor)) == {"demo": Lamp.OFF}, "the talk took it along"
    assert HELP == "*30"


def test_a_reported_call_is_marked_for_good_calls_for_help_and_is_recorded_on() -> None:
    d = desk(1)
    d.comes(0, 1)
    leg = talk(d)
    presses(d, 2, TalkKey.RECORDING, leg)
    switched(d, 2)
    assert presses(d, 3, TalkKey.ABUSE, leg) == "abuse-marked"
    assert switched(d, 3) == ""
    assert d.call_now().unrecorded_since is None
    assert presses(d, 4, TalkKey.ABUSE, leg) == "abuse-marked"
    assert presses(d, 5, TalkKey.RECORDING, leg) == "key-refused"
    assert [x.mark for x in d.facts if isinstance(x, f.CallMarked)] == [Mark.ABUSE]
    assert len(d.told(f.HelpAsked)) == 1
    d.goes(6)
    [record] = d.books.records.values()
    assert (record.abuse, record.helped, record.unrecorded) == (True, True, 1_000_000)


def test_a_reported_talk_hears_the_words_that_its_centre_has_for_it_once_and_else_none() -> None:
    for n, words in enumerate(((), (Announcement("abuse", "ja", "録音しています", "demo/ja/abuse"),))):
        made = replace(site(queue(acw_s=20), staff=crew(1)), announcements=words)
        d = opened(made)
        d.comes(0, 1)
        leg = talk(d)
        for s in (2, 3):
            presses(d, s, TalkKey.ABUSE, leg)
        said = [x for x in d.effects if isinstance(x, e.SayInTalk)]
        assert [(x.leg, x.centre, x.announcement, x.language) for x in said] == [
            (leg, "demo", "abuse", "ja")
        ] * n
        assert {x.channel_name for x in said} == {d.floor.calls[CallId("c1")].channel_name} or not n
        kept = [x for x in d.effects if isinstance(x, e.ProtectRecording)]
        assert [x.call for x in kept] == ["c1"]
        d.goes(9)
        kept = [x for x in d.effects if isinstance(x, e.ProtectRecording)]
        assert len(kept) == 2, "once more at the end: there may have been no file yet"


def test_a_relay_call_has_no_limit_of_after_call_work_and_its_own_count() -> None:
    d = desk(1)
    d.comes(0, 1)
    leg = talk(d)
    assert presses(d, 2, TalkKey.RELAY, leg) == "relay-marked"
    assert presses(d, 3, TalkKey.RELAY, leg) == "undone"
    assert presses(d, 4, TalkKey.RELAY, leg) == "relay-marked"
    d.goes(101)
    d.until(102)
    assert says(d, i.WrapUpExtendAsked(at=d.at(102), phone=P1, channel="x")) == "extended"
    d.until(101 + 8 * 3600)
    assert d.agent(1).work is Work.WRAPPING_UP, "it does not end by itself"
    d.until(101 + 86_400)
    assert d.agent(1).work is Work.IDLE, "a phone that everybody left"
    records = list(d.books.records.values())
    told = endings(records, figures(records, at=d.at(110), service_level_s=20))
    assert (told.relay, told.relay_talk.part, told.relay_talk.whole) == (1, 100_000_000, 1)


def test_a_recording_is_paused_when_asterisk_says_so_and_goes_on_by_itself() -> None:
    d = desk(1, recordings=Recordings(pause_s=30))
    d.comes(0, 1)
    leg = talk(d)
    assert presses(d, 2, TalkKey.RECORDING, leg) == "", "not before Asterisk has answered"
    assert "*34" not in lamps(d)
    assert switched(d, 2.5) == "recording-paused"
    assert lamps(d)["*34"] == "steady"
    d.restored()
    for timer, due in d.floor.deadlines():
        d.clock[timer] = d.armed[timer] = due
    d.until(32.5)
    assert switched(d, 32.5, done=False) == ""
    d.until(34.5)
    switched(d, 34.6)
    [resumed] = [x for x in d.facts if isinstance(x, f.RecordingResumed)]
    assert (resumed.early, resumed.why) == (False, PauseEnd.TIME)
    presses(d, 40, TalkKey.RECORDING, leg)
    switched(d, 40)
    assert presses(d, 41, TalkKey.RECORDING, leg) == ""
    assert switched(d, 41) == "recording-resumed"
    presses(d, 42, TalkKey.RECORDING, leg)
    switched(d, 42)
    d.goes(50)
    [record] = d.books.records.values()
    assert record.unrecorded == 32_100_000 + 1_000_000 + 8_000_000


def test_a_pause_of_the_recording_that_comes_too_late_is_taken_back() -> None:
    d = desk(1)
    d.comes(0, 1)
    leg = talk(d)
    presses(d, 2, TalkKey.RECORDING, leg)
    d.drops_off(3, leg, 1)
    assert switched(d, 3.1) == "key-refused"
    assert d.effects[-2:] and any(
        isinstance(x, e.SwitchRecording) and not x.paused for x in d.effects[-3:]
    ), "the next talk is recorded"
    assert d.told(f.RecordingPaused) == []


def test_a_centre_may_forbid_pausing_the_recording() -> None:
    d = desk(1, recordings=Recordings(PauseAs.NO))
    d.comes(0, 1)
    leg = talk(d)
    assert presses(d, 2, TalkKey.RECORDING, leg) == "key-refused"


def test_a_key_outside_a_talk_is_refused_and_changes_nothing() -> None:
    d = desk(1)
    d.comes(0, 1)
    before = d.floor
    for key in TalkKey:
        assert says(d, i.TalkKeyed(at=d.at(1), key=key, phone=P1, channel="x")) == "key-refused"
        assert (
            says(d, i.TalkKeyed(at=d.at(1), key=key, leg=ChannelId("nobody"), channel="x")) == "key-refused"
        )
    assert d.floor == before


def test_the_same_is_asked_by_a_person_in_the_agents_stead() -> None:
    d = desk(1)
    d.comes(0, 1)
    talk(d)
    d.until(2)
    d.tell(i.TalkKeyed(at=d.at(2), key=TalkKey.HELP, agent=ONE, by="user:sato"))
    assert [x.by for x in d.facts if isinstance(x, f.HelpAsked)] == ["user:sato"]
    d.goes(3)
    d.tell(i.ResultAsked(at=d.at(4), key=1, agent=ONE, by="user:sato"))
    assert [(x.call, x.by) for x in d.facts if isinstance(x, f.ResultKeyed)] == [(CallId("c1"), "user:sato")]


# -- emergency closure ---------------------------------------------------------------------------------------


def closes(d: Acd, s: float, on: bool, phone: PhoneId = P1) -> str:
    d.until(s)
    return says(d, i.EmergencyKeyed(at=d.at(s), phone=phone, channel="x", on=on))


def test_who_may_closes_the_centre_from_the_phone_and_opens_it_again_and_others_may_not() -> None:
    d = desk()
    home = d.floor.centres[CentreId("demo")]
    chief = replace(home, agents=(replace(home.agents[0], emergency=True), home.agents[1]))
    d.configured(0, chief)
    assert closes(d, 1, True) == "not-possible", "nobody is signed in there"
    d.comes(2, 1, 2)
    assert closes(d, 3, True, P2) == "not-possible"
    assert dict(of_emergency(d.floor)) == {"demo": Lamp.OFF}
    assert closes(d, 4, False) == "emergency-off", "it is so already"
    assert closes(d, 5, True) == "emergency-on"
    assert dict(of_emergency(d.floor)) == {"demo": Lamp.STEADY}
    assert closes(d, 6, True) == "emergency-on", "twice is once"
    [began] = [x for x in d.facts if isinstance(x, f.EmergencyBegan)]
    assert (began.centre, began.by) == ("demo", "agent:1001")
    assert closes(d, 7, False) == "emergency-off"
    assert [x.by for x in d.facts if isinstance(x, f.EmergencyEnded)] == ["agent:1001"]
    noted = [(x.action, x.by, x.phone, x.done) for x in d.effects if isinstance(x, e.NoteInTrail)]
    assert noted == [
        ("emergency_begin", "agent:1002", P2, False),
        ("emergency_begin", "agent:1001", P1, True),
        ("emergency_end", "agent:1001", P1, True),
    ]
    closes(d, 8, True)
    d.until(13 * 3600)
    assert dict(of_emergency(d.floor)) == {"demo": Lamp.OFF}, "it ends by itself at midnight"


# -- lamps ---------------------------------------------------------------------------------------------------


def test_a_queues_lamp_is_off_steady_and_flashing_by_who_waits() -> None:
    d = desk(1, lamp_waiting=2)
    found = []
    for n in range(3):
        found.append(dict(of_queues(d.floor))["demo-q"])  # type: ignore[index]
        d.calls(n, f"c{n}")
    assert found == [Lamp.OFF, Lamp.STEADY, Lamp.FLASHING]


def test_a_phones_lamps_tell_of_its_agents_day() -> None:
    d = desk(1)
    assert lamps(d) == {}
    d.comes(0, 1)
    assert lamps(d) == {"*11": "steady", "*13": "steady"}
    talk(d)
    d.goes(5)
    assert d.agent(1).work is Work.WRAPPING_UP
    assert lamps(d) == {"*11": "steady", "*13": "steady", "*14": "steady", "*20": "flashing"}
    d.leaves(6, 1)
    assert lamps(d) == {}


# -- asked elsewhere, with the effect of the key ---------------------------------------------------------------


def asked_in(d: Acd, s: float, agent: AgentId = ONE, phone: PhoneId = P1) -> str | None:
    d.until(s)
    told = i.SignInAsked(at=d.at(s), agent=agent, phone=phone, channel=None, verified=True, by="user:sato")
    return d.tell(told).disregarded


def test_a_sign_in_by_right_names_the_person_and_keeps_every_rule_of_the_key() -> None:
    d = desk(2, wrong_pins=1, lock_s=30)
    assert asked_in(d, 0) is None
    assert [(x.agent, x.phone, x.by) for x in d.told(f.AgentSignedIn)] == [(ONE, P1, "user:sato")]
    keys_pin(d, 1, False, agent=TWO, phone=P2)
    assert "停止中" in (asked_in(d, 2, TWO, P2) or ""), "who is locked out is let in by an unlocking only"
    d.tell(i.UnlockAsked(at=d.at(3), agent=TWO, by="user:sato"))
    assert asked_in(d, 4, TWO, P2) is None
    assert not [x for x in d.effects if isinstance(x, e.Reply) and x.channel_name is None]


def test_a_lock_out_is_an_alarm() -> None:
    d = desk(1, wrong_pins=2)
    keys_pin(d, 0, False)
    assert not [x for x in d.effects if isinstance(x, e.Alarm)]
    keys_pin(d, 1, False)
    [alarm] = [x for x in d.effects if isinstance(x, e.Alarm)]
    assert (alarm.centre, alarm.phone) == ("demo", P1)


def dial_asked(d: Acd, s: float) -> str | None:
    d.until(s)
    return d.tell(i.DialAsked(at=d.at(s), agent=ONE, number="0975346111", by="user:sato")).disregarded


def test_a_phone_is_made_to_dial_only_while_its_agent_has_nothing_else_in_hand() -> None:
    d = desk(1)
    assert "受付していない" in (dial_asked(d, 0) or "")
    d.comes(1, 1)
    assert dial_asked(d, 2) is None
    assert [x for x in d.effects if isinstance(x, e.DialOut)] == [
        e.DialOut(P1, "0975346111", CentreId("demo"))
    ]
    d.device(3, 1, Device.BUSY)
    assert "空いていない" in (dial_asked(d, 4) or "")
    d.device(5, 1, Device.FREE)
    d.calls(6, "c1")
    assert "応対中" in (dial_asked(d, 7) or ""), "a caller rings there"
    d.answers(8, 1, "c1")
    assert "応対中" in (dial_asked(d, 9) or "")
    d.goes(10)
    assert dial_asked(d, 11) is None, "a call-back is made in after-call work"


def test_a_phone_that_does_not_match_is_offered_nothing_and_made_to_dial_nothing_until_it_does() -> None:
    d = desk(1)
    d.comes(0, 1)

    def judged(s: float, policy: Policy) -> None:
        d.until(s)
        d.tell(i.PhoneJudged(at=d.at(s), phone=P1, policy=policy))

    judged(1, Policy.UNANSWERED)
    assert agent_word(d.floor, d.agent(1), CentreId("demo")) is AgentWord.UNREACHABLE
    assert "台帳" in (dial_asked(d, 2) or "")
    d.calls(3, "c1")
    assert d.told(f.OfferMade) == []
    judged(4, Policy.MATCHED)
    assert [x.phone for x in d.told(f.OfferMade)] == [P1], "at once, without a rest"
