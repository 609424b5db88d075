"""Hold, consult and transfer in the core: what is told of each ending, who is free when, and what is counted."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from immutables import Map

from callcore.domain import directory
from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.asks import AskEnd
from callcore.domain.by_department import by_department, together
from callcore.domain.centre import MESSAGE_DUE_S, Department, Outgoing, Transfers
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import AgentId, CallId, CentreId, ChannelId, DepartmentId, PhoneId, QueueId
from callcore.domain.measures import endings, figures
from callcore.domain.message import MessageState
from callcore.domain.phones import Policy
from callcore.domain.stages import (
    OfferStage,
    Outcome,
    Party,
    Said,
    SideKind,
    SideOutcome,
    Stage,
    TalkKey,
    Work,
)
from callcore.runtime.ports import Seq, View
from callcore.web import show
from tests.support.floors import NODE, NUMBER, Desk, centre, configuration

CITY = Department(
    DepartmentId("demo-shimin"),
    "11",
    "市民課",
    "0970000111",
    Calendar("Asia/Tokyo", ((Window(0, 86_400),),) * 7),
)
TAX = replace(CITY, id=DepartmentId("demo-zeimu"), short="12", name="税務課", number="0970000112")
CALLER = ChannelId("c1")


@dataclass
class Moves:
    """One caller whom agent 1 talks with from second 3 on, and what is done about it."""

    d: Desk = field(default_factory=Desk)
    leg: ChannelId = ChannelId("")
    bridge: str = ""

    def at(self, s: float) -> dict[str, object]:
        return {"at": self.d.at(s)}

    def begin(self) -> Moves:
        made = replace(centre(3), outgoing=Outgoing(NUMBER, acw_s=20), departments=(CITY, TAX))
        self.d.begin(configuration(made))
        self.d.sign_in(0, 1)
        self.d.wait(1)
        self.leg = self.d.pick_up(3)
        self.bridge = self.d.floor.calls[CallId("c1")].bridge or ""
        return self

    def tell(self, *told: i.Input) -> None:
        for each in told:
            self.d.tell(each)

    def hold(self, s: float) -> None:
        self.tell(i.HoldChanged(at=self.d.at(s), channel=self.leg, held=True))

    def ask(
        self, s: float, name: str = "k1", kind: SideKind = SideKind.DEPARTMENT, to: Department = CITY
    ) -> ChannelId:
        """The agent who talks calls the department, or another agent; its leg."""
        far, own, other = ChannelId(f"{name}-far"), PhoneId("demo-p1"), PhoneId("demo-p2")
        if self.call.talking_with == "1002":
            own, other = other, own
        colleague = other if kind is SideKind.COLLEAGUE else None
        self.tell(
            i.SideCallTold(
                at=self.d.at(s),
                node=NODE,
                call=CallId(name),
                centre=CentreId("demo"),
                kind=kind,
                phone=own,
                number=NUMBER,
                other=None if colleague else to.number,
                why=colleague or to.id,
                beside=CallId("c1"),
            ),
            i.SideDialBegan(at=self.d.at(s), call=CallId(name), channel=far, phone=colleague),
        )
        return far

    def answers(self, s: float, far: ChannelId, name: str = "k1") -> None:
        for channel in (far, ChannelId(name)):
            self.tell(i.BridgeEntered(at=self.d.at(s), bridge=f"with-{name}", channel=channel))

    def passes_on(self, s: float, name: str = "k1") -> None:
        """REFER with Replaces after the answer, in the order in which Asterisk tells it."""
        at = self.d.at(s)
        self.tell(
            i.HoldChanged(at=at, channel=self.leg, held=False),
            i.BridgeLeft(at=at, bridge=self.bridge, channel=CALLER),
            i.BridgeLeft(at=at, bridge=f"with-{name}", channel=ChannelId(name)),
            i.BridgeEntered(at=at, bridge=f"with-{name}", channel=CALLER),
            i.BridgeLeft(at=at, bridge=self.bridge, channel=self.leg),
            i.ChannelGone(at=at, channel=self.leg, cause=16),
            i.ChannelGone(at=at, channel=ChannelId(name), cause=16),
        )

    def lets_go(self, s: float, name: str = "k1") -> None:
        """The same while it rings: the caller takes the phone's place in the Dial."""
        at = self.d.at(s)
        self.tell(
            i.HoldChanged(at=at, channel=self.leg, held=False),
            i.BridgeLeft(at=at, bridge=self.bridge, channel=self.leg),
            i.BridgeLeft(at=at, bridge=self.bridge, channel=CALLER),
            i.ChannelGone(at=at, channel=self.leg, cause=16),
            i.ChannelGone(at=at, channel=ChannelId(name), cause=16),
        )

    def unasked(self, s: float, far: str, to: Department = CITY) -> ChannelId:
        """The agent sends the caller there; the department's leg."""
        at = self.d.at(s)
        self.tell(
            i.BridgeLeft(at=at, bridge=self.bridge, channel=CALLER),
            i.BridgeLeft(at=at, bridge=self.bridge, channel=self.leg),
            i.TransferTold(at=at, call=CallId("c1"), department=to.id),
            i.DialBegan(at=at, call=CallId("c1"), channel=ChannelId(far), phone=None, offer=None),
            i.ChannelGone(at=at, channel=self.leg, cause=16),
        )
        return ChannelId(far)

    def city_takes(self, s: float, far: ChannelId, bridge: str = "city") -> None:
        """The department answers a caller whom the agent has left."""
        for channel in (far, CALLER):
            self.tell(i.BridgeEntered(at=self.d.at(s), bridge=bridge, channel=channel))

    def city_puts_down(self, s: float, far: ChannelId, bridge: str = "with-k1") -> None:
        at = self.d.at(s)
        self.tell(
            i.HangupRequested(at=at, channel=far),
            i.BridgeLeft(at=at, bridge=bridge, channel=far),
            i.ChannelGone(at=at, channel=far, cause=16),
            i.BridgeLeft(at=at, bridge=bridge, channel=CALLER),
        )

    def back(self, s: float) -> None:
        self.tell(i.CallerHeld(at=self.d.at(s), call=CallId("c1")))

    def caller_puts_down(self, s: float) -> None:
        at = self.d.at(s)
        self.tell(
            i.HangupRequested(at=at, channel=CALLER),
            i.BridgeLeft(at=at, bridge=self.d.floor.calls[CallId("c1")].bridge or "", channel=CALLER),
            i.ChannelGone(at=at, channel=CALLER, cause=16),
        )

    def over(self, s: float) -> None:
        self.tell(i.ChannelGone(at=self.d.at(s), channel=CALLER, cause=16))

    @property
    def call(self):
        return self.d.floor.calls[CallId("c1")]

    @property
    def agent(self) -> Work:
        return self.d.floor.agents[AgentId("1001")].work

    @property
    def outcome(self) -> Outcome | None:
        return self.d.books.records[CallId("c1")].outcome

    def asked(self) -> dict[AskEnd, int]:
        """What became of each time a department was called."""
        told = together(self.d.books.records.values(), self.d.books.asks)
        assert told.asked + told.unasked == sum(told.ends.values()) + told.open
        return {end: n for end, n in told.ends.items() if n}

    def ended(self) -> f.CallEnded:
        [fact] = self.d.told(f.CallEnded)
        assert isinstance(fact, f.CallEnded)
        return fact


@pytest.fixture
def m() -> Moves:
    return Moves().begin()


def test_a_caller_is_put_through_to_a_department_that_was_asked(m: Moves) -> None:
    m.hold(10)
    assert [x.held for x in m.d.effects if isinstance(x, e.MarkHeld)] == [True]
    far = m.ask(12)
    m.answers(20, far)
    m.passes_on(30)
    [told] = m.d.told(f.CallTransferred)
    assert isinstance(told, f.CallTransferred)
    assert (told.department, told.blind, told.agent, told.side) == (CITY.id, False, "1001", "k1")
    assert (m.call.stage, m.agent) == (Stage.TRANSFERRED, Work.WRAPPING_UP)
    assert not m.d.floor.sides and set(directory.busy(m.d.floor)) == {CITY.id}, "its lamp burns still"
    city = next(directory.listings(m.d.floor, m.d.floor.centres[CentreId("demo")], m.d.at(40)))
    assert city.call == directory.With(CallId("c1"), m.d.at(30), connected=True, caller=True)
    m.city_puts_down(90, far)
    m.over(90)
    assert directory.busy(m.d.floor) == {}
    assert m.ended().outcome is Outcome.TRANSFERRED_ATTENDED
    assert m.ended().hung_up_by is Party.CALLED
    record = m.d.books.records[CallId("c1")]
    assert (record.talk, record.hold) == (27_000_000, 20_000_000), "the agent's talk ends with the transfer"
    assert record.department == CITY.id
    records = list(m.d.books.records.values())
    told_by = endings(records, figures(records, at=m.d.at(100), service_level_s=20))
    assert (told_by.transfer_ratio.part, told_by.transfer_ratio.whole) == (1, 1)
    told = by_department(records, m.d.books.asks)[CITY.id]
    assert (told.asked, told.unasked, told.transferred_attended, told.answer_max_s) == (1, 0, 1, 8.0)
    assert m.asked() == {AskEnd.PUT_THROUGH: 1}


@pytest.mark.parametrize("by", ["caller", "system", "system, the department's leg first"])
def test_who_puts_down_first_after_a_transfer_does_not_make_it_another(m: Moves, by: str) -> None:
    far = m.ask(12)
    m.answers(20, far)
    m.passes_on(30)
    if by == "caller":
        m.caller_puts_down(60)
    else:
        if by != "system":
            m.tell(i.BridgeLeft(at=m.d.at(60), bridge="with-k1", channel=far))
            m.tell(i.ChannelGone(at=m.d.at(60), channel=far, cause=0))
        m.over(60)
    wanted = Outcome.TRANSFERRED_ATTENDED if by == "caller" else Outcome.CUT_OFF
    assert m.ended().outcome is wanted, "nobody put down: Asterisk was stopped"


@pytest.mark.parametrize("end", ["answers", "busy", "caller"])
def test_pressed_while_it_still_rings_it_counts_as_blind_and_only_if_the_department_answers(
    m: Moves, end: str
) -> None:
    m.hold(10)
    far = m.ask(12)
    m.lets_go(15)
    assert (m.call.stage, m.agent, m.d.told(f.CallTransferred)) == (Stage.PARTED, Work.WRAPPING_UP, [])
    if end == "answers":
        for channel in (far, CALLER):
            m.tell(i.BridgeEntered(at=m.d.at(20), bridge="city", channel=channel))
        assert m.call.stage is Stage.TRANSFERRED
        m.city_puts_down(80, far, "city")
        m.over(80)
        assert m.ended().outcome is Outcome.TRANSFERRED_BLIND
    elif end == "busy":
        m.tell(i.ChannelGone(at=m.d.at(18), channel=far, cause=17))
        m.back(18)
        assert m.call.stage is Stage.WAITING
        assert m.call.visit is not None and m.call.visit.since == m.call.entered_at, "at the head of the line"
        m.caller_puts_down(30)
        assert m.ended().outcome is Outcome.CUT_OFF
    else:
        m.caller_puts_down(18)
        assert m.ended().outcome is Outcome.LOST_ON_HOLD
        assert "取り次ぎ先の呼出中" in m.ended().reason


@pytest.mark.parametrize("end", ["answers", "silent", "caller"])
def test_passed_on_unasked(m: Moves, end: str) -> None:
    m.tell(
        i.BridgeLeft(at=m.d.at(10), bridge=m.bridge, channel=CALLER),
        i.BridgeLeft(at=m.d.at(10), bridge=m.bridge, channel=m.leg),
        i.TransferTold(at=m.d.at(10), call=CallId("c1"), department=CITY.id),
        i.DialBegan(at=m.d.at(10), call=CallId("c1"), channel=ChannelId("far"), phone=None, offer=None),
    )
    assert (m.call.stage, m.call.moving_to, m.agent) == (Stage.PARTED, CITY.id, Work.WRAPPING_UP)
    if end == "answers":
        for channel in (ChannelId("far"), CALLER):
            m.tell(i.BridgeEntered(at=m.d.at(15), bridge="city", channel=channel))
        [told] = m.d.told(f.CallTransferred)
        assert isinstance(told, f.CallTransferred)
        assert (told.department, told.blind, told.side) == (CITY.id, True, None)
        m.city_puts_down(16, ChannelId("far"), "city")
        m.back(16)  # within the centre's bound
        assert m.call.stage is Stage.WAITING
        assert m.call.transfer is None
        m.d.sign_in(17, 2)
        m.d.pick_up(20)
        m.d.hang_up(30)
        assert m.outcome is Outcome.COMPLETED, "the last thing that happened to the caller"
    elif end == "silent":
        m.tell(i.ChannelGone(at=m.d.at(40), channel=ChannelId("far"), cause=0))
        m.back(40)
        assert m.call.stage is Stage.WAITING
    else:
        m.caller_puts_down(18)
        assert m.ended().outcome is Outcome.LOST_ON_HOLD


def test_a_consult_that_comes_to_nothing_leaves_the_talk_as_it_was(m: Moves) -> None:
    m.hold(10)
    far = m.ask(12)
    m.answers(20, far)
    m.tell(
        i.HangupRequested(at=m.d.at(25), channel=far),
        i.ChannelGone(at=m.d.at(25), channel=far, cause=16),
        i.ChannelGone(at=m.d.at(25), channel=ChannelId("k1"), cause=16),
        i.HoldChanged(at=m.d.at(26), channel=m.leg, held=False),
    )
    assert (m.call.stage, m.agent) == (Stage.TALKING, Work.TALKING)
    second = m.ask(30, "k2")
    m.tell(i.SideReturned(at=m.d.at(35), call=CallId("k2"), outcome=SideOutcome.BUSY))
    m.tell(i.ChannelGone(at=m.d.at(35), channel=second, cause=17))
    assert m.asked() == {AskEnd.CAME_BACK: 1, AskEnd.BUSY: 1}
    m.caller_puts_down(50)
    assert m.ended().outcome is Outcome.COMPLETED


def test_who_hangs_up_on_hold_is_lost_on_hold(m: Moves) -> None:
    m.hold(10)
    m.answers(20, m.ask(12))
    m.caller_puts_down(25)
    assert m.ended().outcome is Outcome.LOST_ON_HOLD


@pytest.mark.parametrize("first", ["caller", "agent"])
def test_a_held_caller_who_puts_down_in_the_instant_in_which_the_agent_does_is_lost_on_hold(
    m: Moves, first: str
) -> None:
    m.hold(10)
    at = m.d.at(12)
    both = [i.HangupRequested(at=at, channel=CALLER), i.HangupRequested(at=at, channel=m.leg)]
    m.tell(*(both if first == "caller" else reversed(both)))
    m.tell(i.BridgeLeft(at=at, bridge=m.bridge, channel=m.leg), i.ChannelGone(at=at, channel=m.leg, cause=16))
    m.over(12)
    assert (m.ended().outcome, m.ended().hung_up_by) == (Outcome.LOST_ON_HOLD, Party.CALLER)


def test_a_phone_that_dies_with_a_held_caller_gives_the_caller_back(m: Moves) -> None:
    gone = i.PhoneJudged(at=m.d.at(12), phone=PhoneId("demo-p1"), policy=Policy.ABSENT)
    m.tell(replace(gone, at=m.d.at(5), policy=Policy.MATCHED, user_agent="x", address="192.0.2.7"))
    m.tell(replace(gone, at=m.d.at(6)))
    assert not [x for x in m.d.effects if isinstance(x, e.HangUp)], "a talk ends by its own silence"
    m.tell(replace(gone, at=m.d.at(7), policy=Policy.MATCHED, user_agent="x", address="192.0.2.7"))
    m.hold(10)
    m.tell(gone)
    assert [x.channel for x in m.d.effects if isinstance(x, e.HangUp)] == [m.leg]
    m.tell(i.BridgeLeft(at=m.d.at(12), bridge=m.bridge, channel=m.leg))
    m.tell(i.ChannelGone(at=m.d.at(12), channel=m.leg, cause=0))
    m.back(12)
    assert m.call.stage is Stage.WAITING


def test_a_colleague_who_was_asked_takes_over_and_that_is_no_transfer_but_an_escalation(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.hold(10)
    far = m.ask(12, kind=SideKind.COLLEAGUE)
    m.answers(20, far)
    m.passes_on(30)
    assert m.call.talking_with == "1002"
    assert m.agent is Work.WRAPPING_UP
    assert m.d.floor.agents[AgentId("1002")].work is Work.TALKING
    m.d.hang_up(60, by=far)
    record = m.d.books.records[CallId("c1")]
    assert (record.outcome, record.second, record.talk) == (Outcome.COMPLETED, True, 57_000_000)
    records = [record]
    told = endings(records, figures(records, at=m.d.at(100), service_level_s=20))
    assert (told.transfer_ratio.part, told.completion_ratio.part) == (0, 0)
    assert not [
        x for x in m.d.told(f.OfferFailed) if isinstance(x, f.OfferFailed) and x.result is OfferStage.BUSY
    ]


def test_a_caller_whom_a_colleague_takes_by_the_code_is_not_held_any_more(m: Moves) -> None:
    """callcore-join; the first phone resumes nothing."""
    m.d.sign_in(5, 2)
    m.hold(10)
    far = m.ask(12, kind=SideKind.COLLEAGUE)
    m.answers(20, far)
    at = m.d.at(30)
    m.tell(
        i.BridgeLeft(at=at, bridge=m.bridge, channel=CALLER),
        i.BridgeLeft(at=at, bridge="with-k1", channel=far),
        i.BridgeEntered(at=at, bridge="joined", channel=far),
        i.BridgeEntered(at=at, bridge="joined", channel=CALLER),
        i.BridgeLeft(at=at, bridge=m.bridge, channel=m.leg),
        i.ChannelGone(at=at, channel=m.leg, cause=16),
        i.ChannelGone(at=at, channel=ChannelId("k1"), cause=16),
    )
    assert (m.call.talking_with, m.call.held_since) == ("1002", None)
    assert [x.held for x in m.d.effects if isinstance(x, e.MarkHeld)] == [True, False]


def test_a_colleague_who_has_taken_over_holds_asks_and_puts_through_as_everybody_does(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.hold(10)
    colleague = m.ask(12, kind=SideKind.COLLEAGUE)
    m.answers(20, colleague)
    m.passes_on(30)
    asked = i.TransferAsked(at=m.d.at(32), agent=AgentId("1002"), short=None, by="user:sato")
    assert m.d.tell(asked).disregarded, "he is consulted no more"
    m.tell(i.HoldChanged(at=m.d.at(35), channel=colleague, held=True))
    assert m.call.held_since == m.d.at(35)
    far = m.ask(36, "k2")
    m.answers(40, far, "k2")
    m.leg, m.bridge = colleague, "with-k1"
    m.passes_on(50, "k2")
    [moved] = m.d.told(f.CallTransferred)
    assert isinstance(moved, f.CallTransferred)
    assert (moved.agent, moved.department, moved.blind) == ("1002", CITY.id, False)
    m.city_puts_down(80, far, "with-k2")
    m.over(80)
    record = m.d.books.records[CallId("c1")]
    assert (record.outcome, record.second, record.talk) == (
        Outcome.TRANSFERRED_ATTENDED,
        True,
        47_000_000,
    )


def test_the_phone_of_a_colleague_who_is_not_signed_in_dies_with_the_held_caller_and_gives_the_caller_back(
    m: Moves,
) -> None:
    m.hold(10)
    colleague = m.ask(12, kind=SideKind.COLLEAGUE)
    m.answers(20, colleague)
    m.passes_on(30)
    m.tell(i.HoldChanged(at=m.d.at(35), channel=colleague, held=True))
    seen = i.PhoneJudged(at=m.d.at(36), phone=PhoneId("demo-p2"), policy=Policy.ABSENT)
    m.tell(
        replace(seen, policy=Policy.MATCHED, user_agent="x", address="192.0.2.8"),
        replace(seen, at=m.d.at(40)),
    )
    assert [x.channel for x in m.d.effects if isinstance(x, e.HangUp)] == [colleague]


def test_a_colleague_who_puts_the_held_caller_down_gives_the_caller_back(m: Moves) -> None:
    m.d.sign_in(5, 2)
    m.hold(10)
    colleague = m.ask(12, kind=SideKind.COLLEAGUE)
    m.answers(20, colleague)
    m.passes_on(30)
    m.tell(i.HoldChanged(at=m.d.at(35), channel=colleague, held=True))
    at = m.d.at(40)
    m.tell(
        i.HangupRequested(at=at, channel=colleague),
        i.BridgeLeft(at=at, bridge="with-k1", channel=colleague),
        i.ChannelGone(at=at, channel=colleague, cause=16),
        i.BridgeLeft(at=at, bridge="with-k1", channel=CALLER),
    )
    m.back(40)
    assert m.call.stage is Stage.WAITING
    assert m.d.floor.agents[AgentId("1002")].work is Work.WRAPPING_UP


@pytest.mark.parametrize("end", ["on hold", "served"])
def test_an_answer_that_is_prepared_while_the_caller_is_on_hold_waits_for_who_hangs_up_and_is_shown_when_he_calls_again(
    m: Moves, end: str
) -> None:
    m.hold(10)
    m.tell(i.AnswerAsked(at=m.d.at(20), call=CallId("c1"), text="来週お渡しできます", by="agent:1001"))
    assert CallId("c1") in m.d.floor.answers
    if end == "served":
        m.tell(i.HoldChanged(at=m.d.at(25), channel=m.leg, held=False))
        m.d.hang_up(40, by=m.leg)
        assert not m.d.floor.answers
        assert any(isinstance(each, e.DestroyKey) for each in m.d.effects)
        return
    m.caller_puts_down(30)
    assert m.outcome is Outcome.LOST_ON_HOLD
    # Written anew afterwards: who answers knows more by then.
    m.tell(i.AnswerAsked(at=m.d.at(35), call=CallId("c1"), text="本日お渡しできます", by="agent:1001"))
    m.d.sign_in(36, 2)
    again = i.ChannelArrived(
        at=m.d.at(60),
        node=NODE,
        channel=ChannelId("c2"),
        name="PJSIP/trunk-c2",
        number=NUMBER,
        caller=m.d.floor.recent[CallId("c1")].text,
        again=True,
        answer=CallId("c1"),
    )
    m.tell(
        again,
        i.AdmissionDecided(at=m.d.at(60), call=CallId("c2"), open=True, source="pushed"),
        i.CallerHeld(at=m.d.at(61), call=CallId("c2")),
    )
    [note] = [each for each in m.d.effects if isinstance(each, e.ShowNote)]
    assert note.note.startswith("回答あり")
    made = m.d.floor.centres[CentreId("demo")]
    view = View(Seq(1, 1), m.d.floor, m.d.books)
    shown = show.agent_now(view, made, AgentId("1002"), m.d.at(61)).caller
    assert shown is not None and shown.answer == "本日お渡しできます"


def keeps(m: Moves, s: float, *, subject: str = "再発行の日程", department: str | None = "11") -> None:
    """The agent keeps an escalation about the call."""
    m.tell(
        i.TaskAsked(
            at=m.d.at(s),
            call=CallId("c1"),
            subject=subject,
            department=department,
            agent=None,
            due_at=None,
            by="user:sup",
        )
    )


@pytest.mark.parametrize("when", ["in the talk", "after the call"])
def test_an_escalation_that_is_kept_about_a_call_is_a_task_and_the_call_was_not_completed_within_the_centre(
    m: Moves, when: str
) -> None:
    if when == "in the talk":
        keeps(m, 10)
    m.d.hang_up(60, by=m.leg)
    if when == "after the call":
        keeps(m, 70)
    task = m.d.floor.messages[CallId("c1")]
    assert (task.state, task.department, task.caller) == (
        MessageState.OPEN,
        CITY.id,
        m.d.floor.recent[CallId("c1")],
    )
    assert task.subject is not None and task.subject.text == "再発行の日程"
    assert task.due_at == m.d.floor.centres[CentreId("demo")].calendar.after_open(task.left_at, MESSAGE_DUE_S)
    record = m.d.books.records[CallId("c1")]
    assert (record.outcome, record.task) == (Outcome.COMPLETED, True)
    told = endings([record], figures([record], at=m.d.at(100), service_level_s=20))
    assert (told.completion_ratio.part, told.completion_ratio.whole, told.messages) == (0, 1, 0)
    m.tell(
        i.MessageTakeAsked(at=m.d.at(80), call=CallId("c1"), agent=AgentId("1001"), by="user:sup"),
        i.MessageCloseAsked(at=m.d.at(90), call=CallId("c1"), done=True, result="済", by="user:sup"),
    )
    assert m.d.floor.messages[CallId("c1")].state is MessageState.DONE


@pytest.mark.parametrize("first", ["task", "message"])
def test_of_a_task_that_is_kept_and_a_message_that_is_left_in_one_call_the_first_one_stays(
    m: Moves, first: str
) -> None:
    far = m.ask(12)
    m.answers(20, far)
    m.passes_on(30)
    m.city_puts_down(33, far)
    m.back(33)
    if first == "task":
        keeps(m, 35)
    m.tell(i.MessageTold(at=m.d.at(40), call=CallId("c1"), said=Said.BEGAN))
    if first == "message":
        keeps(m, 45)
    m.tell(i.HangupRequested(at=m.d.at(50), channel=CALLER))
    m.over(50)
    kept = m.d.floor.messages[CallId("c1")]
    assert (kept.subject is not None) is (first == "task")
    assert len(m.d.told(f.TaskKept)) + len(m.d.told(f.MessageLeft)) == 1


def test_an_escalation_needs_an_answered_call_of_the_last_day_without_a_task_a_subject_and_a_department_that_exists(
    m: Moves,
) -> None:
    m.d.wait(5, "c2")
    for subject, department in (("", "11"), ("あ" * 101, "11"), ("件", "99")):
        keeps(m, 10, subject=subject, department=department)
    m.tell(
        i.TaskAsked(
            at=m.d.at(11), call=CallId("c2"), subject="件", department=None, agent=None, due_at=None, by="x"
        )
    )
    assert not m.d.floor.messages
    keeps(m, 12)
    keeps(m, 13)
    assert len(m.d.told(f.TaskKept)) == 1


@pytest.mark.parametrize("spoken", [True, False])
def test_what_nobody_watched_is_told_from_asterisks_own_books(m: Moves, spoken: bool) -> None:
    m.tell(i.LinkDropped(at=m.d.at(8), node=NODE))
    trace = i.CallTraced(
        call=CallId("c1"),
        number=NUMBER,
        caller=None,
        name="x",
        arrived=m.d.at(1),
        open=True,
        entered=m.d.at(1),
        net=None,
        answered=m.d.at(3),
        phone=PhoneId("demo-p1"),
        talk_ended=m.d.at(30),
        ended=m.d.at(90),
        hung_up_by=Party.CALLED,
        talk_since=m.d.at(3),
        moved=m.d.at(30),
        moved_ended=m.d.at(90),
    )
    side = i.SideTraced(
        call=CallId("k1"),
        centre=CentreId("demo"),
        kind=SideKind.DEPARTMENT,
        phone=PhoneId("demo-p1"),
        number=NUMBER,
        other=CITY.number,
        why=CITY.id,
        began=m.d.at(12),
        connected=m.d.at(20) if spoken else None,
        with_phone=None,
        outcome=None,
        ended=m.d.at(30),
        hung_up_by=Party.SYSTEM,
        beside=CallId("c1"),
    )
    m.d.snapshot(100, traces=(trace,), sides=(side,))
    ended = m.ended()
    assert m.asked() == {AskEnd.PUT_THROUGH: 1}
    [ask] = m.d.books.asks[CallId("c1")]
    assert (ask.department, ask.side, ask.answer) == (CITY.id, "k1", 8_000_000 if spoken else 18_000_000)
    wanted = Outcome.TRANSFERRED_ATTENDED if spoken else Outcome.TRANSFERRED_BLIND
    assert (ended.outcome, ended.at, ended.reconstructed) == (wanted, m.d.at(90), True)
    assert m.d.books.records[CallId("c1")].department == CITY.id


def test_a_department_that_is_found_with_a_caller_is_a_transfer_too(m: Moves) -> None:
    m.hold(10)
    far = m.ask(12)
    m.answers(20, far)
    m.tell(i.LinkDropped(at=m.d.at(25), node=NODE))

    def seen(channel: str, phone: str | None, call: str | None) -> i.ChannelSeen:
        return i.ChannelSeen(
            id=ChannelId(channel),
            name=f"PJSIP/{channel}",
            context="callcore-offer",
            application="Dial",
            bridge="b9",
            call=CallId(call) if call else None,
            offer=None,
            phone=PhoneId(phone) if phone else None,
            number=NUMBER,
            caller=None,
            created=m.d.at(1),
            entered=m.d.at(1),
        )

    m.d.snapshot(60, seen("c1", None, "c1"), seen(far, None, None))
    assert m.call.stage is Stage.TRANSFERRED
    assert m.call.transfer is not None and m.call.transfer.department == CITY.id
    assert not m.call.transfer.blind


def test_a_command_puts_through_to_who_is_consulted_or_unasked_where_the_centre_allows_it(m: Moves) -> None:
    def asks(s: float, short: str | None, agent: str = "1001") -> str | None:
        told = i.TransferAsked(at=m.d.at(s), agent=AgentId(agent), short=short, by="user:sato")
        return m.d.tell(told).disregarded

    def wanted() -> list[tuple[ChannelId | None, str | None]]:
        return [(x.leg, x.short) for x in m.d.effects if isinstance(x, e.PutThrough)]

    assert asks(5, None), "nobody is consulted"
    assert asks(5, None, "1002"), "no talk"
    far = m.ask(12)
    assert asks(13, None), "it still rings"
    m.answers(20, far)
    assert asks(21, None) is None
    assert asks(22, "11"), "not without asking"
    assert wanted() == [(far, None)]
    floor = m.d.floor
    centres = {c.id: replace(c, transfers=Transfers(blind=True)) for c in floor.centres.values()}
    m.d.floor = replace(floor, centres=Map(centres))
    assert asks(23, "99"), "no such department"
    assert asks(24, "11") is None
    assert wanted() == [(far, None), (None, "11")]


@pytest.mark.parametrize("rang", [False, True])
@pytest.mark.parametrize("then", ["waits", "net", "answered", "ended"])
def test_a_caller_who_came_back_from_a_department_while_nobody_watched_is_found(
    m: Moves, then: str, rang: bool
) -> None:
    m.d.sign_in(5, 2)
    far = m.ask(12)
    if rang:
        m.lets_go(30)
    else:
        m.answers(20, far)
        m.passes_on(30)
    m.tell(i.LinkDropped(at=m.d.at(40), node=NODE))
    again = then in ("answered", "ended")

    def seen(
        channel: str, context: str, phone: str | None = None, bridge: str | None = None
    ) -> i.ChannelSeen:
        return i.ChannelSeen(
            id=ChannelId(channel),
            name=f"PJSIP/{channel}",
            context=context,
            application={"callcore-hold": "WaitForCondition", "callcore-net": "Queue"}.get(context, "Dial"),
            bridge=bridge,
            call=CallId("c1"),
            offer=None,
            phone=None if phone is None else PhoneId(phone),
            number=NUMBER,
            caller=None,
            created=m.d.at(1),
            entered=m.d.at(1),
        )

    first = i.TalkTraced(PhoneId("demo-p1"), m.d.at(3), m.d.at(30), m.d.at(45))
    trace = i.CallTraced(
        call=CallId("c1"),
        number=NUMBER,
        caller=None,
        name="x",
        arrived=m.d.at(1),
        open=True,
        entered=m.d.at(1),
        net=m.d.at(46) if then != "waits" else None,
        answered=m.d.at(3),
        phone=PhoneId("demo-p2" if again else "demo-p1"),
        talk_ended={"answered": None, "ended": m.d.at(60)}.get(then, m.d.at(30)),
        ended=m.d.at(60) if then == "ended" else None,
        hung_up_by=Party.CALLER,
        talk_since=m.d.at(50 if again else 3),
        held=m.d.at(45),
        earlier=(first,) if again else (),
        back=None if again else m.d.at(45),
    )
    net = seen("c1", "callcore-net", None, "b9"), seen("other", "callcore-from-phone", "demo-p2", "b9")
    here = {
        "waits": (seen("c1", "callcore-hold"),),
        "net": (seen("c1", "callcore-net"),),
        "answered": net,
        "ended": (),
    }
    m.d.snapshot(70, *here[then], traces=(trace,))
    assert m.d.floor.linked
    assert m.d.floor.problems() == []
    if then == "ended":
        assert m.outcome is Outcome.COMPLETED
        assert m.d.books.records[CallId("c1")].talk == 37_000_000
    elif then == "answered":
        assert m.call.talking_with == "1002"
    else:
        assert m.call.stage in (Stage.WAITING, Stage.OFFERED)
        assert m.call.in_net is (then == "net")


def test_a_citizen_who_puts_down_in_a_talk_beside_which_a_consult_is_still_open_has_completed(
    m: Moves,
) -> None:
    m.hold(10)
    m.answers(20, m.ask(12))
    m.tell(i.HoldChanged(at=m.d.at(25), channel=m.leg, held=False))
    m.caller_puts_down(40)
    assert m.ended().outcome is Outcome.COMPLETED


def test_a_relay_call_does_not_spoil_the_queues_pace(m: Moves) -> None:
    m.tell(i.TalkKeyed(at=m.d.at(5), key=TalkKey.RELAY, leg=m.leg, channel="x"))
    m.d.hang_up(63)
    assert m.d.floor.pace[QueueId("demo-general")].handling == 60
