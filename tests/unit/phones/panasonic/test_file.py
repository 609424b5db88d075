"""A Panasonic's file against the rules of Panasonic's format."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from callcore.phones.keys import TALK
from callcore.phones.maker import Unprintable
from callcore.phones.panasonic import maker as panasonic
from tests.support.desk_phones import COLLEAGUE, desk, file


@pytest.mark.parametrize("model", sorted(panasonic.PANASONIC.models))
def test_every_panasonic_gets_a_file_as_panasonic_publishes_it(model: str) -> None:
    raw = file(desk("panasonic", model), COLLEAGUE)
    text = raw.decode("utf-8")
    assert text.startswith("# Panasonic SIP Phone Standard Format File #")
    assert len(raw) <= panasonic.FILE_MOST
    assert raw.endswith(b"\r\n\r\n") and raw.count(b"\n") == raw.count(b"\r\n")
    lines = text.split("\r\n")
    names = []
    for line in lines:
        assert len(line.encode()) + 2 <= panasonic.LINE_MOST
        if not line or line.startswith("#"):
            continue
        pair = re.fullmatch(r'([A-Z0-9_]+)="([^"]*)"', line)
        assert pair is not None, line
        assert len(pair[1]) <= panasonic.NAME_MOST and len(pair[2]) <= panasonic.VALUE_MOST
        names.append(pair[1])
    assert len(set(names)) == len(names), "the first of two would count"
    values = dict(re.findall(r'(?m)^([A-Z0-9_]+)="([^"]*)"\r$', text))
    assert (values["SIP_RGSTR_PORT_1"], values["SIP_TRANSPORT_1"]) == ("15061", "2")
    assert (values["LOCAL_TIME_ZONE_POSIX"], values["DEFAULT_LANGUAGE"]) == ("JST-9", "ja")
    buttons = [name for name in names if name.startswith("FLEX_BUTTON_FACILITY_ACT")]
    assert len(buttons) <= panasonic.PANASONIC.models[model].keys
    for name, value in values.items():
        if name.startswith("FLEX_BUTTON_LABEL"):
            assert 0 < len(value) <= panasonic.LABEL_MOST
    if len(buttons) > 2:
        assert (values["FLEX_BUTTON_LABEL3"], values["FLEX_BUTTON_QUICK_DIAL3"]) == ("受付終了", "*12")


def test_a_key_that_sends_stands_beside_the_one_that_shows_where_it_was_seen_to_send() -> None:
    line = desk("panasonic", "KX-HDV230")
    shown, sent = (file(replace(line, digit_keys=told)).decode() for told in (False, True))
    for code in TALK:
        lamp = f'_BLF"\r\nFLEX_BUTTON_FACILITY_ARG{{n}}="{code.code}"'
        key = f'_ONETOUCH"\r\nFLEX_BUTTON_FACILITY_ARG{{n}}="{code.code}"'

        def there(text: str, what: str) -> list[int]:
            return [n for n in range(1, 25) if what.format(n=n) in text]

        assert len(there(shown, lamp)) == 1 and there(shown, key) == []
        assert there(sent, lamp) == [n + 1 for n in there(sent, key)] != []


def test_a_quotation_mark_does_not_end_a_panasonics_value() -> None:
    with pytest.raises(Unprintable):
        file(replace(desk("panasonic", "KX-HDV230"), seat='A"1'))
