"""What centres have to do with one another: guests (兼務), lending, and who can serve a queue at all.

`read_sharing` reads a file's side of it; `check` looks at all files together once they are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from callcore.centres.names import QUEUE, known
from callcore.centres.queues import Reach
from callcore.centres.sheet import Once, Sheet, Table, nearest
from callcore.domain.centre import Agent, Centre, Guest, Queue
from callcore.domain.ids import AgentId, CentreId, QueueId


@dataclass(frozen=True, slots=True)
class Page:
    """A file that was read, and what in it names other files."""

    sheet: Sheet
    centre: Centre
    reaches: tuple[Reach, ...]


@dataclass(frozen=True, slots=True)
class Sharing:
    lends_to: tuple[CentreId, ...]
    keep: int
    guests_most: int | None
    guests: tuple[Guest, ...]


def read_sharing(top: Table, centre: CentreId, queues: tuple[Queue, ...]) -> Sharing:
    """`[sharing]` and `[[guests]]`. Whether the others exist, `check` finds out."""
    table = top.table("sharing", required=False)
    lends_to = tuple(CentreId(name) for name in table.texts("lends_to", 'lends_to = ["ageo"]', ()))
    keep = table.integer("keep", 0, 0, 999)
    guests_most = table.optional_integer("guests_most", 2, 1, 999)
    table.close()
    every = tuple(queue.id.removeprefix(f"{centre}-") for queue in queues)
    once = Once("兼務のオペレーター", "the guest")
    guests = []
    for entry in top.tables("guests"):
        number = entry.digits("agent", "2001", 2, 8)
        once.claim(entry, "agent", number)
        served = []
        for n, short in enumerate(entry.texts("queues", 'queues = ["general"]', every)):
            full = QueueId(f"{centre}-{short}")
            known(entry.sheet, entry.at("queues", n), full, centre, (queue.id for queue in queues), QUEUE)
            served.append(full)
        if "queues" in entry and not served:
            entry.wrong(
                "queues",
                "兼務のオペレーターが受け持つ待ち行列がありません",
                "this guest serves no queue",
                '例: queues = ["general"]',
                'e.g. queues = ["general"]',
            )
        entry.close()
        guests.append(Guest(AgentId(number), tuple(served)))
    return Sharing(lends_to, keep, guests_most, tuple(guests))


def check(pages: Sequence[Page]) -> None:
    """Notes on each file's sheet what does not fit the other files."""
    centres = {page.centre.id: page.centre for page in pages}
    homes = {agent.id: page.centre.id for page in pages for agent in page.centre.agents}
    for page in pages:
        _lends(page, centres)
        _guests(page, homes)
        for reach in page.reaches:
            _reach(reach, centres)
    staff = _staff(pages)
    for page in pages:
        _served(page, staff)


def _lends(page: Page, centres: dict[CentreId, Centre]) -> None:
    for n, name in enumerate(page.centre.lends_to):
        if name in centres and name != page.centre.id:
            continue
        others = [other for other in centres if other != page.centre.id]
        page.sheet.wrong(
            ("sharing", "lends_to", n),
            f"「{name}」というほかのセンターはありません",
            f'there is no other centre "{name}"',
            *nearest(name, others),
        )


def _guests(page: Page, homes: dict[AgentId, CentreId]) -> None:
    for n, guest in enumerate(page.centre.guests):
        home = homes.get(guest.agent)
        if home is not None and home != page.centre.id:
            continue
        if home is None:
            said = (
                f"オペレーター「{guest.agent}」はどのファイルにもいません",
                f'there is no agent "{guest.agent}" in any file',
            )
        else:
            said = (
                f"オペレーター「{guest.agent}」はこのセンターの人です",
                f'the agent "{guest.agent}" is this centre\'s own',
            )
        others = [agent for agent, centre in homes.items() if centre != page.centre.id]
        page.sheet.wrong(("guests", n, "agent"), *said, *nearest(guest.agent, others))


def _reach(reach: Reach, centres: dict[CentreId, Centre]) -> None:
    other = centres.get(reach.centre)
    if other is None:
        reach.sheet.wrong(
            reach.path,
            f"「{reach.centre}」というセンターはありません",
            f'there is no centre "{reach.centre}"',
            *nearest(reach.written, _places(centres.values(), reach.home)),
        )
    elif reach.queue not in [queue.id for queue in other.queues]:
        reach.sheet.wrong(
            reach.path,
            f"「{reach.written}」という待ち行列はありません",
            f'there is no queue "{reach.written}"',
            *nearest(reach.written, _places([other], reach.home)),
        )
    elif reach.home not in other.lends_to:
        reach.sheet.wrong(
            reach.path,
            f"センター「{reach.centre}」は「{reach.home}」にオペレーターを貸していません",
            f'the centre "{reach.centre}" lends no agents to "{reach.home}"',
            f'{reach.centre} のファイルに [sharing] lends_to = ["{reach.home}"] と書いてください',
            f'write [sharing] lends_to = ["{reach.home}"] in the file of {reach.centre}',
        )


def _places(centres: Iterable[Centre], home: CentreId) -> list[str]:
    """Every other centre's queue, as it is written."""
    return [
        f"{centre.id}/{queue.id.removeprefix(f'{centre.id}-')}"
        for centre in centres
        if centre.id != home
        for queue in centre.queues
    ]


def _staff(pages: Sequence[Page]) -> dict[QueueId, list[Agent]]:
    """Who serves each queue, guests included."""
    agents = {agent.id: agent for page in pages for agent in page.centre.agents}
    staff: dict[QueueId, list[Agent]] = {}
    for agent in agents.values():
        for queue in agent.queues:
            staff.setdefault(queue, []).append(agent)
    for page in pages:
        for guest in page.centre.guests:
            for queue in guest.queues if guest.agent in agents else ():
                staff.setdefault(queue, []).append(agents[guest.agent])
    return staff


def _served(page: Page, staff: dict[QueueId, list[Agent]]) -> None:
    for n, queue in enumerate(page.centre.queues):
        if not staff.get(queue.id):
            page.sheet.wrong(
                ("queues", n),
                f"待ち行列「{queue.name}」を受け持つオペレーターがいません",
                f'no agent serves the queue "{queue.name}"',
                "[[agents]] の queues に加えてください",
                "add it to the queues of an agent under [[agents]]",
            )
        elif not any(_can(agent, queue) for pool in _pools(queue) for agent in staff.get(pool, ())):
            needs = ", ".join(f"{skill} = {level}" for skill, level in _loosest(queue))
            page.sheet.wrong(
                ("queues", n, "needs"),
                f"待ち行列「{queue.name}」に必要なスキル({needs})を持つオペレーターがいません",
                f'no agent who serves the queue "{queue.name}" has the skills that it needs ({needs})',
                "[[agents]] の skills に加えるか、needs か ladder を緩めてください",
                "add them to the skills of an agent under [[agents]], or ease needs or ladder",
            )


def _pools(queue: Queue) -> list[QueueId]:
    return [queue.id, *(name for rung in queue.ladder for name in rung.agents_of)]


def _loosest(queue: Queue) -> list[tuple[str, int]]:
    """What is needed once the whole ladder has been climbed."""
    level = max((rung.level for rung in queue.ladder if rung.level is not None), default=0)
    return [(skill, max(worst, level)) for skill, worst in queue.needs]


def _can(agent: Agent, queue: Queue) -> bool:
    has = dict(agent.skills)
    return all(skill in has and has[skill] <= worst for skill, worst in _loosest(queue))
