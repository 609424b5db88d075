"""Many boards at once: what each change in Asterisk takes until it is in the page of a real browser, and at programs
that read the same stream.

    python -m tests.support.boards PORT STREAMS      the token on the first line of stdin; ends when stdin does

As a program: so many streams of changes, as pages read them, each event parsed; at the end one JSON line on stdout with
`[stream, "run.n", rendered at, arrived at]` of each, times in epoch seconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from bisect import bisect_left
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import msgspec
from playwright.async_api import Page

from callcore.domain import facts as f
from callcore.domain.ids import SECOND
from callcore.domain.measures import nearest_rank_s
from callcore.reports import Tape
from callcore.reports.tape import facts_of
from callcore.runtime.ports import Seq
from tests.support.station import PROJECT, Station

WATCH = """
() => {
  window.seen = [];
  window.lives = [];
  const note = (...what) => window.seen.push([Date.now() / 1000, ...what]);
  const look = (changes) => {
    for (const change of changes) {
      if (change.type === "attributes") {
        const row = change.target.closest("tbody > tr");
        const kind = row?.parentElement.dataset.f;
        if (kind === "agent-rows" || kind === "waiting-rows") note(kind, row.dataset.key, change.target.dataset.state);
      } else if (change.target.dataset.f === "waiting-count") {
        note("waiting-count", "", "");
      } else if (change.target.dataset.f === "waiting-rows") {
        for (const row of change.addedNodes)
          note("waiting-rows", row.dataset.key, row.querySelector('[data-f="stage"]').dataset.state);
      }
    }
  };
  const how = { subtree: true, childList: true, attributes: true, attributeFilter: ["data-state"] };
  new MutationObserver(look).observe(document.getElementById("board"), how);
  document.addEventListener("live", (event) =>
    window.lives.push([event.detail.seq, Date.parse(event.detail.at) / 1000, Date.now() / 1000]));
}
"""
"""In the page: when an agent's state changed, when a caller's row came or its state changed, when the number of callers
who wait changed, and when each event of the stream was drawn."""


COUNT = ("waiting-count", "", "")


class Told(msgspec.Struct):
    """What is looked at of an event; all else of it is parsed and let go."""

    seq: str
    at: datetime


def seq_of(text: str) -> Seq:
    run, n = text.split(".")
    return Seq(int(run), int(n))


# -- the program ---------------------------------------------------------------------------------------------


async def _stream(number: int, port: int, token: str, told: list[Any]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**21)
    head = f"GET /api/v1/live/stream?changes=true HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {token}\r\n\r\n"
    writer.write(head.encode())
    decoder = msgspec.json.Decoder(Told)
    try:
        while line := await reader.readline():
            if line.startswith(b"data: "):
                arrived = time.time()
                found = decoder.decode(line[6:])
                told.append([number, found.seq, found.at.timestamp(), arrived])
    finally:
        writer.close()


async def _program(port: int, streams: int) -> None:
    loop = asyncio.get_running_loop()
    token = (await loop.run_in_executor(None, sys.stdin.readline)).strip()
    told: list[Any] = []
    running = [asyncio.create_task(_stream(n, port, token, told)) for n in range(streams)]
    await loop.run_in_executor(None, sys.stdin.read)
    over = sum(task.done() for task in running)
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)
    print(json.dumps({"over": over, "told": told}))


# -- the measurement -----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Boards:
    """What programs and pages saw. `over`: streams that ended before the trial did."""

    told: list[Any] = field(default_factory=list)
    over: int = 0


@asynccontextmanager
async def streams(s: Station, machine: Mapping[str, str], count: int) -> AsyncIterator[Boards]:
    """So many programs at the live stream, in a process of their own; what they saw is there afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.support.boards",
        str(s.settings.web_port),
        str(count),
        cwd=PROJECT,
        env={**s.env, "PYTHONPATH": f"{PROJECT / 'src'}:{PROJECT}"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=2**28,
    )
    assert process.stdin is not None
    process.stdin.write(f"{machine['authorization']}\n".encode())
    await process.stdin.drain()
    found = Boards()
    try:
        yield found
        process.stdin.close()
        said, _ = await asyncio.wait_for(process.communicate(), 60)
        result = json.loads(said)
        found.told, found.over = result["told"], result["over"]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that a board shows at once. `at`: Asterisk's own time stamp, epoch seconds."""

    seq: Seq
    at: float
    sign: tuple[str, str, str]
    """As the page's observer notes it."""


def changes(s: Station, after: float, before: float) -> Iterator[Change]:
    """A caller came into the line, an agent answered, an agent's talk ended: those between two instants."""
    with Tape(s.settings.journal, s.settings.keys) as tape:
        for frame in tape.frames():
            for fact in facts_of(frame):
                sign = _sign(fact)
                if sign is not None and after <= fact.at / SECOND < before:
                    yield Change(Seq(frame.run, frame.n), fact.at / SECOND, sign)


def _sign(fact: f.Fact) -> tuple[str, str, str] | None:
    match fact:
        case f.VisitBegan():
            return ("waiting-rows", fact.call, "waiting")
        case f.CallAnswered():
            return ("agent-rows", fact.agent, "talking")
        case f.TalkEnded():
            return ("agent-rows", fact.agent, "acw")
    return None


@dataclass(frozen=True, slots=True)
class Drawn:
    """What one page noted."""

    seen: Sequence[tuple[float, str, str, str]]
    lives: Sequence[tuple[str, float, float]]


async def noted(page: Page) -> Drawn:
    seen, lives = await page.evaluate("[window.seen, window.lives]")
    return Drawn([tuple(each) for each in seen], [tuple(each) for each in lives])


def witnessed(wanted: Sequence[Change], page: Drawn) -> int:
    """How many of these changes the page's observer saw being made in the picture that had to bring them; the others
    were undone by what came with the same picture, as where an agent ends a talk and begins the next."""
    by_sign: dict[tuple[str, str, str], list[float]] = {}
    for at, kind, key, state in page.seen:
        by_sign.setdefault((kind, key, state), []).append(at)
    order = [seq_of(seq) for seq, _, _ in page.lives]
    found = 0
    for change in wanted:
        place, times = bisect_left(order, change.seq), by_sign.get(change.sign, [])
        if change.sign[0] == "waiting-rows":  # of a long line the page shows the first callers, and the count
            times = sorted([*times, *by_sign.get(COUNT, [])])
        if place < len(order):
            first = bisect_left(times, change.at - 0.002)  # the page's clock has milliseconds
            # The observer speaks when all of a picture is drawn, so before the next one is.
            before = page.lives[place + 1][2] if place + 1 < len(page.lives) else float("inf")
            found += first < len(times) and times[first] < before
    return found


@dataclass(frozen=True, slots=True)
class Way:
    """Of one change at one reader, in seconds: from Asterisk's time stamp to the rendering of the first picture that
    has it, and from there until the reader had it."""

    rendered: float
    carried: float

    @property
    def whole(self) -> float:
        return self.rendered + self.carried


def ways(wanted: Sequence[Change], events: Sequence[tuple[str, float, float]]) -> list[Way]:
    """One reader's events are (seq, rendered at, there at), in order. A picture that was passed over is no event."""
    order = [seq_of(seq) for seq, _, _ in events]
    found = []
    for change in wanted:
        place = bisect_left(order, change.seq)
        if place < len(events):
            _, made, there = events[place]
            found.append(Way(made - change.at, there - made))
    return found


def ms(seconds: Sequence[float], share: float) -> float:
    """The time within which this share of them lies, in milliseconds."""
    found = nearest_rank_s(sorted(round(each * SECOND) for each in seconds), share)
    assert found is not None, "nothing was measured"
    return round(found * 1000, 1)


if __name__ == "__main__":
    asyncio.run(_program(int(sys.argv[1]), int(sys.argv[2])))
