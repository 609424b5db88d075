"""The simulated phones of the demo and of the tests. They are no desk phones, and none of them ever passes for one.

Three things keep them out of an installation: Asterisk's configuration is not even written when such a line stands
in a centre file and SIP listens anywhere but on a loopback address (`pbx/render.py`); whatever registers from another
address is refused by its maker (`policy.judge`); and `callcore phones` shows them as simulated.
"""

from __future__ import annotations

import re

from callcore.phones.maker import Maker

AGENT = "callcore-simulated-phone/1"
"""What the simulated phones call themselves."""

SIMULATED = Maker(
    id="simulated",
    name="模擬電話機 (デモ・試験用) / simulated (demo and tests)",
    models={},
    # baresip, which the demo's phones are, calls itself what it is and cannot be told otherwise (1.1).
    agent=re.compile(rf"{re.escape(AGENT)}|baresip v[0-9.]+ \([^()]*\)"),
    resync=None,
    only_on=lambda address: address.is_loopback,
)
