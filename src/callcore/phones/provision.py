"""From the inventory to a phone's file."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from callcore.domain.centre import Centre, Configuration, Phone
from callcore.domain.ids import PhoneId
from callcore.phones.keys import all_codes, keys_for
from callcore.phones.maker import Maker, Sheet, Unprintable, bare
from callcore.phones.makers import MAKERS

EXPIRES_S = 300
"""How long a registration lasts: what `maximum_expiration` of pjsip.conf allows, and the bound of a fail-over."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How phones reach this installation."""

    registrar: str
    udp_port: int
    tls_port: int
    certificate_port: int
    """0: nobody is asked for a certificate."""
    ntp: str = ""
    url: str = ""
    """Of this phone's own folder, with its token, a slash at the end; "" where files are carried by hand."""
    ca_url: str = ""


@dataclass(frozen=True, slots=True)
class Named:
    """A phone with the centre that it stands in, and its maker."""

    centre: Centre
    phone: Phone
    maker: Maker

    @property
    def file(self) -> str | None:
        """The file that it asks for; None: nothing is served to such a phone."""
        if self.maker.file_name is None or self.phone.mac is None:
            return None
        return self.maker.file_name(bare(self.phone.mac))


def find(configuration: Configuration, name: PhoneId) -> Named | None:
    return next((each for each in phones(configuration) if each.phone.id == name), None)


def phones(configuration: Configuration) -> list[Named]:
    """Every phone whose maker is known, in the order of their ids."""
    found = [
        Named(centre, phone, MAKERS[phone.maker])
        for centre in configuration.centres
        for phone in centre.phones
        if phone.maker in MAKERS
    ]
    return sorted(found, key=lambda each: each.phone.id)


def made(named: Named, secret: str, reach: Reach, now: datetime) -> bytes | None:
    """The phone's file, or the page to print; None: there is neither for its maker. `now` is aware; it tells how far
    from UTC the centre is. Raises Unprintable."""
    if named.maker.render is None:
        return None
    return named.maker.render(_sheet(named, secret, reach, now))


def changed(old: Configuration, new: Configuration) -> list[PhoneId]:
    """The phones of both whose files are other ones by `new`, as far as the centre files make them: a colleague's key
    changes with the colleague. What is not in the centre files is taken as the same."""
    before = {named.phone.id: _alike(named) for named in phones(old)}
    return [
        named.phone.id
        for named in phones(new)
        if named.phone.id in before and _alike(named) != before[named.phone.id]
    ]


def _alike(named: Named) -> bytes | None:
    """The file with everything the same that is not of the centre files; None: there is none."""
    try:
        return made(named, "-" * 32, Reach("pbx.invalid", 1, 2, 3), datetime(2026, 1, 1, tzinfo=UTC))
    except Unprintable:
        return None


def _sheet(named: Named, secret: str, reach: Reach, now: datetime) -> Sheet:
    centre, phone = named.centre, named.phone
    model = named.maker.model(phone.model)
    offset = now.astimezone(ZoneInfo(centre.time_zone)).utcoffset()
    assert offset is not None
    port = reach.udp_port
    if phone.transport == "tls":
        # With no port for certificates it is refused (`phones.policy`); it is told where the others go.
        port = reach.certificate_port if phone.certificate and reach.certificate_port else reach.tls_port
    language = "ja" if centre.languages[0] == "ja" else "en"
    return Sheet(
        phone=phone,
        model=model,
        user=phone.id,
        secret=secret,
        registrar=reach.registrar,
        port=port,
        display=phone.seat if phone.extension is None else f"{phone.seat} {phone.extension}",
        keys=all_codes(centre) if named.maker.file_name is None else keys_for(centre, phone, model, language),
        language=language,
        utc_offset_min=round(offset.total_seconds() / 60),
        ntp=reach.ntp,
        expires_s=EXPIRES_S,
        hold_tone_s=centre.hold.warn_after_s,
        url=reach.url,
        ca_url=reach.ca_url,
    )
