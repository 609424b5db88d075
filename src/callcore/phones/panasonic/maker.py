"""Panasonic KX-HDV.

Sources: Panasonic, "KX-HDV230 Administrator's Guide", 2.4 "Configuration File Specifications" (form), 2.2 (file
names), and the lists of parameters; "KX-UT670 Administrator's Guide", 5.2.1, for UTF-8 and the limits of length.
"""

from __future__ import annotations

import re
from pathlib import Path

from callcore.phones.files import admin_password, filled, label, refused
from callcore.phones.maker import Maker, Model, Sheet

FIRST_LINE = "# Panasonic SIP Phone Standard Format File #"
LINE_MOST = 537
"""Bytes of a line, its CR LF included; a longer one is ignored by the phone."""
NAME_MOST, VALUE_MOST = 32, 500
"""Characters."""
FILE_MOST = 120 * 1024
"""Bytes of all files together."""
LABEL_MOST = 10

HERE = Path(__file__).parent


def file_name(mac: str) -> str:
    return f"Config{mac.upper()}.cfg"


def render(sheet: Sheet) -> bytes:
    """UTF-8, CR LF, `NAME="value"` without blanks around the sign, an empty last line."""
    west = -sheet.utc_offset_min  # POSIX counts to the west (IEEE 1003.1, 8.3)
    hours, rest = divmod(abs(west), 60)
    zone = f"{'JST' if west == -540 else 'LOC'}{'-' if west < 0 else ''}{hours}" + (
        f":{rest:02}" if rest else ""
    )
    text = filled(
        HERE,
        "phone.cfg.j2",
        sheet,
        _plain,
        admin=admin_password(sheet),
        zone=zone,
        transport={"udp": 0, "tls": 2}[sheet.phone.transport],
        label=lambda key: label(key.label, key.short, LABEL_MOST),
    )
    return (text.rstrip("\n").replace("\n", "\r\n") + "\r\n\r\n").encode()


def _plain(value: object) -> object:
    text = str(value)
    if '"' in text or any(not sign.isprintable() for sign in text) or len(text) > VALUE_MOST:
        raise refused(text, "Panasonic の設定ファイルに書けません", "cannot stand in a Panasonic file")
    return text


PANASONIC = Maker(
    id="panasonic",
    name="Panasonic",
    models={
        "KX-HDV100": Model("KX-HDV100", keys=0),
        "KX-HDV130": Model("KX-HDV130", keys=2),
        "KX-HDV230": Model("KX-HDV230", keys=24, label_most=LABEL_MOST),
        "KX-HDV330": Model("KX-HDV330", keys=24, label_most=LABEL_MOST),
        "KX-HDV430": Model("KX-HDV430", keys=24, label_most=LABEL_MOST),
    },
    # The country's letters follow the model's name (KX-HDV230N in Japan).
    agent=re.compile(
        r"Panasonic[-_](?P<model>KX-HDV[0-9]{3})[A-Z]{0,3}/(?P<firmware>[0-9]+(?:\.[0-9]+){1,3})"
        r"(?: \((?P<mac>[0-9A-Fa-f]{12})\))?"
    ),
    file_name=file_name,
    render=render,
    japanese=True,
)
