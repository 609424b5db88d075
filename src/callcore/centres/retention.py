"""`[retention]`: how long what is kept of calls is kept, and when it is erased."""

from __future__ import annotations

from callcore.centres.sheet import Table
from callcore.domain.centre import ERASE_HOURS, RETENTION_MONTHS, Retention

MONTHS_MOST = 360


def read_retention(top: Table) -> Retention:
    table = top.table("retention", required=False)

    def months(kind: str, default: int = RETENTION_MONTHS) -> int:
        return table.integer(f"{kind}_months", default, 0, MONTHS_MOST)

    given = "hours" in table
    hours = table.windows("hours")
    if given and not hours:
        table.wrong(
            "hours",
            "消去する時間帯がありません",
            "there is no time in which anything is erased",
            '例: hours = ["01:00-05:00"]。消去しない種類は 0 (指示があるまで) に',
            'e.g. hours = ["01:00-05:00"]; what is not to be erased has 0 months (until told)',
        )
    read = Retention(
        call=months("call"),
        consult=months("consult"),
        outgoing=months("outgoing"),
        contact=months("contact"),
        message=months("message"),
        reported=months("reported", 0),
        personal=months("personal"),
        hours=hours or ERASE_HOURS,
    )
    table.close()
    return read
