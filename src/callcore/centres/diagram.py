"""The menus of the centre files as a Mermaid flow chart (mermaid.js.org): every way of `dialplans/menu.conf`,
`message.conf` and `callcore-caller` that a caller of these centres can take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from callcore.domain.centre import Centre, Configuration, Menu, Overflow, Queue, Unwelcome
from callcore.domain.stages import Choice, Treatment

_WORDS = {
    Choice.QUEUE: "待ち行列 / queue",
    Choice.SAY: "案内 / information",
    Choice.FORWARD: "転送 / forward",
    Choice.END: "終了 / end",
    Choice.MESSAGE: "伝言 / message",
    Choice.CALLBACK: "折り返しの確認 / call-back, confirmed?",
}
_TREATMENTS = {
    Treatment.QUEUE: "待ち行列へ / to the queue",
    Treatment.AGENTS: "この待ち行列のオペレーターも / also agents of",
    Treatment.ANNOUNCE: "案内して終了 / announcement, then the end",
    Treatment.BUSY: "話中音 / busy tone",
}
_REFUSED = {"blocked": "一覧の番号 / listed", "withheld": "非通知 / withheld"}


def drawn(configuration: Configuration) -> str:
    """One chart; a centre without menus is left out."""
    lines = ["flowchart TD"]
    for centre in configuration.centres:
        if centre.menus:
            lines += [f'  subgraph {centre.id}["{centre.name}"]', *_centre(centre), "  end"]
    return "\n".join(lines)


def _centre(centre: Centre) -> Iterator[str]:
    """Solid lines: what is chosen or happens first; dotted ones: what happens otherwise."""
    agent, told, line, end = (f"{centre.id}-{each}" for each in ("agent", "told", "line", "over"))
    yield f'    {agent}(["待ち・オペレーター / waiting, agent"])'
    yield f'    {told}(["時間外・臨時休止の案内 / announcement"])'
    yield f'    {end}(["終了 / end"])'
    yield f"    {told} --> {end}"
    menus = {menu.id: menu for menu in centre.menus}
    rules = [(queue, rule) for queue in centre.queues for rule in queue.overflow]
    by_day = _reached(menus, [number.menu for number in centre.numbers])
    by_night = _reached(menus, [centre.closed_menu])
    by_wait = _reached(menus, [rule.menu for _, rule in rules])
    if by_wait:
        yield f'    {line}(["待ちに戻る / waiting line"])'
    for number in centre.numbers:
        yield f'    n{number.digits}["{number.digits}"] --> {number.menu or agent}'
        for kind, becomes in (("blocked", centre.blocked), ("withheld", centre.withheld)):
            if becomes is Unwelcome.ANNOUNCE:
                refused = f"n{number.digits}-{kind}"
                yield f'    n{number.digits} -.->|"{_REFUSED[kind]}"| {refused}(["案内 / announcement {kind}"])'
                yield f'    {refused} -->|"9"| {number.menu or agent}'
                yield f"    {refused} -.-> {end}"
        if centre.only_from:
            refused = f"n{number.digits}-outsider"
            elsewhere = f'{refused}(["案内 / announcement outsider"])'
            yield f'    n{number.digits} -.->|"ほかの発信者 / other callers"| {elsewhere}'
            yield f"    {refused} --> {end}"
    yield f'    {centre.id}-closed["時間外・臨時休止 / closed, emergency"] --> {centre.closed_menu or told}'
    for n, (queue, rule) in enumerate(rules):
        yield from _rule(f"{centre.id}-rule-{n}", agent, queue, rule)
    for menu in centre.menus:
        reached = ((told, by_night), (line, by_wait), (agent, by_day))
        defaults = [end_of for end_of, names in reached if menu.id in names]
        known = menu.languages and centre.remember_language_days > 0
        yield from _menu(menu, defaults, line, end, known)


def _rule(name: str, agent: str, queue: Queue, rule: Overflow) -> Iterator[str]:
    limit = f" ≥ {rule.limit:g}" if rule.limit else ""
    yield f'    {agent} -.-> {name}["{queue.name}: {rule.cause.value}{limit}"]'
    if rule.treatment is Treatment.MENU:
        yield f"    {name} --> {rule.menu}"
    else:
        to = f"{_TREATMENTS[rule.treatment]} {rule.target or ''}".strip()
        yield f'    {name} --> {name}-to(["{to}"])'


def _reached(menus: Mapping[str, Menu], start: Iterable[str | None]) -> set[str]:
    found: set[str] = set()
    todo = [name for name in start if name is not None]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [key.to for key in menus[name].keys if key.choice is Choice.MENU]
    return found


def _menu(menu: Menu, defaults: Iterable[str], line: str, end: str, known: bool) -> Iterator[str]:
    """`defaults`: where the menu leads if nothing is chosen, by where the caller came from."""
    defaults = tuple(defaults)
    skipped = " (覚えていれば尋ねない / not asked if remembered)" if known else ""
    yield f'    {menu.id}{{"{menu.id}: {menu.say}{skipped}"}}'
    for n, key in enumerate(menu.keys):
        sign = "＃" if key.key == "#" else "＊" if key.key == "*" else key.key
        label = f"{sign} {key.language}" if key.language else sign
        own = f"{menu.id}-{n}"
        targets: tuple[str, ...]
        match key.choice:
            case Choice.MENU:
                targets = (key.to,)
            case Choice.LANGUAGE:
                targets = defaults
            case Choice.WAIT:
                targets = (line,)
            case Choice.END:
                targets = (end,)
            case _:
                word = f"{_WORDS[key.choice]} {key.to}".strip()
                if key.choice is Choice.FORWARD and not key.record:
                    word += " 録音しない / not recorded"
                yield f'    {own}(["{word}"])'
                targets = (own,)
        for to in targets:
            yield f'    {menu.id} -->|"{label}"| {to}'
        match key.choice:
            case Choice.SAY:
                yield f"    {own} --> {menu.id}"
            case Choice.FORWARD:
                for default in defaults:
                    yield f'    {own} -.->|"つながらない / not reached"| {default}'
            case Choice.MESSAGE:
                yield f"    {own} --> {end}"
                for default in defaults:
                    yield f'    {own} -.->|"無言 / nothing said"| {default}'
            case Choice.CALLBACK:
                yield f'    {own} -->|"1"| {end}'
                yield f'    {own} -.->|"ほか / anything else"| {menu.id}'
    for default in defaults:
        yield f'    {menu.id} -.->|"{menu.tries} × {menu.timeout_s} s"| {default}'
