"""What differs between two configurations, line by line, and which of Asterisk's files each line reaches.

Pure. Whatever it tells takes effect at once in the core; `files` says what Asterisk must read again besides.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from callcore.domain.centre import Centre, Comfort, Configuration, Overflow, Queue, Rung
from callcore.domain.hours import Calendar, Week, Window
from callcore.prompts import shelf

Language = Literal["ja", "en"]
Short = Callable[[str], str]
"""A queue's name as it is written in its centre's file."""

DIALPLAN: Final = "extensions.conf"
QUEUES: Final = "queues.conf"
PHONES: Final = "pjsip.conf"
MUSIC: Final = "musiconhold.conf"
LIVE: Final = (MUSIC, PHONES, QUEUES, DIALPLAN)
"""What Asterisk reads again while it runs, in the order in which one needs the other."""

WEEKDAYS: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
WHOLE: Final = ""
"""The field of a thing that came or went as a whole."""

_FILES: Final[dict[tuple[str, str], tuple[str, ...]]] = {
    ("centre", WHOLE): LIVE,
    ("centre", "time_zone"): (DIALPLAN,),
    ("centre", "languages"): (MUSIC, PHONES, DIALPLAN),
    **{("hours", day): (DIALPLAN,) for day in WEEKDAYS},
    ("queue", WHOLE): (QUEUES, DIALPLAN),
    ("queue", "ring_s"): (QUEUES,),
    ("queue", "acw_s"): (QUEUES,),
    ("queue", "longest_wait_s"): (DIALPLAN,),
    ("queue", "subject"): (DIALPLAN,),
    ("number", WHOLE): (DIALPLAN,),
    ("number", "queue"): (DIALPLAN,),
    ("number", "menu"): (DIALPLAN,),
    ("centre", "closed_menu"): (DIALPLAN,),
    ("menu", WHOLE): (DIALPLAN,),
    **{("menu", field): (DIALPLAN,) for field in ("say", "languages", "timeout_s", "tries", "keys")},
    ("messages", "longest_s"): (DIALPLAN,),
    ("messages", "silence_s"): (DIALPLAN,),
    ("hold", "phrase_every_s"): (MUSIC,),
    ("phone", WHOLE): (PHONES, DIALPLAN),
    ("phone", "display"): (PHONES,),
    ("centre", "display"): (DIALPLAN,),
    ("centre", "phrases"): (DIALPLAN,),
    ("centre", "display_roman"): (DIALPLAN,),
    # The centre's name is what phones show unless the file has a shorter one.
    ("centre", "name"): (DIALPLAN,),
    ("unwelcome", "blocked"): (DIALPLAN,),
    ("unwelcome", "withheld"): (DIALPLAN,),
    ("unwelcome", "only_from"): (DIALPLAN,),
    **{("outgoing", field): (DIALPLAN,) for field in ("number", "emergency", "kinds", "prefix", "ring_s")},
    ("outgoing", WHOLE): (DIALPLAN,),
    ("destination", WHOLE): (DIALPLAN,),
    ("destination", "number"): (DIALPLAN,),
    ("contact", WHOLE): (DIALPLAN,),
    ("contact", "to"): (DIALPLAN,),
    ("contact", "record"): (DIALPLAN,),
    **{
        ("transfers", field): (DIALPLAN,)
        for field in ("blind", "back_s", "supervisors", "record_consult", "record_after")
    },
    ("recording", "channels"): (DIALPLAN,),
    ("department", WHOLE): (DIALPLAN,),
    # Beside the file the hours are pushed again, so that weeks of closings count at once.
    **{("department", field): (DIALPLAN,) for field in ("short", "number", "substitute", *WEEKDAYS)},
    ("phone", "extension"): (DIALPLAN,),
    ("phone", "transport"): (PHONES,),
    ("announcement", WHOLE): (DIALPLAN,),
    ("announcement", "sound"): (DIALPLAN,),
    ("announcement", "audio"): (DIALPLAN,),
    ("pause", WHOLE): (DIALPLAN,),
}

_THINGS: Final = {
    "centre": ("センター", "centre"),
    "targets": ("目標", "targets"),
    "staff": ("運用", "staff"),
    "unwelcome": ("迷惑電話", "unwelcome callers"),
    "pause": ("離席の理由", "pause"),
    "result": ("通話の結果", "result"),
    "staffing": ("体制", "staffing level"),
    "hours": ("営業時間", "hours"),
    "sharing": ("貸し借り", "sharing"),
    "queue": ("待ち行列", "queue"),
    "number": ("番号", "number"),
    "menu": ("メニュー", "menu"),
    "messages": ("伝言", "messages"),
    "callbacks": ("折り返し", "callbacks"),
    "hold": ("保留", "hold"),
    "transfers": ("取り次ぎ", "transfers"),
    "recording": ("録音", "recording"),
    "retention": ("保存期間", "retention"),
    "phone": ("電話機", "phone"),
    "agent": ("オペレーター", "agent"),
    "guest": ("兼務", "guest"),
    "caller": ("発信番号", "caller"),
    "outgoing": ("発信", "calls out"),
    "destination": ("発信先", "destination"),
    "contact": ("連絡用番号", "contact number"),
    "department": ("部署", "department"),
    "announcement": ("案内", "announcement"),
    "file": ("Asterisk の設定", "Asterisk's file"),
    "setting": ("環境変数", "environment"),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One line of a plan. `before` None: came; `after` None: went."""

    centre: str
    thing: str
    name: str
    field: str
    before: str | None
    after: str | None
    files: tuple[str, ...] = ()
    at_stop: bool = False
    """Whether it takes effect only when everything is stopped and started again."""

    def text(self, language: Language) -> str:
        """The line, with how it takes effect."""
        japanese = language == "ja"
        words = [self.centre, _THINGS[self.thing][0 if japanese else 1], self.name]
        head = " ".join(word for word in words if word)
        if self.thing == "file":
            what = "動いているものと違う" if japanese else "not what Asterisk runs on"
        elif self.field == WHOLE and self.before is None:
            what = f"{'追加' if japanese else 'added'} {self.after}"
        elif self.field == WHOLE and self.after is None:
            what = f"{'削除' if japanese else 'removed'} {self.before}"
        else:
            what = f"{self.field} {self.before or '–'} → {self.after or '–'}".lstrip()
        return f"{head}: {what} [{self._when(japanese)}]"

    def _when(self, japanese: bool) -> str:
        if self.at_stop:
            return "次に止めて起動したとき" if japanese else "when everything is stopped and started"
        if not self.files:
            return "すぐに" if japanese else "at once"
        listed = ("、" if japanese else ", ").join(self.files)
        return (
            f"すぐに。Asterisk は {listed} を読み直す"
            if japanese
            else f"at once; Asterisk reads {listed} again"
        )


def between(old: Configuration, new: Configuration) -> list[Change]:
    """Every difference, centre by centre."""
    changes: list[Change] = []
    before, after = ({c.id: c for c in each.centres} for each in (old, new))
    for name in sorted({*before, *after}):
        was, now = before.get(name), after.get(name)
        if was is None or now is None:
            there = now or was
            assert there is not None
            label = f"{there.name} ({len(there.agents)}, {len(there.phones)})"
            changes.append(_change(name, "centre", "", WHOLE, label if was else None, label if now else None))
        else:
            changes += _within(was, now)
    return changes


def _within(was: Centre, now: Centre) -> Iterable[Change]:
    both = {agent.id for agent in was.agents} & {agent.id for agent in now.agents}
    orders = [", ".join(a.id for a in each.agents if a.id in both) for each in (was, now)]
    if orders[0] != orders[1]:  # counts for `order = "linear"`
        yield _change(was.id, "staff", "", "order", *orders)
    yield from _holidays(was, now)
    old, new = _things(was), _things(now)
    for thing, name in dict.fromkeys([*old, *new]):
        one, other = old.get((thing, name)), new.get((thing, name))
        if one is None or other is None:
            before, after = (None if each is None else _summary(each) for each in (one, other))
            yield _change(was.id, thing, name, WHOLE, before, after)
            continue
        for field in one:
            if one[field] != other[field]:
                yield _change(was.id, thing, name, field, one[field], other[field])


def _holidays(was: Centre, now: Centre) -> Iterable[Change]:
    """Holidays that came or went in the years that both know, as by a new file of the Cabinet Office."""
    before, after = dict(was.calendar.holidays), dict(now.calendar.holidays)
    if not before or not after:
        return  # told as a whole
    years = {day[:4] for day in before} & {day[:4] for day in after}
    for day in sorted({*before, *after}):
        if day[:4] in years and before.get(day) != after.get(day):
            yield _change(was.id, "hours", day, "holiday", before.get(day), after.get(day))


def _change(centre: str, thing: str, name: str, field: str, before: str | None, after: str | None) -> Change:
    files = _FILES.get((thing, field), ())
    if files and thing == "announcement" and name.startswith(f"{shelf.ON_HOLD} "):
        files = (MUSIC, *files)
    return Change(centre, thing, name, field, before, after, files)


def _summary(fields: dict[str, str]) -> str:
    """What identifies a thing that came or went: its first field."""
    return next(iter(fields.values()), "")


# -- a centre in words ---------------------------------------------------------------------------------------


def _things(centre: Centre) -> dict[tuple[str, str], dict[str, str]]:
    """(kind of thing, its name) → its options, as they are written in the file."""
    calendar = centre.calendar

    def short(name: str) -> str:
        return name.removeprefix(f"{centre.id}-")

    def queues(names: Iterable[str]) -> str:
        return ", ".join(short(name) for name in names)

    things: dict[tuple[str, str], dict[str, str]] = {
        ("centre", ""): {
            "name": centre.name,
            "name_en": centre.name_en,
            "time_zone": centre.time_zone,
            "languages": ", ".join(centre.languages),
            "lines": _maybe(centre.lines),
            "display": centre.display or "",
            "display_roman": centre.display_roman or "",
            "closed_menu": short(centre.closed_menu or ""),
            "remember_language_days": str(centre.remember_language_days),
            "phrases": ", ".join(f"{language} = {other}" for language, other in centre.phrases),
        },
        ("targets", ""): {
            "answer_ratio": f"{centre.target_answer_ratio:g}",
            "service_level_s": str(centre.service_level_s),
            "short_abandon_s": str(centre.short_abandon_s),
            "test_numbers": ", ".join(centre.test_numbers),
        },
        ("messages", ""): {
            "longest_s": str(centre.messages.longest_s),
            "silence_s": str(centre.messages.silence_s),
            "due_s": str(centre.messages.due_s),
            "keep_days": str(centre.messages.keep_days),
        },
        ("hold", ""): {
            "phrase_every_s": str(centre.hold.phrase_every_s),
            "warn_after_s": str(centre.hold.warn_after_s),
        },
        ("transfers", ""): {
            "blind": str(centre.transfers.blind).lower(),
            "back_s": str(centre.transfers.back_s),
            "record_consult": str(centre.transfers.record_consult).lower(),
            "record_after": centre.transfers.record_after.value,
            "supervisors": queues(centre.transfers.supervisors),
        },
        ("recording", ""): {
            "format": centre.recordings.format.value,
            "channels": centre.recordings.channels.value,
            "pause": centre.recordings.pause.value,
            "pause_s": str(centre.recordings.pause_s),
        },
        ("retention", ""): {
            **{
                f"{kind}_months": str(getattr(centre.retention, kind))
                for kind in ("call", "consult", "outgoing", "contact", "message", "reported", "personal")
            },
            "hours": _windows(centre.retention.hours),
        },
        ("callbacks", ""): {
            "attempts": str(centre.callbacks.attempts),
            "distance_s": str(centre.callbacks.distance_s),
        },
        ("unwelcome", ""): {
            "blocked": centre.blocked.value,
            "withheld": centre.withheld.value,
            "only_from": ", ".join(centre.only_from),
        },
        ("staff", ""): {
            "pause_after_misses": str(centre.pause_after_misses),
            "second_sign_in": centre.staff.second_sign_in.value,
            "sign_in": "paused" if centre.staff.begins_paused else "ready",
            "wrong_pins": str(centre.staff.wrong_pins),
            "lock_s": str(centre.staff.lock_s),
            "lamp_waiting": str(centre.staff.lamp_waiting),
        },
        ("hours", ""): {
            **_calendar(calendar),
            "closing": "at_once" if calendar.close_at_once else "when_served",
        },
        ("sharing", ""): {
            "lends_to": ", ".join(centre.lends_to),
            "keep": str(centre.keep),
            "guests_most": _maybe(centre.guests_most),
        },
    }
    for day in calendar.special:
        things["hours", day.date] = {"windows": _windows(day.windows), "reason": day.reason}
    for number in centre.numbers:
        things["number", number.digits] = {
            "queue": short(number.queue),
            "priority": _maybe(number.priority),
            "menu": short(number.menu or ""),
        }
    for menu in centre.menus:
        things["menu", short(menu.id)] = {
            "say": menu.say,
            "languages": "true" if menu.languages else "",
            "timeout_s": str(menu.timeout_s),
            "tries": str(menu.tries),
            "keys": "; ".join(
                " ".join(
                    part
                    for part in (
                        key.key,
                        key.choice.value,
                        short(key.to),
                        key.language or "",
                        "" if key.record else "unrecorded",
                    )
                    if part
                )
                for key in menu.keys
            ),
        }
    for queue in centre.queues:
        things["queue", short(queue.id)] = _queue(queue, short)
    for phone in centre.phones:
        things["phone", short(phone.id)] = {
            "seat": phone.seat,
            "model": phone.model,
            "mac": phone.mac or "",
            "display": phone.display.value,
            "maker": phone.maker,
            "extension": phone.extension or "",
            "network": ", ".join(phone.networks),
            "transport": phone.transport,
            "user_agent": phone.user_agent or "",
            "digit_keys": "true" if phone.digit_keys else "",
        }
    for agent in centre.agents:
        things["agent", agent.id] = {
            "name": agent.name,
            "queues": queues(agent.queues),
            "phone": short(agent.phone) if agent.phone is not None else "",
            "skills": _levels(agent.skills),
            "emergency": "true" if agent.emergency else "",
        }
    for reason in centre.staff.pauses:
        things["pause", str(reason.key)] = {
            "name": reason.name,
            "at_once": _maybe(reason.at_once),
            "longest_s": _maybe(reason.longest_s),
        }
    for result in centre.staff.results:
        things["result", str(result.key)] = {"name": result.name, "counts_as": result.kind.value}
    for level in centre.staffing:
        things["staffing", level.name] = {"seats": str(level.seats), "first": level.first}
    for guest in centre.guests:
        things["guest", guest.agent] = {"queues": queues(guest.queues)}
    for caller in centre.callers:
        things["caller", caller.number] = {"reason": caller.reason, "priority": str(caller.priority)}
    out = centre.outgoing
    if out is not None:
        things["outgoing", ""] = {
            "number": out.number,
            "emergency": ", ".join(out.emergency),
            "kinds": ", ".join(kind.value for kind in out.kinds),
            "prefix": out.prefix,
            "ring_s": str(out.ring_s),
            "acw_s": str(out.acw_s),
            "answers_kept_days": str(out.answers_kept_days),
        }
    for listed in out.listed if out is not None else ():
        things["destination", listed.name] = {"number": f"{listed.digits}{'…' if listed.begins else ''}"}
    for contact in centre.contacts:
        to = contact.forward or ", ".join(short(phone) for phone in contact.phones)
        record = "true" if contact.record else ""
        things["contact", contact.digits] = {"to": to, "record": record, "name": contact.name}
    for each in centre.departments:
        things["department", short(each.id)] = {
            "name": each.name,
            "short": each.short,
            "number": each.number,
            "office": each.office,
            "name_kana": each.kana or "",
            "name_roman": each.roman or "",
            "substitute": short(each.substitute or ""),
            "languages": ", ".join(each.languages),
            "about": each.about,
            **_calendar(each.calendar),
            "holidays": _holidays_of(each.calendar, calendar),
            "days": ", ".join(
                f"{day.date} {_windows(day.windows)} {day.reason}" for day in each.calendar.special
            ),
        }
    for told in centre.announcements:
        things["announcement", f"{told.kind} {told.language}"] = {
            "text": told.text,
            "sound": told.sound,
            "audio": told.audio,
        }
    return things


def _holidays_of(calendar: Calendar, centre: Calendar) -> str:
    """Told in full, for no other line tells of the days that come and go; mostly they are the centre's."""
    if calendar.holidays == centre.holidays:
        return "as the centre's"
    return ", ".join(day for day, _ in calendar.holidays)


def _calendar(calendar: Calendar) -> dict[str, str]:
    return {
        **{day: _windows(windows) for day, windows in zip(WEEKDAYS, calendar.weekly, strict=True)},
        "holidays": f"{calendar.holidays[0][0]}…{calendar.holidays[-1][0]}" if calendar.holidays else "",
        "holiday hours": _windows(calendar.holiday_windows),
        "yearly": ", ".join(
            f"{each.first[0]:02}-{each.first[1]:02}…{each.last[0]:02}-{each.last[1]:02} "
            f"{each.reason}{_week(each.weekly)}"
            for each in calendar.yearly
        ),
        "periods": ", ".join(
            f"{each.first}…{each.last} {each.reason}{_week(each.weekly)}" for each in calendar.periods
        ),
    }


def _queue(queue: Queue, short: Short) -> dict[str, str]:
    fields = {"name": queue.name}
    for field in (
        "ring_s",
        "acw_s",
        "rest_no_answer_s",
        "rest_reject_s",
        "rest_busy_s",
        "rest_unreachable_s",
        "longest_wait_s",
        "priority",
        "ring_at_once",
        "seed",
        "acw_extend_s",
        "acw_most_s",
        "handling_s",
        "patience_s",
    ):
        fields[field] = str(getattr(queue, field))
    fields["order"] = queue.order.value
    fields["subject"] = queue.subject or ""
    fields["needs"] = _levels(queue.needs)
    fields["ladder"] = "; ".join(_rung(rung, short) for rung in queue.ladder)
    fields["overflow"] = "; ".join(_rule(rule, short) for rule in queue.overflow)
    fields["comfort"] = _comfort(queue.comfort)
    return fields


def _rung(rung: Rung, short: Short) -> str:
    parts = [f"{rung.after_s} s"]
    if rung.level is not None:
        parts.append(f"level {rung.level}")
    if rung.agents_of:
        parts.append("agents_of " + ", ".join(short(name) for name in rung.agents_of))
    return " ".join(parts)


def _rule(rule: Overflow, short: Short) -> str:
    target = f" {short(rule.target)}" if rule.target is not None else ""
    menu = f" {short(rule.menu)}" if rule.menu is not None else ""
    again = f" again {rule.again_s} s" if rule.again_s else ""
    return f"{rule.cause.value} {rule.limit:g} {rule.treatment.value}{target}{menu}{again}"


def _comfort(comfort: Comfort | None) -> str:
    if comfort is None:
        return ""
    said = [name for name, on in (("place", comfort.place), ("wait", comfort.wait)) if on]
    cut = " cut" if comfort.cut else ""
    return f"{comfort.first_s} s, every {comfort.every_s} s: {' '.join([*said, *comfort.say])}{cut}"


def _maybe(value: int | None) -> str:
    return "" if value is None else str(value)


def _levels(levels: tuple[tuple[str, int], ...]) -> str:
    return ", ".join(f"{skill} = {level}" for skill, level in levels)


def _windows(windows: tuple[Window, ...]) -> str:
    return ", ".join(f"{_clock(int(w.opens))}-{_clock(int(w.closes))}" for w in windows)


def _week(weekly: Week) -> str:
    """The hours of a range by the day of the week; nothing where it closes."""
    days = [
        f"{name[:3]} {_windows(windows)}" for name, windows in zip(WEEKDAYS, weekly, strict=False) if windows
    ]
    return f" ({'; '.join(days)})" if days else ""


def _clock(second: int) -> str:
    hours, rest = divmod(second, 3600)
    return f"{hours:02}:{rest // 60:02}" + (f":{rest % 60:02}" if rest % 60 else "")
