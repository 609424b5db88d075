"""A Yealink's file against the rules of Yealink's format."""

from __future__ import annotations

import re

import pytest

from callcore.phones.keys import TALK
from callcore.phones.policy import Contact, judge
from callcore.phones.yealink import maker as yealink
from tests.support.desk_phones import COLLEAGUE, SECRET, desk, file


@pytest.mark.parametrize("model", sorted(yealink.YEALINK.models))
def test_every_yealink_gets_a_file_as_yealink_publishes_it(model: str) -> None:
    raw = file(desk("yealink", model, extension="201"), COLLEAGUE)
    text = raw.decode("utf-8")
    lines = text.split("\n")
    assert not raw.startswith(b"\xef\xbb\xbf") and "\r" not in text and text.endswith("\n")
    assert lines[0] == "#!version:1.0.0.1"
    pairs = [re.fullmatch(r"([a-z0-9_.]+) = (\S.*)?", line) for line in lines if line and line[0] != "#"]
    assert all(pairs)
    values = {pair[1]: pair[2] for pair in pairs if pair}
    assert len(values) == len(pairs), "a parameter stands twice"
    assert all(len(value) <= yealink.VALUE_MOST for value in values.values())
    keys = {int(name.split(".")[1]) for name in values if name.startswith("linekey.")}
    assert keys == set(range(1, len(keys) + 1)) and len(keys) <= yealink.YEALINK.models[model].keys
    assert values["account.1.password"] == SECRET
    assert (values["account.1.sip_server.1.port"], values["account.1.sip_server.1.transport_type"]) == (
        "15062",
        "2",
    )
    assert values["local_time.time_zone"] == "+9" and values["lang.gui"] == "Japanese"
    if len(keys) > 2:
        assert (values["linekey.2.value"], values["linekey.2.label"]) == ("*11", "受付開始")
    sent = {n for n in keys if values[f"linekey.{n}.type"] == "11"}
    assert all(values[f"linekey.{n}.value"] in {code.code for code in TALK} for n in sent)
    for n in sent & {n - 1 for n in keys}:
        shows = values[f"linekey.{n + 1}.type"], values[f"linekey.{n + 1}.value"]
        assert shows == ("16", values[f"linekey.{n}.value"]), "the lamp stands beside the key that sends"
    if len(keys) == 29:
        told = [values[f"linekey.{n}.value"] for n in sorted(keys) if n > 1]
        assert told.index("209") < told.index("*201"), (
            "a colleague; the results, which *20 asks for too, come last"
        )
        assert (
            values["linekey.26.type"] == "16" and values["linekey.27.type"] == "16" and told[25] == "policy"
        )
    assert (values["features.play_hold_tone.enable"], values["features.play_hold_tone.delay"]) == ("1", "60")
    # The phone will call itself what the inventory wants.
    contact = Contact("x", "sip:x@192.0.2.7:1;transport=TLS", values["account.1.custom_ua"], True)
    assert judge(desk("yealink", model), [contact]).policy.value == "matched"
