"""`[[queues]]` with their needs, ladders and overflow rules, as far as one file alone tells whether they are right.

What names another centre is kept in `Reach`es and looked at by `callcore.centres.between` once every file is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from callcore.centres.lines import Path
from callcore.centres.names import MENU, QUEUE, Taken, known
from callcore.centres.sheet import Sheet, Table
from callcore.domain.centre import Cause, Comfort, Order, Overflow, Queue, Rung
from callcore.domain.ids import CentreId, QueueId
from callcore.domain.stages import Treatment

_DEFAULT = Queue(QueueId(""), "")
_LONGEST_S = 14400
_CAUSES = ("waiting", "per_agent", "lines", "longest_wait_s", "estimated_wait_s", "no_agent")
"""As they are written: what counts seconds says so."""
_TARGETS = {Treatment.QUEUE: "queue", Treatment.AGENTS: "agents_of", Treatment.MENU: "menu"}
_KIND = re.compile(r"[a-z][a-z_]{0,31}")
COMFORT_EVERY_S = 60
"""Between two rounds of phrases, where the file does not say."""


@dataclass(frozen=True, slots=True)
class Reach:
    """A place in a file that asks for the agents of another centre's queue, written `<centre>/<queue>`."""

    sheet: Sheet
    path: Path
    home: CentreId
    centre: CentreId
    queue: QueueId
    written: str


def read_queues(
    tables: list[Table],
    centre: CentreId,
    lines: int | None,
    taken: Taken,
    reaches: list[Reach],
    menus: list[str],
) -> tuple[Queue, ...]:
    """Every queue of a file, each checked against the others. `menus`: of all menus of the file, with the centre in
    front."""
    ids: list[QueueId] = []
    for table in tables:
        short = table.name("id", "general")
        ids.append(QueueId(f"{centre}-{short}"))
        taken.queues.claim(table, "id", ids[-1] if short else "")
    queues = [
        _Reader(table, name, centre, ids, lines, reaches, menus).queue()
        for table, name in zip(tables, ids, strict=True)
    ]
    _circles(tables, queues)
    return tuple(queues)


class _Reader:
    """One queue."""

    def __init__(
        self,
        table: Table,
        name: QueueId,
        centre: CentreId,
        ids: list[QueueId],
        lines: int | None,
        reaches: list[Reach],
        menus: list[str],
    ) -> None:
        self.table = table
        self.menus = menus
        self.name = name
        self.centre = centre
        self.ids = ids
        self.lines = lines
        self.reaches = reaches

    def queue(self) -> Queue:
        table = self.table
        acw_s = table.integer("acw_s", _DEFAULT.acw_s, 0, 3600)
        queue = Queue(
            id=self.name,
            name=table.text("name", "総合案内"),
            ring_s=table.integer("ring_s", _DEFAULT.ring_s, 5, 120),
            acw_s=acw_s,
            rest_no_answer_s=table.integer("rest_no_answer_s", _DEFAULT.rest_no_answer_s, 0, 3600),
            rest_reject_s=table.integer("rest_reject_s", _DEFAULT.rest_reject_s, 0, 3600),
            rest_busy_s=table.integer("rest_busy_s", _DEFAULT.rest_busy_s, 0, 3600),
            rest_unreachable_s=table.integer("rest_unreachable_s", _DEFAULT.rest_unreachable_s, 0, 3600),
            longest_wait_s=table.integer("longest_wait_s", _DEFAULT.longest_wait_s, 30, _LONGEST_S),
            priority=table.integer("priority", _DEFAULT.priority, 1, 9),
            needs=table.levels("needs", "needs = { en = 1 }"),
            order=Order(table.choice("order", tuple(order.value for order in Order), _DEFAULT.order.value)),
            ring_at_once=table.integer("ring_at_once", _DEFAULT.ring_at_once, 1, 10),
            seed=table.integer("seed", _DEFAULT.seed, 0, 2**31 - 1),
            acw_extend_s=table.integer("acw_extend_s", _DEFAULT.acw_extend_s, 1, 3600),
            acw_most_s=table.integer("acw_most_s", max(_DEFAULT.acw_most_s, acw_s), 0, 7200),
            handling_s=table.integer("handling_s", _DEFAULT.handling_s, 1, 7200),
            patience_s=table.integer("patience_s", _DEFAULT.patience_s, 1, 7200),
            subject=table.text("subject", "subject_card", "") or None,
        )
        if queue.subject is not None and not _KIND.fullmatch(queue.subject):
            table.wrong(
                "subject",
                f"「{queue.subject}」は案内の種類の名前になりません",
                f'"{queue.subject}" is no name of an announcement',
                'a–z と _ で書いてください。例: subject = "subject_card"',
                'write it in a–z and _, e.g. subject = "subject_card"',
            )
        if queue.acw_most_s < queue.acw_s:
            table.wrong(
                "acw_most_s",
                f"「acw_most_s」({queue.acw_most_s})が「acw_s」({queue.acw_s})より短くなっています",
                f'"acw_most_s" ({queue.acw_most_s}) is shorter than "acw_s" ({queue.acw_s})',
                f"{queue.acw_s} 以上にしてください",
                f"write {queue.acw_s} or more",
            )
        queue = replace(queue, ladder=self._ladder(queue))
        queue = replace(queue, overflow=self._overflow(queue), comfort=self._comfort())
        table.close()
        return queue

    # -- comfort ----------------------------------------------------------------------------------------------

    def _comfort(self) -> Comfort | None:
        if not self.table.given("comfort"):
            return None
        table = self.table.table("comfort", required=False)
        every_s = table.integer("every_s", COMFORT_EVERY_S, 10, 3600)
        comfort = Comfort(
            every_s,
            table.integer("first_s", every_s, 1, 3600),
            table.truth("place", True),
            table.truth("wait", True),
            table.texts("say", 'say = ["documents"]', ()),
            table.truth("cut", False),
        )
        for n, kind in enumerate(comfort.say):
            if not _KIND.fullmatch(kind):
                table.sheet.wrong(
                    table.at("say", n),
                    f"「{kind}」は案内の種類になりません。半角の a–z と _ のみ、32文字以内です",
                    f'"{kind}" can\'t be a kind of announcement: a–z and _ only, at most 32',
                    '例: say = ["documents"]',
                    'e.g. say = ["documents"]',
                )
        if not (comfort.place or comfort.wait or comfort.say):
            table.sheet.wrong(
                table.path,
                "待っている人に言うことがひとつもありません",
                "nothing is said to who waits",
                "place、wait、say のどれかを書くか、この表を消してください",
                "write place, wait or say, or take the table out",
            )
        table.close()
        return comfort

    # -- the ladder -------------------------------------------------------------------------------------------

    def _ladder(self, queue: Queue) -> tuple[Rung, ...]:
        rungs: list[Rung] = []
        accepted = dict(queue.needs)
        pools = {queue.id}
        for table in self.table.tables("ladder"):
            after_s = table.required_integer("after_s", 30, 1, _LONGEST_S)
            level = table.optional_integer("level", 2, 2, 9)
            names = table.texts("agents_of", 'agents_of = ["second"]', ())
            added = [self._pool(table, ("agents_of", n), name) for n, name in enumerate(names)]
            table.close()
            agents_of = tuple(name for name in added if name is not None)
            if rungs and after_s <= rungs[-1].after_s:
                table.wrong(
                    "after_s",
                    f"「after_s」({after_s})は、前の段({rungs[-1].after_s})より後でなければなりません",
                    f'"after_s" ({after_s}) must be later than the rung before ({rungs[-1].after_s})',
                    "短い順に並べ、同じ秒数は1つの段にまとめてください",
                    "put the rungs in order, and those of one second together",
                )
            if after_s > queue.longest_wait_s:
                table.wrong(
                    "after_s",
                    f"「after_s」({after_s})が、待ちの上限「longest_wait_s」({queue.longest_wait_s})より後です",
                    f'"after_s" ({after_s}) is later than the longest wait ({queue.longest_wait_s})',
                    f"{queue.longest_wait_s} 以下にしてください",
                    f"write {queue.longest_wait_s} or less",
                )
            eased = level is not None and any(worst < level for worst in accepted.values())
            fresh = [name for name in agents_of if name not in pools]
            if level is not None and not eased:
                table.wrong(
                    "level",
                    f"レベル {level} にしても、必要なスキル(needs)は何も緩みません",
                    f'level {level} eases nothing that "needs" asks for',
                    "needs のレベルより大きい数にするか、行を消してください",
                    "write a level worse than those of needs, or take it out",
                )
            elif len(names) == len(added) == len(agents_of) and len(fresh) < len(agents_of):
                table.wrong(
                    "agents_of",
                    "すでに応対できる待ち行列のオペレーターを加えようとしています",
                    '"agents_of" names a queue whose agents may serve these callers already',
                    "ほかの待ち行列にするか、消してください",
                    "name another queue, or take it out",
                )
            elif level is None and not names:
                table.sheet.wrong(
                    table.path,
                    "この段では何も変わりません",
                    "this rung changes nothing",
                    '例: level = 2 または agents_of = ["second"]',
                    'e.g. level = 2, or agents_of = ["second"]',
                )
            if level is not None:
                accepted = {skill: max(worst, level) for skill, worst in accepted.items()}
            pools.update(agents_of)
            rungs.append(Rung(after_s, level, agents_of))
        return tuple(rungs)

    def _pool(self, table: Table, key: tuple[str | int, ...], name: str) -> QueueId | None:
        """The queue whose agents are asked: one of this file, or `<centre>/<queue>`. None: it can't be."""
        path = table.at(*key)
        other, slash, short = name.partition("/")
        if slash and other != self.centre:
            full = QueueId(f"{other}-{short}")
            self.reaches.append(Reach(table.sheet, path, self.centre, CentreId(other), full, name))
            return full
        full = QueueId(f"{self.centre}-{short if slash else name}")
        if full == self.name:
            table.sheet.wrong(
                path,
                f"「{name}」はこの待ち行列自身です",
                f'"{name}" is this queue itself',
                "ほかの待ち行列を書いてください",
                "name another queue",
            )
            return None
        return full if known(table.sheet, path, full, self.centre, self.ids, QUEUE) else None

    # -- overflow ---------------------------------------------------------------------------------------------

    def _overflow(self, queue: Queue) -> tuple[Overflow, ...]:
        rules: list[Overflow] = []
        for table in self.table.tables("overflow"):
            rule = self._rule(table, queue)
            table.close()
            if rule is not None:
                self._reached(table, rule, rules)
                rules.append(rule)
        return tuple(rules)

    def _rule(self, table: Table, queue: Queue) -> Overflow | None:
        cause, limit = self._cause(table, queue)
        options = tuple(treatment.value for treatment in Treatment)
        given = table.choice("then", options, Treatment.ANNOUNCE.value, required=True)
        treatment = Treatment(given)
        target: QueueId | None = None
        menu: str | None = None
        for kind, key in _TARGETS.items():
            name = table.optional_text(key, "second")
            if kind is not treatment and name is not None:
                table.wrong(
                    key,
                    f'「{key}」は then = "{kind.value}" のときだけ書きます',
                    f'"{key}" goes with then = "{kind.value}" only',
                    f'then = "{kind.value}" にするか、「{key}」を消してください',
                    f'write then = "{kind.value}", or take "{key}" out',
                )
            elif kind is treatment and name is None:
                table.wrong(
                    key,
                    f'then = "{given}" には「{key}」が必要です',
                    f'then = "{given}" asks for "{key}"',
                    f'例: {key} = "second"',
                    f'e.g. {key} = "second"',
                )
            elif kind is Treatment.MENU is treatment and name:
                full = f"{self.centre}-{name}"
                menu = (
                    full if known(table.sheet, table.at(key), full, self.centre, self.menus, MENU) else None
                )
            elif kind is treatment and name:
                target = self._target(table, key, kind, name)
        again_s = 0
        if table.given("again_s"):
            again_s = table.integer("again_s", 0, 0, _LONGEST_S)
            if treatment is not Treatment.MENU:
                table.wrong(
                    "again_s",
                    '「again_s」は then = "menu" のときだけ書きます',
                    '"again_s" goes with then = "menu" only',
                    "消してください",
                    "take it out",
                )
        if cause is None or (treatment in _TARGETS and target is None and menu is None):
            return None
        return Overflow(cause, treatment, limit, target, menu, again_s)

    def _target(self, table: Table, key: str, kind: Treatment, name: str) -> QueueId | None:
        if kind is Treatment.QUEUE and "/" in name and name.partition("/")[0] != self.centre:
            table.wrong(
                key,
                f"ほかのセンターの待ち行列「{name}」へは移せません",
                f'callers can\'t be moved into the queue "{name}" of another centre',
                f'そのオペレーターに応援してもらうには: then = "agents"、agents_of = "{name}"',
                f'to have its agents help: then = "agents", agents_of = "{name}"',
            )
            return None
        return self._pool(table, (key,), name)

    def _cause(self, table: Table, queue: Queue) -> tuple[Cause | None, float]:
        """What the rule asks, and its limit. Every cause is asked for, so that the options are known."""
        found: list[tuple[str, float]] = []
        for key in _CAUSES:
            if not table.given(key):
                continue
            limit = 0.0
            match key:
                case "waiting":
                    limit = table.required_integer(key, 6, 0, 9999)
                case "per_agent":
                    limit = table.number(key, 1.5, 0, 999)
                case "longest_wait_s" | "estimated_wait_s":
                    limit = table.required_integer(key, 300, 0, _LONGEST_S)
                case _:
                    table.only_true(key)
            found.append((key, limit))
        if len(found) != 1:
            names = "、".join(_CAUSES), ", ".join(_CAUSES)
            place = table.path if not found else table.at(found[1][0])
            table.sheet.wrong(
                place,
                f"条件は1つの規則に1つだけです(今は {len(found)} つ)",
                f"a rule has exactly one condition (this one has {len(found)})",
                f"次のうち1つを書いてください: {names[0]}",
                f"write one of: {names[1]}",
            )
            return None, 0
        key, limit = found[0]
        if key == "lines" and self.lines is None:
            table.wrong(
                key,
                "センターの回線数が書かれていません",
                "the centre does not say how many lines it has",
                "[centre] に lines = 23 のように書いてください",
                "write it under [centre], e.g. lines = 23",
            )
        if key == "longest_wait_s" and limit > queue.longest_wait_s:
            table.wrong(
                key,
                f"待ちの上限「longest_wait_s」({queue.longest_wait_s})より後なので、当てはまることがありません",
                f"this is later than the queue's own longest wait ({queue.longest_wait_s}) and never holds",
                f"{queue.longest_wait_s} 以下にしてください",
                f"write {queue.longest_wait_s} or less",
            )
        return Cause(key.removesuffix("_s")), limit

    def _reached(self, table: Table, rule: Overflow, before: list[Overflow]) -> None:
        """Notes a rule that no caller ever comes to, because one before it holds whenever it does."""
        for n, first in enumerate(before, 1):
            if hides(first, rule):
                table.sheet.wrong(
                    table.path,
                    f"この規則まで来る通話はありません。{n} 番目の規則が先に当てはまります",
                    f"no call comes to this rule: rule {n} holds first",
                    "この規則を前に移すか、消してください",
                    "put this rule before it, or take it out",
                )
                return


def hides(first: Overflow, later: Overflow) -> bool:
    """Whether the earlier rule holds, and takes the caller away, whenever the later one would.

    Asking other agents too takes nobody away, nor does a menu: such a rule is applied once and then passed over.
    """
    if first.treatment in (Treatment.AGENTS, Treatment.MENU):
        return (
            later.target == first.target
            and later.menu == first.menu
            and later.treatment is first.treatment
            and later.cause is first.cause
            and later.limit >= first.limit
        )
    if first.limit == 0 and first.cause in (Cause.WAITING, Cause.PER_AGENT, Cause.LONGEST_WAIT):
        return True
    if first.cause is Cause.PER_AGENT and later.cause is Cause.NO_AGENT:
        return True  # with nobody on duty any number is too many
    return later.cause is first.cause and later.limit >= first.limit


def _circles(tables: list[Table], queues: list[Queue]) -> None:
    """Notes moves that lead from a queue back into it. The core sends nobody round, but then a rule does nothing."""
    moves = {
        queue.id: [rule.target for rule in queue.overflow if rule.treatment is Treatment.QUEUE]
        for queue in queues
    }
    for table, queue in zip(tables, queues, strict=True):
        if queue.id in _reachable(moves, queue.id):
            table.wrong(
                "overflow",
                f"待ち行列「{queue.name}」から移った通話が、規則をたどると元に戻ります",
                f'callers moved out of the queue "{queue.name}" come back to it by the rules',
                '輪になっている then = "queue" の1つを、ほかの扱いにしてください',
                'give one rule of the circle another treatment than then = "queue"',
            )


def _reachable(moves: dict[QueueId, list[QueueId | None]], start: QueueId) -> set[QueueId]:
    found: set[QueueId] = set()
    todo = [start]
    while todo:
        for target in moves.get(todo.pop(), ()):
            if target is not None and target not in found:
                found.add(target)
                todo.append(target)
    return found
