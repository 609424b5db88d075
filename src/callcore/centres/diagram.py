"""The menus of the centre files as a Mermaid flow chart (mermaid.js.org)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from callcore.domain.centre import Centre, Configuration, Menu
from callcore.domain.stages import Choice

_WORDS = {
    Choice.QUEUE: "待ち行列 / queue",
    Choice.SAY: "案内して戻る / said, then again",
    Choice.FORWARD: "転送 / forward",
    Choice.END: "終了 / end",
    Choice.MESSAGE: "伝言 / message",
    Choice.CALLBACK: "折り返し / call-back",
}


def drawn(configuration: Configuration) -> str:
    """One chart; a centre without menus is left out."""
    lines = ["flowchart TD"]
    for centre in configuration.centres:
        if centre.menus:
            lines += [f'  subgraph {centre.id}["{centre.name}"]', *_centre(centre), "  end"]
    return "\n".join(lines)


def _centre(centre: Centre) -> list[str]:
    agent, told = f"{centre.id}-agent", f"{centre.id}-told"
    lines = [f'    {agent}(["オペレーター / agent"])', f'    {told}(["時間外の案内 / announcement"])']
    menus = {menu.id: menu for menu in centre.menus}
    rules = [(queue, rule) for queue in centre.queues for rule in queue.overflow if rule.menu is not None]
    by_night = _reached(menus, [centre.closed_menu])
    by_wait = _reached(menus, [rule.menu for _, rule in rules])
    line = f"{centre.id}-line"
    if rules:
        lines.append(f'    {line}(["待ちに戻る / waiting line"])')
    lines += [
        f'    n{number.digits}["{number.digits}"] --> {number.menu or agent}' for number in centre.numbers
    ]
    lines.append(f'    {centre.id}-closed["時間外 / closed"] --> {centre.closed_menu or told}')
    for queue, rule in rules:
        lines.append(f'    {queue.id}-{rule.cause.value}["{queue.name}: {rule.cause.value}"] --> {rule.menu}')
    for menu in centre.menus:
        lines += _menu(menu, told if menu.id in by_night else line if menu.id in by_wait else agent, line)
    return lines


def _reached(menus: Mapping[str, Menu], start: Iterable[str | None]) -> set[str]:
    found: set[str] = set()
    todo = [name for name in start if name is not None]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += [key.to for key in menus[name].keys if key.choice is Choice.MENU]
    return found


def _menu(menu: Menu, default: str, line: str) -> list[str]:
    lines = [f'    {menu.id}{{"{menu.id}: {menu.say}"}}']
    for n, key in enumerate(menu.keys):
        sign = "＃" if key.key == "#" else "＊" if key.key == "*" else key.key
        label = f"{sign} {key.language}" if key.language else sign
        to = f"{menu.id}-{n}"
        match key.choice:
            case Choice.MENU:
                to = key.to
            case Choice.LANGUAGE:
                to = default
            case Choice.WAIT:
                to = line
            case _:
                lines.append(f'    {to}(["{_WORDS[key.choice]} {key.to}"])')
        lines.append(f'    {menu.id} -->|"{label}"| {to}')
    lines.append(f'    {menu.id} -.->|"{menu.tries} × {menu.timeout_s} s"| {default}')
    return lines
