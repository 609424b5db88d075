"""`[[networks]]` and `[[phones]]`: the inventory that whatever registers is held against."""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv4Network, NetmaskValueError

from callcore.centres.names import Taken
from callcore.centres.sheet import Once, Table, nearest
from callcore.domain.centre import Display, Phone
from callcore.domain.ids import CentreId, PhoneId
from callcore.phones import MAKERS
from callcore.phones.simulated.maker import SIMULATED

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_EXTENSION = re.compile(r"[2-9][0-9]{2,4}", re.ASCII)
"""No outside number, and none of 110, 118 and 119, begins so within five digits."""
TRANSPORTS = ("tls", "udp")
LOOPBACK = ("127.0.0.0/8",)
"""Where simulated phones are, and no desk phone ever is."""

Networks = dict[str, tuple[str, ...]]


def read_networks(tables: list[Table]) -> Networks:
    """The sites' networks by their names."""
    once = Once("ネットワーク", "the network")
    found: Networks = {}
    for table in tables:
        name = table.name("id", "honcho")
        once.claim(table, "id", name)
        addresses = table.texts("addresses", 'addresses = ["10.20.30.0/24"]', ())
        for n, address in enumerate(addresses):
            if _network(address) is None:
                table.sheet.wrong(
                    table.at("addresses", n),
                    f"「{address}」は IPv4 のネットワークとして読めません(ホスト部は 0 に)",
                    f'"{address}" is not an IPv4 network (the host part must be 0)',
                    '例: addresses = ["10.20.30.0/24"]',
                    'e.g. addresses = ["10.20.30.0/24"]',
                )
        if not addresses:
            table.wrong(
                "addresses",
                "アドレスがひとつもありません",
                "there is not one address",
                '例: addresses = ["10.20.30.0/24"]',
                'e.g. addresses = ["10.20.30.0/24"]',
            )
        table.close()
        found[name] = addresses
    return found


def _network(text: str) -> IPv4Network | None:
    try:
        return IPv4Network(text)
    except (AddressValueError, NetmaskValueError, ValueError):
        return None


def read_phones(tables: list[Table], centre: CentreId, networks: Networks, taken: Taken) -> tuple[Phone, ...]:
    return tuple(_phone(table, centre, networks, taken) for table in tables)


def _phone(table: Table, centre: CentreId, networks: Networks, taken: Taken) -> Phone:
    short = table.name("id", "p1")
    full = PhoneId(f"{centre}-{short}")
    taken.phones.claim(table, "id", full if short else "")
    seat = table.text("seat", "A-1")
    maker = table.choice("maker", tuple(MAKERS), "generic", required=True)
    model = _model(table, maker)
    real = maker != SIMULATED.id
    mac = _mac(table, taken, required=real)
    extension = table.optional_text("extension", "201")
    if extension is not None and not _EXTENSION.fullmatch(extension):
        table.wrong(
            "extension",
            f"「{extension}」は使えません。内線は 2～9 で始まる 3～5 桁の数字です",
            f'"{extension}" can\'t be used: an extension is 3 to 5 digits and begins with 2 to 9',
            '例: extension = "201"',
            'e.g. extension = "201"',
        )
    taken.extensions.claim(table, "extension", extension or "")
    where = _where(table, networks) if real else LOOPBACK
    transport = table.choice("transport", TRANSPORTS, "tls") if real else "udp"
    certificate = _certificate(table, maker, model, transport)
    agent = _user_agent(table, maker)
    usual = Display.JAPANESE if MAKERS[maker].japanese else Display.ROMAN
    digits = _digit_keys(table, maker, model)
    shows = table.choice("display", tuple(each.value for each in Display), usual.value)
    table.close()
    return Phone(
        id=full,
        seat=seat,
        model=model,
        mac=mac,
        maker=maker,
        extension=extension,
        networks=where,
        transport=transport,
        user_agent=agent,
        certificate=certificate,
        digit_keys=digits,
        display=Display(shows),
    )


def _model(table: Table, maker: str) -> str:
    models = MAKERS[maker].models
    model = table.text("model", next(iter(models), "DT900"))
    if model and models and model not in models:
        table.wrong(
            "model",
            f"「{model}」は {maker} の機種として登録されていません",
            f'"{model}" is not a model of {maker} that callcore knows',
            *nearest(model, models),
        )
    return model


def _user_agent(table: Table, maker: str) -> str | None:
    """Asked for where callcore does not know how the maker's phones name themselves."""
    if MAKERS[maker].agent is None and "maker" in table:
        return table.text("user_agent", "NEC-DT900")
    if table.given("user_agent"):
        table.wrong(
            "user_agent",
            f"{maker} の電話機の User-Agent は callcore が知っています",
            f"callcore knows how phones of {maker} name themselves",
            "この行を消してください",
            "take this line out",
        )
    return None


def _certificate(table: Table, maker: str, model: str, transport: str) -> bool:
    """Whether the phone has to show its maker's certificate: where its model bears one, unless the line waives it."""
    known = MAKERS[maker]
    bears = model in known.models and known.model(model).certificate
    asked = table.truth("certificate", bears)
    if asked and not bears:
        table.wrong(
            "certificate",
            f"{maker} {model} はメーカーの証明書を持っていません",
            f"{maker} {model} bears no certificate of its maker",
            "この行を消してください",
            "take this line out",
        )
        return False
    if asked and transport != "tls":
        table.wrong(
            "transport",
            f"{maker} {model} はメーカーの証明書を見せる必要がありますが、{transport} では見せられません",
            f"{maker} {model} has to show its maker's certificate, and cannot over {transport}",
            'transport = "tls" にするか、証明書を求めないと決めたなら certificate = false',
            'transport = "tls"; or certificate = false, if it was decided not to ask for it',
        )
    return asked


def _digit_keys(table: Table, maker: str, model: str) -> bool:
    """Only for phones that get a file of keys, where what a key does in a talk is not published."""
    told = table.truth("digit_keys", False)
    known = MAKERS[maker]
    if told and (known.file_name is None or known.model(model).sends_digits):
        table.wrong(
            "digit_keys",
            f"{maker} {model} では使いません",
            f"has no use for {maker} {model}",
            "この行を消してください",
            "take this line out",
        )
        return False
    return told


def _mac(table: Table, taken: Taken, *, required: bool) -> str | None:
    example = "00:00:5e:00:53:01"
    mac = table.text("mac", example) if required else table.optional_text("mac", example)
    if mac and not _MAC.fullmatch(mac):
        table.wrong(
            "mac",
            f"「{mac}」は MAC アドレスとして読めません",
            f'"{mac}" is not a MAC address',
            f'小文字と「:」で書いてください。例: mac = "{example}"',
            f'write it in lower case with colons, e.g. mac = "{example}"',
        )
    taken.macs.claim(table, "mac", mac or "")
    return mac


def _where(table: Table, networks: Networks) -> tuple[str, ...]:
    """The line's network by name; the file's only one where the line names none."""
    name = table.optional_text("network", "honcho")
    if name is None and len(networks) == 1:
        return next(iter(networks.values()))
    if name is not None and name in networks:
        return networks[name]
    if name is None:
        table.wrong(
            "network",
            "この電話機のネットワークが決まりません",
            "it is not said in which network this phone is",
            '[[networks]] を書き、複数あるときは network = "…" で選んでください',
            'write [[networks]], and where there are several choose one with network = "…"',
        )
    else:
        table.wrong(
            "network",
            f"「{name}」という [[networks]] はこのファイルにありません",
            f'there is no [[networks]] "{name}" in this file',
            *nearest(name, networks),
        )
    return ()
