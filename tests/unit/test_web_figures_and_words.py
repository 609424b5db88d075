"""What the board says of a floor: the same figures as the measures, and the right word for each agent and caller."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import timedelta

from pydantic import BaseModel

from callcore.domain import inputs as i
from callcore.domain.board import AgentWord, today, todays_figures, waiting_callers
from callcore.domain.ids import SECOND, CallId, CentreId, ChannelId, Instant
from callcore.domain.measures import Ratio
from callcore.domain.stages import Device, OfferStage, TalkKey
from callcore.runtime.ports import Seq, View
from callcore.web import examples, show, texts
from callcore.web import models as m
from tests.support.floors import Desk, centre, configuration, failed

DEMO = CentreId("demo")


def seen(desk: Desk, at: Instant | None = None, stale: float | None = None) -> m.CentreOut:
    view = View(Seq(1, 1), desk.floor, desk.books)
    return show.live(view, desk.floor.at if at is None else at, stale).centres[0]


def state_of(desk: Desk, agent: str) -> str:
    return next(a.state.value for a in seen(desk).agents if a.agent == agent)


def a_mixed_day() -> Desk:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(10, "answered")
    desk.pick_up(15, "answered")
    desk.hang_up(60, "answered")
    desk.wait(70, "late")
    desk.wait(71, "gave-up")
    desk.tell(i.HangupRequested(at=desk.at(95), channel=ChannelId("gave-up")))
    desk.tell(i.ChannelGone(at=desk.at(95), channel=ChannelId("gave-up"), cause=16))
    desk.tell(i.ChannelGone(at=desk.at(96), channel=desk.wait(96, "broken"), cause=38))
    desk.arrive(97, "too-late", open=False)
    desk.arrive(98, "hears-the-greeting")
    return desk


def test_every_figure_of_the_board_is_the_measures_own() -> None:
    desk = a_mixed_day()
    at = desk.at(100)
    window, figures = todays_figures(desk.books, desk.floor.centres[DEMO], at)
    shown = seen(desk, at)
    assert figures.arrived == 6
    assert figures.offered == 5
    for field in fields(figures):
        mine, theirs = getattr(figures, field.name), getattr(shown.figures, field.name)
        if isinstance(mine, Ratio):
            assert (theirs.value, theirs.part, theirs.whole) == (mine.value, mine.part, mine.whole)
        elif field.name == "at":
            assert theirs == m.moment(at)
        else:
            assert theirs == mine, field.name
    assert set(m.FiguresOut.model_fields) == {field.name for field in fields(figures)}
    assert shown.window.date == window.date == "2026-11-23"


def test_a_ratio_of_no_calls_has_no_value_and_both_its_parts() -> None:
    shown = seen(Desk().begin())
    assert shown.figures.answer_ratio.model_dump() == {"value": None, "part": 0, "whole": 0}


def test_today_is_the_centres_own_day_and_a_call_belongs_to_the_day_it_arrived() -> None:
    desk = Desk().begin()
    demo = desk.floor.centres[DEMO]
    window = today(demo, desk.at(0))
    assert m.moment(window.before) - m.moment(window.first) == timedelta(days=1)
    assert m.moment(window.first).isoformat() == "2026-11-22T15:00:00+00:00"
    midnight = (window.before - desk.at(0)) / SECOND
    desk.wait(midnight - 1, "before-midnight")
    desk.wait(midnight, "at-midnight")
    old_day = todays_figures(desk.books, demo, Instant(window.before - 1))[1]
    new_day = todays_figures(desk.books, demo, window.before)[1]
    assert (old_day.arrived, new_day.arrived) == (1, 1)
    assert [w.call for w in seen(desk).waiting] == ["before-midnight", "at-midnight"]


def test_a_day_with_a_change_of_summer_time_is_as_long_as_it_is() -> None:
    demo = centre()
    berlin = replace(demo, calendar=replace(demo.calendar, zone="Europe/Berlin"))
    spring = today(berlin, Instant(1_774_746_000 * SECOND))  # 2026-03-29 02:00 UTC
    assert spring.date == "2026-03-29"
    assert spring.before - spring.first == 23 * 3600 * SECOND


def test_who_waits_stands_in_the_order_of_the_line_and_who_hears_the_greeting_has_no_place_yet() -> None:
    desk = Desk().begin()
    desk.arrive(1, "greeted")
    desk.wait(2, "first")
    desk.wait(3, "second")
    desk.arrive(4, "refused", open=False)
    line = seen(desk, desk.at(10)).waiting
    assert [(w.call, w.position, w.since) for w in line] == [
        ("first", 1, m.moment(desk.at(2))),
        ("second", 2, m.moment(desk.at(3))),
        ("greeted", None, None),
    ]
    assert seen(desk).figures.waiting == len(line)


def test_a_ringing_caller_still_waits_and_the_board_says_whose_phone_rings() -> None:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    desk.ring(2, "c1")
    row = seen(desk).waiting[0]
    assert (row.stage.value, row.offered_to, row.position) == ("offered", "1001", 1)


def test_a_caller_in_the_safety_net_is_shown_as_such() -> None:
    desk = Desk().begin()
    desk.wait(1, "c1")
    desk.tell(i.CallerInNet(at=desk.at(2), call=CallId("c1")))
    assert seen(desk).waiting[0].in_net
    assert waiting_callers(desk.floor, DEMO)[0].position == 1


def test_each_state_of_an_agent_has_its_word() -> None:
    desk = Desk().begin()
    assert state_of(desk, "1001") == "signed_out"
    desk.sign_in(1, 1)
    assert state_of(desk, "1001") == "ready"
    desk.device(2, 1, Device.BUSY)
    assert state_of(desk, "1001") == "busy"
    desk.device(3, 1, Device.UNREACHABLE)
    assert state_of(desk, "1001") == "unreachable"
    desk.device(4, 1, Device.FREE)
    desk.wait(5, "c1")
    assert state_of(desk, "1001") == "reserved"
    desk.ring(5, "c1")
    assert state_of(desk, "1001") == "ringing"
    failed(OfferStage.NO_ANSWER, desk, 20)
    assert state_of(desk, "1001") == "resting"
    desk.tell(i.TimerFired(at=desk.at(40), timer=i.Timer(i.TimerKind.REST, "1001")))
    desk.pick_up(41, "c1")
    assert state_of(desk, "1001") == "talking"
    desk.hang_up(60, "c1")
    assert state_of(desk, "1001") == "acw"
    shown = next(a for a in seen(desk).agents if a.agent == "1001")
    assert shown.until == m.moment(desk.at(90))
    counted = seen(desk).agents_by_state
    assert sum(counted.values()) == 3
    assert (counted[AgentWord.ACW], counted[AgentWord.SIGNED_OUT]) == (1, 2)


def test_after_a_relay_call_the_board_shows_no_end_of_the_after_call_work() -> None:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(5, "c1")
    leg = desk.pick_up(6, "c1")
    desk.tell(i.TalkKeyed(at=desk.at(10), key=TalkKey.RELAY, leg=leg, channel="x"))
    desk.hang_up(60, "c1")
    shown = next(a for a in seen(desk).agents if a.agent == "1001")
    assert (shown.state, shown.until) == (AgentWord.ACW, None)


def test_a_phone_is_busy_since_asterisk_says_so() -> None:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.device(50, 1, Device.BUSY)
    assert next(a for a in seen(desk).agents if a.agent == "1001").since == m.moment(desk.at(50))


def test_a_talking_agent_is_shown_with_the_masked_caller_and_the_hold() -> None:
    desk = Desk().begin()
    desk.sign_in(1, 1)
    desk.wait(2, "c1")
    leg = desk.pick_up(5, "c1")
    desk.tell(i.HoldChanged(at=desk.at(9), channel=leg, held=True))
    shown = next(a for a in seen(desk).agents if a.agent == "1001")
    assert shown.caller is not None
    assert (shown.caller.number, shown.caller.on_hold) == ("*******678", True)
    assert shown.since == m.moment(desk.at(5))
    assert "0312345678" not in seen(desk).model_dump_json()


def test_several_centres_never_see_each_others_callers() -> None:
    demo = centre()
    other = replace(
        demo,
        id=CentreId("other"),
        numbers=(),
        queues=(),
        agents=(),
        phones=(),
    )
    desk = Desk().begin(configuration(demo, other))
    desk.wait(1, "c1")
    shown = show.live(View(Seq(1, 1), desk.floor, desk.books), desk.at(2), None)
    assert [(c.id, len(c.waiting), c.figures.arrived) for c in shown.centres] == [
        ("demo", 1, 1),
        ("other", 0, 0),
    ]


def test_the_documented_examples_are_what_the_server_takes_and_word_for_word_what_it_would_write() -> None:
    models = {model.__name__: model for model in _models(BaseModel)}
    for name, example in examples.BY_SCHEMA.items():
        made = models[name].model_validate(example)
        if not name.endswith("In"):
            assert made.model_dump(mode="json") == example, name


def _models(of: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for model in of.__subclasses__():
        if model.__module__.startswith("callcore.web."):
            yield model
        yield from _models(model)


def test_every_text_is_there_in_both_languages_with_the_same_blanks() -> None:
    for key, (ja, en) in texts.TABLE.items():
        assert ja, key
        assert en, key
        blanks = [{part.split("}")[0] for part in text.split("{")[1:]} for text in (ja, en)]
        assert blanks[0] == blanks[1], key
    for word in AgentWord:
        assert f"state.{word.value}" in texts.TABLE


def test_the_language_is_what_was_asked_for_else_what_the_browser_prefers_else_japanese() -> None:
    assert texts.choose("en", "ja") == "en"
    assert texts.choose("de", "en-GB,en;q=0.9,ja;q=0.8") == "en"
    assert texts.choose(None, "de, ja;q=0.5, en;q=0.9") == "en"
    assert texts.choose(None, "en;q=0, de") == "ja"
    assert texts.choose(None, "en;q=x") == "ja"
    assert texts.choose(None, None) == "ja"
