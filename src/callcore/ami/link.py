"""One link to one Asterisk node. The only file that knows panoramisk.

What is panoramisk's: making the connection (`Manager.connect`), the protocol's life (`AMIProtocol`),
writing an action down and numbering it (`Action`), and the table of actions that wait for an answer. What
is ours, because there it cannot be trusted with calls (each point has a contract test):

* Frames are cut from bytes before they are decoded, events reach one inbox in the order of the wire, and no
  handler of anybody runs inside the reader.
* An answer is matched by its ActionID alone and a list ends by `EventList: Complete`. No guessing by words.
* Every action has a deadline. When the link goes, each waiting action fails at once and **none is ever sent
  again**: an Originate that were repeated would call a citizen twice.
* The login is looked at, and the link counts as up only after `FullyBooted` and a first `Ping`.
* A `Ping` with a deadline beats through the link; silence closes it. Reconnecting backs off with jitter,
  and a link that was closed stays closed.

The reader never waits for the worker: it empties the socket into a bounded inbox, because Asterisk cuts off
who does not read. When the bound is hit nothing is dropped in silence: the link is closed and counted, and
comes back with a new generation once the worker has caught up. After each `LinkUp` the worker must take a
snapshot.

**What a snapshot means.** `call_list(..., deliver="inbox")` puts the finished list into the inbox at its
place in the stream. All events before it are older than the list. But Asterisk writes answers directly and
events from a queue (seen: the answer of an Originate stands before the Newchannel that it caused): some
events *after* the list may be older too and already be contained in it. After a snapshot, an event must be
able to arrive a second time without harm.
"""

# ruff: noqa: ASYNC109  (a deadline belongs to every action, so it is an argument)

from __future__ import annotations

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import Enum
from types import TracebackType
from typing import Literal, NoReturn, Protocol

import structlog
from panoramisk.actions import Action
from panoramisk.ami_protocol import AMIProtocol
from panoramisk.manager import Manager

from callcore.ami import wire
from callcore.ami.wire import (
    ActionFailed,
    ActionTimeout,
    AuthenticationFailed,
    Event,
    Fields,
    LinkDown,
    Notice,
    Reply,
    WireError,
)
from callcore.domain.ids import Instant, Micros, seconds

log = structlog.get_logger(__name__)

STEP = seconds(0.5)
"""A change of the wall clock against the monotonic one that is a step, not slewing: 500 ppm are 0.5 ms a second."""


class Clock(Protocol):
    """Where the link takes its time from. Deadlines of single waits are the event loop's own."""

    def wall(self) -> Instant:
        """Microseconds since the epoch, UTC."""

    def monotonic(self) -> Micros:
        """Microseconds since some instant; never steps."""

    async def sleep(self, seconds: float) -> None:
        """Return `seconds` later."""


class SystemClock:
    def wall(self) -> Instant:
        return Instant(time.time_ns() // 1000)

    def monotonic(self) -> Micros:
        return Micros(time.monotonic_ns() // 1000)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@dataclass(frozen=True, slots=True)
class Settings:
    """All times in seconds."""

    host: str
    port: int
    username: str
    secret: str
    events: frozenset[str] | None = None
    """Names of the events wanted in the inbox; None: all. Others are dropped unread; lists come whole."""
    inbox_bound: int = 20_000
    """Items. A burst of 200 calls/s of 58 events each fits in for more than a second."""
    pending_bound: int = 5_000
    """Actions waiting for an answer; more means that Asterisk does not answer any longer."""
    connect_timeout: float = 5.0
    login_timeout: float = 10.0
    """Asterisk itself lets a wrong password wait for 1 s."""
    boot_timeout: float = 60.0
    """For `FullyBooted` after the login."""
    ping_interval: float = 1.0
    ping_deadline: float = 3.0
    """A silent link is found out within `ping_interval` + `ping_deadline`."""
    backoff_first: float = 0.2
    backoff_most: float = 10.0
    backoff_refused: float = 30.0
    """After a refused login: slow, because it will not mend by itself."""
    steady: float = 10.0
    """A link that was up this long starts its back-off anew."""

    def __repr__(self) -> str:
        return f"Settings({self.username}@{self.host}:{self.port})"


class LinkState(Enum):
    IDLE = "idle"
    """Not started."""
    CONNECTING = "connecting"
    LOGGING_IN = "logging_in"
    STARTING = "starting"
    """Logged in; Asterisk is not fully booted yet."""
    UP = "up"
    WAITING = "waiting"
    """Until the next attempt."""
    REFUSED = "refused"
    """Like WAITING, but Asterisk refused the login: a person must act."""
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class LinkUp:
    """The link is usable. Nothing that was known before may be relied on: take a snapshot."""

    generation: int
    at: Instant
    """The node's own time."""
    version: str
    """Of the AMI, e.g. `11.0.0`."""


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The link that came with `LinkUp` of this generation is gone. Events may be missed from here on."""

    generation: int
    at: Instant
    """The node's time, reckoned from its last Ping."""
    notice: Notice


@dataclass(frozen=True, slots=True)
class ListCompleted:
    """The answer to `call_list(..., deliver="inbox")`, at its place among the events."""

    generation: int
    tag: str
    events: tuple[Event, ...]


Inbound = Event | LinkUp | LinkLost | ListCompleted


@dataclass(frozen=True, slots=True)
class Gauges:
    """The link's state as it is when asked. Counts are since the start; lengths of time in microseconds."""

    state: LinkState
    generation: int
    version: str | None
    last_error: Notice | None
    reconnects: int
    """How often a link that was up has been lost."""
    failed_attempts: int
    depth: int
    """Items in the inbox now."""
    high_water: int
    bound: int
    overflows: int
    """How often the bound was hit, the link closed and resynced."""
    events: int
    """Events put into the inbox."""
    unwanted: int
    """Events dropped unread because nobody asked for them."""
    unannounced: int
    """Events before `LinkUp`; the snapshot after it covers them."""
    malformed: int
    """Frames that were neither event nor response."""
    strays: int
    """Answers and list items of actions that nobody waits for any more."""
    pending: int
    timeouts: int
    ping_round_trip: Micros | None
    node_time_offset: Micros | None
    """The node's clock less ours."""


_CLOSED = Notice("接続は閉じられました", "the link was closed")
_NOT_UP = Notice(
    "Asterisk に接続していません。再接続を待っています",
    "there is no link to Asterisk; it is being reconnected",
)
_INBOX_FULL = Notice(
    "受信箱が上限に達したため再同期します。処理が遅れている原因を調べてください",
    "the inbox hit its bound and the link is resynced; find out what keeps the worker",
)
_PENDING_FULL = Notice(
    "応答待ちの操作が多すぎます。Asterisk の負荷を調べてください",
    "too many actions wait for an answer; look at Asterisk's load",
)
_SILENT = Notice(
    "Asterisk が Ping に応答しません。Asterisk とネットワークを調べてください",
    "Asterisk doesn't answer a Ping; look at Asterisk and the network",
)
_CUT = Notice("Asterisk が接続を切りました", "Asterisk cut the connection")
_SHUTTING_DOWN = Notice(
    "Asterisk は停止中です。再起動を待っています",
    "Asterisk is shutting down; it is waited for",
)
_NO_LOGIN_ANSWER = Notice(
    "Asterisk がログインに応答しません。ポート番号が AMI のものか調べてください",
    "Asterisk doesn't answer the login; see whether the port is the manager's",
)
_NOT_BOOTED = Notice(
    "FullyBooted が届きません。Asterisk の起動状況と manager.conf の read=system を調べてください",
    "FullyBooted doesn't come; see whether Asterisk starts up, and read=system in manager.conf",
)


_RANDOM = secrets.SystemRandom().random


def _worth_a_line(count: int) -> bool:
    """The 1st, 2nd, 4th, 8th … of a kind: the wire shall not be able to fill the log."""
    return count & (count - 1) == 0


class _Pending(Action):  # type: ignore[misc]
    """An action on its way. `future` gets its outcome, be it a failure, and never raises by itself."""

    def __init__(self, fields: dict[str, str | list[str]], *, is_list: bool, tag: str | None) -> None:
        super().__init__(fields)
        self.label = str(fields["Action"])
        self.is_list = is_list
        self.tag = tag
        self.listed: list[Event] = []

    def settle(self, outcome: Reply | tuple[Event, ...] | Exception) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


class _Connector(Manager):  # type: ignore[misc]
    """panoramisk's manager, for connecting only: it does not log in, ping, reconnect or repeat."""

    def connection_made(self, f: asyncio.Task[object]) -> None:
        pass

    def connection_lost(self, exc: BaseException | None) -> None:
        pass


class _Connection(AMIProtocol):  # type: ignore[misc]
    """One TCP connection: bytes to messages, messages to the waiting action or to the link."""

    closed: bool
    transport: asyncio.Transport
    responses: dict[str, _Pending]

    def __init__(self, link: Link) -> None:
        self.link = link
        self.framer = wire.Framer()
        self.abandoned: set[str] = set()
        self.lists = 0
        self.generation: int | None = None
        loop = asyncio.get_running_loop()
        self.greeted: asyncio.Future[None] = loop.create_future()
        self.booted: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[LinkDown] = loop.create_future()

    def data_received(self, data: bytes) -> None:
        self.link.reading()
        try:
            for frame in self.framer.feed(data):
                if self.closed:
                    return
                self._frame(frame)
        except WireError as error:
            log.warning("ami_garbage", error=str(error))
            self.fail(
                LinkDown(
                    Notice(
                        "AMI でないデータが届きました。ホストとポートを調べてください",
                        f"what arrives is no AMI; look at host and port ({error})",
                    )
                )
            )
        if self.framer.version is not None and not self.greeted.done():
            self.greeted.set_result(None)

    def _frame(self, frame: bytes) -> None:
        link = self.link
        name = wire.event_name(frame)
        wanted = link.wanted
        if name == b"FullyBooted" and not self.booted.done():
            # Events behind it, in this very segment perhaps, are the first ones of the new generation.
            self.booted.set_result(None)
            link.hold()
            return
        skip = name is not None and wanted is not None and name not in wanted
        if skip and not ((self.lists or self.abandoned) and b"\r\nActionID: " in frame):
            link.unwanted += 1
            return
        try:
            message = wire.parse(frame)
        except WireError as error:
            link.malformed += 1
            if _worth_a_line(link.malformed):
                log.warning("ami_malformed_frame", error=str(error), count=link.malformed)
            return
        if isinstance(message, Reply):
            self._reply(message)
        elif not self._list_item(message):
            if skip:
                link.unwanted += 1
            else:
                link.arrived(self, message)

    def _reply(self, reply: Reply) -> None:
        action_id = reply.action_id
        pending = self.responses.get(action_id) if action_id else None
        starts = (reply.get("EventList") or "").lower() == "start"
        if pending is None:
            # An answer without our id comes when Asterisk could not even read the action; it has a deadline.
            self.link.strays += 1
            if not starts:
                self.abandoned.discard(action_id or "")
            if _worth_a_line(self.link.strays):
                log.warning("ami_stray_answer", message=reply.message, count=self.link.strays)
        elif not reply.success:
            self.forget(pending)
            pending.settle(ActionFailed(pending.label, reply.message or "", reply))
        elif pending.is_list and not starts:
            self.forget(pending)
            pending.settle(WireError(f"{pending.label} is not answered by a list"))
        elif starts and not pending.is_list:
            self.abandon(pending)
            pending.settle(WireError(f"{pending.label} is answered by a list: use call_list"))
        elif not starts:
            self.forget(pending)
            pending.settle(reply)

    def _list_item(self, event: Event) -> bool:
        """Take an event that belongs to a list. A UserEvent never does, whatever headers it was given."""
        if not (self.lists or self.abandoned) or event.name == "UserEvent":
            return False
        action_id = event.action_id
        if action_id is None:
            return False
        ended = (event.get("EventList") or "").lower()
        pending = self.responses.get(action_id)
        if pending is None or not pending.is_list:
            if action_id not in self.abandoned:
                return False
            self.link.strays += 1
            if ended:
                self.abandoned.discard(action_id)
        elif not ended:
            pending.listed.append(event)
        else:
            self.forget(pending)
            if ended != "complete":
                pending.settle(ActionFailed(pending.label, f"EventList: {ended}"))
            else:
                events = tuple(pending.listed)
                if pending.tag is not None:
                    self.link.put(self, ListCompleted(self.generation or 0, pending.tag, events))
                pending.settle(events)
        return True

    def exchange(self, pending: _Pending) -> None:
        """Send it, once. Not by panoramisk's `send`, which logs what it cannot write, a secret included."""
        self.responses[pending.id] = pending
        self.lists += pending.is_list
        self.transport.write(str(pending).encode())

    def forget(self, pending: _Pending) -> None:
        """Its answer is complete, or nobody waits for it any more."""
        if self.responses.pop(pending.id, None) is not None:
            self.lists -= pending.is_list

    def abandon(self, pending: _Pending) -> None:
        """Nobody waits any more for a list that still comes: keep its items out of the inbox."""
        if pending.id in self.responses:
            self.forget(pending)
            self.abandoned.add(pending.id)

    def fail(self, reason: LinkDown) -> None:
        """End the connection for this reason; the first one counts."""
        if not self.lost.done():
            self.lost.set_result(reason)
        self.close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self.fail(LinkDown(_CUT))

    def close(self) -> None:
        """Let go at once, without flushing, and fail whatever waits. Here the link ends in the inbox."""
        if self.closed:
            return
        self.closed = True
        self.transport.abort()
        notice = self.lost.result().notice if self.lost.done() else _CLOSED
        waiting = list(self.responses.values())
        self.responses.clear()
        for pending in waiting:
            pending.settle(LinkDown(notice, sent=True))
        self.link.ended(self, notice)


async def _let_go(connecting: asyncio.Task[tuple[asyncio.Transport, _Connection]]) -> None:
    """End an attempt to connect, wherever it is; no socket is left behind."""
    connecting.cancel()
    await asyncio.wait({connecting})
    if not connecting.cancelled() and connecting.exception() is None:
        connecting.result()[0].abort()


class Link:
    """The link to one node. Start it once, close it once; in between it mends itself.

    One task takes what arrives with `next_event` (or `async for`); any task may `call`.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        random: Callable[[], float] = _RANDOM,
    ) -> None:
        """`random` gives numbers from 0 up to 1, for the jitter."""
        self.settings = settings
        self.wanted = None if settings.events is None else frozenset(n.encode() for n in settings.events)
        self.state = LinkState.IDLE
        self.unwanted = 0
        self.malformed = 0
        self.strays = 0
        self._clock: Clock = clock or SystemClock()
        self._random = random
        self._inbox: deque[tuple[Inbound, Micros]] = deque()
        self._read_at = Micros(0)
        self.taken_read_at = Micros(0)
        """When the bytes of the item that was taken last had been read; by the monotonic clock."""
        self._arrival: asyncio.Event = asyncio.Event()
        self._room: asyncio.Event = asyncio.Event()
        self._room.set()
        self._change: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._fault: Exception | None = None
        self._connection: _Connection | None = None
        self._held: list[Event] = []
        self._holding = False
        self._generation = 0
        self._up_since: Micros | None = None
        self._last_error: Notice | None = None
        self._anchor: tuple[Instant, Micros, Micros] | None = None
        self._offset: Micros | None = None
        self._round_trip: Micros | None = None
        self._reconnects = 0
        self._failed_attempts = 0
        self._high_water = 0
        self._overflows = 0
        self._events = 0
        self._unannounced = 0
        self._timeouts = 0

    # -- life ------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """Begin connecting and return at once; `LinkUp` in the inbox or `wait_up` tells when it is usable."""
        if self._task is not None or self.state is LinkState.CLOSED:
            raise RuntimeError("a link is started once")
        self._task = asyncio.create_task(self._live(), name=f"ami {self.settings.host}:{self.settings.port}")

    async def close(self) -> None:
        """End the link for good; waiting actions fail. What is in the inbox can still be taken."""
        task, self._task = self._task, None
        self._state(LinkState.CLOSED)
        if task is not None:
            task.cancel()
            await asyncio.wait({task})
        self._arrival.set()

    async def __aenter__(self) -> Link:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def wait_up(self, timeout: float) -> None:
        """Return when the link is up.

        Raises `AuthenticationFailed` as soon as Asterisk has refused the login, `LinkDown` with the last
        error after `timeout` seconds or when the link is closed.
        """
        try:
            async with asyncio.timeout(timeout):
                while self.state is not LinkState.UP:
                    if self.state is LinkState.REFUSED:
                        raise AuthenticationFailed(self._last_error or _NOT_UP)
                    if self.state is LinkState.CLOSED:
                        raise LinkDown(_CLOSED)
                    await self._change.wait()
        except TimeoutError:
            raise LinkDown(self._last_error or _NOT_UP) from None

    def gauges(self) -> Gauges:
        """The state of now, for metrics and health."""
        connection = self._connection
        return Gauges(
            state=self.state,
            generation=self._generation,
            version=None if connection is None else connection.framer.version,
            last_error=self._last_error,
            reconnects=self._reconnects,
            failed_attempts=self._failed_attempts,
            depth=len(self._inbox),
            high_water=self._high_water,
            bound=self.settings.inbox_bound,
            overflows=self._overflows,
            events=self._events,
            unwanted=self.unwanted,
            unannounced=self._unannounced,
            malformed=self.malformed,
            strays=self.strays,
            pending=0 if connection is None else len(connection.responses),
            timeouts=self._timeouts,
            ping_round_trip=self._round_trip,
            node_time_offset=self._offset,
        )

    # -- the node's clock ------------------------------------------------------------------------------------

    @property
    def node_time_offset(self) -> Micros | None:
        """The node's clock less ours at the last Ping, in microseconds; None before the first one."""
        return self._offset

    def node_now(self) -> Instant | None:
        """The node's time: its last Ping's, carried on by our monotonic clock. None before the first one.

        Node and engine stand on one machine: a step of our wall clock since that Ping is the node's as well, and is
        followed at once, not with the next Ping.
        """
        if self._anchor is None:
            return None
        stamp, monotonic, skew = self._anchor
        stepped = self._skew() - skew
        if abs(stepped) <= STEP:
            stepped = 0  # slewed, or read a moment apart
        return Instant(stamp + self._clock.monotonic() - monotonic + stepped)

    def _skew(self) -> Micros:
        """Our wall clock less our monotonic one: constant but for steps of the wall clock, and slewing."""
        return Micros(self._clock.wall() - self._clock.monotonic())

    # -- actions ---------------------------------------------------------------------------------------------

    async def call(self, fields: Fields, *, timeout: float) -> Reply:
        """Send one action, once, and return its answer.

        Raises `WireError` (nothing was sent), `LinkDown` (`sent` tells whether it may have been carried out),
        `ActionFailed` (Asterisk said no) or `ActionTimeout` after `timeout` seconds.
        """
        outcome = await self._exchange(self._usable(), fields, timeout)
        assert isinstance(outcome, Reply)
        return outcome

    async def call_list(
        self,
        fields: Fields,
        *,
        timeout: float,
        deliver: Literal["caller", "inbox"] = "caller",
        tag: str = "",
    ) -> list[Event]:
        """Send an action that is answered by a list and return its items once the list is complete.

        With `deliver="inbox"` the whole list is also put into the inbox as `ListCompleted` with this `tag`,
        at its place among the events. Raises like `call`; a list that breaks off is `LinkDown`, never a
        short list.
        """
        inbox_tag = tag if deliver == "inbox" else None
        outcome = await self._exchange(self._usable(), fields, timeout, is_list=True, tag=inbox_tag)
        assert isinstance(outcome, tuple)
        return list(outcome)

    def _usable(self) -> _Connection:
        if self.state is LinkState.CLOSED:
            raise LinkDown(_CLOSED)
        if self.state is not LinkState.UP or self._connection is None or self._connection.closed:
            raise LinkDown(_NOT_UP)
        return self._connection

    async def _exchange(
        self,
        connection: _Connection,
        fields: Fields,
        timeout: float,
        *,
        is_list: bool = False,
        tag: str | None = None,
    ) -> Reply | tuple[Event, ...]:
        pending = _Pending(wire.checked(fields), is_list=is_list, tag=tag)
        if len(connection.responses) >= self.settings.pending_bound:
            connection.fail(LinkDown(_PENDING_FULL))
            raise LinkDown(_PENDING_FULL)
        connection.exchange(pending)
        # The loop reads what has come before it looks at timers: an answer wins over a deadline that has passed.
        deadline = asyncio.get_running_loop().call_later(
            timeout, pending.settle, ActionTimeout(pending.label, timeout)
        )
        outcome: Reply | tuple[Event, ...] | Exception | None = None
        try:
            outcome = await pending.future
        finally:
            deadline.cancel()
            if outcome is None or isinstance(outcome, ActionTimeout):
                if is_list:
                    connection.abandon(pending)
                else:
                    connection.forget(pending)
        if isinstance(outcome, ActionTimeout):
            self._timeouts += 1
        if isinstance(outcome, Exception):
            raise outcome
        assert isinstance(outcome, Reply | tuple)
        return outcome

    # -- the inbox -------------------------------------------------------------------------------------------

    async def next_event(self) -> Inbound:
        """The next item in the order of the wire. For one task. Raises `LinkDown` when closed and empty."""
        while not self._inbox:
            if self._fault is not None:
                raise self._fault
            if self.state is LinkState.CLOSED:
                raise LinkDown(_CLOSED)
            self._arrival.clear()
            await self._arrival.wait()
        item, self.taken_read_at = self._inbox.popleft()
        if not self._room.is_set() and len(self._inbox) <= self.settings.inbox_bound // 2:
            self._room.set()
        return item

    async def __aiter__(self) -> AsyncIterator[Inbound]:
        while True:
            try:
                yield await self.next_event()
            except LinkDown:
                return

    def reading(self) -> None:
        """Bytes came."""
        self._read_at = self._clock.monotonic()

    def hold(self) -> None:
        """Keep what arrives until the mark of its generation is in the inbox."""
        self._holding = True

    def arrived(self, connection: _Connection, event: Event) -> None:
        """The reader has an event."""
        if connection.generation is not None:
            self.put(connection, event)
        elif not self._holding:
            self._unannounced += 1
        elif len(self._held) >= self.settings.inbox_bound:
            self._overflow(connection)
        else:
            self._held.append(event)

    def put(self, connection: _Connection, item: Inbound) -> None:
        """Append what came over `connection`, or end it when the inbox is full."""
        if len(self._inbox) >= self.settings.inbox_bound:
            self._overflow(connection)
            return
        if isinstance(item, Event):
            self._events += 1
        self._append(item)

    def _overflow(self, connection: _Connection) -> None:
        self._overflows += 1
        connection.fail(LinkDown(_INBOX_FULL))

    def _append(self, item: Inbound) -> None:
        self._inbox.append((item, self._read_at))
        depth = len(self._inbox)
        self._high_water = max(self._high_water, depth)
        if depth > self.settings.inbox_bound // 2:
            self._room.clear()
        self._arrival.set()

    def ended(self, connection: _Connection, notice: Notice) -> None:
        """The connection is over. Its mark goes in even when the inbox is full."""
        self._holding = False
        self._held.clear()
        if self.state is LinkState.UP:
            self._state(LinkState.WAITING)
        if connection.generation is not None:
            self._reconnects += self.state is not LinkState.CLOSED
            self._append(LinkLost(connection.generation, self.node_now() or self._clock.wall(), notice))

    # -- connecting ------------------------------------------------------------------------------------------

    def _state(self, state: LinkState) -> None:
        if self.state is LinkState.CLOSED:
            return
        self.state = state
        self._change.set()
        self._change = asyncio.Event()

    async def _live(self) -> None:
        try:
            await self._reconnecting()
        except Exception as error:
            # A fault of our own. Whoever waits for events must learn of it rather than wait for ever.
            self._fault = error
            self._state(LinkState.CLOSED)
            self._arrival.set()
            log.exception("ami_link_fault")

    async def _reconnecting(self) -> NoReturn:
        attempt = 0
        while True:
            try:
                await self._session()
            except LinkDown as error:
                failure = error
            except WireError as error:
                failure = LinkDown(Notice(f"AMI の応答が不正です: {error}", f"a wrong answer: {error}"))
            self._last_error = failure.notice
            refused = isinstance(failure, AuthenticationFailed)
            up_since, self._up_since = self._up_since, None
            if up_since is None:
                self._failed_attempts += 1
            elif self._clock.monotonic() - up_since >= seconds(self.settings.steady):
                attempt = 0
            delay = self._backoff(attempt, refused=refused)
            attempt += 1
            log.warning("ami_link_down", notice=str(failure.notice), retry_in_s=round(delay, 2))
            self._state(LinkState.REFUSED if refused else LinkState.WAITING)
            await self._clock.sleep(delay)
            await self._room.wait()

    def _backoff(self, attempt: int, *, refused: bool) -> float:
        """Seconds: doubled with each attempt up to a bound, of which half to all is waited."""
        s = self.settings
        most = (
            s.backoff_refused if refused else min(s.backoff_most, s.backoff_first * 2.0 ** min(attempt, 30))
        )
        return most * (0.5 + 0.5 * self._random())

    async def _session(self) -> NoReturn:
        """One connection from its making to its end; always ends by `LinkDown`."""
        self._state(LinkState.CONNECTING)
        connection = await self._connect()
        self._connection = connection
        try:
            self._state(LinkState.LOGGING_IN)
            await self._until(connection, connection.greeted, self.settings.login_timeout, _NO_LOGIN_ANSWER)
            self._check_version(connection)
            await self._login(connection)
            self._state(LinkState.STARTING)
            await self._until(connection, connection.booted, self.settings.boot_timeout, _NOT_BOOTED)
            self._announce(connection, await self._ping(connection))
            while True:
                await asyncio.wait({connection.lost}, timeout=self.settings.ping_interval)
                if connection.lost.done():
                    raise connection.lost.result()
                await self._ping(connection)
        finally:
            connection.close()
            self._connection = None

    async def _connect(self) -> _Connection:
        s = self.settings
        connector = _Connector(
            loop=asyncio.get_running_loop(),
            host=s.host,
            port=s.port,
            encoding="utf-8",
            protocol_factory=lambda: _Connection(self),
        )
        task: asyncio.Task[tuple[asyncio.Transport, _Connection]] = connector.connect()
        kept = False
        try:
            await asyncio.wait({task}, timeout=s.connect_timeout)
            if not task.done():
                cause = f"{s.connect_timeout} s"
            elif error := task.exception():
                if not isinstance(error, OSError):
                    raise error
                cause = str(error)
            else:
                kept = True
                return task.result()[1]
        finally:
            if not kept:
                await _let_go(task)
        raise LinkDown(
            Notice(
                f"Asterisk ({s.host}:{s.port}) に接続できません。起動しているか調べてください: {cause}",
                f"cannot connect to Asterisk ({s.host}:{s.port}); see whether it runs: {cause}",
            )
        )

    async def _until(
        self, connection: _Connection, event: asyncio.Future[None], timeout: float, late: Notice
    ) -> None:
        waits: set[asyncio.Future[None] | asyncio.Future[LinkDown]] = {event, connection.lost}
        await asyncio.wait(waits, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        if connection.lost.done():
            raise connection.lost.result()
        if not event.done():
            raise LinkDown(late)

    def _check_version(self, connection: _Connection) -> None:
        version = connection.framer.version or ""
        if version.partition(".")[0] not in wire.KNOWN_VERSIONS:
            log.warning(
                "ami_unknown_version",
                version=version,
                notice=str(
                    Notice(
                        "検証されていない AMI のバージョンです。Asterisk 20 から 22 を使ってください",
                        "this AMI version is not tested; use Asterisk 20 to 22",
                    )
                ),
            )

    async def _login(self, connection: _Connection) -> None:
        s = self.settings
        fields = {"Action": "Login", "Username": s.username, "Secret": s.secret, "Events": "on"}
        try:
            await self._exchange(connection, fields, s.login_timeout)
        except ActionTimeout:
            raise LinkDown(_NO_LOGIN_ANSWER) from None
        except ActionFailed as error:
            if "shutting down" in error.message.lower():
                raise LinkDown(_SHUTTING_DOWN) from None  # it may be back in a second: no slow back-off
            raise AuthenticationFailed(
                Notice(
                    f"Asterisk がユーザー {s.username} のログインを拒否しました。manager.conf の secret と "
                    f"permit を調べてください: {error.message}",
                    f"Asterisk refuses the login of {s.username}; compare secret and permit in manager.conf: "
                    f"{error.message}",
                )
            ) from None

    async def _ping(self, connection: _Connection) -> Instant:
        """Beat once and read the node's clock; gives the node's time."""
        sent, sent_wall, skew = self._clock.monotonic(), self._clock.wall(), self._skew()
        try:
            reply = await self._exchange(connection, {"Action": "Ping"}, self.settings.ping_deadline)
        except (ActionTimeout, ActionFailed):
            connection.fail(LinkDown(_SILENT))
            raise LinkDown(_SILENT) from None
        received = self._clock.monotonic()
        half = (received - sent) // 2
        stamp = reply.at if isinstance(reply, Reply) else None
        self._round_trip = Micros(received - sent)
        if stamp is None:
            stamp = Instant(sent_wall + half)
        if self._anchor is not None and abs(self._skew() - skew) > STEP:
            return self.node_now() or stamp  # the clock was stepped meanwhile: before or after the stamp?
        self._offset = Micros(stamp - sent_wall - half)
        self._anchor = (stamp, Micros(sent + half), skew)
        return stamp

    def _announce(self, connection: _Connection, at: Instant) -> None:
        """The mark first, then what has come since `FullyBooted`."""
        self._generation += 1
        connection.generation = self._generation
        self._up_since = self._clock.monotonic()
        self._last_error = None
        self._append(LinkUp(self._generation, at, connection.framer.version or ""))
        held, self._held, self._holding = self._held, [], False
        for event in held:
            self.put(connection, event)
        log.info("ami_link_up", generation=self._generation, version=connection.framer.version)
        self._state(LinkState.UP)
