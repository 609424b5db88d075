"""From settings to what Asterisk needs: the one place that knows where an installation keeps what."""

from __future__ import annotations

import time
from pathlib import Path

from callcore import sipcert
from callcore.access.accounts import Accounts, Lifetimes
from callcore.access.store import Store
from callcore.access.trail import Trail
from callcore.domain.centre import Configuration
from callcore.domain.ids import PhoneId
from callcore.pbx.process import AsteriskProcess, AsteriskToolchain, Port
from callcore.pbx.render import PbxSettings
from callcore.recordings import KeyRing, Recordings
from callcore.runtime.dialplan import MESSAGE_ENDS
from callcore.settings import Secrets, Settings

LOOPBACK = "127.0.0.1"
ANYWHERE, HERE = "0.0.0.0", "callcore"  # noqa: S104  the address is looked for, not listened on
"""All of a machine's addresses, and what the certificate says when nobody has said how phones reach it."""


def pbx_settings(settings: Settings, secrets: Secrets, toolchain: AsteriskToolchain) -> PbxSettings:
    """Where this installation's Asterisk keeps its files, and the ports it listens on.

    The certificate of the TLS ports is made where there is none.
    """
    base = settings.asterisk
    if settings.sip_tls_port or settings.sip_tls_certificate_port:
        names = (settings.phones_reach, settings.sip_host)
        sipcert.ensure(
            settings.tls, tuple(dict.fromkeys(name for name in names if name != ANYWHERE)) or (HERE,)
        )
    return PbxSettings(
        node=settings.node_id,
        etc_dir=base / "etc",
        run_dir=settings.run,
        log_dir=base / "log",
        lib_dir=base / "lib",
        spool_dir=base / "spool",
        recordings_dir=settings.recordings,
        modules_dir=toolchain.modules_dir,
        data_dir=toolchain.data_dir,
        prompts_dir=settings.prompts,
        kept_dir=settings.kept_prompts,
        music_dir=settings.prompts / "music",
        ami_port=settings.ami_port,
        ami_secret=secrets.ami,
        callers_salt=secrets.callers,
        sip_host=settings.sip_host,
        sip_port=settings.sip_port,
        rtp_first=settings.rtp_first,
        rtp_last=settings.rtp_last,
        phone_secrets=secrets.phones,
        trunk_hosts=settings.trunks,
        trunk_out=settings.trunk_out,
        trunk_dtmf=settings.trunk_dtmf,
        trunk_shows_caller=settings.trunk_shows_caller,
        asterisk_version=toolchain.version,
        tls_port=settings.sip_tls_port,
        tls_certificate_port=settings.sip_tls_certificate_port,
        tls_dir=settings.tls,
        client_cas=settings.sip_client_cas,
    )


def ports_of(settings: Settings) -> tuple[Port, ...]:
    """Where this installation's Asterisk listens."""
    tls, certificate = settings.sip_tls_port, settings.sip_tls_certificate_port
    return _ports(settings.ami_port, settings.sip_host, settings.sip_port, tls, certificate)


def _ports(ami: int, host: str, sip: int, tls: int, certificate: int) -> tuple[Port, ...]:
    return (
        Port("AMI", LOOPBACK, ami, udp=False),
        Port("SIP", host, sip, udp=True),
        *(Port("SIP_TLS", host, port, udp=False) for port in (tls,) if port),
        *(Port("SIP_TLS_CERTIFICATE", host, port, udp=False) for port in (certificate,) if port),
    )


def asterisk_process(pbx: PbxSettings, toolchain: AsteriskToolchain) -> AsteriskProcess:
    ports = _ports(pbx.ami_port, pbx.sip_host, pbx.sip_port, pbx.tls_port, pbx.tls_certificate_port)
    return AsteriskProcess(toolchain, pbx.etc_dir, pbx.run_dir, pbx.log_dir, ports=ports)


def accounts_of(settings: Settings) -> Accounts:
    """The users of this installation."""
    lifetimes = Lifetimes(settings.session_idle_minutes * 60, settings.session_hours * 3600)
    return Accounts(Store(settings.access), time.time, lifetimes, settings.second_factor_roles)


def trail_of(settings: Settings) -> Trail:
    """Its audit trail."""
    return Trail(settings.trail, settings.keys, time.time)


def phone_ids(configuration: Configuration) -> list[PhoneId]:
    return [phone.id for centre in configuration.centres for phone in centre.phones]


def without_certificate(settings: Settings, configuration: Configuration) -> list[PhoneId]:
    """The phones that have to show their maker's certificate while there is no port to show it at: none is served."""
    if settings.sip_tls_certificate_port:
        return []
    return [phone.id for centre in configuration.centres for phone in centre.phones if phone.certificate]


def recordings_of(settings: Settings) -> Recordings:
    """Where its recordings lie, and the door through which they are read."""
    return Recordings(settings.recordings, settings.store, KeyRing(settings.recordings_keys))


def recording_of(settings: Settings, call: str) -> Path:
    """Where the dialplan writes a call's recording. It lies there until it is sealed: see `recordings_of`."""
    return settings.recordings / f"{call}.wav"


def message_of(settings: Settings, call: str) -> Path:
    """Where the dialplan writes the message that a call left; as above."""
    return settings.recordings / f"{call}{MESSAGE_ENDS}"
