"""What stands on the wire between Asterisk and us: the rules, without any I/O.

The rules, as Asterisk 22 keeps them (seen on 22.10.1):

1. Asterisk greets with one line, `Asterisk Call Manager/<version>`. After that, everything is frames:
   header lines ended by CR LF, closed by one empty line. Bytes are cut into frames first and decoded
   afterwards, because a character of three bytes may come in two segments.
2. The first header says what a frame is: `Event` or `Response`. It is not enough that one of them is there:
   `OriginateResponse` is an event that has a `Response` header.
3. A header may come several times. Channel variables do (`ChanVariable: NAME=value`), so the order and all
   the values are kept. Asked for by name, the first one counts: Asterisk puts its own headers before those
   of whoever sent a UserEvent, so none of theirs can stand in for one of its own.
4. Channel variables stand in `ChanVariable` (`manager.conf`, `channelvars`), with a prefix in events about
   two channels (`DestChanVariable`), and with the channel in brackets in `OriginateResponse`. A variable
   that is not set is an empty value there. In `Status` they stand also in `Variable`, and one that is not
   set reads `(null)`.
5. Asterisk writes CR and LF inside values as `\\r` and `\\n` of two signs each; they are left like that.
6. What we send: no CR, LF or NUL anywhere; a line has at most 1,022 bytes (Asterisk refuses longer ones,
   and may do so without saying which action it means) and an action at most 128 lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from callcore.domain.ids import Instant

Fields = Mapping[str, str | Sequence[str]]
"""The headers of an action. A sequence is sent as one line per value, in its order."""

GREETING = b"Asterisk Call Manager/"
KNOWN_VERSIONS = frozenset({"8", "9", "10", "11"})
"""Major AMI versions of Asterisk 19 to 22."""

MAX_FRAME = 4 * 1024 * 1024
"""Bytes. The longest frame of normal operation is far below 10 kB; what is longer has lost its frame ends."""
MAX_GREETING = 256
MAX_LINE = 1022
"""Bytes without CR LF: the size of Asterisk's line buffer (1,025) less its own end marks."""
MAX_LINES = 128

_END = b"\r\n\r\n"
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.()-]*")
_TIMESTAMP = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Notice:
    """A sentence for people, in both languages, that says what to do next where something can be done."""

    ja: str
    en: str

    def __str__(self) -> str:
        return f"{self.ja} / {self.en}"


class AmiError(Exception):
    """Any failure of the link or of an action on it."""


class WireError(AmiError):
    """Something that must not stand on the wire: from us (nothing was sent) or from the other side."""


class LinkDown(AmiError):
    """There is no link, or it went away while an action was waiting for its answer.

    `sent` is False when the action surely was not carried out, True when nobody knows. It is never repeated.
    """

    def __init__(self, notice: Notice, *, sent: bool = False) -> None:
        super().__init__(str(notice))
        self.notice = notice
        self.sent = sent


class AuthenticationFailed(LinkDown):
    """Asterisk refuses our login."""


class ActionTimeout(AmiError):
    """No answer in time. Whether the action was carried out is not known."""

    def __init__(self, action: str, timeout: float) -> None:
        super().__init__(
            f"{action}: {timeout} 秒以内に応答がありません。実行されたかは不明です / "
            f"no answer within {timeout} s; whether it was carried out is unknown"
        )
        self.action = action
        self.timeout = timeout


class ActionFailed(AmiError):
    """Asterisk answered with an error. `message` is its own text."""

    def __init__(self, action: str, message: str, reply: Reply | None = None) -> None:
        super().__init__(f"{action}: Asterisk が拒否しました / refused by Asterisk: {message}")
        self.action = action
        self.message = message
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Message:
    """One frame. `headers` holds every header in wire order, as it came."""

    headers: tuple[tuple[str, str], ...]
    _first: Mapping[str, str] = field(repr=False, compare=False)

    def get(self, name: str) -> str | None:
        """The first header of this name, in any case. None when there is none or its value is empty."""
        return self._first.get(name.lower()) or None

    def all(self, name: str) -> tuple[str, ...]:
        """The values of every header of this name, in wire order, empty ones included."""
        wanted = name.lower()
        return tuple(value for key, value in self.headers if key.lower() == wanted)

    @property
    def at(self) -> Instant | None:
        """When Asterisk wrote it (`Timestamp`; microseconds since the epoch, UTC)."""
        value = self._first.get("timestamp")
        return None if value is None else parse_instant(value)

    @property
    def action_id(self) -> str | None:
        return self.get("ActionID")


@dataclass(frozen=True, slots=True)
class Event(Message):
    """Something that happened in Asterisk, or one item of a list."""

    name: str

    @property
    def variables(self) -> Mapping[str, str]:
        """The channel's variables, without those not set (or empty: Asterisk prints both alike)."""
        return self.variables_of("")

    def variables_of(self, prefix: str) -> Mapping[str, str]:
        """The variables of one of several channels, e.g. `Dest` for those in `DestChanVariable` lines."""
        wanted = f"{prefix}ChanVariable".lower()
        status = not prefix and self.name == "Status"
        found: dict[str, str] = {}
        for key, value in self.headers:
            low = key.lower()
            if low == "userevent":
                break
            if low == wanted or (not prefix and low.startswith("chanvariable(")):
                unset = ""
            elif status and low == "variable":
                unset = "(null)"
            else:
                continue
            variable, sign, content = value.partition("=")
            if sign and content and content != unset:
                found.setdefault(variable, content)
        return found


@dataclass(frozen=True, slots=True)
class Reply(Message):
    """The answer to one action."""

    @property
    def success(self) -> bool:
        return self._first.get("response") in ("Success", "Goodbye")

    @property
    def message(self) -> str | None:
        return self.get("Message")

    @property
    def output(self) -> tuple[str, ...]:
        """The lines that a `Command` printed."""
        return self.all("Output")


class Framer:
    """Cuts the byte stream into frames. Feed it in any portions; the greeting is kept apart in `version`."""

    def __init__(self) -> None:
        self.version: str | None = None
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that `data` completes, without their ends. Raises `WireError` when this is no AMI."""
        data = self._rest + data
        if self.version is None:
            line, sign, data = data.partition(b"\n")
            known = line[: len(GREETING)]
            if known != GREETING[: len(known)] or len(line) > MAX_GREETING:
                raise WireError(f"not an Asterisk manager port: it greets with {line[:80]!r}")
            if not sign:
                self._rest = line
                return
            self.version = line[len(GREETING) :].decode("ascii", "replace").strip()
        *frames, self._rest = data.split(_END)
        for frame in frames:
            whole = frame.lstrip(b"\r\n")
            if whole:
                yield whole
        if len(self._rest) > MAX_FRAME:
            raise WireError(f"a frame without an end after {MAX_FRAME} bytes")


def event_name(frame: bytes) -> bytes | None:
    """The event's name by a look at the first line only; None when the frame is no event."""
    if not frame.startswith(b"Event: "):
        return None
    end = frame.find(b"\r\n")
    return frame[7:] if end < 0 else frame[7:end]


def parse(frame: bytes) -> Event | Reply:
    """Read one frame. Bytes that are no UTF-8 become U+FFFD. Raises `WireError` when it is neither kind."""
    lines = [line.partition(":") for line in frame.decode("utf-8", "replace").split("\r\n")]
    headers = tuple([(name, value[1:] if value[:1] == " " else value) for name, sign, value in lines if sign])
    first = {name.lower(): value for name, value in reversed(headers)}
    kind = headers[0][0] if headers else ""
    if kind == "Event":
        return Event(headers, first, headers[0][1])
    if kind == "Response":
        return Reply(headers, first)
    # It stands in the log, where no caller's number may be.
    shown = re.sub(rb"\d{4,}", b"####", frame)[:80]
    raise WireError(f"neither an event nor a response: {shown!r}")


def parse_instant(text: str) -> Instant | None:
    """Microseconds since the epoch from Asterisk's decimal seconds (`1795193503.317583`), unrounded."""
    whole, micros = text[:-7], text[-6:]
    if text[-7:-6] == "." and len(whole) <= 12 and text.isascii() and whole.isdigit() and micros.isdigit():
        return Instant(int(whole) * 1_000_000 + int(micros))  # as Asterisk writes it, event after event
    match = _TIMESTAMP.fullmatch(text)
    if match is None:
        return None
    return Instant(int(match[1]) * 1_000_000 + int((match[2] or "").ljust(6, "0")))


def checked(fields: Fields) -> dict[str, str | list[str]]:
    """The headers of an action, found fit to send. Raises `WireError` and says which one is not."""
    result: dict[str, str | list[str]] = {}
    seen: set[str] = set()
    lines = 1  # the ActionID
    for name, value in fields.items():
        if not _NAME.fullmatch(name):
            raise WireError(f"not a header name: {name!r}")
        if name.lower() in seen:
            raise WireError(f"header twice: {name!r} (give a sequence)")
        seen.add(name.lower())
        values = [value] if isinstance(value, str) else list(value)
        for each in values:
            _check_value(name, each)
        lines += len(values)
        result[name] = value if isinstance(value, str) else values
    if not isinstance(result.get("Action"), str):
        raise WireError("no Action")
    if "actionid" in seen:
        raise WireError("the link chooses the ActionID")
    if lines > MAX_LINES:
        raise WireError(f"{lines} lines in one action; Asterisk takes {MAX_LINES}")
    return result


def _check_value(name: str, value: str) -> None:
    if any(sign in value for sign in "\r\n\0"):
        raise WireError(f"CR, LF or NUL in the value of {name}")
    try:
        size = len(f"{name}: {value}".encode())
    except UnicodeEncodeError:
        raise WireError(f"the value of {name} is no valid text") from None
    if size > MAX_LINE:
        raise WireError(f"the line {name} has {size} bytes; Asterisk takes {MAX_LINE}")
