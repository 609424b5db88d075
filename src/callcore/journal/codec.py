"""Frames of facts to bytes and back, with personal values sealed on the way.

A payload is `run u64, n u64, at i64` (big endian), then msgpack: a list of `[kind, version, {field:
value}]`. What may stand in a fact or a state: str, int, float, bool, bytes, None and NewTypes of these; Enum
(by value); tuple, frozenset; frozen dataclasses of such; `immutables.Map` (as a list of pairs); `Personal`.
A union may hold one of these and None. Anything else is refused when the codec is built, not in the middle
of a day.

Versions. A kind's version is 1, or one more than the highest version that `upcasts` lifts. A field that is
added with a default needs no new version; whatever else changes in a kind's fields does, with an upcast for
the old one.
"""

from __future__ import annotations

import functools
import hashlib
import struct
import types
import typing
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar

import msgspec
from immutables import Map

from callcore.domain.ids import CallId, CentreId, Instant
from callcore.domain.personal import Personal
from callcore.journal.errors import CodecError
from callcore.journal.keys import KeyStore

Seq = tuple[int, int]
"""(run, n): the engine's run, and the number of the frame in it, from 1. Compares in the order of writing."""

Upcast = Callable[[dict[str, Any]], dict[str, Any]]
"""Fields of one version to those of the next. Values are msgpack's own (a Personal is an opaque list)."""

T = TypeVar("T")

_PLAIN = (str, int, float, bool, bytes, types.NoneType, Personal)
_CONTAINERS = (tuple, frozenset, Map, typing.Literal)

PREFIX = struct.Struct(">QQq")


@dataclass(frozen=True, slots=True)
class Frame:
    """The facts of one step. `at` is the instant of the input that made them (µs UTC)."""

    run: int
    n: int
    at: Instant
    facts: tuple[object, ...]

    @property
    def seq(self) -> Seq:
        return (self.run, self.n)


class Codec:
    """Built once for all kinds of facts. Not for use by two threads at once."""

    def __init__(
        self,
        kinds: Mapping[str, type],
        upcasts: Mapping[tuple[str, int], Upcast],
        keys: KeyStore,
        only: Collection[str] = (),
        naming: str = "",
    ) -> None:
        """`kinds`: every name that ever stood in a journal, with its class of today. `only`: what is read of a
        frame, its other facts are passed over; none: all. `naming`: likewise those that do not hold this text.
        CodecError: a field can't be kept.
        """
        self._only = frozenset(only)
        self._naming = naming.encode()
        for kind in kinds.values():
            shape(kind)
        self._keys = keys
        self._upcasts = dict(upcasts)
        self._versions = dict.fromkeys(kinds, 1)
        for name, version in upcasts:
            if name not in kinds:
                raise CodecError(f"upcast for a kind that is not in the registry: {name}")
            self._versions[name] = max(self._versions[name], version + 1)
        self._names = {kind: (name, self._versions[name]) for name, kind in kinds.items()}
        self._kinds = dict(kinds)
        self._encoder = msgspec.msgpack.Encoder(enc_hook=self._to_plain)
        self._facts = msgspec.msgpack.Decoder(list[tuple[str, int, msgspec.Raw]])
        self._checkers = {name: _checker(kind) for name, kind in kinds.items()}
        self._decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {}

    # -- frames ----------------------------------------------------------------------------------------------

    def encode(self, frame: Frame) -> bytes:
        """The payload of a frame, read back before it is given out: what gets written can be read.

        CodecError: a fact of an unknown kind, or with a value that is not what its field says. OSError: a
        new call's key could not be written.
        """
        named = []
        for fact in frame.facts:
            found = self._names.get(type(fact))
            if found is None:
                raise CodecError(
                    f"{type(fact).__qualname__} は事実の種類として登録されていません。"
                    f"KINDS に加えてください。 / "
                    f"{type(fact).__qualname__} is not registered as a kind of fact; add it to KINDS."
                )
            named.append((*found, fact))
        try:
            body = self._encoder.encode(named)
            for name, _, raw in self._facts.decode(body):
                self._checkers[name].decode(raw)
        except (msgspec.MsgspecError, NotImplementedError, OverflowError, TypeError) as error:
            raise CodecError(f"this fact can't be written so that it could be read again: {error}") from error
        return PREFIX.pack(frame.run, frame.n, frame.at) + body

    def decode(self, payload: bytes, where: str = "") -> Frame:
        """The frame of a payload. `where` (file and offset) stands in the errors.

        CodecError: a kind or version that this callcore doesn't know. KeyLost, KeyDamaged: see `keys`.
        """
        run, n, at = PREFIX.unpack_from(payload)
        facts: list[object] = []
        if self._naming not in payload:
            return Frame(run, n, Instant(at), ())
        try:
            for name, version, raw in self._facts.decode(memoryview(payload)[PREFIX.size :]):
                if (not self._only or name in self._only) and self._naming in bytes(raw):
                    facts.append(self._decode_fact(name, version, raw))
        except _Unknown as unknown:
            raise CodecError(
                f"{where} seq ({run}, {n}): 事実「{unknown}」はこの callcore では読めません。"
                f"このジャーナルを書いた版以降の callcore で起動してください。 / "
                f"{where} seq ({run}, {n}): this callcore can't read the fact {unknown}. "
                f"Start the callcore that wrote this journal, or a newer one."
            ) from None
        except msgspec.MsgspecError as error:
            raise CodecError(
                f"{where} seq ({run}, {n}): 記録の形式が合いません ({error})。"
                f"このジャーナルを書いた版の callcore で起動してください。 / "
                f"{where} seq ({run}, {n}): a fact has another form than this callcore expects ({error}). "
                f"Start the callcore that wrote this journal."
            ) from error
        return Frame(run, n, Instant(at), tuple(facts))

    def _decode_fact(self, name: str, version: int, raw: msgspec.Raw) -> object:
        current = self._versions.get(name)
        if current is None or version > current:
            raise _Unknown(f"{name} v{version}")
        if version == current:
            return self._decoder(self._kinds[name]).decode(raw)
        plain = msgspec.msgpack.decode(raw)
        for step in range(version, current):
            upcast = self._upcasts.get((name, step))
            if upcast is None:
                raise _Unknown(f"{name} v{version}")
            plain = upcast(plain)
        return msgspec.convert(plain, self._kinds[name], dec_hook=self._from_plain)

    # -- states ----------------------------------------------------------------------------------------------

    def encode_state(self, state: object) -> bytes:
        """The bytes of a whole state (the floor), personal values sealed. CodecError as in `encode`."""
        try:
            return self._encoder.encode(state)
        except (NotImplementedError, OverflowError, TypeError) as error:
            raise CodecError(f"this state can't be kept: {error}") from error

    def decode_state(self, data: bytes, kind: type[T]) -> T:
        """The state again. CodecError when the bytes don't fit `kind` (made by another version)."""
        try:
            return typing.cast("T", self._decoder(kind).decode(data))
        except msgspec.MsgspecError as error:
            raise CodecError(f"these bytes are no {kind.__qualname__}: {error}") from error

    # -- what msgspec does not know --------------------------------------------------------------------------

    def _to_plain(self, value: object) -> object:
        if isinstance(value, Personal):
            sealed = None
            if value.text is not None:
                sealed = self._keys.seal(value.call, value.centre, value.at, value.text, value.fingerprint)
            return (value.call, value.centre, value.at, sealed)
        if isinstance(value, Map):
            return list(value.items())
        raise NotImplementedError(f"a {type(value).__qualname__} can't stand in the journal")

    def _decoder(self, kind: type) -> msgspec.msgpack.Decoder[Any]:
        """Made when it is first needed: most of those who read meet few kinds."""
        found = self._decoders.get(kind)
        if found is None:
            found = self._decoders[kind] = _decoder(kind, self._from_plain)
        return found

    def _from_plain(self, kind: Any, value: Any) -> object:
        if kind is Personal:
            call, centre, at, sealed = _personal(value)
            opened = None if sealed is None else self._keys.unseal(call, centre, at, sealed)
            return Personal(call, centre, at, *(opened or (None, None)))
        return _map(kind, value, self._from_plain)


@functools.cache
def shape(kind: type) -> str:
    """A digest of the form of a type: names, fields and types all the way down.

    Two checkpoints of the same shape can be read by the same code; a kind of fact whose shape has changed
    needs a new version unless the change was a new field with a default. CodecError: the type holds what
    can't be kept.
    """
    seen: dict[type, None] = {}
    return hashlib.sha256(_spell(kind, seen).encode()).hexdigest()[:16]


def _spell(kind: Any, seen: dict[type, None]) -> str:
    if isinstance(kind, typing.NewType):
        return _spell(kind.__supertype__, seen)
    origin = typing.get_origin(kind)
    if origin is not None:
        inner = [_spell(arg, seen) for arg in typing.get_args(kind)]
        if origin in (types.UnionType, typing.Union):
            return "|".join(sorted(inner))
        if origin not in _CONTAINERS:
            raise CodecError(f"{kind} can't stand in the journal")
        return f"{getattr(origin, '__name__', origin)}[{','.join(inner)}]"
    if isinstance(kind, type):
        if issubclass(kind, Enum):
            return f"{kind.__name__}({','.join(repr(each.value) for each in kind)})"
        if is_dataclass(kind):
            if kind in seen:
                return kind.__name__
            seen[kind] = None
            hints = _hints(kind)
            spelled = ",".join(f"{each.name}:{_spell(hints[each.name], seen)}" for each in fields(kind))
            return f"{kind.__name__}({spelled})"
        if kind in _PLAIN:
            return kind.__name__
    if isinstance(kind, str | int) or kind is None or kind is Ellipsis:
        return repr(kind)
    raise CodecError(f"{kind} can't stand in the journal")


@functools.cache
def _hints(kind: type) -> dict[str, Any]:
    """A kind stands in many facts, and to find its types out takes half a millisecond."""
    return typing.get_type_hints(kind)


class _Unknown(Exception):
    pass


@functools.cache
def _checker(kind: type) -> msgspec.msgpack.Decoder[Any]:
    """Reads a kind without opening what is personal. CodecError: it can't stand in the journal."""
    return _decoder(kind, _unopened)


def _decoder(kind: type, hook: Callable[[Any, Any], object]) -> msgspec.msgpack.Decoder[Any]:
    try:
        return msgspec.msgpack.Decoder(kind, dec_hook=hook)
    except (TypeError, NameError) as error:
        raise CodecError(f"{kind.__qualname__} can't stand in the journal: {error}") from error


def _personal(value: Any) -> tuple[CallId, CentreId, Instant, bytes | None]:
    return msgspec.convert(value, tuple[CallId, CentreId, Instant, bytes | None])


def _map(kind: Any, value: Any, hook: Callable[[Any, Any], object]) -> object:
    if typing.get_origin(kind) is Map:
        key, item = typing.get_args(kind)
        return Map(msgspec.convert(value, list[tuple[key, item]], dec_hook=hook))  # type: ignore[valid-type]
    raise NotImplementedError(f"{kind} can't stand in the journal; a Map needs its types: Map[Key, Value]")


def _unopened(kind: Any, value: Any) -> object:
    """Checks the form of what stands in a fact without opening what is sealed."""
    if kind is Personal:
        call, centre, at, _ = _personal(value)
        return Personal(call, centre, at, None)
    return _map(kind, value, _unopened)
