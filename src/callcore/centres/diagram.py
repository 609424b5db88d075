"""The menus of the centre files as a Mermaid flow chart (mermaid.js.org)."""

from __future__ import annotations

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
    by_night: set[str] = set()
    todo = [centre.closed_menu] if centre.closed_menu is not None else []
    menus = {menu.id: menu for menu in centre.menus}
    while todo:
        name = todo.pop()
        if name not in by_night:
            by_night.add(name)
            todo += [key.to for key in menus[name].keys if key.choice is Choice.MENU]
    lines += [
        f'    n{number.digits}["{number.digits}"] --> {number.menu or agent}' for number in centre.numbers
    ]
    lines.append(f'    {centre.id}-closed["時間外 / closed"] --> {centre.closed_menu or told}')
    for menu in centre.menus:
        lines += _menu(menu, told if menu.id in by_night else agent)
    return lines


def _menu(menu: Menu, default: str) -> list[str]:
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
            case _:
                lines.append(f'    {to}(["{_WORDS[key.choice]} {key.to}"])')
        lines.append(f'    {menu.id} -->|"{label}"| {to}')
    lines.append(f'    {menu.id} -.->|"{menu.tries} × {menu.timeout_s} s"| {default}')
    return lines
