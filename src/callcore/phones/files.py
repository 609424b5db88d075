"""One phone's file from a maker's template. What a format cannot hold stops it with the name, never silently."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

from callcore.phones.maker import Sheet, Unprintable
from callcore.templates import Finish, environment


def filled(folder: Path, name: str, sheet: Sheet, finish: Finish, **more: object) -> str:
    """The template of a maker's folder, every `{{ … }}` of it passed through `finish`."""
    return environment(folder, finish).get_template(name).render(sheet=sheet, **more)


def refused(value: str, why_ja: str, why_en: str) -> Unprintable:
    return Unprintable(f"{value!r}: {why_ja} / {value!r}: {why_en}")


def admin_password(sheet: Sheet) -> str:
    """The password of the phone's own menu and web page, 16 letters and digits: from its SIP secret, so that nothing
    more has to be kept, and not to be turned back into it."""
    digest = hmac.new(sheet.secret.encode(), b"callcore phone menu", hashlib.sha256).hexdigest()
    return digest[:16]


def label(text: str, short: str, most: int) -> str:
    """The label if it fits on the key's display, else the short one, cut."""
    return text if len(text) <= most else short[:most]
