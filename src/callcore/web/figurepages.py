"""The pages of figures: a day's with their formulas, and one figure with the calls behind it."""

from __future__ import annotations

from datetime import date
from typing import Any, Final

from fastapi import FastAPI, Request
from starlette.responses import RedirectResponse, Response

from callcore.access.rights import Right, needs
from callcore.domain.agent import BREAKS
from callcore.domain.behind import NAMES
from callcore.domain.board import agent_word, agents_of
from callcore.domain.centre import Centre
from callcore.domain.ids import SECOND
from callcore.domain.measures import Ratio, Record
from callcore.domain.sides import OUTGOING
from callcore.domain.stages import Presence
from callcore.runtime.callbackdesk import in_line
from callcore.runtime.detail import CallFound
from callcore.runtime.messagedesk import in_order
from callcore.web import problems
from callcore.web.acts import CentrePath
from callcore.web.callpages import length, local, shown_call, zone_of
from callcore.web.days import Days, Told, formula_out, halves, parts
from callcore.web.formulas import FORMULAS
from callcore.web.gate import person_of
from callcore.web.paper import Paper, language_of

PAGE: Final = "/figures"
ROWS: Final = 200
FIRST: Final = (
    *("answer_ratio", "service_level", "arrivals", "offered", "answered", "hangups_before_answer", "lost"),
    *("overflow", "otherwise", "refused", "wait_mean_s", "wait_max_s", "completion_ratio", "transfer_ratio"),
)
"""What stands first on the page; the others follow in their own order."""
HOURS: Final = ("arrivals", "offered", "answered", "hangups_before_answer", "answer_ratio", "service_level")
_NOW: Final = ("free", "staffed")


class FigurePages:
    def __init__(self, app: FastAPI, days: Days, paper: Paper) -> None:
        self._days = days
        self._paper = paper
        for path, shown in (
            (PAGE, self.first),
            (PAGE + "/{centre}", self.day),
            (PAGE + "/{centre}/{figure}", self.one),
        ):
            app.add_api_route(
                path, shown, methods=["GET", "HEAD"], include_in_schema=False, response_class=Response
            )

    def _centres(self, request: Request) -> list[Centre]:
        person = person_of(request)
        known = self._days.live.view().floor.centres.values()
        return sorted((c for c in known if person.may(Right.READ_CALLS, c.id)), key=lambda c: c.id)

    @needs(Right.READ_CALLS)
    async def first(self, request: Request) -> Response:
        """That of the first centre, or of the one and the day that were chosen."""
        centres = self._centres(request)
        if not centres:
            return self._paper.problem(request, problems.NOT_FOUND)
        asked = request.query_params.get("centre", "")
        centre = next((c for c in centres if c.id == asked), centres[0])
        day = _day(request.query_params.get("day"))
        return RedirectResponse(f"{PAGE}/{centre.id}" + (f"?day={day}" if day else ""), 303)

    @needs(Right.READ_CALLS)
    async def day(self, request: Request, centre: CentrePath) -> Response:
        told = await self._told(request, centre)
        if isinstance(told, Response):
            return told
        names = (*FIRST, *(name for name in NAMES if name not in FIRST))
        zone = zone_of([told.centre], told.centre.id)
        return self._paper.show(
            request,
            "figures.html",
            **self._about(request, told),
            centres=[(c.id, self._name(request, c)) for c in self._centres(request)],
            rows=[self._row(request, name, told) for name in names],
            hours=[
                (f"{local(a, zone):%H:%M}", [_text(name, getattr(of, name)) for name in HOURS])
                for a, _, of in halves(told)
            ],
            columns=[self._words(request, name)[0] for name in HOURS],
        )

    @needs(Right.READ_CALLS)
    async def one(self, request: Request, centre: CentrePath, figure: str) -> Response:
        if figure not in FORMULAS:
            return self._paper.problem(request, problems.NOT_FOUND)
        told = await self._told(request, centre)
        if isinstance(told, Response):
            return told
        about = self._about(request, told) | {"figure": figure, "most": ROWS, "agent": ""}
        name, formula = self._words(request, figure)
        about |= {"name": name, "formula": formula, "part": [], "rest": [], "agents": [], "sides": []}
        if figure in _NOW:
            return self._paper.show(request, "figure.html", **about | self._agents(request, told, figure))
        if figure == "outgoing":
            return self._paper.show(request, "figure.html", **about | self._sides(told))
        if figure == "due_now":
            return self._paper.show(request, "figure.html", **about | self._due(request, told))
        part, rest = parts(told, figure) if figure in NAMES else (self._helped(told), [])
        agent = request.query_params.get("agent", "") if figure == "answered" else ""
        if agent:
            part = [r for r in part if r.agent == agent]
            about |= {"name": f"{name} ({agent})", "agent": agent}
        try:
            if figure == "month_answer_ratio":
                return self._paper.show(request, "figure.html", **about | await self._month(told))
            numbers = await self._days.numbers(person_of(request), told, part[:ROWS] + rest[:ROWS])
        except OSError:
            return self._paper.problem(request, problems.NO_STORE)

        def rows(of: list[Record]) -> list[dict[str, Any]]:
            zone = zone_of([told.centre], told.centre.id)
            return [
                shown_call(CallFound(r, None), zone, told.at) | {"number": numbers.get(r.call)}
                for r in of[:ROWS]
            ]

        if figure == "help_now":
            now = {"kind": "now", "value": str(len(part)), "part": rows(part), "counts": (len(part), 0)}
            return self._paper.show(request, "figure.html", **about | now)
        value = formula_out(figure, told)
        return self._paper.show(
            request,
            "figure.html",
            **about
            | {
                "kind": "ratio" if value.ratio is not None else "calls",
                "value": str(len(part))
                if agent
                else _text(figure, value.ratio if value.ratio is not None else value.value),
                "part": rows(part),
                "rest": rows(rest),
                "counts": (len(part), len(rest)),
            },
        )

    def _agents(self, request: Request, told: Told, figure: str) -> dict[str, Any]:
        floor = self._days.live.view().floor
        personal = person_of(request).may(Right.READ_PERSONAL, told.centre.id)
        signed_in = [a for a in agents_of(floor, told.centre.id) if a.presence is not Presence.SIGNED_OUT]
        rows = [
            {
                "agent": a.id,
                "name": a.name if personal else a.id,
                "phone": a.phone,
                "state": agent_word(floor, a, told.centre.id).value,
                "pause": a.pause,
                "counts": agent_word(floor, a, told.centre.id).value in ("ready", "resting")
                if figure == "free"
                else a.pause not in BREAKS,
            }
            for a in signed_in
        ]
        counts = sum(bool(row["counts"]) for row in rows)
        value = f"{counts} / {len(rows)}" if figure == "free" else str(counts)
        return {"kind": "agents", "value": value, "agents": rows, "counts": (counts, len(rows) - counts)}

    def _helped(self, told: Told) -> list[Record]:
        """The calls in which help is asked for now, the newest first."""
        view = self._days.live.view()
        calls = [c for c in view.floor.calls.values() if c.centre == told.centre.id and c.help_since]
        calls.sort(key=lambda call: (call.arrived_at, call.id), reverse=True)
        return [view.books.records[call.id] for call in calls if call.id in view.books.records]

    def _due(self, request: Request, told: Told) -> dict[str, Any]:
        """Messages and other tasks by their deadline, then who is to be called back, as the line stands."""
        floor = self._days.live.view().floor
        zone = zone_of([told.centre], told.centre.id)
        personal = person_of(request).may(Right.READ_PERSONAL, told.centre.id)
        tasks = in_order(one for one in floor.messages.values() if one.centre == told.centre.id and one.open)
        rows = [
            {
                "call": one.call if one.subject is None else one.about,
                "kind": "message.task"
                if one.subject is not None
                else "message.callback"
                if one.callback
                else "figures.due.message",
                "since": local(one.left_at, zone),
                "due": local(one.due_at, zone),
                "overdue": one.overdue(told.at),
                "number": one.caller.masked() if personal else None,
            }
            for one in tasks
        ]
        rows += [
            {
                "call": back.id,
                "kind": "figures.due.callback",
                "since": local(back.since, zone),
                "due": None,
                "overdue": False,
                "number": back.caller.masked() if personal else None,
            }
            for back in in_line(floor, told.centre.id)
        ]
        return {"kind": "due", "value": str(len(rows)), "due": rows[:ROWS], "counts": (len(rows), 0)}

    async def _month(self, told: Told) -> dict[str, Any]:
        """Each day from the first of the month to the one that was asked for. Raises OSError."""
        last = date.fromisoformat(told.window.date)
        earlier = [await self._days.day(told.centre, last.replace(day=n)) for n in range(1, last.day)]
        days = [(each.window.date, each.figures.answer_ratio) for each in (*earlier, told)]
        whole = Ratio(sum(ratio.part for _, ratio in days), sum(ratio.whole for _, ratio in days))
        zone = zone_of([told.centre], told.centre.id)
        first = earlier[0].window.first if earlier else told.window.first
        return {
            "kind": "month",
            "value": _text("month_answer_ratio", whole),
            "days": [(day, _text("month_answer_ratio", ratio)) for day, ratio in days],
            "first": local(first, zone),
        }

    def _sides(self, told: Told) -> dict[str, Any]:
        books = self._days.live.view().books
        zone = zone_of([told.centre], told.centre.id)
        records = [
            r
            for r in books.sides_of(told.centre.id, told.window.first, told.window.before)
            if r.kind in OUTGOING
        ]
        rows = [
            {
                "call": r.call,
                "began": local(r.began_at, zone),
                "agent": r.agent,
                "phone": r.phone,
                "outcome": None if r.outcome is None else r.outcome.value,
                "talk": length(r.talk or 0),
            }
            for r in sorted(records, key=lambda r: r.began_at, reverse=True)
        ]
        return {"kind": "sides", "value": str(len(rows)), "sides": rows[:ROWS], "counts": (len(rows), 0)}

    async def _told(self, request: Request, centre: str) -> Told | Response:
        known = self._days.centre(person_of(request), centre)
        if known is None:
            return self._paper.problem(request, problems.NOT_FOUND)
        try:
            return await self._days.day(known, _day(request.query_params.get("day")))
        except OSError:
            return self._paper.problem(request, problems.NO_STORE)

    def _about(self, request: Request, told: Told) -> dict[str, Any]:
        zone = zone_of([told.centre], told.centre.id)
        return {
            "centre": told.centre.id,
            "centre_name": self._name(request, told.centre),
            "day": told.window.date,
            "first": local(told.window.first, zone),
            "before": local(told.window.before, zone),
            "zone": zone.key,
            "seq": str(told.seq),
            "at": local(told.at, zone),
        }

    def _row(self, request: Request, name: str, told: Told) -> dict[str, str]:
        words, formula = self._words(request, name)
        of = formula_out(name, told)
        value = _text(name, of.ratio if of.ratio is not None else of.value)
        return {"figure": name, "name": words, "formula": formula, "value": value}

    def _words(self, request: Request, name: str) -> tuple[str, str]:
        of = FORMULAS[name]
        return (of.ja, of.formula_ja) if language_of(request) == "ja" else (of.en, of.formula_en)

    def _name(self, request: Request, centre: Centre) -> str:
        return centre.name if language_of(request) == "ja" else centre.name_en


def _day(text: str | None) -> date | None:
    try:
        return None if not text else date.fromisoformat(text)
    except ValueError:
        return None


def _text(name: str, value: Any) -> str:
    """As people read it: a ratio is cut, not rounded (89.96 % is no 90 %), and comes with its parts."""
    if value is None:
        return "–"
    if hasattr(value, "whole"):
        if value.whole == 0:
            return "–"
        return f"{value.part * 1000 // value.whole / 10:.1f}% ({value.part} / {value.whole})"
    return length(int(value * SECOND)) if name.endswith("_s") else str(int(value))
