"""Numbers, times, dates, waiting time and places as sequences of whole phrases, in each language.

Pure: no file is looked at. A phrase has a name, the same in every language (`place-2`, `minute-30`), and a text of
its own language (`tongues`). A place and a waiting time are one whole sentence each, at most 5 s long, because an agent
who becomes free meanwhile waits for its end; times and dates are put together, in the order of the language.

Times are local to the centre, as minutes of the day, and spoken to five minutes: opening hours and times to call back
are not given more exactly. How a place and a waiting time are rounded is the core's (`callcore.domain.phrases`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from typing import Final

from callcore.domain import phrases
from callcore.domain.phrases import PLACES, WAITS_MIN
from callcore.prompts.tongues import TONGUES, Tongue

STEP_MIN: Final = 5
"""The other minutes would be a tenth of the audio of all languages, for times that nobody is told."""
DAY_MIN: Final = 24 * 60
KEYS: Final = "1234567890"


@dataclass(frozen=True, slots=True)
class Phrase:
    """`name` below `<language>/spoken/`, and what is said."""

    name: str
    text: str


Said = tuple[Phrase, ...]


@lru_cache(maxsize=len(TONGUES))
def vocabulary(language: str) -> dict[str, str]:
    """Every phrase of a language, name → text. Raises KeyError for a language that is not spoken."""
    tongue = TONGUES[language]
    found = {f"place-{n}": tongue.place(n) for n in PLACES}
    found["place-more"] = tongue.place_more
    found |= {f"wait-{n}": tongue.wait(n) for n in WAITS_MIN}
    found |= {"wait-soon": tongue.wait_soon, "wait-more": tongue.wait_more}
    found |= {f"choose-{key}": tongue.choose(int(key)) for key in KEYS}
    found |= {f"digit-{key}": tongue.digits[int(key)] for key in KEYS}
    found |= {f"at-{hour:02}": tongue.at(hour) for hour in range(24)}
    found |= {f"hour-{hour:02}": tongue.hour(hour) for hour in range(24) if _has_part(tongue, hour)}
    found |= {f"minute-{minute:02}": tongue.minute(minute) for minute in range(STEP_MIN, 60, STEP_MIN)}
    found |= {f"month-{month:02}": tongue.months[month - 1] for month in range(1, 13)}
    found |= {f"day-{day:02}": tongue.day(day) for day in range(1, 32)}
    found |= {f"weekday-{day}": tongue.weekdays[day - 1] for day in range(1, 8)}
    return found | tongue.particles


def place(language: str, n: int) -> Said:
    """The caller's place in the line, from 1. Raises ValueError below that."""
    return _say(language, [phrases.place(n)])


def wait(language: str, seconds: float) -> Said:
    """About how long it will take. Up to half a minute: soon; then rounded up to whole minutes."""
    return _say(language, [phrases.wait(seconds)])


def choose(language: str, key: str) -> Said:
    """ "For this language, press …". Raises ValueError for what is no digit key."""
    if len(key) != 1 or key not in KEYS:
        raise ValueError(f"no phrase for the key {key!r}")
    return _say(language, [f"choose-{key}"])


def digits(language: str, number: str) -> Said:
    """A telephone or reference number, digit by digit; signs between are left out. Raises ValueError without digits."""
    names = [f"digit-{sign}" for sign in number if sign in KEYS]
    if not names:
        raise ValueError(f"no digits in {number!r}")
    return _say(language, names)


def clock(language: str, minute: int) -> Said:
    """A time of day, 0 to 1440 (midnight at the day's end) in steps of 5. Raises ValueError for another."""
    return _say(language, _clock(TONGUES[language], minute))


def hours(language: str, opens: int, closes: int) -> Said:
    """From one time of day to another; raises ValueError as `clock` does."""
    tongue = TONGUES[language]
    said = {"{opens}": _clock(tongue, opens), "{closes}": _clock(tongue, closes)}
    return _say(language, [name for part in tongue.span.split() for name in said.get(part, [part])])


def day(language: str, on: date) -> Said:
    """A date with its day of the week, without the year."""
    said = {
        "month": f"month-{on.month:02}",
        "day": f"day-{on.day:02}",
        "weekday": f"weekday-{on.isoweekday()}",
    }
    return _say(language, [said[part] for part in TONGUES[language].date.split()])


def text(said: Said) -> str:
    """What is heard, phrase by phrase."""
    return " ".join(phrase.text for phrase in said)


def _say(language: str, names: list[str]) -> Said:
    words = vocabulary(language)
    return tuple(Phrase(name, words[name]) for name in names)


def _has_part(tongue: Tongue, hour: int) -> bool:
    """Whether an hour sounds otherwise when minutes follow."""
    return tongue.hour(hour) != tongue.at(hour)


def _clock(tongue: Tongue, minute: int) -> list[str]:
    if not 0 <= minute <= DAY_MIN or minute % STEP_MIN:
        raise ValueError(f"a time of day is 0 to {DAY_MIN} minutes in steps of {STEP_MIN}, not {minute}")
    hour, rest = divmod(minute % DAY_MIN, 60)
    if not rest:
        return [f"at-{hour:02}"]
    names = [f"{'hour' if _has_part(tongue, hour) else 'at'}-{hour:02}", f"minute-{rest:02}"]
    half = tongue.after(hour)
    return [*names, half] if half else names
