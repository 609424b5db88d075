"""A desk phone of a centre file, and the file that it is given."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from callcore.demo.centre import DemoCentre
from callcore.domain.centre import Centre, Configuration, Phone
from callcore.domain.ids import PhoneId
from callcore.phones.makers import MAKERS
from callcore.phones.provision import Reach, find, made
from tests.support.centre import small_centre

MAC = "00:00:5e:00:53:01"
DESK_PHONE = "Yealink SIP-T46U 00005e005301"
"""Its User-Agent, as its own file makes it."""
FETCHES_AS = "Yealink SIP-T46U 108.86.0.20 00:00:5e:00:53:01"
"""What it calls itself when it fetches its file."""

NOW = datetime(2026, 11, 28, tzinfo=UTC)
SECRET = "s3cret-of-this-phone_000000000000"
REACH = Reach(
    "pbx.example",
    15060,
    15061,
    15062,
    "ntp.example",
    "https://pbx.example/phones/t0ken/",
    "https://pbx.example/phones/ca.pem",
)
HERE = ("192.0.2.0/24",)


def desk(maker: str, model: str, n: int = 1, **more: object) -> Phone:
    """As a centre file has it: with its maker's certificate where the model bears one."""
    more = {"certificate": MAKERS[maker].model(model).certificate} | more
    return Phone(
        PhoneId(f"oita-p{n}"),
        f"窓口{n}",
        model,
        f"00:00:5e:00:53:{n:02x}",
        maker=maker,
        networks=HERE,
        **more,  # type: ignore[arg-type]
    )


def centre_of(*lines: Phone) -> tuple[Centre, Configuration]:
    oita = replace(small_centre().centres[0], phones=lines)
    return oita, Configuration("test", (oita,))


def file(line: Phone, *others: Phone, reach: Reach = REACH) -> bytes:
    _, configuration = centre_of(line, *others)
    named = find(configuration, line.id)
    assert named is not None
    found = made(named, SECRET, reach, NOW)
    assert found is not None
    return found


COLLEAGUE = desk("yealink", "SIP-T46U", 9, extension="209")


@dataclass(frozen=True, slots=True)
class OneDeskPhone(DemoCentre):
    """The first seat has a desk phone of a maker; the others are simulated."""

    def toml(self) -> str:
        line = f'maker = "yealink"\nmodel = "SIP-T46U"\nmac = "{MAC}"\ntransport = "udp"\ncertificate = false'
        networks = '[[networks]]\nid = "here"\naddresses = ["127.0.0.0/8"]\n\n'
        told = DemoCentre.toml(self).replace('maker = "simulated"\nmodel = "baresip"', line, 1)
        first, last = told.split("[[phones]]", 1)
        return f"{first}{networks}[[phones]]{last}"
