"""The makers by the name that a centre file calls them by. A new one is a folder and a line here."""

from __future__ import annotations

from callcore.phones.generic.maker import GENERIC
from callcore.phones.maker import Maker
from callcore.phones.panasonic.maker import PANASONIC
from callcore.phones.simulated.maker import SIMULATED
from callcore.phones.yealink.maker import YEALINK

MAKERS: dict[str, Maker] = {maker.id: maker for maker in (YEALINK, PANASONIC, GENERIC, SIMULATED)}
