"""The rules of the wire, on the recorded bytes of a real Asterisk 22."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from callcore.ami import wire
from callcore.ami.wire import Event, Framer, Reply, WireError

HEAD = b"Asterisk Call Manager/11.0.0\r\n"

USER_EVENT = """Event: UserEvent
Privilege: user,all
Timestamp: 1795200504.098624
SystemName: node1
Channel: Local/1@lab-00000000;2
AccountCode: 
Uniqueid: node1-1795200503.1
Linkedid: node1-1795200503.0
ChanVariable: CALLCORE_CALL=node1-1795200503.1
ChanVariable: CALLCORE_OFFER=
ChanVariable: CALLCORE_CENTRE=大分
UserEvent: Lab
Name: 東京都
Uniqueid: x
AccountCode: y
ChanVariable: CALLCORE_OFFER=forged"""  # noqa: W291

STATUS = """Event: Status
Privilege: Call
Channel: Local/1@lab-00000000;2
Uniqueid: node1-1795200503.1
ChanVariable: CALLCORE_CALL=node1-1795200503.1
ChanVariable: CALLCORE_CENTRE=
BridgeID: 
Application: Echo
Variable: CALLCORE_CALL=node1-1795200503.1
Variable: CALLCORE_CENTRE=(null)
Variable: MULTI=a=b
ActionID: 3"""  # noqa: W291

DIAL_BEGIN = """Event: DialBegin
Channel: PJSIP/trunk-00000001
Uniqueid: node1-1.1
ChanVariable: CALLCORE_CALL=node1-1.1
DestChannel: PJSIP/oita-p1-00000002
DestUniqueid: node1-1.2
DestChanVariable: CALLCORE_CALL=
DestChanVariable: CALLCORE_OFFER=7.3"""

ORIGINATE_RESPONSE = """Event: OriginateResponse
ActionID: 2
Response: Success
Uniqueid: node1-1795200503.0
ChanVariable(Local/1@lab-00000000;1): CALLCORE_CALL=c"""


def read(text: str) -> Event:
    message = wire.parse("\r\n".join(text.split("\n")).encode())
    assert isinstance(message, Event)
    return message


def test_a_dialplan_cannot_pass_off_its_own_header_as_one_of_asterisk() -> None:
    event = read(USER_EVENT)
    assert event.get("Uniqueid") == "node1-1795200503.1"
    assert event.all("Uniqueid") == ("node1-1795200503.1", "x")
    assert event.get("AccountCode") is None, "an empty built-in one is not filled by theirs either"
    assert event.variables == {"CALLCORE_CALL": "node1-1795200503.1", "CALLCORE_CENTRE": "大分"}
    assert event.get("Name") == "東京都"


def test_a_header_that_is_missing_or_empty_is_none_and_never_an_empty_text() -> None:
    event = read(STATUS)
    assert event.get("Nothing") is None
    assert event.get("BridgeID") is None
    assert event.get("uniqueID") == "node1-1795200503.1"


def test_variables_of_a_status_leave_out_what_is_not_set_and_keep_equals_signs() -> None:
    assert read(STATUS).variables == {"CALLCORE_CALL": "node1-1795200503.1", "MULTI": "a=b"}


def test_variables_of_caller_and_dialled_phone_are_kept_apart() -> None:
    event = read(DIAL_BEGIN)
    assert event.variables == {"CALLCORE_CALL": "node1-1.1"}
    assert event.variables_of("Dest") == {"CALLCORE_OFFER": "7.3"}


def test_an_event_that_has_a_response_header_is_an_event() -> None:
    event = read(ORIGINATE_RESPONSE)
    assert event.name == "OriginateResponse"
    assert event.variables == {"CALLCORE_CALL": "c"}


def test_every_header_is_kept_in_its_order() -> None:
    assert [name for name, _ in read(DIAL_BEGIN).headers][-2:] == ["DestChanVariable", "DestChanVariable"]


@pytest.mark.parametrize(
    ("text", "micros"),
    [
        ("1795193503.317583", 1795193503317583),
        ("1795193503.3", 1795193503300000),
        ("1795193503.000001", 1795193503000001),
        ("1795193503", 1795193503000000),
        ("", None),
        ("1e9", None),
        ("-1.5", None),
        ("1795193503.1234567", None),
        ("١", None),
    ],
)
def test_an_instant_is_read_to_the_microsecond_or_not_at_all(text: str, micros: int | None) -> None:
    assert wire.parse_instant(text) == micros


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"])), max_size=6),
    st.data(),
)
def test_frames_are_the_same_wherever_the_network_cuts_the_bytes(
    values: list[str], data: st.DataObject
) -> None:
    stream = HEAD + b"".join(f"Event: E{i}\r\nV: {v}\r\n\r\n".encode() for i, v in enumerate(values))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    framer, frames = Framer(), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        frames += framer.feed(stream[start:end])
    events = [wire.parse(each) for each in frames]
    assert [(e.get("Event"), e.headers[1][1]) for e in events] == [(f"E{i}", v) for i, v in enumerate(values)]
    assert framer.version == "11.0.0"


def test_bytes_that_are_no_text_are_marked_and_the_rest_of_the_event_is_kept() -> None:
    event = wire.parse(b"Event: Newchannel\r\nCallerIDName: \xff\xfe\r\nUniqueid: n-1.1")
    assert event.get("CallerIDName") == "\ufffd\ufffd"
    assert event.get("Uniqueid") == "n-1.1"


def test_a_port_that_is_not_the_managers_is_told_by_its_first_bytes() -> None:
    with pytest.raises(WireError, match="SSH"):
        list(Framer().feed(b"SSH-2.0-OpenSSH_9.2\r\n"))


def test_a_frame_that_was_torn_is_told_without_the_callers_number_in_it() -> None:
    with pytest.raises(WireError, match="CallerIDNum") as told:
        wire.parse(b"CallerIDNum: 09012345678\r\nCallerIDName: 0312345678\r\nState: Up")
    assert "1234" not in str(told.value)


def test_a_stream_that_has_lost_its_frame_ends_does_not_fill_the_memory() -> None:
    framer = Framer()
    list(framer.feed(HEAD))
    with pytest.raises(WireError, match="without an end"):
        list(framer.feed(b"x" * (wire.MAX_FRAME + 1)))


def test_the_lines_that_a_command_prints_are_kept() -> None:
    reply = wire.parse(
        b"Response: Success\r\nMessage: Command output follows\r\nOutput: a\r\nOutput: \r\nOutput: b"
    )
    assert isinstance(reply, Reply)
    assert reply.output == ("a", "", "b")


@pytest.mark.parametrize(
    "fields",
    [
        {"Action": "Setvar", "Value": "a\r\nAction: Originate"},
        {"Action": "Setvar", "Value": "a\n"},
        {"Action": "Setvar", "Value": "a\r"},
        {"Action": "Setvar", "Value": "a\0b"},
        {"Action": "Setvar", "Variable": ["a=1", "b=2\r\nX: y"]},
        {"Action": "Setvar\r\nX: y"},
        {"Action": "Setvar", "Va\r\nlue": "a"},
        {"Action": "Setvar", "Value: x": "a"},
        {"Action": "Setvar", "": "a"},
        {"Action": "Setvar", "Value": "\ud800"},
        {"Action": "Setvar", "Value": "東" * 400},
        {"Action": "Setvar", "Variable": ["a"] * 127},
        {"Action": "Setvar", "ActionID": "mine"},
        {"Action": "Setvar", "Value": "a", "value": "b"},
        {"Value": "no action"},
    ],
)
def test_what_would_inject_or_break_an_action_is_refused(fields: wire.Fields) -> None:
    with pytest.raises(WireError):
        wire.checked(fields)


def test_the_longest_line_that_asterisk_takes_may_be_sent() -> None:
    assert wire.checked({"Action": "Setvar", "Value": "x" * 1015})
    with pytest.raises(WireError):
        wire.checked({"Action": "Setvar", "Value": "x" * 1016})
