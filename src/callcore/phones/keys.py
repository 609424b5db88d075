"""What the programmable keys of a desk phone do: the feature codes of `dialplans/callcore.conf`, then the colleagues.

A code has a lamp where there is a hint of its name to watch.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain.centre import Centre, Phone
from callcore.phones.maker import Key, Model


@dataclass(frozen=True, slots=True)
class Code:
    code: str
    ja: str
    en: str
    short: str
    """Half-width, for displays without Japanese."""
    lamp: bool = False


CODES: tuple[Code, ...] = (
    Code("*11", "受付開始", "Sign in", "IN"),
    Code("*12", "受付終了", "Sign out", "OUT"),
    Code("*13", "待機", "Ready", "READY"),
    Code("*14", "後処理延長", "More ACW", "ACW+"),
    Code("*15", "離席", "Pause", "PAUSE"),
)
"""The one list of codes for keys and pages; `tests/unit/test_phones_keys.py` holds it against the dialplan."""


def keys_for(centre: Centre, phone: Phone, model: Model, language: str) -> tuple[Key, ...]:
    """The keys after the line's own, as many as the model has: codes first, then the colleagues' lamps."""
    room = max(0, model.keys - 1)
    codes = [Key(c.code, c.ja if language == "ja" else c.en, c.short, c.lamp) for c in CODES]
    others = [
        Key(other.extension or other.id, other.seat, other.extension or other.seat, True)
        for other in centre.phones
        if other.id != phone.id
    ]
    return tuple([*codes, *others][:room])
