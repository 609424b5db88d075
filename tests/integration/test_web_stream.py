"""The live stream on the wire: at once, complete, never a backlog, and gone in time."""

from __future__ import annotations

import asyncio
import json
import re
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from callcore.web import Pace
from callcore.web import models as m
from callcore.web.show import EVERYTHING
from callcore.web.stream import Streams
from tests.support.floors import Desk, centre, configuration
from tests.support.web import DEADLINE_S, DeskSource, Stream, served
from tests.unit.test_changes import applied


def a_source(agents: int = 3) -> DeskSource:
    return DeskSource(Desk().begin(configuration(centre(agents))))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE_S):
        while not condition():
            await asyncio.sleep(0.01)


async def test_a_board_sees_the_whole_floor_at_once_and_then_each_change() -> None:
    source = a_source()
    async with served(source, pace=Pace(min_gap_s=0.01, keep_alive_s=60)) as server:
        stream = await Stream.open(server.port, server.machine)
        assert b"text/event-stream" in stream.head
        first = await stream.next()
        assert first.id == first.live["seq"] == "1.1"
        source.desk.wait(5, "c1")
        source.turn()
        second = await stream.next()
        assert second.id == "1.2"
        assert [w["call"] for w in second.live["centres"][0]["waiting"]] == ["c1"]
        m.Live.model_validate(second.live)
        await stream.close()


async def test_the_stream_says_what_the_api_says_at_the_same_seq() -> None:
    source = a_source()
    source.desk.wait(5, "c1")
    source.turn()
    async with served(source) as server, httpx.AsyncClient() as client:
        stream = await Stream.open(server.port, server.machine)
        streamed = (await stream.next()).live
        asked = (await client.get(f"{server.url}/api/v1/live", headers=server.machine)).json()
        await stream.close()
    assert streamed == asked


PATIENT = Pace(min_gap_s=0.01, keep_alive_s=600)
"""Nothing comes of itself while a test runs."""


@pytest.mark.parametrize(
    "last_id", ["1.1", "1.3", "0.999", "nonsense", "-1", "1.1'; --", "1.", "1.2.3", "1.٣", ""]
)
async def test_who_comes_back_sees_the_present_floor_at_once_whatever_was_seen_last(last_id: str) -> None:
    source = a_source()
    source.desk.wait(5, "c1")
    source.turn()
    source.turn()
    async with served(source, pace=PATIENT) as server:
        for told in ({"last_id": last_id}, {"query": f"?after={quote(last_id)}"}):
            stream = await Stream.open(server.port, server.machine, **told)
            assert (await stream.next()).id == "1.3"
            await stream.close()


async def test_what_happened_while_the_line_was_cut_is_in_the_first_event_after_it() -> None:
    source = a_source()
    async with served(source, pace=PATIENT) as server:
        stream = await Stream.open(server.port, server.machine)
        seen = (await stream.next()).id
        await stream.close()
        for n in range(3):
            source.desk.wait(5 + n, f"c{n}")
            source.turn()
        stream = await Stream.open(server.port, server.machine, last_id=seen)
        first = await stream.next()
        assert first.id == "1.4"
        assert [w["call"] for w in first.live["centres"][0]["waiting"]] == ["c0", "c1", "c2"]
        source.turn()
        assert (await stream.next()).id == "1.5", "and it goes on from there"
        await stream.close()


@pytest.mark.parametrize("way", ["header", "query"])
async def test_a_server_that_still_reads_the_journal_does_not_show_the_past_to_who_saw_more(way: str) -> None:
    source = a_source()
    async with served(source, pace=PATIENT) as server:
        told = {"last_id": "1.3"} if way == "header" else {"query": "?after=1.3"}
        stream = await Stream.open(server.port, server.machine, **told)
        newcomer = await Stream.open(server.port, server.machine)
        assert (await newcomer.next()).id == "1.1", "who has seen nothing yet sees what there is"
        source.turn()
        assert (await newcomer.next()).id == "1.2"
        source.desk.wait(5, "c1")
        source.turn()
        first = await stream.next()
        assert first.id == "1.3"
        assert [w["call"] for w in first.live["centres"][0]["waiting"]] == ["c1"]
        await newcomer.close()
        await stream.close()


async def test_the_header_of_a_browser_that_comes_back_counts_more_than_the_address_it_began_with() -> None:
    source = a_source()
    async with served(source, pace=PATIENT) as server:
        stream = await Stream.open(server.port, server.machine, last_id="1.1", query="?after=9.9")
        assert (await stream.next()).id == "1.1"
        await stream.close()


@pytest.mark.parametrize("last_id", ["7.1", "1.999", "999999999999.999999999999999999"])
async def test_an_id_of_another_installation_or_of_the_future_ends_in_the_whole_floor_all_the_same(
    last_id: str,
) -> None:
    source = a_source()
    async with served(source, pace=Pace(min_gap_s=0.01, keep_alive_s=0.2)) as server:
        stream = await Stream.open(server.port, server.machine, last_id=last_id)
        first = await stream.next()
        assert first.id == first.live["seq"] == "1.1"
        m.Live.model_validate(first.live)
        source.turn()
        while (await stream.next()).id != "1.2":
            pass
        await stream.close()


async def test_who_waits_for_a_place_that_never_comes_does_not_hold_up_the_shutdown() -> None:
    async with served(a_source(), pace=PATIENT) as server:
        stream = await Stream.open(server.port, server.machine, last_id="9.9")
        await until(lambda: server.streams.open == 1)
        await server.stop()
        assert (await stream.rest()).endswith(b"0\r\n\r\n")
        await stream.close()


async def test_who_goes_while_waiting_for_a_place_leaves_nothing_behind() -> None:
    async with served(a_source(), pace=PATIENT) as server:
        stream = await Stream.open(server.port, server.machine, last_id="9.9")
        await until(lambda: server.streams.open == 1)
        await stream.close()
        await until(lambda: server.streams.open == 0)


async def test_a_quiet_floor_is_told_again_so_that_silence_means_a_broken_line() -> None:
    source = a_source()
    async with served(source, pace=Pace(min_gap_s=0.01, keep_alive_s=0.1, freshness_s=0.02)) as server:
        stream = await Stream.open(server.port, server.machine)
        assert [(await stream.next()).id for _ in range(3)] == ["1.1", "1.1", "1.1"]
        await stream.close()


async def test_a_silent_engine_is_told_before_the_next_keep_alive() -> None:
    source = a_source()
    async with served(source, pace=Pace(min_gap_s=0.01, keep_alive_s=60, freshness_s=0.02)) as server:
        stream = await Stream.open(server.port, server.machine)
        assert (await stream.next()).live["stale_s"] is None
        source.stale = 6.04
        assert (await stream.next()).live["stale_s"] == 6.0
        source.stale = None
        assert (await stream.next()).live["stale_s"] is None
        await stream.close()


async def test_a_storm_of_changes_comes_as_few_events_and_ends_with_the_newest() -> None:
    source = a_source()
    async with served(source, pace=Pace(min_gap_s=0.2, keep_alive_s=60)) as server:
        stream = await Stream.open(server.port, server.machine)
        await stream.next()
        for _ in range(500):
            source.turn()
            await asyncio.sleep(0)
        ids = []
        while not ids or ids[-1] != "1.501":
            ids.append((await stream.next()).id)
        assert len(ids) <= 3
        await stream.close()


def _slow_socket(port: int, machine: dict[str, str]) -> socket.socket:
    """A client that asks and does not read."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.connect(("127.0.0.1", port))
    more = "".join(f"{name}: {value}\r\n" for name, value in machine.items())
    client.sendall(f"GET /api/v1/live/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n".encode())
    return client


async def test_a_slow_board_gets_the_newest_floor_and_no_backlog() -> None:
    source = a_source(agents=150)
    changes = 400
    pace = Pace(min_gap_s=0.001, keep_alive_s=60, send_deadline_s=600)  # however long the changes take
    async with served(source, pace=pace) as server:
        slow = _slow_socket(server.port, server.machine)
        quick = await Stream.open(server.port, server.machine, limit=2**24)
        for _ in range(changes):
            source.turn()
            await quick.next()
        slow.setblocking(False)
        loop = asyncio.get_running_loop()
        newest = f"id: 1.{changes + 1}\n".encode()
        got = bytearray()
        async with asyncio.timeout(DEADLINE_S):
            while newest not in got:
                more = await loop.sock_recv(slow, 2**20)
                assert more, "let go"
                got += more
        slow.close()
        await quick.close()
    # What waited for it: the kernel's buffers and one event, not 400 of about 25 kB.
    assert got.count(b"event: live") < changes / 2


def pictures(events: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[dict[str, Any]]:
    """Each picture that a client of changes has."""
    now: dict[str, Any] = {}
    for name, data in events:
        if name == "live":
            now = data
        else:
            assert data["from"] == {"seq": now["seq"], "at": now["at"]}
            now = applied(now, data["change"])
            assert (now["seq"], now["at"]) == (data["seq"], data["at"])
        yield now


async def test_who_asks_for_changes_has_the_same_picture_as_who_is_sent_all_of_it() -> None:
    source = a_source(agents=150)
    desk = source.desk
    async with served(source, pace=PATIENT) as server:
        whole = await Stream.open(server.port, server.machine)
        changes = await Stream.open(server.port, server.machine, query="?changes=true")
        told, wanted, sizes = [], [], []
        for n in range(12):
            event = await changes.next()
            told.append((event.name, event.live))
            wanted.append((await whole.next()).live)
            sizes.append(len(json.dumps(event.live)))
            (desk.sign_in if n % 3 == 0 else desk.wait)(10 + n, *([1 + n] if n % 3 == 0 else [f"c{n}"]))
            source.clock = desk.at(10 + n)
            source.turn()
        await whole.close()
        await changes.close()
    assert [name for name, _ in told] == ["live", *["change"] * 11]
    assert list(pictures(told)) == wanted
    assert max(sizes[1:]) < sizes[0] / 20


async def test_who_reads_changes_slowly_gets_what_changed_since_the_last_that_was_sent() -> None:
    source = a_source()
    stream = Streams(source, PATIENT).admit(lambda: EVERYTHING, changes=True)
    sent: asyncio.Queue[tuple[str, dict[str, Any]]] = asyncio.Queue()
    reads = asyncio.Semaphore(2)

    async def send(message: dict[str, Any]) -> None:
        found = re.search(rb"event: (\w+)\nid: [0-9.]+\ndata: (.*)\n\n", message.get("body", b""))
        if found is not None:
            await reads.acquire()
            sent.put_nowait((found[1].decode(), json.loads(found[2])))

    running = asyncio.create_task(stream({}, asyncio.Event().wait, send))  # type: ignore[arg-type]
    async with asyncio.timeout(DEADLINE_S):
        told = [await sent.get()]
        for n in range(30):
            source.desk.wait(10 + n, f"c{n}")
            source.turn()
            await asyncio.sleep(0.02)
        reads.release()
        reads.release()
        while told[-1][1]["seq"] != "1.31":
            told.append(await sent.get())
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert [name for name, _ in told] == ["live", "change", "change", "change"]
    assert [len(each["centres"][0]["waiting"]) for each in pictures(told)] == [0, 1, 2, 30]


async def test_all_boards_share_one_rendering_in_each_gap() -> None:
    source = a_source()
    gap = 0.2
    async with served(source, pace=Pace(min_gap_s=gap, keep_alive_s=60)) as server:
        boards = [await Stream.open(server.port, server.machine) for _ in range(10)]
        for each in boards:
            await each.next()
            source.turn()
            await asyncio.sleep(0.03)  # they came at different times
        seen: set[str] = set()
        began = time.monotonic()
        while time.monotonic() - began < 2:
            source.turn()
            seen.update(told.live["seq"] for told in await asyncio.gather(*(each.next() for each in boards)))
        took = time.monotonic() - began
        for each in boards:
            await each.close()
    assert len(seen) <= took / gap + len(boards), "those that came in between made one more each, once"


async def test_a_board_that_never_reads_is_let_go_and_the_others_notice_nothing() -> None:
    source = a_source(agents=150)
    pace = Pace(min_gap_s=0.001, keep_alive_s=0.01, freshness_s=0.01, send_deadline_s=0.3)
    async with served(source, pace=pace) as server:
        dead = _slow_socket(server.port, server.machine)
        stream = await Stream.open(server.port, server.machine)
        await until(lambda: server.streams.open == 2)
        async with asyncio.timeout(DEADLINE_S):
            while server.streams.let_go == 0:
                await stream.next()
        source.turn()
        while (await stream.next()).id != "1.2":
            pass
        assert server.streams.open == 1
        dead.close()
        await stream.close()


async def test_a_board_that_is_closed_leaves_nothing_behind() -> None:
    source = a_source()
    async with served(source) as server:
        streams = [await Stream.open(server.port, server.machine) for _ in range(5)]
        await until(lambda: server.streams.open == 5)
        for stream in streams:
            await stream.close()
        await until(lambda: server.streams.open == 0)


async def test_more_boards_than_the_bound_are_told_to_come_later() -> None:
    async with served(a_source(), pace=Pace(streams=2)) as server, httpx.AsyncClient() as client:
        streams = [await Stream.open(server.port, server.machine) for _ in range(2)]
        for stream in streams:
            await stream.next()
        answer = await client.get(f"{server.url}/api/v1/live/stream", headers=server.machine)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")
        for stream in streams:
            await stream.close()


async def test_twenty_open_boards_do_not_hold_up_the_shutdown() -> None:
    source = a_source()
    loop = asyncio.get_running_loop()
    async with served(source, pace=Pace(), shutdown_deadline=3.0) as server:
        streams = [await Stream.open(server.port, server.machine) for _ in range(20)]
        for stream in streams:
            await stream.next()
        began = loop.time()
        await server.stop()
        assert loop.time() - began < 1.5
        endings = await asyncio.gather(*(stream.rest() for stream in streams))
        assert all(ending.endswith(b"0\r\n\r\n") for ending in endings), "each stream ends properly"
        for stream in streams:
            await stream.close()


async def test_a_board_that_never_reads_does_not_hold_up_the_shutdown() -> None:
    source = a_source(agents=150)
    loop = asyncio.get_running_loop()
    pace = Pace(min_gap_s=0.001, keep_alive_s=0.01, freshness_s=0.01, send_deadline_s=60)
    async with served(source, pace=pace, shutdown_deadline=2.0) as server:
        dead = _slow_socket(server.port, server.machine)
        stream = await Stream.open(server.port, server.machine)
        for _ in range(300):
            await stream.next()
        began = loop.time()
        await server.stop()
        assert loop.time() - began < 3.0
        dead.close()
        await stream.close()


async def test_the_port_is_free_again_after_the_end() -> None:
    source = a_source()
    async with served(source) as server:
        port = server.port
    async with served(source, port=port) as again:
        assert again.port == port


def test_nobody_is_sent_what_was_seen_already_because_somebody_else_came_meanwhile() -> None:
    source = a_source()
    streams = Streams(source, Pace(min_gap_s=600))
    first = streams.shot(EVERYTHING)
    streams.pace = PATIENT
    time.sleep(2 * PATIENT.min_gap_s)
    anew = streams.shot(EVERYTHING)
    assert anew is not first
    streams.pace = Pace(min_gap_s=600)
    source.turn()
    now = streams.shot(EVERYTHING, first)
    assert (first.seq.n, anew.seq.n, now.seq.n) == (1, 1, 2)
    source.turn()
    assert streams.shot(EVERYTHING, first) is now, "newer than what was sent, and young enough"
    assert streams.shot(EVERYTHING, now).seq.n == 3
