"""A day at the small centre as frames of facts, lived by choices that a test draws, and folded without a database."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from zlib import crc32

from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.call import Call
from callcore.domain.ids import SECOND, Instant, PhoneId
from callcore.domain.measures import Books
from callcore.domain.personal import Personal
from callcore.domain.stages import OfferStage, Presence, Stage, Work
from callcore.domain.step import Step
from tests.support.floors import NODE, Desk, centre, configuration, failed

VERBS = (
    *("come", "come", "closed", "pick_up", "pick_up", "ring_out", "reject", "hold", "resume", "lose_agent"),
    *(
        "caller_ends",
        "agent_ends",
        "net",
        "net_answers",
        "blind",
        "finish_wrap_up",
        "sign_in",
        "sign_out",
        "record",
    ),
)
Choice = tuple[str, int]
"""What happens, and to which of those it can happen to."""


@dataclass(frozen=True)
class TestFrame:
    __test__ = False
    run: int
    n: int
    at: Instant
    facts: tuple[f.Fact, ...]


@dataclass
class Day(Desk):
    """Keeps each step's facts as one frame, as the journal does."""

    frames: list[TestFrame] = field(default_factory=list)
    s: float = 1.0
    came: int = 0

    def tell(self, told: i.Input) -> Step:
        done = super().tell(told)
        if done.facts:
            last = self.frames[-1] if self.frames else None
            n = last.n + 1 if last is not None and last.run == self.floor.run else 1
            self.frames.append(TestFrame(self.floor.run, n, told.at, done.facts))
        return done

    def live(self, choices: Iterable[Choice]) -> Day:
        for verb, which in choices:
            self.s += 1.7 + which / 1_000_003  # microseconds matter
            self._do(verb, which)
        return self

    def _calls(self, *stages: Stage) -> list[Call]:
        return sorted((c for c in self.floor.calls.values() if c.stage in stages), key=lambda c: c.id)

    def _do(self, verb: str, which: int) -> None:
        s = self.s
        if verb in ("come", "closed"):
            self.came += 1
            name = f"node1-{self.came}.{self.came}"
            if verb == "come":
                self.wait(s, name)
            else:
                self.arrive(s, name, open=False, caller=None if which % 2 else "0312345678")
            return
        agents = sorted(self.floor.agents.values(), key=lambda a: a.id)
        if verb == "sign_in":
            out = [n for n, a in enumerate(agents) if a.presence is Presence.SIGNED_OUT]
            if out:
                self.sign_in(s, out[which % len(out)] + 1)
            return
        if verb == "sign_out":
            seated = [a for a in agents if a.phone is not None and a.work is Work.IDLE]
            if seated:
                phone = seated[which % len(seated)].phone
                assert phone is not None
                self.tell(i.SignOutAsked(at=self.at(s), phone=phone, channel="x"))
            return
        if verb == "finish_wrap_up":
            for agent in agents:
                if agent.wrap_up_until is not None:
                    self.s = max(s, (agent.wrap_up_until - self.at(0)) / SECOND)
                    timer = i.Timer(i.TimerKind.WRAP_UP, agent.id)
                    self.tell(i.TimerFired(at=self.at(self.s), timer=timer))
            return
        if verb == "record":
            for call in sorted(self.floor.unfiled):
                measured = i.RecordingMeasured(
                    at=self.at(s),
                    call=call,
                    file=f"{call}.wav",
                    size=16_044,
                    seconds=1.0,
                    sha256="ab",
                    problem=None,
                )
                self.tell(measured)
            return
        if verb == "blind":
            self.tell(i.LinkDropped(at=self.at(s), node=NODE))
            self.snapshot(s + 0.5, *self._seen())
            return
        wanted = {
            "pick_up": (Stage.OFFERED,),
            "ring_out": (Stage.OFFERED,),
            "reject": (Stage.OFFERED,),
            "hold": (Stage.TALKING,),
            "resume": (Stage.TALKING,),
            "lose_agent": (Stage.TALKING,),
            "agent_ends": (Stage.TALKING,),
            "caller_ends": tuple(Stage),
            "net": (Stage.WAITING,),
            "net_answers": (Stage.WAITING,),
        }[verb]
        found = self._calls(*wanted)
        if not found:
            return
        call = found[which % len(found)]
        if verb == "pick_up":
            self.pick_up(s, call.id)
        elif verb == "ring_out":
            self.ring(s, call.id)
            self.s = s + 15.1  # the whole ring time; an earlier end would be a refusal
            failed(OfferStage.NO_ANSWER, self, self.s, call.id)
        elif verb == "reject":
            failed(OfferStage.REJECTED, self, s, call.id)
        elif verb in ("hold", "resume") and call.talking_leg is not None:
            self.tell(i.HoldChanged(at=self.at(s), channel=call.talking_leg, held=verb == "hold"))
        elif verb == "lose_agent" and call.talking_leg is not None:
            self.tell(i.ChannelGone(at=self.at(s), channel=call.talking_leg, cause=38))
            self.tell(i.CallerHeld(at=self.at(s), call=call.id))
        elif verb in ("caller_ends", "agent_ends"):
            self.hang_up(s, call.id, by=call.talking_leg if verb == "agent_ends" else None)
        elif verb == "net":
            self.tell(i.CallerInNet(at=self.at(s), call=call.id))
        elif verb == "net_answers":
            self._net_answers(call, which)

    def _net_answers(self, call: Call, which: int) -> None:
        at = self.at(self.s)
        if not call.in_net:
            self.tell(i.CallerInNet(at=at, call=call.id))
        leg = f"net-leg-{self.s}"
        phone = PhoneId(f"demo-p{which % 3 + 1}")
        told = i.DialBegan(at=at, call=call.id, channel=type(call.channel)(leg), phone=phone, offer=None)
        self.tell(told)
        self.join(self.s, call.id, type(call.channel)(leg))

    def _seen(self) -> list[i.ChannelSeen]:
        """Callers who still stand on the line after nobody watched; half of them have gone."""
        return [
            i.ChannelSeen(
                id=call.channel,
                name=call.channel_name,
                context="callcore-hold",
                application="WaitForCondition",
                bridge=None,
                call=call.id,
                offer=None,
                phone=None,
                number=call.number,
                caller=None,
                created=call.arrived_at,
                entered=call.entered_at,
            )
            for call in self._calls(Stage.WAITING)[::2]
        ]


def a_day(choices: Sequence[Choice] = (), agents: int = 3) -> Day:
    """Begins with everybody signed in; then what was chosen."""
    day = Day()
    day.begin(configuration(centre(agents)))
    for n in range(1, agents + 1):
        day.sign_in(0.5, n)
    day.live(choices)
    return day


ORDINARY: tuple[Choice, ...] = (
    *(("come", 0), ("pick_up", 0), ("come", 1), ("ring_out", 0), ("pick_up", 0), ("hold", 0), ("resume", 0)),
    *(("closed", 0), ("closed", 1), ("come", 2), ("come", 3), ("come", 4), ("agent_ends", 0), ("record", 0)),
    *(("net", 0), ("blind", 0), ("caller_ends", 0), ("finish_wrap_up", 0), ("pick_up", 0), ("lose_agent", 0)),
    *(("sign_out", 0), ("caller_ends", 1), ("net_answers", 1), ("record", 1), ("come", 5), ("reject", 0)),
)
"""Something of everything."""


def books(frames: Iterable[TestFrame]) -> Books:
    folded = Books()
    for frame in frames:
        for fact in frame.facts:
            folded = folded.after(fact)
    return folded


def seal(value: Personal) -> tuple[bytes, str | None, str] | None:
    """Stands for the key store: what comes out can be told from what went in."""
    assert value.text is not None
    return value.text[::-1].encode(), f"print-{crc32(value.text.encode()):08x}", "2026-11"
