"""What a centre file says of its agents at the desk phone: signing in, reasons to pause, results of calls.

The digits are those that are keyed behind a code: `*15` and 1 is 休憩, `*20` and 4 is 苦情.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.stages import ResultKind, SecondSignIn

AWAY = "離席"
"""The reason of who keyed none."""
NOT_YET = "受付開始前"
"""The pause that a shift begins with where the centre wants it so."""


@dataclass(frozen=True, slots=True)
class PauseReason:
    """`key`: the digit behind `*15`. Whoever wants to leave beyond `at_once` is refused; who is away for longer than
    `longest_s` seconds is marked."""

    key: int
    name: str
    at_once: int | None = None
    longest_s: int | None = None


@dataclass(frozen=True, slots=True)
class CallResult:
    """`key`: the digit behind `*20`."""

    key: int
    name: str
    kind: ResultKind = ResultKind.OTHER


DEFAULT_PAUSES = (
    PauseReason(1, "休憩"),
    PauseReason(2, "昼休み"),
    PauseReason(3, "研修"),
    PauseReason(4, "事務"),
    PauseReason(5, "打合せ"),
    PauseReason(6, "オンライン窓口対応中"),
)
DEFAULT_RESULTS = (
    CallResult(1, "完了", ResultKind.DONE),
    CallResult(2, "取り次ぎ", ResultKind.TRANSFER),
    CallResult(3, "折り返し", ResultKind.CALLBACK),
    CallResult(4, "苦情", ResultKind.COMPLAINT),
    CallResult(5, "予約", ResultKind.BOOKING),
)


@dataclass(frozen=True, slots=True)
class Staff:
    """One centre's rules. Lengths in whole seconds."""

    pauses: tuple[PauseReason, ...] = DEFAULT_PAUSES
    results: tuple[CallResult, ...] = DEFAULT_RESULTS
    second_sign_in: SecondSignIn = SecondSignIn.MOVES
    begins_paused: bool = False
    """A shift begins with a pause, which the agent ends by `*13`."""
    wrong_pins: int = 5
    """Wrong PINs in a row after which an agent is locked out."""
    lock_s: int = 900
    lamp_waiting: int = 5
    """Callers who wait, from which on a queue's lamp flashes."""

    def pause(self, key: int) -> PauseReason | None:
        return next((each for each in self.pauses if each.key == key), None)

    def pause_named(self, name: str) -> PauseReason | None:
        return next((each for each in self.pauses if each.name == name), None)

    def result(self, key: int) -> CallResult | None:
        return next((each for each in self.results if each.key == key), None)
