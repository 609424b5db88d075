"""What the programmable keys of a desk phone do: the feature codes of `dialplans/callcore.conf`, the centre's lamps,
then the colleagues and the city's departments.

Rules
- A code has a lamp where there is a hint of its name to watch.
- What is keyed inside a talk (`dialplans/keys.conf`) is a key that sends digits, where the model has such keys, and
  beside it a lamp that shows. A lit key opens a call of its own when it is pressed, which would put the citizen on
  hold: it is there to be looked at, and its label says so. Where it is not known of a model whether a key can send
  digits in a talk, the inventory's line says so (`digit_keys`); without, the code is keyed on the dial pad.
- `*36` opens a call of its own: that is what it is for, and it has no lamp.
- A result has the lit key `*20`, which asks for the digit; a key of its own stands last, where there is room.
"""

from __future__ import annotations

from dataclasses import dataclass

from callcore.domain import directory
from callcore.domain.centre import Centre, Department, Phone
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
    Code("*11", "受付開始", "Sign in", "IN", lamp=True),
    Code("*12", "受付終了", "Sign out", "OUT"),
    Code("*13", "待機", "Ready", "READY", lamp=True),
    Code("*14", "後処理延長", "More ACW", "ACW+", lamp=True),
    Code("*15", "離席", "Pause", "PAUSE", lamp=True),
)
"""What is dialled outside a talk. `tests/unit/test_phones_files.py` holds the codes against the dialplan."""

TALK: tuple[Code, ...] = (
    Code("*31", "手上げ", "Help", "HELP", lamp=True),
    Code("*34", "録音停止", "Rec. pause", "REC", lamp=True),
    Code("*32", "悪質通報", "Report", "ABUSE", lamp=True),
    Code("*33", "電話リレー", "Relay", "RELAY", lamp=True),
)
"""What is keyed inside a talk."""

CENTRE: tuple[Code, ...] = (
    Code("*20", "結果入力", "Result", "RESULT", lamp=True),
    Code("*30", "手上げ表示", "Help asked", "HELP?", lamp=True),
    Code("*90", "緊急案内", "Emergency", "EMERG", lamp=True),
)
"""The agent's own call wants a result (the key asks for its digit); somebody of the centre asks for help (a lamp to
look at); the centre is closed in an emergency (the key begins it, or ends it while it is lit, and asks first)."""

HOLD = Code("hold", "保留表示", "Held", "HELD", lamp=True)
"""A lamp to look at: a caller is held by this phone, and flashing, for too long."""

POLICY = Code("policy", "端末違反", "Phone alarm", "POLICY", lamp=True)
"""A lamp to look at: something is registered or calls that is no phone of the inventory."""

ESCALATION = Code("*36", "二次対応", "Escalate", "ESCAL")
"""Calls the first supervisor who is free, about the caller or without one; of a centre whose file names supervisors."""

CLOSING = Code("*91", "緊急案内終了", "Emerg. end", "EMERG-")


def keys_for(centre: Centre, phone: Phone, model: Model, language: str) -> tuple[Key, ...]:
    """The keys after the line's own, as many as the model has: what every agent needs first."""
    ja = language == "ja"

    def key(code: Code) -> Key:
        return Key(code.code, code.ja if ja else code.en, code.short, code.lamp)

    found = [key(code) for code in CODES]
    for code in TALK:
        if model.sends_digits or phone.digit_keys:
            found.append(Key(code.code, code.ja if ja else code.en, code.short, False, digits=True))
        found.append(Key(code.code, f"{code.ja}中" if ja else f"{code.en} (on)", f"{code.short}.", True))
    found += [key(code) for code in (*CENTRE, HOLD)]
    if centre.transfers.supervisors:
        found.append(key(ESCALATION))
    found += [Key(queue.id, queue.name, queue.id, True) for queue in centre.queues]
    found += [Key(f"*15{reason.key}", reason.name, f"P{reason.key}", True) for reason in centre.staff.pauses]
    found += [
        Key(other.extension or other.id, other.seat, other.extension or other.seat, True)
        for other in centre.phones
        if other.id != phone.id
    ]
    found += [_department(each) for each in centre.departments]
    found.append(key(POLICY))
    found += [
        Key(f"*20{result.key}", result.name, f"R{result.key}", False) for result in centre.staff.results
    ]
    return tuple(found[: max(0, model.keys - 1)])


def _department(each: Department) -> Key:
    """Called by its short number; the lamp says whether it is closed, or somebody of the centre talks with it."""
    return Key(directory.code(each), each.name, each.roman or each.short, True)


def all_codes(centre: Centre) -> tuple[Key, ...]:
    """For the page: to be dialled, or put on keys by hand; those of `TALK` are keyed in a talk."""
    plain = [Key(c.code, f"{c.ja} / {c.en}", c.short, c.lamp) for c in CODES]
    plain += [
        Key(f"*15{each.key}", f"離席: {each.name} / Pause: {each.name}", "", True)
        for each in centre.staff.pauses
    ]
    plain += [
        Key(f"*20{each.key}", f"結果: {each.name} / Result: {each.name}", "", False)
        for each in centre.staff.results
    ]
    plain += [_department(each) for each in centre.departments]
    if centre.transfers.supervisors:
        plain.append(Key(ESCALATION.code, f"{ESCALATION.ja} / {ESCALATION.en}", ESCALATION.short, False))
    plain += [Key(c.code, f"通話中: {c.ja} / In a talk: {c.en}", c.short, c.lamp, digits=True) for c in TALK]
    begin = CENTRE[-1]
    plain += [Key(c.code, f"{c.ja} / {c.en}", c.short, c.lamp) for c in (HOLD, begin, CLOSING, POLICY)]
    return tuple(plain)
