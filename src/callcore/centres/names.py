"""Names in a centre file that stand for something else: what may exist once, and what must exist."""

from __future__ import annotations

from collections.abc import Iterable

from callcore.centres.lines import Path
from callcore.centres.sheet import Once, Sheet, nearest
from callcore.domain.ids import CentreId

QUEUE = ("待ち行列", "queue")
PHONE = ("電話機", "phone")
MENU = ("メニュー", "menu")


class Taken:
    """What may exist once over all the files."""

    def __init__(self) -> None:
        self.centres = Once("コールセンター ID", "the centre id")
        self.numbers = Once("着信番号", "the number")
        self.queues = Once("待ち行列 ID", "the queue id")
        self.phones = Once("電話機 ID", "the phone id")
        self.extensions = Once("内線番号", "the extension")
        self.macs = Once("MAC アドレス", "the MAC address")
        self.agents = Once("オペレーター番号", "the agent number")
        self.departments = Once("部署 ID", "the department id")


def known(
    sheet: Sheet, path: Path, full: str, centre: CentreId, names: Iterable[str], thing: tuple[str, str]
) -> bool:
    """Whether this file has such a queue or phone; notes it if not. `full` and `names` begin with the centre."""
    listed = list(names)
    if full in listed:
        return True
    ja, en = thing
    short = full.removeprefix(f"{centre}-")
    sheet.wrong(
        path,
        f"「{short}」という{ja}はこのファイルにありません",
        f'there is no {en} "{short}" in this file',
        *nearest(short, (each.removeprefix(f"{centre}-") for each in listed)),
    )
    return False
