"""A small centre and a tape of inputs: how the core is exercised without Asterisk.

`Desk` feeds inputs to `step`, keeps the facts and effects, and checks the invariants and the books after each one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from callcore.domain import effects as e
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.centre import (
    Agent,
    Announcement,
    Cause,
    Centre,
    Comfort,
    Configuration,
    ListedCaller,
    Number,
    Order,
    Overflow,
    Phone,
    Queue,
    Rung,
    Unwelcome,
)
from callcore.domain.evolve import evolve
from callcore.domain.floor import Floor
from callcore.domain.hours import Calendar, Window
from callcore.domain.ids import (
    SECOND,
    AgentId,
    CallId,
    CentreId,
    ChannelId,
    Instant,
    NodeId,
    OfferId,
    PhoneId,
    QueueId,
)
from callcore.domain.measures import Books, Figures, figures, imbalance
from callcore.domain.stages import Device, OfferStage, Treatment
from callcore.domain.step import Step, step

NODE = NodeId("node1")
NUMBER = "0975105151"
MONDAY_NOON = Instant(1_795_402_800 * SECOND)
"""2026-11-23 12:00 Asia/Tokyo; 勤労感謝の日, but the small centre keeps no holidays."""


def centre(agents: int = 3, *, ring_s: int = 15, acw_s: int = 30, open_all_day: bool = True) -> Centre:
    """A centre with one queue, as many phones as agents, open all day unless told otherwise."""
    window = Window(0, 86_400) if open_all_day else Window(8 * 3600 + 1800, 18 * 3600)
    return Centre(
        id=CentreId("demo"),
        name="試験センター",
        name_en="Test centre",
        calendar=Calendar("Asia/Tokyo", tuple((window,) for _ in range(7))),
        numbers=(Number(NUMBER, QueueId("demo-general")),),
        queues=(Queue(QueueId("demo-general"), "総合案内", ring_s=ring_s, acw_s=acw_s),),
        agents=tuple(
            Agent(AgentId(str(1001 + n)), f"オペレーター{n + 1:02}", (QueueId("demo-general"),))
            for n in range(agents)
        ),
        phones=tuple(Phone(PhoneId(f"demo-p{n + 1}"), f"A-{n + 1}", "generic") for n in range(agents)),
        announcements=tuple(
            Announcement(kind, "ja", kind, f"demo/ja/{kind}")
            for kind in ("recording_notice", "greeting", "closed", "apology")
        ),
    )


ENGLISH_NUMBER = "0501234567"


def rich(agents: int = 4) -> Centre:
    """A centre that uses everything the ACD has: skills, a ladder, phones that ring together, every overflow rule."""
    general, english, last = (QueueId(f"demo-{name}") for name in ("general", "english", "last"))
    return replace(
        centre(agents, ring_s=10, acw_s=15),
        numbers=(Number(NUMBER, general), Number(ENGLISH_NUMBER, english, priority=3)),
        queues=(
            Queue(
                general,
                "総合案内",
                ring_s=10,
                acw_s=15,
                order=Order.FEWEST_CALLS,
                patience_s=60,
                handling_s=40,
                comfort=Comfort(every_s=20, first_s=5, say=("documents",)),
                overflow=(
                    Overflow(Cause.NO_AGENT, Treatment.ANNOUNCE),
                    Overflow(Cause.WAITING, Treatment.MENU, 3, menu="demo-full", again_s=30),
                    Overflow(Cause.WAITING, Treatment.BUSY, 5),
                    Overflow(Cause.ESTIMATED_WAIT, Treatment.ANNOUNCE, 90),
                    Overflow(Cause.LINES, Treatment.BUSY),
                ),
            ),
            Queue(
                english,
                "英語",
                ring_s=10,
                acw_s=10,
                needs=(("en", 1),),
                ladder=(Rung(10, level=3), Rung(20, agents_of=(general,))),
                ring_at_once=2,
                comfort=Comfort(every_s=10, first_s=10, cut=True),
                overflow=(
                    Overflow(Cause.PER_AGENT, Treatment.QUEUE, 2, target=last),
                    Overflow(Cause.LONGEST_WAIT, Treatment.AGENTS, 30, target=last),
                    Overflow(Cause.LONGEST_WAIT, Treatment.QUEUE, 45, target=general),
                ),
            ),
            Queue(last, "最後", ring_s=10, acw_s=0, order=Order.RANDOM, seed=7, ring_at_once=3),
        ),
        agents=tuple(
            Agent(
                AgentId(str(1001 + n)),
                f"オペレーター{n + 1:02}",
                ((general, last), (english,), (general, english), (last,))[n % 4],
                skills=((), (("en", 1),), (("en", 3), ("ja", 1)), (("en", 2),))[n % 4],
            )
            for n in range(agents)
        ),
        lines=8,
        pause_after_misses=2,
        callers=(ListedCaller("0312345678", 1, "前回切断 / cut off last time"),),
        blocked=Unwelcome.ANNOUNCE,
        withheld=Unwelcome.ANNOUNCE,
    )


def configuration(*centres: Centre) -> Configuration:
    return Configuration("test", centres or (centre(),))


@dataclass
class Desk:
    """The core under test, with a clock of its own in seconds from `MONDAY_NOON`."""

    floor: Floor = field(default_factory=Floor)
    books: Books = field(default_factory=Books)
    facts: list[f.Fact] = field(default_factory=list)
    effects: list[e.Effect] = field(default_factory=list)
    last: Step | None = None
    files: Configuration | None = None

    def at(self, s: float) -> Instant:
        return Instant(MONDAY_NOON + round(s * SECOND))

    def _as_the_engine(self, told: i.Input) -> i.Input:
        """Lists of callers stay in the files; what they say of a caller comes with the arrival."""
        if isinstance(told, i.RunBegins | i.ConfigurationChanged):
            self.files = told.configuration
            return replace(told, configuration=told.configuration.without_callers())
        if isinstance(told, i.ChannelArrived) and self.files is not None:
            found = self.files.listed(told.number, told.caller)
            listed = None if found is None else (found.priority, found.reason)
            return replace(told, listed=listed, test=self.files.tests(told.number, told.caller))
        return told

    def tell(self, told: i.Input) -> Step:
        told = self._as_the_engine(told)
        done = step(self.floor, told)
        folded = self.floor
        for fact in done.facts:
            folded = evolve(folded, fact)
            self.books = self.books.after(fact)
        assert folded == done.floor, "folding the facts does not give the floor of the step"
        assert done.floor.problems() == []
        assert imbalance(self.figures(told.at)) is None
        self.floor = done.floor
        self.facts.extend(done.facts)
        self.effects.extend(done.effects)
        self.last = done
        return done

    def figures(self, at: Instant) -> Figures:
        return figures(self.books.records.values(), at=at, service_level_s=20)

    # -- the usual ways ---------------------------------------------------------------------------------------

    def begin(self, config: Configuration | None = None) -> Desk:
        self.tell(
            i.RunBegins(
                at=self.at(0),
                run=self.floor.run + 1,
                software="test",
                configuration=config or configuration(),
            )
        )
        self.snapshot(0)
        return self

    def snapshot(self, s: float, *channels: i.ChannelSeen, first: bool = True, **more: object) -> Step:
        told = i.Snapshot(at=self.at(s), node=NODE, first=first, channels=channels, devices=(), members=())
        return self.tell(replace(told, **more))  # type: ignore[arg-type]

    def sign_in(self, s: float, agent: int, phone: int | None = None) -> None:
        name = PhoneId(f"demo-p{agent if phone is None else phone}")
        self.tell(
            i.SignInAsked(
                at=self.at(s), agent=AgentId(str(1000 + agent)), phone=name, channel="x", verified=True
            )
        )
        self.tell(i.DeviceReported(at=self.at(s), phone=name, device=Device.FREE))

    def device(self, s: float, phone: int, device: Device) -> None:
        self.tell(i.DeviceReported(at=self.at(s), phone=PhoneId(f"demo-p{phone}"), device=device))

    def arrive(
        self,
        s: float,
        call: str = "c1",
        *,
        open: bool = True,
        caller: str | None = "0312345678",
        blocked: str | None = None,
    ) -> CallId:
        """`blocked`: by which rule the dialplan refused the caller: `listed`, `withheld` or `outsider`."""
        self.tell(
            i.ChannelArrived(
                at=self.at(s),
                node=NODE,
                channel=ChannelId(call),
                name=f"PJSIP/trunk-{call}",
                number=NUMBER,
                caller=caller,
            )
        )
        decided = i.AdmissionDecided(
            at=self.at(s),
            call=CallId(call),
            open=open and blocked is None,
            source=blocked or "pushed",
            blocked=blocked is not None,
        )
        self.tell(decided)
        return CallId(call)

    def wait(self, s: float, call: str = "c1") -> CallId:
        name = self.arrive(s, call)
        self.tell(i.CallerHeld(at=self.at(s), call=name))
        return name

    def open_offer(self, call: str = "c1") -> OfferId:
        offer = self.floor.calls[CallId(call)].offer
        assert offer is not None, f"no offer is open for {call}"
        return offer

    def phone_of(self, call: str = "c1") -> PhoneId:
        return self.floor.offers[self.open_offer(call)].phone

    def ring(self, s: float, call: str = "c1") -> ChannelId:
        offer = self.open_offer(call)
        leg = ChannelId(f"leg-{offer}")
        self.tell(
            i.DialBegan(at=self.at(s), call=CallId(call), channel=leg, phone=self.phone_of(call), offer=offer)
        )
        return leg

    def pick_up(self, s: float, call: str = "c1") -> ChannelId:
        leg = self.ring(s, call)
        self.join(s, call, leg)
        return leg

    def join(self, s: float, call: str, leg: ChannelId) -> None:
        for channel in (ChannelId(call), leg):
            self.tell(i.BridgeEntered(at=self.at(s), bridge=f"b-{leg}", channel=channel))

    def hang_up(self, s: float, call: str = "c1", *, by: ChannelId | None = None) -> None:
        """The end as Asterisk tells it: who asked, who left the bridge, whose channel went, in that order."""
        state = self.floor.calls[CallId(call)]
        self.tell(i.HangupRequested(at=self.at(s), channel=by or state.channel))
        for leg in reversed(state.legs):
            if leg.bridge is not None:
                self.tell(i.BridgeLeft(at=self.at(s), bridge=leg.bridge, channel=leg.channel))
        for leg in reversed(state.legs):
            self.tell(i.ChannelGone(at=self.at(s), channel=leg.channel, cause=16))

    def told(self, kind: type[f.Fact]) -> list[f.Fact]:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def outcomes(self) -> dict[str, str]:
        return {fact.call: fact.outcome.value for fact in self.facts if isinstance(fact, f.CallEnded)}


def failed(result: OfferStage, desk: Desk, s: float, call: str = "c1") -> None:
    """The open offer of a call ends so, as `DialEnd` tells it, and the phone's leg goes."""
    offer = desk.open_offer(call)
    leg = ChannelId(f"leg-{offer}")
    desk.tell(i.DialEnded(at=desk.at(s), call=CallId(call), channel=leg, offer=offer, result=result))
    desk.tell(i.ChannelGone(at=desk.at(s), channel=leg, cause=16))
