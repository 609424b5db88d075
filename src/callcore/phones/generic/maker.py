"""Any SIP desk phone whose maker callcore knows nothing of: a page to print says what to type into it.

Nothing is provisioned. Lamps work where the phone subscribes to dialog-info (RFC 4235); the feature codes work on all.
Source of the page's words: none of a maker's; SIP's own (RFC 3261, RFC 4733).
"""

from __future__ import annotations

from pathlib import Path

from callcore.phones.files import filled, refused
from callcore.phones.maker import Maker, Sheet

HERE = Path(__file__).parent


def render(sheet: Sheet) -> bytes:
    """A page of HTML to print. It bears the phone's secret: whoever types it in destroys it afterwards."""
    return filled(HERE, "page.html.j2", sheet, _html).encode()


def _html(value: object) -> object:
    text = str(value)
    if any(not sign.isprintable() for sign in text):
        raise refused(text, "ページに書けません", "cannot stand on the page")
    for sign, entity in (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"), ('"', "&quot;")):
        text = text.replace(sign, entity)
    return text


GENERIC = Maker(
    id="generic",
    name="その他の SIP 電話機 / any SIP desk phone",
    models={},
    agent=None,
    render=render,
    resync=None,
)
