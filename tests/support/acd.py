"""The core with a clock that fires its own timers, and centres put together from a few words.

`Acd` is a `Watched` floor on which a test says what people do and when; every timer that the core asked for fires at
its time, as the engine's do: one that is set anew replaces the earlier one.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.agent import AgentState
from callcore.domain.call import Call
from callcore.domain.centre import Agent, Cause, Centre, Configuration, Number, Overflow, Phone, Queue
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import SECOND, AgentId, CallId, CentreId, ChannelId, Instant, PhoneId, QueueId
from callcore.domain.stages import Device, OfferStage, Outcome, Party, Treatment
from callcore.domain.step import Step
from tests.support.floors import MONDAY_NOON, NODE
from tests.support.watched import Watched

AT_ONCE = 50
"""So many timers at one instant are a loop."""


def queue(name: str = "q", /, **more: Any) -> Queue:
    """A queue of the name `demo-<name>`, or of another centre's if the name says which (`other-q`)."""
    full = name if "-" in name else f"demo-{name}"
    return replace(Queue(QueueId(full), name, ring_s=10, acw_s=0), **more)


def person(n: int, queues: str = "q", /, home: str = "demo", **skills: int) -> Agent:
    """Agent 1000 + n of the queues named, with these skills."""
    served = tuple(QueueId(q if "-" in q else f"{home}-{q}") for q in queues.split())
    return Agent(AgentId(str(1000 + n)), f"オペレーター{n}", served, skills=tuple(skills.items()))


def site(*queues: Queue, staff: tuple[Agent, ...] = (), name: str = "demo", **more: Any) -> Centre:
    """A centre, open all day. Queue number n is dialled as `<name>-n`; agent 1000 + n sits at `<name>-pn`."""
    window = Window(0, 86_400)
    made = Centre(
        id=CentreId(name),
        name=name,
        name_en=name,
        calendar=Calendar("Asia/Tokyo", tuple((window,) for _ in range(7))),
        numbers=tuple(Number(f"{name}-{n}", q.id) for n, q in enumerate(queues)),
        queues=queues,
        agents=staff,
        phones=tuple(Phone(PhoneId(f"{name}-p{int(a.id) - 1000}"), "A", "generic") for a in staff),
        announcements=(),
        pause_after_misses=0,
    )
    return replace(made, **more)


def crew(count: int, queues: str = "q", **skills: Any) -> tuple[Agent, ...]:
    return tuple(person(n + 1, queues, **skills) for n in range(count))


@dataclass
class Acd(Watched):
    clock: dict[i.Timer, Instant] = field(default_factory=dict)
    """The timers as the engine keeps them."""
    now: float = 0.0

    def tell(self, told: i.Input) -> Step:
        if isinstance(told, i.TimerFired):
            self.clock.pop(told.timer, None)
        done = super().tell(told)
        for effect in done.effects:
            if isinstance(effect, e.SetTimer):
                self.clock[effect.timer] = effect.at
        return done

    def until(self, s: float) -> Acd:
        """Time goes by: whatever is due up to `s` fires, each at its time. A loop of timers is an error."""
        fired: Counter[Instant] = Counter()
        while self.clock:
            timer, due = min(
                self.clock.items(), key=lambda item: (item[1], item[0].kind.value, item[0].subject)
            )
            if due > self.at(s):
                break
            due = max(due, self.at(self.now))
            fired[due] += 1
            assert fired[due] < AT_ONCE, f"{timer} fires at {due} again and again"
            self.now = max(self.now, (due - MONDAY_NOON) / SECOND)
            self.tell(i.TimerFired(at=due, timer=timer))
        self.now = max(self.now, s)
        return self

    # -- what people do --------------------------------------------------------------------------------------

    def calls(
        self,
        s: float,
        call: str = "c1",
        *,
        number: str = "demo-0",
        caller: str | None = None,
        waits: bool = True,
    ) -> CallId:
        """A caller comes in and, unless told otherwise, stands on the waiting line at once."""
        self.until(s)
        arrived = i.ChannelArrived(
            at=self.at(s),
            node=NODE,
            channel=ChannelId(call),
            name=f"PJSIP/trunk-{call}",
            number=number,
            caller=caller,
        )
        self.tell(arrived)
        self.tell(i.AdmissionDecided(at=self.at(s), call=CallId(call), open=True, source="pushed"))
        if waits:
            self.held(s, call)
        return CallId(call)

    def held(self, s: float, call: str = "c1") -> None:
        self.tell(i.CallerHeld(at=self.at(s), call=CallId(call)))

    def comes(self, s: float, *agents: int, home: str = "demo") -> None:
        """Agents sign in on their phones, which are free."""
        for n in agents:
            self.until(s)
            phone = PhoneId(f"{home}-p{n}")
            self.tell(
                i.SignInAsked(
                    at=self.at(s), agent=AgentId(str(1000 + n)), phone=phone, channel="x", verified=True
                )
            )
            self.tell(i.DeviceReported(at=self.at(s), phone=phone, device=Device.FREE))

    def pauses(self, s: float, agent: int, reason: str = "休憩") -> None:
        self.until(s)
        self.tell(i.PauseAsked(at=self.at(s), agent=AgentId(str(1000 + agent)), reason=reason))

    def ready(self, s: float, agent: int) -> None:
        self.until(s)
        self.tell(i.ReadyAsked(at=self.at(s), agent=AgentId(str(1000 + agent))))

    def leaves(self, s: float, agent: int, home: str = "demo") -> None:
        self.until(s)
        self.tell(i.SignOutAsked(at=self.at(s), phone=PhoneId(f"{home}-p{agent}"), channel="x"))

    # -- what phones do --------------------------------------------------------------------------------------

    def phone(self, agent: int) -> PhoneId:
        found = self.agent(agent).phone
        assert found is not None, f"{agent} is not signed in"
        return found

    def leg(self, agent: int, call: str = "c1") -> ChannelId:
        return ChannelId(f"{self.floor.calls[CallId(call)].offer}/{self.phone(agent)}")

    def rings(self, s: float, *agents: int, call: str = "c1") -> None:
        """The phones of these agents begin to ring for the open round."""
        self.until(s)
        for agent in agents:
            leg, phone, offer = self.leg(agent, call), self.phone(agent), self.open_offer(call)
            self.tell(i.DialBegan(at=self.at(s), call=CallId(call), channel=leg, phone=phone, offer=offer))

    def ends(
        self, s: float, agent: int, result: OfferStage | None, call: str = "c1", *, gone: int | None = 16
    ) -> None:
        """`DialEnd` of one phone, and the end of its leg with this Q.850 cause unless it was picked up."""
        self.until(s)
        leg, phone, offer = self.leg(agent, call), self.phone(agent), self.open_offer(call)
        self.tell(
            i.DialEnded(
                at=self.at(s), call=CallId(call), channel=leg, offer=offer, result=result, phone=phone
            )
        )
        if result is not None and gone is not None:
            self.tell(i.ChannelGone(at=self.at(s), channel=leg, cause=gone))

    def answers(self, s: float, agent: int, call: str = "c1", *, told: bool = True) -> ChannelId:
        """The phone is picked up: caller and phone come into one bridge. Rings first if it did not."""
        self.until(s)
        leg = self.leg(agent, call)
        if leg not in self.floor.channels:
            self.rings(s, agent, call=call)
        if told:
            self.ends(s, agent, None, call)
        self.join(s, call, leg)
        return leg

    def goes(self, s: float, call: str = "c1", *, by: ChannelId | None = None) -> None:
        """The caller (or `by`) hangs up, and everything of the call ends."""
        self.until(s)
        self.hang_up(s, call, by=by)

    def ended_by_us(self, s: float, call: str = "c1") -> None:
        """The caller's channel ends and nobody asked for it, as after an announcement."""
        self.until(s)
        self.tell(i.ChannelGone(at=self.at(s), channel=ChannelId(call), cause=16))

    def drops_off(self, s: float, leg: ChannelId, agent: int, call: str = "c1") -> None:
        """The phone drops off the network in the talk; the caller stands on the waiting line again."""
        self.until(s)
        self.tell(i.DeviceReported(at=self.at(s), phone=self.phone(agent), device=Device.UNREACHABLE))
        self.tell(i.BridgeLeft(at=self.at(s), bridge=f"b-{leg}", channel=leg))
        self.tell(i.ChannelGone(at=self.at(s), channel=leg, cause=38))
        self.held(s, call)

    def configured(self, s: float, *centres: Centre, version: str = "next") -> None:
        self.until(s)
        self.tell(i.ConfigurationChanged(at=self.at(s), configuration=Configuration(version, centres)))

    # -- what is so ------------------------------------------------------------------------------------------

    def agent(self, n: int) -> AgentState:
        return self.floor.agents[AgentId(str(1000 + n))]

    def call_now(self, call: str = "c1") -> Call:
        return self.floor.calls[CallId(call)]

    def rung(self, call: str = "c1") -> list[int]:
        """The agents whose phones ring, or are to ring, for the call now."""
        return [int(self.floor.offers[o].agent) - 1000 for o in self.call_now(call).ringing]

    def offered(self) -> list[tuple[str, int]]:
        """Every offer of the day: (call, agent)."""
        return [(x.call, int(x.agent) - 1000) for x in self.facts if isinstance(x, f.OfferMade)]

    def failed(self) -> list[tuple[int, str]]:
        return [(int(x.agent) - 1000, x.result.value) for x in self.facts if isinstance(x, f.OfferFailed)]

    def wanted(self, kind: type[e.Effect]) -> list[e.Effect]:
        return [x for x in self.effects if isinstance(x, kind)]

    def sent_away(self) -> dict[str, Outcome]:
        return {x.call: x.outcome for x in self.facts if isinstance(x, f.OverflowBegan)}

    def hung_up_by(self) -> dict[str, Party]:
        return {x.call: x.hung_up_by for x in self.facts if isinstance(x, f.CallEnded)}


def opened(*centres: Centre) -> Acd:
    """A day that begins with these centres, the link up and nobody there."""
    acd = Acd()
    acd.begin(Configuration("first", centres))
    return acd


def rule(cause: str, then: str, limit: float = 0, target: str | None = None) -> Overflow:
    """An overflow rule from words: `rule("waiting", "busy", 5)`."""
    named = None if target is None else QueueId(target if "-" in target else f"demo-{target}")
    return Overflow(Cause(cause), Treatment(then), limit, named)
