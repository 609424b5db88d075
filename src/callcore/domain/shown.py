"""What a desk phone shows of a citizen before it is answered.

Of who arrives the dialplan puts it together (`callcore-show`), without callcore too; of who is called back this does,
in the same form.
"""

from __future__ import annotations

import re
from typing import Final

from callcore.domain.centre import TONGUES, Centre

MOST: Final = 40
"""Characters of a centre's name."""
NOT_SHOWN: Final = re.compile(r"[^\w 　・ー（）.-]")
"""No format that the text goes through takes the other signs for its own."""
MINUTES_FROM_S: Final = 600
"""A longer wait is told in minutes."""


def centre_name(centre: Centre, *, roman: bool) -> str:
    if roman:
        return centre.display_roman or centre.id
    return centre.display or NOT_SHOWN.sub("", centre.name)[:MOST] or centre.id


def citizen(
    centre: Centre, language: str, number: str, waited_s: int, note: str, *, listed: bool, roman: bool
) -> str:
    """`note`: what is known of the citizen besides. `listed`: on the list of unwelcome callers, which stands foremost,
    for a short display cuts off the end."""
    minutes = waited_s >= MINUTES_FROM_S
    waited = waited_s // 60 if minutes else waited_s
    if roman:
        tongue, wait, warn = language, f"{waited}{'min' if minutes else 's'}", "CAUTION"
    else:
        tongue, wait, warn = TONGUES[language], f"待ち{waited}{'分' if minutes else '秒'}", "要注意"
    return " ".join(
        ([warn] if listed else []) + [note, centre_name(centre, roman=roman), tongue, number, wait]
    )
