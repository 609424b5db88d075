"""What a recording should hold, and what is wrong with the one that is there: numbers in, findings out.

Rules
- A recording holds the talk, as the core's own facts have it. A pause is silence of its length in it, and counts; or
  a gap, and does not.
- Asterisk writes nothing while neither side sends sound. How long each side sent is known by the packets that its
  channel received (RTPAUDIOQOS at its Hangup). The caller's are those of the whole call: what is missing of them may be
  missing in the talk.
- Of a call that is counted apart (calls out, 連絡用番号, consults) both counts are of the talk alone: what was received
  until it was connected is known, too, and left out (ADR 66). Either of them tells what must be recorded. Where it is
  not known, as much as it rang may be of before.
- So the talk must be recorded but for what neither side may have sent, to the second. Where nobody knows what was sent,
  by what a recording may drift.
- Where a talk was seen from begin to end, by one clock, and nothing is cut out of its recording, that is not longer
  than the talk, to the second: else something is in it that is no talk. Elsewhere the night's comparison alone bounds
  it (`audit.compare`): what is cut keeps up to half a second of each piece, and more where sound was lost.
- Talk that neither side sent sound for is a finding of its own, and no fault of the recording.
- Which side was silent is told by its packets; where both sides are there apart, by the sound of each as well. Who
  picks up a call for the centre says something: no voice there in the whole talk is a fault (a dead headset). Everybody
  else may listen: a caller, and in what is counted apart both (an agent hears out somebody's answering machine). Of
  them only what is still is a fault, the same sample all the time: no packet came, or packets that hold no sound. A
  microphone that is alive has some noise.
- How long a message should be nobody knows: the packets are those of the whole call. It is short if Asterisk itself
  tells that its end could not be recorded. Where nothing is said in one it is silent, however short it is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum

from callcore.domain.ids import SECOND

PACKET_S = 0.02
"""Of sound in one packet: what G.711 and G.722 are sent with unless asked otherwise (RFC 3551, 4.2)."""
SHORT_S = 1.0
"""The customer's bound."""
LONG_S, CLOCK_SHARE = 1.0, 0.001
"""The customer's bound; and by how much a sender's clock may be ahead of ours: its packets are sound, however quickly
they come. A crystal is off by 0.0001 at most. Of real talks that were seen whole none was more than 0.06 s longer."""
DRIFT_S, DRIFT_SHARE = 2.0, 0.02
"""By so much a recording may be shorter than a talk of which nobody knows what was sent (as in `audit.compare`)."""
NO_MEDIA_S = 3.0
"""So much of a talk may be without sound from either side: an answer takes up to half a second to be heard, and a
phone that holds the caller or goes on without sending at the end about as much."""
NO_MEDIA_SHARE = 0.02
VOICE_LEAST_S = 0.5
"""Less sound above silence than this is none."""
SILENT_S = 5.0
"""A talk, or a recording but for its pauses, that is shorter may be silent."""
SENT_LEAST_S = 1.0
"""Who sent less than this in a talk that long sent nothing."""
CLIPPED_S, CLIPPED_SHARE = 1.0, 0.05
"""A recording is clipped if that much sound is cut off, and that share of what is louder than silence."""


class Finding(Enum):
    """From the gravest on."""

    MISSING = "missing"
    UNREADABLE = "unreadable"
    EMPTY = "empty"
    SHORT = "short"
    LONG = "long"
    SILENT = "silent"
    SILENT_CALLER = "silent_caller"
    SILENT_AGENT = "silent_agent"
    CLIPPED = "clipped"
    NO_MEDIA = "no_media"


WORDS: dict[Finding, str] = {
    Finding.MISSING: "録音ファイルがない / there is no file",
    Finding.UNREADABLE: "読めない / it cannot be read",
    Finding.EMPTY: "音がない / it holds no sound",
    Finding.SHORT: "通話(伝言では、話された内容)より短い / it is shorter than the talk, or than what was said",
    Finding.LONG: "通話より長い / it is longer than the talk",
    Finding.SILENT: "声が入っていない / nobody is heard",
    Finding.SILENT_CALLER: "入電者(発信では相手)の声が入っていない / the caller, or who was called, is not heard",
    Finding.SILENT_AGENT: "相手側(オペレーター)の声が入っていない / the agent is not heard",
    Finding.CLIPPED: "音が割れている / its sound is clipped",
    Finding.NO_MEDIA: "どちらからも音が届いていない時間がある / for a time neither side sent sound",
}


@dataclass(frozen=True, slots=True)
class Apart:
    """Of a call that is counted apart. `ours`: the agent's channel began it, so that the other one is the `caller` of
    `Expected`. `rang`: microseconds until it was connected. `unsure`: of its counts, so much may be from before.
    `stays`: its recording lies on the other channel, and goes on with whom that is left."""

    ours: bool
    rang: int
    unsure: bool = False
    stays: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """Of a recording that is to be measured, in microseconds. `lasted`: the whole call, from the channel's arrival.
    `caller`, `far`: of sound that was received from the caller in the whole call, and from whom he or she talked with.
    None: not known. Of a call that is counted apart, all three since it was connected. `whole`: the talk was seen from
    begin to end, and nothing is to be cut out of its recording."""

    talk: int
    paused: int = 0
    lasted: int = 0
    caller: int | None = None
    far: int | None = None
    apart: Apart | None = None
    whole: bool = False

    def also(self, began_it: bool, received: int, before: int | None) -> Expected:
        """With what came in on the channel that began a call that is counted apart, or on another one; `before`: of it,
        until the call was connected."""
        assert self.apart is not None
        since = max(0, received - (before or 0))
        apart = replace(self.apart, unsure=self.apart.unsure or (received > 0 and before is None))
        if began_it is self.apart.ours:
            return replace(self, far=(self.far or 0) + since, apart=apart)
        return replace(self, caller=(self.caller or 0) + since, apart=apart)

    def longer(self, by: int) -> Expected:
        """Of a call that went on for so long without who had made it."""
        return replace(self, talk=self.talk + by, lasted=self.lasted + by)

    @property
    def unsent(self) -> int | None:
        """Of the talk, for how long neither can have sent sound."""
        if self.caller is None or self.far is None:
            return None
        if self.apart is not None:
            return max(0, self.lasted - max(self.caller, self.far))
        sent = self.sent
        return None if sent is None else self.talk - sent

    @property
    def sent(self) -> int | None:
        """Of the talk, what one of both sent at least."""
        if self.apart is not None:
            told = [each for each in (self.caller, self.far) if each is not None]
            less = self.lasted - self.talk + (self.apart.rang if self.apart.unsure else 0)
            return None if not told else max(0, min(self.talk, max(told) - less))
        if self.caller is None:
            return None
        missing = max(0, self.lasted - self.caller)
        return max(0, min(self.talk, max(self.talk - missing, self.far or 0)))


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a recording, in seconds: louder than silence, and not still (the same sample for a frame). Of both it
    may be less than there is, but for what is less than `VOICE_LEAST_S`."""

    voice_s: float
    sound_s: float


@dataclass(frozen=True, slots=True)
class Heard:
    """A recording as measured, in seconds. `voice_s`: of each channel, what is louder than silence. (): not looked at.
    `clipped_s`: of the worst channel. `problem`: what keeps it from being measured at all. `sides`: the caller's (or of
    who was called or asked) and the other one; (): they are not there apart."""

    seconds: float
    voice_s: tuple[float, ...] = ()
    clipped_s: float = 0.0
    problem: str | None = None
    sides: tuple[Side, ...] = ()


def judge(heard: Heard, expected: Expected) -> tuple[Finding, ...]:
    """What is wrong, the gravest first."""
    talk, sent = expected.talk / SECOND, None if expected.sent is None else expected.sent / SECOND
    found = set()
    unsent = 0 if expected.unsent is None else expected.unsent / SECOND
    if unsent > NO_MEDIA_S + talk * NO_MEDIA_SHARE:
        found.add(Finding.NO_MEDIA)
    if heard.problem is not None:
        # Where nobody sent anything Asterisk writes a file without sound, or none.
        nothing = sent is not None and sent < SHORT_S and heard.problem != Finding.UNREADABLE.value
        if not (nothing and Finding.NO_MEDIA in found):
            found.add(_WORDED.get(heard.problem, Finding.UNREADABLE))
    else:
        least = talk - DRIFT_S - talk * DRIFT_SHARE if sent is None else sent - SHORT_S
        if heard.seconds < least:
            found.add(Finding.SHORT)
        if expected.whole and heard.seconds > talk + LONG_S + talk * CLOCK_SHARE:
            found.add(Finding.LONG)
        found |= _silent(heard, expected, talk)
        loud = max(heard.voice_s, default=0.0)
        if heard.clipped_s >= max(CLIPPED_S, CLIPPED_SHARE * loud):
            found.add(Finding.CLIPPED)
    return tuple(each for each in Finding if each in found)


def judge_message(heard: Heard, *, cut: bool = False) -> tuple[Finding, ...]:
    """The same of what a caller left after the tone. `cut`: Asterisk could not record its end."""
    found = set(judge(heard, Expected(talk=0)))
    if cut:
        found.add(Finding.SHORT)
    if heard.problem is None and max(heard.voice_s, default=0.0) < VOICE_LEAST_S:
        found.add(Finding.SILENT)
    return tuple(each for each in Finding if each in found)


def worst(findings: tuple[Finding, ...], problem: str | None) -> str | None:
    """What is wrong with a recording; of several things the gravest. `problem`: where nothing was held against it."""
    return findings[0].value if findings else problem


def _silent(heard: Heard, expected: Expected, talk: float) -> set[Finding]:
    audible = heard.seconds - expected.paused / SECOND
    sides: set[Finding] = set()
    if heard.voice_s and audible >= SILENT_S:
        if max(heard.voice_s) < VOICE_LEAST_S:
            return {Finding.SILENT}
        if len(heard.sides) == 2:
            caller, other = heard.sides
            from_other = other.voice_s if expected.apart is None else other.sound_s
            for side, there in zip(_SIDES, (caller.sound_s, from_other), strict=True):
                if there < VOICE_LEAST_S:
                    sides.add(side)
    if talk >= SILENT_S:
        for side, sent in zip(_SIDES, (expected.caller, expected.far), strict=True):
            if sent is not None and sent / SECOND < SENT_LEAST_S:
                sides.add(side)
    return sides


_WORDED = {each.value: each for each in Finding}
_SIDES = (Finding.SILENT_CALLER, Finding.SILENT_AGENT)
