"""What one decision costs: the time of `step` for each kind of input, on a middling and on a very large floor.

    PYTHONPATH=src:. python -m bench.step [--rounds 400] [--evidence docs/evidence]

Method. A floor is brought to where every agent talks and so many callers wait. Then round after round one caller
arrives and one call is lived to its end, so that the floor keeps its size: arrival, admission, waiting line, hang-up,
bridges left, channels gone, after-call work over (here the next caller is matched), phone rung, bridges entered. Each
`step` is timed alone by the process's own CPU clock, so that what else runs on the machine does not count; garbage
collection does, as it would in the engine. Neither journal nor link is in it.

Memory per waiting call is what the process's traced allocations (tracemalloc, Python's own blocks) grew by while so
many callers came to the waiting line of a floor that is already at work, divided by their number.
"""

from __future__ import annotations

import gc
import itertools
import time
import tracemalloc
from collections import deque

from tests.support.floors import MONDAY_NOON, NODE, NUMBER, centre, configuration

from bench.report import Report, Row, command
from callcore.domain import facts as f
from callcore.domain import inputs as i
from callcore.domain.floor import Floor
from callcore.domain.ids import SECOND, AgentId, CallId, ChannelId, Instant, PhoneId
from callcore.domain.stages import Device
from callcore.domain.step import Step, step

SIZES = ((150, 300), (1000, 3000))
"""(agents, waiting callers): a large centre on its worst day, and far beyond it."""
ACW_S = 1


class Machine:
    """A floor, its clock, and the times (µs) of every step since `times` was emptied."""

    def __init__(self, agents: int, waiting: int) -> None:
        self.floor = Floor()
        self.now = MONDAY_NOON
        self.times: dict[str, list[float]] = {}
        self.talking: deque[tuple[CallId, ChannelId, AgentId]] = deque()
        self._numbers = itertools.count(1)
        config = configuration(centre(agents, acw_s=ACW_S))
        self.tell(i.RunBegins(at=self.now, run=1, software="bench", configuration=config))
        self.tell(i.Snapshot(at=self.now, node=NODE, first=True, channels=(), devices=(), members=()))
        for n in range(1, agents + 1):
            phone = PhoneId(f"demo-p{n}")
            self.tell(
                i.SignInAsked(
                    at=self.now, agent=AgentId(str(1000 + n)), phone=phone, channel="x", verified=True
                )
            )
            self.device(phone, Device.FREE)
        for _ in range(agents):
            self.pick_up(self.arrive())
        for _ in range(waiting):
            self.arrive()
        self.times.clear()

    def tell(self, told: i.Input, name: str | None = None) -> Step:
        began = time.thread_time_ns()
        done = step(self.floor, told)
        took = (time.thread_time_ns() - began) / 1000
        self.times.setdefault(name or type(told).__name__, []).append(took)
        self.floor = done.floor
        return done

    def tick(self, ms: int = 5) -> Instant:
        self.now = Instant(self.now + ms * 1000)
        return self.now

    def device(self, phone: PhoneId, state: Device) -> None:
        self.tell(i.DeviceReported(at=self.tick(), phone=phone, device=state))

    def arrive(self) -> Step:
        name = f"c{next(self._numbers)}"
        at = self.tick()
        self.tell(
            i.ChannelArrived(
                at=at, node=NODE, channel=ChannelId(name), name=f"PJSIP/{name}", number=NUMBER, caller=None
            )
        )
        self.tell(i.AdmissionDecided(at=at, call=CallId(name), open=True, source="pushed"))
        return self.tell(i.CallerHeld(at=at, call=CallId(name)))

    def pick_up(self, decided: Step) -> None:
        """Live the offer that a step made up to the talk."""
        made = next(fact for fact in decided.facts if isinstance(fact, f.OfferMade))
        leg = ChannelId(f"leg-{made.offer}")
        self.tell(
            i.DialBegan(at=self.tick(), call=made.call, channel=leg, phone=made.phone, offer=made.offer)
        )
        self.device(made.phone, Device.BUSY)
        for channel in (leg, ChannelId(made.call)):
            self.tell(i.BridgeEntered(at=self.tick(), bridge=f"b-{leg}", channel=channel))
        self.talking.append((made.call, leg, made.agent))

    def round(self) -> None:
        """One caller more, one call less."""
        self.arrive()
        call, leg, agent = self.talking.popleft()
        caller, bridge = ChannelId(call), f"b-{leg}"
        self.tell(i.HangupRequested(at=self.tick(), channel=leg))
        for channel in (leg, caller):
            self.tell(i.BridgeLeft(at=self.tick(), bridge=bridge, channel=channel))
        phone = self.floor.agents[agent].phone
        assert phone is not None
        for channel in (leg, caller):
            self.tell(i.ChannelGone(at=self.tick(), channel=channel, cause=16))
        self.device(phone, Device.FREE)
        self.tick(ACW_S * SECOND // 1000)
        timer = i.Timer(i.TimerKind.WRAP_UP, agent)
        self.pick_up(self.tell(i.TimerFired(at=self.now, timer=timer), "TimerFired (and matching)"))


def memory_per_waiting(agents: int, waiting: int) -> float:
    """Bytes of the floor that each waiting call holds."""
    machine = Machine(agents, 0)
    gc.collect()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    for _ in range(waiting):
        machine.arrive()
    machine.times.clear()
    gc.collect()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return (after - before) / waiting


def measure(rounds: int) -> Report:
    machines = []
    for agents, waiting in SIZES:
        machine = Machine(agents, waiting)
        for _ in range(rounds):
            machine.round()
        machines.append(machine)
    rows = []
    ratios = []
    for name in [*machines[0].times, "all inputs"]:
        found = []
        for machine, (agents, waiting) in zip(machines, SIZES, strict=True):
            times = (
                machine.times[name]
                if name in machine.times
                else [each for times in machine.times.values() for each in times]
            )
            row = Row.of(f"{name}, {agents:,} agents and {waiting:,} waiting", times, "µs")
            rows.append(row)
            found.append(row)
        ratios.append(f"{name} {found[1].p99 / found[0].p99:.1f}")
    assert all(
        len(m.floor.calls) == agents + waiting for m, (agents, waiting) in zip(machines, SIZES, strict=True)
    )
    return Report(
        name="step",
        title="What one decision costs",
        circumstances={
            "rounds": f"{rounds} of one arrival and one whole call each",
            **{
                f"memory per waiting call, {agents:,} agents and {waiting:,} waiting": (
                    f"{memory_per_waiting(agents, waiting) / 1000:.1f} kB"
                )
                for agents, waiting in SIZES
            },
        },
        rows=rows,
        notes=(
            "p99 on the large floor ÷ p99 on the small one: " + ", ".join(ratios) + ".",
            "CPU time of one thread. How it is measured stands at the head of `bench/step.py`.",
        ),
    )


if __name__ == "__main__":
    command(__doc__, measure, rounds=400)
