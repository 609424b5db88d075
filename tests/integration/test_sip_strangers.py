"""Who comes from the outside without being the carrier: a real scanner, guessed names, wrong passwords; and TLS."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from callcore import sipcert
from callcore.ami import cel
from callcore.domain.ids import Instant
from callcore.pbx.render import CEL_FILE, RenderError, render
from tests.support.asterisk import free_port, running_asterisk
from tests.support.centre import NUMBER, make_sounds, small_centre
from tests.support.floor import Floor, running_floor
from tests.support.sip import comes_true, sip_agent

SCAN_S = 60.0


async def scan(tool: str, floor: Floor, *arguments: str) -> str:
    """What a scanner of the kind prints that is found on every exposed SIP port, from an address of its own."""
    host, port = floor.pbx.sip
    program = Path(sys.executable).with_name(f"sipvicious_{tool}")
    process = await asyncio.create_subprocess_exec(
        str(program),
        "-b",
        floor.pbx.address(99),
        *arguments,
        "-p",
        str(port),
        host,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        cwd=floor.pbx.settings.log_dir,
    )
    try:
        async with asyncio.timeout(SCAN_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return said.decode("utf-8", "replace")


async def test_a_scanner_learns_nothing_and_calls_go_on(tmp_path: Path) -> None:
    words = tmp_path / "names"
    names = ("oita-p1", "oita-p2", "oita-p3", "trunk", "nobody", "admin", "201", NUMBER)
    words.write_text("\n".join(names))
    passwords = tmp_path / "passwords"
    passwords.write_text("\n".join(("oita-p1", "1234", "password", "callcore", *map(str, range(60)))))
    async with running_floor(tmp_path, small_centre()) as floor, floor.ami.beating():
        citizen, channel, leg = await floor.talk()
        before = len(floor.ami.events)

        found = await scan("svmap", floor)
        said = found.replace(floor.pbx.sip[0], "")  # its address, which may have any number in it
        assert "asterisk" not in said.lower() and "22." not in said, found

        for method in ("REGISTER", "INVITE", "OPTIONS"):
            told = await scan("svwar", floor, "-m", method, "-d", str(words), "--force")
            named = set(re.findall(r"(?m)^\s*[|│]\s*([\w-]+)\s*[|│]", told)) & set(names)
            # Either nobody is told to exist, or everybody is: the one who asks knows as much as before.
            assert "found nothing" in told or named in (set(), set(names)), told

        told = await scan("svcrack", floor, "-u", "oita-p1", "-d", str(passwords))
        assert floor.pbx.settings.phone_secrets["oita-p1"] not in told  # type: ignore[index]
        assert not re.search(r"(?m)^\W*oita-p1\W+\S*1234", told), told

        refused = [e for e in floor.ami.events[before:] if e["Event"] == "InvalidAccountID"]
        wrong = [
            e
            for e in floor.ami.events[before:]
            if e["Event"] == "ChallengeResponseFailed" and e["AccountID"] == "oita-p1"
        ]
        assert refused and len(wrong) >= 60
        assert not [e for e in floor.ami.events[before:] if e["Event"] == "Newchannel"]
        # Nobody noticed: the talk goes on, and the next citizen comes through.
        assert (citizen.state, leg.state) == ("up", "up")
        assert len(await leg.hears(0.5)) > 0
        other, _ = await floor.caller()
        await other.until("up")
        assert channel


async def test_whoever_is_not_the_carrier_gets_the_same_answer_to_everything(tmp_path: Path) -> None:
    async with running_floor(tmp_path, small_centre()) as floor:
        answers = set()
        for user in ("oita-p1", "oita-p3", "trunk", "nobody", "anonymous", NUMBER):
            async with sip_agent(floor.pbx.address(98), user, floor.pbx.sip, "wrong") as stranger:
                for number in (NUMBER, "oita-p1", "*11", "0312345678"):
                    call = await stranger.call(number)
                    await call.until("401")
                with pytest.raises(AssertionError, match="401"):
                    await stranger.register()
                answers |= {
                    re.sub(r'(nonce|opaque)="[^"]*"', "", m.get("www-authenticate"))
                    for m in stranger.messages
                    if m.get("www-authenticate")
                }
                assert not any(m.get("server") not in ("", "callcore") for m in stranger.messages)
        assert len(answers) == 1, answers
        assert not [e for e in floor.ami.events if e.get("Context") == "callcore-in"]
        strange = ("0312345678", "+81312345678", "oita-p1", "*11")
        for n, number in enumerate(strange, 1):
            call = await floor.trunk.call(number)
            await call.until("404")
            await comes_true(
                lambda n=n: (
                    len([e for e in floor.ami.events if e.get("UserEvent") == "CallcoreNotOurs"]) == n
                ),
                f"{number} is counted",
            )
        assert not [e for e in floor.ami.events if e.get("UserEvent") == "CallcoreAdmitted"]
        log = floor.pbx.settings.log_dir / CEL_FILE

        def gone() -> bool:
            kinds = [(row["eventenum"], row["userdeftype"]) for row in floor.pbx.cel()]
            marked = kinds.count(("USER_DEFINED", "callcore-not-ours"))
            return marked == len(strange) == kinds.count(("LINKEDID_END", ""))

        await comes_true(gone, "CEL")
        assert cel.traces(cel.read_since(log, Instant(0))) == (), "no arrival, in Asterisk's books neither"
        assert floor.pbx.cdr() == []


# -- TLS -----------------------------------------------------------------------------------------------------


def authority(folder: Path, name: str) -> tuple[Path, Path, Path]:
    """A maker's CA (its certificate), and one phone's certificate and key that it signed."""
    folder.mkdir()
    now = datetime.now(UTC)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{name} CA")])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "00005E005301")])

    def signed(whose: x509.Name, of: ec.EllipticCurvePrivateKey, *, ca: bool) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(whose)
            .issuer_name(issuer)
            .public_key(of.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .sign(ca_key, hashes.SHA256())
            .public_bytes(Encoding.PEM)
        )

    files = folder / "ca.pem", folder / "phone.pem", folder / "phone.key"
    files[0].write_bytes(signed(issuer, ca_key, ca=True))
    files[1].write_bytes(signed(subject, key, ca=False))
    files[2].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return files


OPTIONS = (
    "OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/TLS 127.0.0.1;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
    "From: <sip:x@x>;tag=1\r\nTo: <sip:x@x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
)


def asked(host: str, port: int, trusts: Path, certificate: tuple[Path, Path] | None = None) -> str:
    """The first line that Asterisk answers over TLS. Raises OSError when there is no connection for us."""
    context = ssl.create_default_context(cafile=str(trusts))
    if certificate is not None:
        context.load_cert_chain(*certificate)
    with (
        socket.create_connection((host, port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=host) as line,
    ):
        line.sendall(OPTIONS.encode())
        answer = line.recv(4096).decode()
        if not answer:
            raise ConnectionResetError("closed without a word")
        return answer.split("\r\n")[0]


async def test_phones_find_our_certificate_and_show_their_makers_where_they_have_one(tmp_path: Path) -> None:
    maker_ca, mine, my_key = authority(tmp_path / "maker", "Maker")
    _, strange, strange_key = authority(tmp_path / "stranger", "Stranger")
    prompts, music = make_sounds(tmp_path)
    tls = tmp_path / "tls"
    configuration = small_centre()
    host = "127.77.88.1"
    sipcert.ensure(tls, (host,))
    changes = {
        "sip_host": host,
        "sip_port": free_port(host, socket.SOCK_DGRAM),
        "tls_port": free_port(host),
        "tls_certificate_port": free_port(host),
        "tls_dir": tls,
        "client_cas": maker_ca,
    }
    async with running_asterisk(configuration, prompts, music, **changes) as pbx:
        ours = tls / sipcert.CA
        plain, strict = pbx.settings.tls_port, pbx.settings.tls_certificate_port
        assert (await asyncio.to_thread(asked, host, plain, ours)).startswith("SIP/2.0 401")
        assert (await asyncio.to_thread(asked, host, strict, ours, (mine, my_key))).startswith("SIP/2.0 401")
        for wrong in (None, (strange, strange_key)):
            with pytest.raises(OSError):  # noqa: PT011  an alert or a closed connection, as OpenSSL likes
                await asyncio.to_thread(asked, host, strict, ours, wrong)
        with pytest.raises(ssl.SSLCertVerificationError):
            await asyncio.to_thread(asked, host, plain, maker_ca)

        # An installation cannot let simulated phones in by accident, nor forget what TLS needs.
        desk = replace(configuration.centres[0].phones[0], transport="tls", maker="yealink")
        with_desk = replace(
            configuration,
            centres=(replace(configuration.centres[0], phones=(desk,)), configuration.centres[1]),
        )
        assert b"[callcore-tls]" in render(with_desk, pbx.settings)["pjsip.conf"]
        with pytest.raises(RenderError, match="CALLCORE_SIP_TLS_PORT"):
            render(with_desk, replace(pbx.settings, tls_port=0))
        with pytest.raises(RenderError, match="CALLCORE_SIP_CLIENT_CAS"):
            render(configuration, replace(pbx.settings, client_cas=None))
        for everywhere in ("0.0.0.0", "192.0.2.1"):
            with pytest.raises(RenderError, match="simulated"):
                render(configuration, replace(pbx.settings, sip_host=everywhere))


def test_the_certificate_is_made_once_and_renewed_before_its_end_by_the_same_ca(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    sipcert.ensure(folder, ("pbx.example", "192.0.2.1"))
    kept = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert all(file.stat().st_mode & 0o077 == 0 for file in folder.iterdir())
    sipcert.ensure(folder, ("pbx.example", "192.0.2.1"))
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == kept
    sipcert.ensure(folder, ("other.example",))
    renamed = (folder / sipcert.SERVER).read_bytes()
    late = datetime.now(UTC) + timedelta(days=sipcert.SERVER_DAYS - sipcert.RENEW_DAYS + 1)
    sipcert.ensure(folder, ("other.example",), now=late)
    assert kept[sipcert.SERVER] != renamed != (folder / sipcert.SERVER).read_bytes()
    assert (folder / sipcert.CA).read_bytes() == kept[sipcert.CA]
    ca = x509.load_pem_x509_certificate(kept[sipcert.CA])
    x509.load_pem_x509_certificate(renamed).verify_directly_issued_by(ca)
