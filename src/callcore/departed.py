"""Centres that stand in no file any more, as when the contract ended or the id was changed, and of which something is
kept: recordings (they have keys) or what belongs to a person.

It is kept and erased by the months and the clock that hold without a rule, as are recordings of nobody's
(`unassigned`), with the centre's own keys. Its name is its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from callcore.domain.centre import Centre
from callcore.domain.ids import CentreId
from callcore.domain.recording import UNASSIGNED
from callcore.installation import recordings_of
from callcore.journal.keys import centres_in
from callcore.settings import Settings
from callcore.unassigned import NO_CENTRE


def stand_in(centre: CentreId) -> Centre:
    return replace(NO_CENTRE, id=centre, name=centre, name_en=centre)


def kept_of(settings: Settings) -> set[CentreId]:
    """The centres of which something is or was kept, those of the files among them. Raises OSError."""
    recorded = map(CentreId, recordings_of(settings).ring.centres())
    return {*recorded, *centres_in(settings.journal)} - {UNASSIGNED}


def every(settings: Settings, known: Iterable[Centre]) -> list[Centre]:
    """All centres there are: the known ones, and what stands for those that left. Raises OSError."""
    there = {centre.id: centre for centre in known}
    return [*there.values(), *map(stand_in, sorted(kept_of(settings) - there.keys()))]
