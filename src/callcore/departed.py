"""Centres that stand in no file any more, as when the contract ended or the id was changed, and of which something
is or was kept: of recordings and of what belongs to a person there are tables of keys.

It is kept until told, for no file says how long any more, and what its own file said may have been longer than what
holds without a rule; so nights erase nothing of it, and everything is erased by hand. Its keys are its own, its clock
is Japan's, its name is its id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from callcore.domain.centre import Centre, Retention
from callcore.domain.ids import CentreId
from callcore.domain.recording import UNASSIGNED
from callcore.installation import recordings_of
from callcore.journal.keys import centres_in
from callcore.settings import Settings
from callcore.unassigned import NO_CENTRE

UNTIL_TOLD = Retention(call=0, consult=0, outgoing=0, contact=0, message=0, reported=0, personal=0)


def stand_in(centre: CentreId) -> Centre:
    return replace(NO_CENTRE, id=centre, name=centre, name_en=centre, retention=UNTIL_TOLD)


def kept_of(settings: Settings) -> set[CentreId]:
    """The centres of which something is or was kept, those of the files among them. Raises OSError."""
    recorded = map(CentreId, recordings_of(settings).ring.centres())
    return {*recorded, *centres_in(settings.journal)} - {UNASSIGNED}


def every(settings: Settings, known: Iterable[Centre]) -> list[Centre]:
    """All centres there are: the known ones, and what stands for those that left. Raises OSError."""
    there = {centre.id: centre for centre in known}
    return [*there.values(), *map(stand_in, sorted(kept_of(settings) - there.keys()))]
