"""A desk phone over TLS, where its model has a certificate: with the right password and without the certificate it gets
nothing; with it a call out, a call in, a lamp and a sign-in, and it holds while callcore is dead."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from callcore import sipcert
from callcore.domain import facts as f
from callcore.domain.ids import PhoneId
from callcore.domain.phones import Policy
from callcore.domain.stages import Device
from tests.e2e.test_only_desk_phones import VERDICT_S
from tests.integration.test_sip_strangers import authority
from tests.support.asterisk import free_port
from tests.support.desk_phones import DESK_PHONE, OneDeskPhone
from tests.support.sip import Habit, sip_agent, tone
from tests.support.sip_tls import tls_agent
from tests.support.station import PIN, Station, station, until


@dataclass(frozen=True, slots=True)
class ByTls(OneDeskPhone):
    def toml(self) -> str:
        return OneDeskPhone.toml(self).replace(
            'transport = "udp"\ncertificate = false', 'transport = "tls"', 1
        )


async def test_a_phone_whose_model_has_a_certificate_is_served_with_it_and_not_without(
    tmp_path: Path,
) -> None:
    maker, mine, my_key = authority(tmp_path / "maker", "Maker")
    strict = free_port("127.0.0.1")

    def prepare(s: Station) -> None:
        sipcert.ensure(s.settings.tls, (s.settings.sip_host,))
        s.env_more = {
            "CALLCORE_SIP_TLS_CERTIFICATE_PORT": str(strict),
            "CALLCORE_SIP_CLIENT_CAS": str(maker),
        }

    async with station(ByTls(agents=2), prepare=prepare, tls_certificate_port=strict, client_cas=maker) as s:
        ca, host = s.settings.tls / sipcert.CA, s.settings.sip_host
        first, second = PhoneId(s.centre.phone(1)), s.centre.phone(2)
        secret = s.secrets.phones[first]
        async with sip_agent(
            f"{s.net}.62", second, (host, s.settings.sip_port), s.secrets.phones[PhoneId(second)]
        ) as colleague:
            colleague.habit = Habit.ANSWER
            await colleague.register()
            await s.device(2, Device.FREE)
            plain = (host, s.settings.sip_tls_port)
            async with tls_agent(f"{s.net}.63", first, plain, secret, ca) as thief:
                thief.user_agent = DESK_PHONE  # forged
                await thief.register()
                registered = time.time()
                refused = await s.fact(f.PhoneRefused)
                assert refused.reason is Policy.CERTIFICATE
                assert refused.at / 1e6 - registered < VERDICT_S
                call = await thief.call(second)
                await call.until("403")
                call = await colleague.call(first)
                await call.until("480", "403", "503")
                assert not any(call.incoming for call in thief.calls)
                await thief.register(expires=0)
                await s.fact(f.PhoneLeft)
            async with tls_agent(f"{s.net}.61", first, (host, strict), secret, ca, (mine, my_key)) as real:
                real.user_agent = DESK_PHONE
                await real.register()
                registered = time.time()
                matched = await s.fact(f.PhoneMatched, lambda x: x.phone == first)
                assert matched.at / 1e6 - registered < VERDICT_S
                await s.device(1, Device.FREE)
                call = await real.call(second)
                await call.until("up")
                call.hang_up()
                await s.device(1, Device.FREE)
                await s.device(2, Device.FREE)
                call = await colleague.call(first)
                leg = await real.rings()
                leg.answer()
                await call.until("up")
                call.hang_up()
                await leg.until("bye")
                lamp = await real.watch("*11")
                await lamp.shows("off")
                call = await real.call(f"*11{s.centre.agent(1)}", tone(600))
                await call.until("up")
                await call.hears(0.3)
                call.press(f"{PIN}#")
                await call.until("bye")
                await s.fact(f.AgentSignedIn)
                await lamp.shows("steady")
                s.kill("engine")
                call = await real.call(second)
                await call.until("up")
                call.hang_up()
                await s.start_engine()
                await until(lambda: s.floor().registered[first].policy is Policy.MATCHED)
