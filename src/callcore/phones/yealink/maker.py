"""Yealink T3, T4 and T5.

Sources: Yealink, "SIP-T2 Series, T3 Series, T4 Series, T5 Series IP Phones Administrator Guide" (V86) and
"IP Phones Auto Provisioning Guide": file names and form (chapters on configuration files), line keys (number of DSS
keys by model), factory device certificate (chapter on TLS).
"""

from __future__ import annotations

import re
from pathlib import Path

from callcore.phones.files import admin_password, filled, label, refused
from callcore.phones.maker import Maker, Model, Sheet

FIRST_LINE = "#!version:1.0.0.1"
"""A file that does not begin so is not read."""
VALUE_MOST = 512
"""Characters; the longest value that the guides give a parameter here (a URL has 511)."""
LABEL_MOST = 99

_KEYS = {
    "SIP-T30P": 1,
    "SIP-T31P": 2,
    "SIP-T31G": 2,
    "SIP-T33P": 12,
    "SIP-T33G": 12,
    "SIP-T40P": 3,
    "SIP-T40G": 3,
    "SIP-T41S": 15,
    "SIP-T41U": 15,
    "SIP-T42S": 15,
    "SIP-T42U": 15,
    "SIP-T43U": 21,
    "SIP-T46S": 27,
    "SIP-T46U": 27,
    "SIP-T48S": 29,
    "SIP-T48U": 29,
    "SIP-T53": 21,
    "SIP-T53W": 21,
    "SIP-T54W": 27,
    "SIP-T57W": 29,
}

HERE = Path(__file__).parent


def file_name(mac: str) -> str:
    return f"{mac}.cfg"


def render(sheet: Sheet) -> bytes:
    """UTF-8 without a byte order mark, one `key = value` a line, line feeds."""
    hours, rest = divmod(abs(sheet.utc_offset_min), 60)
    zone = f"{'-' if sheet.utc_offset_min < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
    text = filled(
        HERE,
        "phone.cfg.j2",
        sheet,
        _plain,
        admin=admin_password(sheet),
        zone=zone,
        language={"ja": "Japanese"}.get(sheet.language, "English"),
        transport={"udp": 0, "tls": 2}[sheet.phone.transport],
        label=lambda key: label(key.label, key.short, LABEL_MOST),
    )
    return text.encode()


def _plain(value: object) -> object:
    text = str(value)
    if any(not sign.isprintable() for sign in text) or text != text.strip() or len(text) > VALUE_MOST:
        raise refused(text, "Yealink の設定ファイルに書けません", "cannot stand in a Yealink file")
    return text


YEALINK = Maker(
    id="yealink",
    name="Yealink",
    models={
        name: Model(name, keys=keys, label_most=LABEL_MOST, certificate=True, sends_digits=True)
        for name, keys in _KEYS.items()
    },
    # What the phone says of itself is set by its file (account.1.custom_ua): the MAC stands in it, the firmware only
    # where the phone came without callcore's file.
    agent=re.compile(
        r"Yealink (?P<model>SIP-T[0-9]{2}[A-Z]{0,2})(?: (?P<firmware>[0-9]+(?:\.[0-9]+){2,4}))?"
        r"(?: (?P<mac>[0-9A-Fa-f]{12}|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){5}))?"
    ),
    file_name=file_name,
    render=render,
    japanese=True,
)
