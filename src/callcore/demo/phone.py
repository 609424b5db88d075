"""Simulated desk phones and callers: baresip, driven over its control connection.

Each `SimPhone` is one baresip process with its own loopback address for SIP, so that Asterisk tells the
parties apart as it does desk phones and trunks. RTP is between 127.0.0.1 and the exchange for all of them.
Nothing here needs a sound card: what the party says comes from a WAV file, what it hears goes into one.

- the process ends with `stop()`, and with its parent if that dies (`setpriv --pdeathsig`, util-linux);
- a phone has one call at a time; a second caller gets 486 from baresip itself (`call_max_calls 1`);
- a call's recording begins with its audio (early media or answer) and is complete when the call is closed.

Times: seconds for lengths and deadlines, `Instant` (microseconds, UTC) for events, stamped when the event
reached this process.

Control protocol: JSON in netstrings, as described in baresip's module `ctrl_tcp`; tried with baresip 1.1.0.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import re
import shutil
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from callcore.demo import sounds
from callcore.demo.ear import POLL_S, Ear, Recording
from callcore.domain.ids import Instant

COMMAND_S = 5.0
"""A baresip that takes longer than this to answer a command is stuck (it answers in 0.1–1 ms)."""
START_S = 10.0
STOP_S = 3.0
"""Time for BYE and un-REGISTER before the process is killed."""
DIGIT_S = 0.26
"""One digit on the wire: twelve frames of 20 ms (libre's `telev.c`), and one to spare."""
DIGITS_AT_ONCE = 8
"""baresip queues digits in a buffer of 16 bytes; half of that never moves it under the sending thread."""
EVENTS_KEPT = 10_000


class PhoneError(Exception):
    """A simulated phone did not do what it was told."""


class CommandRefused(PhoneError):
    """baresip answered a command with an error, for instance because the call has gone."""


class PhoneGone(PhoneError):
    """The phone's process has ended."""


class NotInTime(PhoneError):
    """What was waited for did not happen before its deadline; the text says what happened instead."""


@dataclass(frozen=True, slots=True)
class PhoneEvent:
    """Something that happened at this phone."""

    at: Instant


@dataclass(frozen=True, slots=True)
class Registered(PhoneEvent):
    """The registrar accepted the phone."""


@dataclass(frozen=True, slots=True)
class RegistrationFailed(PhoneEvent):
    reason: str


@dataclass(frozen=True, slots=True)
class Exited(PhoneEvent):
    """The phone's process ended; `status` is its exit status, negative for a signal."""

    status: int


@dataclass(frozen=True, slots=True)
class CallEvent(PhoneEvent):
    call_id: str
    """SIP's Call-ID of this leg."""


@dataclass(frozen=True, slots=True)
class CallIncoming(CallEvent):
    """The phone rings."""

    peer_uri: str
    peer_name: str | None


@dataclass(frozen=True, slots=True)
class CallRinging(CallEvent):
    """The far end rings (180)."""


@dataclass(frozen=True, slots=True)
class CallProgress(CallEvent):
    """Early media (183): audio flows, nobody has answered."""


@dataclass(frozen=True, slots=True)
class CallEstablished(CallEvent):
    """Both ends have answered."""


@dataclass(frozen=True, slots=True)
class CallClosed(CallEvent):
    reason: str
    status: int | None
    """The final SIP status of a call that was refused; `None` after a BYE, a CANCEL or a lost peer."""


@dataclass(frozen=True, slots=True)
class MediaDirection(CallEvent):
    """The far end's audio direction in its latest SDP: sendrecv, sendonly, recvonly or inactive."""

    direction: str


@dataclass(frozen=True, slots=True)
class DigitHeard(CallEvent):
    """The far end began a digit (RFC 4733)."""

    digit: str


@dataclass(frozen=True, slots=True)
class TransferFailed(CallEvent):
    reason: str


E = TypeVar("E", bound=PhoneEvent)
C = TypeVar("C", bound=CallEvent)


class PhoneCall:
    """One call at one phone, from its first event to its recording."""

    def __init__(self, phone: SimPhone, call_id: str, *, outgoing: bool, peer_uri: str) -> None:
        self.phone = phone
        self.id = call_id
        self.outgoing = outgoing
        self.peer_uri = peer_uri
        self.peer_name: str | None = None
        self.rang_at: Instant | None = None
        """When this phone began to ring; `None` for a call that it made itself."""
        self.established: CallEstablished | None = None
        self.closed: CallClosed | None = None
        self.ear: Ear | None = None

    async def answer(self) -> None:
        """Lift the handset."""
        self._must_live()
        await self.phone.command("accept", self.id)

    async def reject(self) -> None:
        """Refuse the ringing call with 486, the only refusal that baresip's commands offer."""
        await self.hang_up()

    async def hang_up(self) -> None:
        """BYE, CANCEL or 486, as the call's state demands. A call that has already ended is no error."""
        if self.closed is not None:
            return
        try:
            await self.phone.command("hangup", self.id)
        except CommandRefused:
            if self.closed is None:
                raise

    async def hold(self, within: float = 5.0) -> None:
        """Put the far end on hold (re-INVITE, sendonly); returns when it has agreed."""
        await self._turn("hold", within, lambda direction: direction != "sendrecv")

    async def resume(self, within: float = 5.0) -> None:
        """Take the far end off hold; returns when it has agreed."""
        await self._turn("resume", within, lambda direction: direction == "sendrecv")

    async def wait_sound(self, within: float) -> Recording:
        """The recording, once there is something in it. Raises `NotInTime`."""
        deadline = time.monotonic() + within
        while self.ear is None or self.ear.recording is None:
            if self.closed is not None or time.monotonic() > deadline:
                raise NotInTime(f"{self.phone.name}: heard nothing within {within} s, or until the end")
            await asyncio.sleep(POLL_S)
        return self.ear.recording

    async def _turn(self, command: str, within: float, done: Callable[[str], bool]) -> None:
        self._must_live()
        self.phone.forget(lambda event: isinstance(event, MediaDirection) and event.call_id == self.id)
        # baresip 1.1 carries "resume" out and calls it refused, as there is no other call to put on hold.
        with contextlib.suppress(CommandRefused):
            await self.phone.command(command, self.id)
        await self._wait(MediaDirection, within, lambda event: done(event.direction))

    async def transfer(self, target: str) -> None:
        """Blind transfer (REFER) to a SIP URI, or to a number at the phone's own server."""
        self._must_live()
        await self.phone.command("transfer", self.phone.uri(target))

    async def dtmf(self, digits: str) -> None:
        """Key digits (0–9, *, #, A–D) as RFC 4733 events; returns when the last has left the phone."""
        if not re.fullmatch(r"[0-9A-Da-d*#]+", digits):
            raise ValueError(f"not digits: {digits!r}")
        for start in range(0, len(digits), DIGITS_AT_ONCE):
            self._must_live()
            part = digits[start : start + DIGITS_AT_ONCE]
            await self.phone.command("sndcode", part)
            await asyncio.sleep(len(part) * DIGIT_S)

    async def wait_ringing(self, within: float) -> CallRinging:
        return await self._wait(CallRinging, within)

    async def wait_established(self, within: float) -> CallEstablished:
        """Raises `NotInTime`, at once if the call closes first."""
        return await self._wait(CallEstablished, within)

    async def wait_closed(self, within: float) -> CallClosed:
        return await self._wait(CallClosed, within)

    @property
    def recording(self) -> Recording:
        """What the party heard, up to now while the call lasts. Raises `PhoneError` if that is nothing."""
        found = self.ear.recording if self.ear is not None else None
        if found is None:
            raise PhoneError(f"{self.phone.name}: call {self.id} has no recording: no audio, or none wanted")
        return found

    async def _wait(self, kind: type[C], within: float, where: Callable[[C], bool] = lambda _: True) -> C:
        return await self.phone.wait_for(
            kind,
            within=within,
            where=lambda event: event.call_id == self.id and where(event),
            unless=lambda event: isinstance(event, CallClosed) and event.call_id == self.id,
        )

    def _must_live(self) -> None:
        if self.closed is not None:
            raise CommandRefused(f"{self.phone.name}: the call has ended ({self.closed.reason})")

    def take_in(self, event: CallEvent) -> None:
        """Follow an event of this call (for `SimPhone`)."""
        match event:
            case CallIncoming():
                self.rang_at = event.at
                self.peer_name = event.peer_name
            case CallEstablished():
                self.established = event
            case CallClosed():
                self.closed = event
                if self.ear is not None:
                    self.ear.close()
            case _:
                pass


@dataclass(slots=True)
class _Waiter:
    wanted: Callable[[PhoneEvent], bool]
    ends: Callable[[PhoneEvent], bool]
    future: asyncio.Future[PhoneEvent] = field(
        default_factory=lambda: asyncio.get_running_loop().create_future()
    )


@dataclass(slots=True)
class _Link:
    """The control connection of a running phone."""

    process: asyncio.subprocess.Process
    socket: socket.socket
    writer: asyncio.StreamWriter
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class SimPhone:
    """A desk phone or a caller's telephone.

    `argv` starts baresip (its loader included where one is needed), `modules` is the folder of its modules.
    `address` is this phone's own 127.x.y.z. `recordings` is the folder for what is heard, one file per call;
    without it nothing is recorded. `auto_answer_s` answers each call that long after it rang.
    `longest_call_s` bounds a call: the phone's sound ends there and baresip hangs up (memory: 16 kB for each
    second of it while in a call).
    """

    def __init__(
        self,
        *,
        argv: Sequence[str],
        modules: Path,
        name: str,
        address: str,
        sip_port: int = 5060,
        source: sounds.Source | None = None,
        recordings: Path | None = None,
        auto_answer_s: float | None = None,
        longest_call_s: float = 300.0,
        on_event: Callable[[PhoneEvent], None] | None = None,
    ) -> None:
        self.name = name
        self.address = address
        self.sip_port = sip_port
        self.auto_answer_s = auto_answer_s
        self.events: deque[PhoneEvent] = deque(maxlen=EVENTS_KEPT)
        self.call: PhoneCall | None = None
        """The latest call, which may have ended."""
        self._argv = tuple(argv)
        self._modules = modules
        self._source: sounds.Source = source if source is not None else sounds.Silence()
        self._recordings = recordings
        self._longest_call_s = longest_call_s
        self._on_event = on_event
        self._folder: Path | None = None
        self._link: _Link | None = None
        self._server: str | None = None
        self._calls: dict[str, PhoneCall] = {}
        self._incoming: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self._unclaimed: deque[PhoneEvent] = deque(maxlen=EVENTS_KEPT)
        self._waiters: list[_Waiter] = []
        self._replies: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._tokens = itertools.count(1)
        self._numbers = itertools.count(1)
        self._answering: set[asyncio.Task[None]] = set()
        self._listening: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def pid(self) -> int:
        """The process id. Raises `PhoneGone` if the phone is not running."""
        return self._running().process.pid

    @property
    def folder(self) -> Path:
        """The phone's own folder, removed when it stops. Raises `PhoneGone` if the phone was not started."""
        if self._folder is None:
            raise PhoneGone(f"{self.name}: not running")
        return self._folder

    @property
    def log(self) -> str:
        """What baresip printed so far."""
        return "" if self._folder is None else (self._folder / "log").read_text(errors="replace")

    async def start(self) -> None:
        """Start baresip and connect to it. Raises `PhoneGone` or `NotInTime` with its output if it fails."""
        if self._link is not None:
            raise PhoneError(f"{self.name}: already started")
        folder = self._folder = Path(tempfile.mkdtemp(prefix="phone-"))
        try:
            control = free_tcp_port(self.address)
            (folder / "config").write_text(self._config(control))
            (folder / "heard").mkdir()
            sounds.write(folder / "say-0.wav", self._source, self._longest_call_s)
            with (folder / "log").open("wb") as log:
                process = await asyncio.create_subprocess_exec(
                    *("setpriv", "--pdeathsig", "KILL", "--", *self._argv, "-f", str(folder)),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=asyncio.subprocess.STDOUT,
                    cwd=folder,
                    start_new_session=True,  # Ctrl-C reaches the driver alone, which hangs up in order
                )
            try:
                sock, reader, writer = await self._connect(process, control)
            except BaseException:
                await _end(process)
                raise
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            self._folder = None
            raise
        self._link = _Link(process, sock, writer)
        self._link.tasks = [
            asyncio.create_task(self._read(reader, sock), name=f"{self.name} control"),
            asyncio.create_task(self._watch(process), name=f"{self.name} process"),
        ]
        if self._recordings is not None:
            self._listening = asyncio.create_task(self._listen(), name=f"{self.name} ear")

    async def stop(self) -> None:
        """End the call, un-register, end the process, remove its folder. May be called twice."""
        link, self._link = self._link, None
        for task in tuple(self._answering):
            task.cancel()
        if link is not None:
            if link.process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    link.process.terminate()
            await _end(link.process, STOP_S)
            link.writer.close()
            await asyncio.gather(*link.tasks, return_exceptions=True)
        if self._listening is not None:
            self._listening.cancel()
            self._listening = None
        for call in tuple(self._calls.values()):  # cut off by the end of the process
            if call.ear is not None:
                call.ear.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    async def kill(self) -> None:
        """Pull the plug: no BYE, no un-REGISTER. `stop()` still has to clean up."""
        process = self._running().process
        process.kill()
        await process.wait()

    async def register(
        self, user: str, password: str, server: str, *, expires_s: int = 300, within: float = 5.0
    ) -> Registered:
        """Register at `server` (host or host:port, UDP). Raises `PhoneError` with the registrar's refusal."""
        since = _now()
        await self._become(user, server, None, f";auth_user={user};auth_pass={password};regint={expires_s}")
        return await self.wait_for(
            Registered,
            within=within,
            where=lambda event: event.at >= since,
            unless=lambda event: isinstance(event, RegistrationFailed) and event.at >= since,
        )

    async def unregister(self) -> None:
        """Take the registration back. baresip does not tell the registrar's answer: look at the registrar."""
        await self.command("uadelall")
        self._server = None

    async def use_number(self, number: str, server: str, *, display: str | None = None) -> None:
        """Become a caller behind a trunk: calls carry this number, nothing is registered."""
        # A second choice (prio) is never registered, but baresip takes calls for it at any address.
        await self._become(number, server, display, ";regint=600;prio=1")

    async def say(self, source: sounds.Source) -> None:
        """Speak something else from now on, in the call that runs as well."""
        folder = self.folder
        file = f"say-{next(self._numbers)}.wav"
        sounds.write(folder / file, source, self._longest_call_s)
        await self.command("ausrc", f"aufile,{file}")

    async def dial(self, target: str) -> PhoneCall:
        """Call a SIP URI, or a number at the phone's own server; returns as soon as the INVITE is sent."""
        uri = self.uri(target)
        reply = await self.command("dial", uri)
        found = re.search(r"call id: (\S+)", reply)
        if found is None:
            raise CommandRefused(f"{self.name}: dial {uri}: {reply.strip()}")
        return self._call(found[1], outgoing=True, peer_uri=uri)

    async def incoming(self, within: float) -> PhoneCall:
        """The next call that rings here, in order; one that has rung already counts."""
        try:
            return await asyncio.wait_for(self._incoming.get(), within)
        except TimeoutError:
            raise NotInTime(f"{self.name}: no call within {within} s; {self._lately()}") from None

    def uri(self, target: str) -> str:
        """A number at the phone's own server as a SIP URI; a URI stays as it is."""
        if target.startswith("sip:"):
            return target
        if self._server is None:
            raise PhoneError(f"{self.name}: {target}: no server yet: register() or use_number() first")
        return f"sip:{target}@{self._server}"

    def forget(self, what: Callable[[PhoneEvent], bool]) -> None:
        """Let no later `wait_for` return an event that has already come and matches."""
        for event in [event for event in self._unclaimed if what(event)]:
            self._unclaimed.remove(event)

    async def wait_for(
        self,
        kind: type[E],
        *,
        within: float,
        where: Callable[[E], bool] = lambda _: True,
        unless: Callable[[PhoneEvent], bool] = lambda _: False,
    ) -> E:
        """The first event of this kind that no earlier `wait_for` has returned, past ones included.

        Raises `NotInTime` after `within` seconds, or as soon as an event for which `unless` holds has come
        first; `PhoneGone` when the phone's process ends.
        """
        waiter = _Waiter(lambda event: isinstance(event, kind) and where(event), unless)
        for event in self._unclaimed:
            if waiter.wanted(event):
                self._unclaimed.remove(event)
                break
        else:
            event = next(filter(unless, self.events), None) or await self._arrival(
                waiter, kind.__name__, within
            )
        if isinstance(event, kind) and where(event):
            return event
        if isinstance(event, Exited):
            raise PhoneGone(f"{self.name}: ended with status {event.status}")
        raise NotInTime(f"{self.name}: {event} instead of {kind.__name__}")

    async def _arrival(self, waiter: _Waiter, name: str, within: float) -> PhoneEvent:
        self._running()
        self._waiters.append(waiter)
        try:
            return await asyncio.wait_for(waiter.future, within)
        except TimeoutError:
            raise NotInTime(f"{self.name}: no {name} within {within} s; {self._lately()}") from None
        finally:
            self._waiters.remove(waiter)

    async def command(self, name: str, params: str | None = None) -> str:
        """Send one of baresip's long commands; its printed answer. Raises `CommandRefused` or `PhoneGone`."""
        link = self._running()
        token = str(next(self._tokens))
        message: dict[str, str] = {"command": name, "token": token}
        if params is not None:
            if any(sign in params for sign in "\r\n\0"):
                raise ValueError("a command's parameter is one line")
            message["params"] = params
        body = json.dumps(message, ensure_ascii=False).encode()
        reply: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self._replies[token] = reply
        try:
            link.writer.write(b"%d:%s," % (len(body), body))
            link.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
            answer = await asyncio.wait_for(reply, COMMAND_S)
        except TimeoutError:
            raise NotInTime(f"{self.name}: no answer to {name} within {COMMAND_S} s") from None
        finally:
            self._replies.pop(token, None)
        text = str(answer.get("data", ""))
        if not answer.get("ok"):
            raise CommandRefused(f"{self.name}: {name}: {text.strip() or 'refused'}")
        return text

    def _config(self, control: int) -> str:
        lines = {
            "poll_method": "epoll",
            "module_path": self._modules,
            "module": (
                "g711.so",
                "aufile.so",
                "aubridge.so",
                "ctrl_tcp.so",
                *(("sndfile.so",) if self._recordings else ()),
            ),
            "module_app": "menu.so",
            "ctrl_tcp_listen": f"{self.address}:{control}",
            "sip_listen": f"{self.address}:{self.sip_port}",
            "net_interface": "127.0.0.1",  # for SDP: where baresip's RTP comes from, as it binds to any address
            "dns_server": "127.0.0.1:53",  # never asked: every URI here is an address
            "snd_path": "heard",
            "audio_path": "/nonexistent",  # no ringing tones
            "audio_source": "aufile,say-0.wav",
            "audio_player": "aubridge,nobody",  # a loudspeaker that plays nothing: ear.py says why
            "audio_alert": "aubridge,nobody",
            "jitter_buffer_type": "off",
            "call_local_timeout": 3600,  # how long it rings is the other side's decision
            "call_max_calls": 1,
            "rtp_timeout": 0,
            "statmode_default": "off",
            "ringback_disabled": "yes",
        }
        text = []
        for key, value in lines.items():
            text += [f"{key} {one}\n" for one in (value if isinstance(value, tuple) else (value,))]
        return "".join(text)

    async def _connect(
        self, process: asyncio.subprocess.Process, port: int
    ) -> tuple[socket.socket, asyncio.StreamReader, asyncio.StreamWriter]:
        deadline = time.monotonic() + START_S
        while True:
            if process.returncode is not None:
                raise PhoneGone(f"{self.name}: baresip ended with {process.returncode}:\n{self.log}")
            sock = socket.socket()
            sock.setblocking(False)
            try:
                await asyncio.get_running_loop().sock_connect(sock, (self.address, port))
                return sock, *(await asyncio.open_connection(sock=sock))
            except OSError:
                sock.close()
                if time.monotonic() > deadline:
                    raise NotInTime(f"{self.name}: not ready within {START_S} s:\n{self.log}") from None
                await asyncio.sleep(0.02)

    def _running(self) -> _Link:
        if self._link is None or self._link.process.returncode is not None:
            raise PhoneGone(f"{self.name}: not running")
        return self._link

    async def _become(self, user: str, server: str, display: str | None, params: str) -> None:
        for text, unfit in ((user + server + params, '<>"\r\n '), (display or "", '"\\\r\n')):
            if any(sign in text for sign in unfit):
                raise ValueError(f"{self.name}: unfit for a SIP account: {text!r}")
        if self._server is not None:
            await self.unregister()
        shown = f'"{display}" ' if display else ""
        await self.command("uanew", f"{shown}<sip:{user}@{server}>{params};audio_codecs=PCMU/8000/1;ptime=20")
        self._server = server

    async def _read(self, reader: asyncio.StreamReader, sock: socket.socket) -> None:
        try:
            while True:
                # Acknowledge at once: baresip waits for that before it tells the next event (Nagle; 40 ms).
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                length = await reader.readuntil(b":")
                body = await reader.readexactly(int(length[:-1]) + 1)
                self._take_in(json.loads(body[:-1].decode(errors="replace")))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the process has ended: _watch() tells

    async def _watch(self, process: asyncio.subprocess.Process) -> None:
        status = await process.wait()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(PhoneGone(f"{self.name}: ended with status {status}"))
        self._tell(Exited(_now(), status))

    def _take_in(self, message: dict[str, Any]) -> None:
        if "response" in message:
            reply = self._replies.get(str(message.get("token")))
            if reply is not None and not reply.done():
                reply.set_result(message)
            return
        event = _event_of(message)
        if event is None:
            return
        if isinstance(event, CallEvent):
            self._follow(
                event, outgoing=message.get("direction") == "outgoing", peer=str(message.get("peeruri"))
            )
        self._tell(event)

    def _follow(self, event: CallEvent, *, outgoing: bool, peer: str) -> None:
        call = self._call(event.call_id, outgoing=outgoing, peer_uri=peer)
        call.take_in(event)
        if isinstance(event, CallIncoming):
            self._incoming.put_nowait(call)
            if self.auto_answer_s is not None:
                task = asyncio.create_task(self._answer_later(call, self.auto_answer_s))
                self._answering.add(task)
                task.add_done_callback(self._answering.discard)
        elif isinstance(event, CallClosed):
            del self._calls[call.id]

    def _call(self, call_id: str, *, outgoing: bool, peer_uri: str) -> PhoneCall:
        call = self._calls.get(call_id)
        if call is None:
            call = PhoneCall(self, call_id, outgoing=outgoing, peer_uri=peer_uri)
            self._calls[call_id] = self.call = call
            if self._recordings is not None and self._folder is not None:
                path = self._recordings / f"{self.name}-{next(self._numbers)}.wav"
                call.ear = Ear(self._folder / "heard", path)
        return call

    async def _listen(self) -> None:
        while True:
            call = self.call
            if call is not None and call.ear is not None and call.closed is None:
                call.ear.listen()
            await asyncio.sleep(POLL_S)

    async def _answer_later(self, call: PhoneCall, seconds: float) -> None:
        await asyncio.sleep(seconds)
        with contextlib.suppress(CommandRefused, PhoneGone):  # the caller was faster
            await call.answer()

    def _tell(self, event: PhoneEvent) -> None:
        self.events.append(event)
        waiting = [waiter for waiter in self._waiters if not waiter.future.done()]
        taker = next((waiter for waiter in waiting if waiter.wanted(event)), None)
        if taker is not None:
            taker.future.set_result(event)
        else:
            self._unclaimed.append(event)
        for waiter in waiting:
            if waiter is not taker and (isinstance(event, Exited) or waiter.ends(event)):
                waiter.future.set_result(event)
        if self._on_event is not None:
            self._on_event(event)

    def _lately(self) -> str:
        shown = list(self.events)[-5:]
        return "lately: " + ("; ".join(map(str, shown)) if shown else "nothing happened")


def _now() -> Instant:
    return Instant(time.time_ns() // 1000)


def _event_of(message: dict[str, Any]) -> PhoneEvent | None:
    at = _now()
    call = str(message.get("id", ""))
    param = str(message.get("param", ""))
    match message.get("type"):
        case "REGISTER_OK":
            return Registered(at)
        case "REGISTER_FAIL":
            return RegistrationFailed(at, param)
        case "CALL_INCOMING":
            name = message.get("peerdisplayname")
            return CallIncoming(at, call, str(message.get("peeruri")), str(name) if name else None)
        case "CALL_RINGING":
            return CallRinging(at, call)
        case "CALL_PROGRESS":
            return CallProgress(at, call)
        case "CALL_ESTABLISHED":
            return CallEstablished(at, call)
        case "CALL_CLOSED":
            status = re.match(r"([3-7]\d\d) ", param)
            return CallClosed(at, call, param, int(status[1]) if status else None)
        case "CALL_REMOTE_SDP":
            return MediaDirection(at, call, str(message.get("remoteaudiodir", "")))
        case "CALL_DTMF_START":
            return DigitHeard(at, call, param)
        case "TRANSFER_FAILED":
            return TransferFailed(at, call, param)
        case _:
            return None


async def _end(process: asyncio.subprocess.Process, patience_s: float = 0.0) -> None:
    """Wait for a process that was told to end; kill it when it does not."""
    try:
        await asyncio.wait_for(process.wait(), patience_s)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def free_tcp_port(address: str) -> int:
    """A TCP port that is free on this loopback address now."""
    with socket.socket() as probe:
        probe.bind((address, 0))
        return int(probe.getsockname()[1])
