"""Who registers as a desk phone: asked from Asterisk, judged, sealed into AstDB, and told to the core.

- A REGISTER is heard of by `SuccessfulAuth` and `ContactStatus`. Neither bears the User-Agent, which Asterisk knows
  only once the registration has succeeded: it is asked for then, two round trips of a millisecond each. Each look at
  all of Asterisk lists the contacts too, and finds what no event told.
- Refusal is the default: as long as a phone's contact was not found to match, the core is told that the phone cannot
  be reached, whatever Asterisk says of it, and AstDB holds no seal for it. The seal goes in before the core hears of
  the phone, and out before anything else: at no moment is somebody offered whom the dialplan would refuse.
- How a phone answers to OPTIONS counts too. Asterisk asks at once; a contact that has not answered yet is not served,
  and is a violation once Asterisk has given up. One that did answer and then falls silent is only out of reach.
- Who is turned away at the door (no such account, a wrong password, a second contact, a number that is none of ours)
  is counted. What is a violation is also handed to `report`, which keeps it for the auditor.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any

import structlog

from callcore.ami.link import Link
from callcore.ami.wire import ActionFailed, AmiError, Event
from callcore.domain import inputs as i
from callcore.domain.centre import Configuration, Phone
from callcore.domain.ids import CentreId, Instant, PhoneId
from callcore.domain.phones import REFUSALS, WORDS, PhoneState, Policy
from callcore.domain.stages import Device
from callcore.phones import MAKERS
from callcore.phones.policy import Contact, Verdict, firmware, judge, printable, seal
from callcore.phones.provision import changed
from callcore.runtime import dialplan

log = structlog.get_logger(__name__)

TIMEOUT_S = 2.0
AGAIN_S = (0.02, 0.3, 0.7)
"""Seconds after an event at which the contact is asked for. `SuccessfulAuth` comes a moment before the contact is
there; within the last one the verdict has fallen."""
SYNC_AFTER_S = 2.0
"""Seconds from a change of the centre files until phones are told to fetch theirs."""
LAMP_S = 600.0
"""Seconds for which the lamp stays lit after an attempt that was turned away; a supervisor need not sit beside it."""
ANSWERS = {"Reachable": True, "Unreachable": False}
"""`Status` of a contact; NonQualified, Unknown and Created say nothing yet."""

SECOND_CONTACT = "registrar_attempt_exceeds"
"""How `ACLName` begins where Asterisk turned away a registration beyond `max_contacts`."""
PORTS_KEPT = 4
"""Of the latest authentications of one phone: its own, and somebody else's who has its password."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of one phone."""

    verdict: Verdict = Verdict(Policy.ABSENT)
    device: Device | None = None
    """What Asterisk says of it; None: it did not yet."""
    told: Device | None = None
    """What the core was told of it."""
    answered: str | None = None
    """The contact that has answered OPTIONS once."""
    ports: tuple[tuple[str, int], ...] = ()
    """(from where, at which of our ports) somebody last authenticated as this phone."""
    seen_at: Instant | None = None
    """When its contact was last found to be there."""


@dataclass(frozen=True, slots=True)
class Violation:
    """One 端末ポリシー違反. `address` and `user_agent` are cut and fit for people."""

    phone: PhoneId
    centre: CentreId
    reason: Policy
    address: str
    user_agent: str


class PhoneGuard:
    """`tell` takes inputs, `aside` runs work beside the reader. One task, the reader's, calls everything here."""

    def __init__(
        self,
        link: Link,
        configuration: Configuration,
        *,
        certificate_port: int,
        served: bool,
        known: Callable[[PhoneId], PhoneState | None],
        now: Callable[[], Instant],
        tell: Callable[[i.Input], None],
        aside: Callable[[Coroutine[Any, Any, None]], None],
        report: Callable[[Violation], None],
        sleep: Callable[[float], Coroutine[Any, Any, None]] = asyncio.sleep,
    ) -> None:
        """`certificate_port`: where a certificate has to be shown; 0: nobody asks for one. `served`: phones fetch their
        files from us, and are told when these have changed.

        `known` is what the journal tells of a phone: a contact that was found to match before this engine started has
        answered OPTIONS, and has shown its certificate.
        """
        self._link = link
        self._known = known
        self._certificate_port = certificate_port
        self._served = served
        self._now = now
        self._tell = tell
        self._aside = aside
        self._report = report
        self._sleep = sleep
        self._seen: dict[PhoneId, Seen] = {}
        self._lines: dict[PhoneId, Phone] = {}
        self._centres: dict[PhoneId, CentreId] = {}
        self._asking: set[PhoneId] = set()
        self._again: set[PhoneId] = set()
        self._to_sync: dict[PhoneId, str] = {}
        """Phones that are to fetch their file as soon as they are idle, and the event that tells them."""
        self._lit_until: dict[CentreId, Instant] = {}
        self._lit: dict[CentreId, bool] = {}
        self.rejections: Counter[str] = Counter({p.value: 0 for p in REFUSALS})
        """端末ポリシー違反 since the start, by reason."""
        self.refused: Counter[str] = Counter({"account": 0, "password": 0, "number": 0})
        """SIP requests that were turned away at the door since the start; `number`: the carrier's, for none of ours."""
        self._trunk: bool | None = None
        """Whether the carrier of calls to the outside answered at the last look; None: not known, or there is none."""
        self._inventory(configuration)

    def _inventory(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._lines = {p.id: p for c in configuration.centres for p in c.phones}
        self._centres = {p.id: c.id for c in configuration.centres for p in c.phones}
        self._seen = {name: self._seen.get(name, Seen()) for name in self._lines}

    def renew(self, configuration: Configuration) -> None:
        """Hold everything against another inventory from now on."""
        old = self._configuration
        self._inventory(configuration)
        for name in self._lines:
            self._ask_soon(name)
        if not self._served:
            return
        for name in changed(old, configuration):
            if (event := self._resync(name)) is not None:
                self._to_sync[name] = event
        self._aside(self._sync_soon())

    # -- what Asterisk tells ----------------------------------------------------------------------------------

    def event(self, event: Event) -> bool:
        """Take an event that is about who may register or call; False: it is not."""
        match event.name:
            case "ContactStatus":
                self._contact(event)
            case "SuccessfulAuth":
                self._authenticated(event)
            case "FailedACL" if (event.get("ACLName") or "").startswith(SECOND_CONTACT):
                self._second(event)
            case "InvalidAccountID" if event.get("Service") == "PJSIP":
                self.refused["account"] += 1
            case "ChallengeResponseFailed" | "InvalidPassword" | "FailedACL":
                if event.get("Service") == "PJSIP" and event.get("AccountID") != "<unknown>":
                    self.refused["password"] += 1
            case "UserEvent" if event.get("UserEvent") == "CallcorePhoneRefused":
                self._called(event)
            case "UserEvent" if event.get("UserEvent") == "CallcoreNotOurs":
                self.refused["number"] += 1
            case _:
                return False
        return True

    def _contact(self, event: Event) -> None:
        name = PhoneId(event.get("AOR") or "")
        if name in self._lines:
            self._ask_soon(name)

    def _authenticated(self, event: Event) -> None:
        name = PhoneId(event.get("AccountID") or "")
        if event.get("Service") != "PJSIP" or name not in self._lines:
            return
        port = (event.get("LocalAddress") or "").rpartition("/")[2]
        remote = "/".join((event.get("RemoteAddress") or "").split("/")[-2:])
        if port.isdigit():
            others = tuple(each for each in self._seen[name].ports if each[0] != remote)
            ports = ((remote, int(port)), *others)[:PORTS_KEPT]
            self._seen[name] = replace(self._seen[name], ports=ports)
        self._ask_soon(name)

    def _second(self, event: Event) -> None:
        """A registration beyond `max_contacts`; the phone that is there stays."""
        name = PhoneId(event.get("AccountID") or "")
        if name in self._lines:
            self._turned_away(name, Policy.CONTACTS, _host(event.get("RemoteAddress") or ""))

    def _called(self, event: Event) -> None:
        name = PhoneId(event.get("Phone") or "")
        if name in self._lines:
            address = (event.get("Address") or "").rpartition(":")[0]
            reason = Policy.EMERGENCY if event.get("Emergency") == "yes" else Policy.UNREGISTERED
            self._turned_away(name, reason, printable(address, 45))

    def _turned_away(self, name: PhoneId, reason: Policy, address: str) -> None:
        self._violation(name, reason, address, "")
        self._tell(i.PhoneTurnedAway(at=self._now(), phone=name, reason=reason, address=address))

    def _violation(self, name: PhoneId, reason: Policy, address: str, user_agent: str) -> None:
        self.rejections[reason.value] += 1
        ja, en = WORDS[reason]
        log.warning(
            "端末ポリシー違反 / not the phone of the inventory",
            phone=name,
            reason=reason.value,
            what=f"{ja} / {en}",
            address=address,
            user_agent=user_agent,
        )
        self._report(Violation(name, self._centres[name], reason, address, user_agent))
        self._lit_until[self._centres[name]] = Instant(self._now() + round(LAMP_S * 1e6))
        self._aside(self._lamps())

    # -- devices ----------------------------------------------------------------------------------------------

    def device(self, told: i.DeviceReported) -> i.DeviceReported:
        """What the core may hear of this phone."""
        if told.phone not in self._seen:
            return told
        seen = replace(self._seen[told.phone], device=told.device)
        shown = told.device if seen.verdict.policy is Policy.MATCHED else Device.UNREACHABLE
        self._seen[told.phone] = replace(seen, told=shown)
        if shown is Device.FREE and told.phone in self._to_sync:
            self._aside(self._notify(told.phone, self._to_sync.pop(told.phone)))
        return replace(told, device=shown)

    def _device_again(self, name: PhoneId) -> None:
        """Tell the core of the phone anew where the verdict makes another device of it."""
        seen = self._seen[name]
        if seen.device is None:
            return
        told = self.device(i.DeviceReported(at=self._now(), phone=name, device=seen.device))
        if told.device is not seen.told:
            self._tell(told)

    # -- asking -----------------------------------------------------------------------------------------------

    def gauges(self) -> dict[str, float]:
        return {} if self._trunk is None else {"engine_trunk_reachable": float(self._trunk)}

    def listed(self, rows: Iterable[Event], *, first: bool) -> None:
        """All contacts, as one look found them. With a link's first one the verdicts fall at once, so that the devices
        which follow it are told rightly; later ones only show whom to ask."""
        found: dict[PhoneId, list[Contact]] = {name: [] for name in self._lines}
        for row in rows:
            name = PhoneId(row.get("Endpoint") or "")
            if row.name == "ContactList" and name in found:
                found[name].append(
                    Contact(
                        row.get("ObjectName") or "",
                        row.get("Uri") or "",
                        row.get("UserAgent") or "",
                        ANSWERS.get(row.get("Status") or ""),
                    )
                )
        for name, contacts in found.items():
            if first:
                self._settle_now(name, self._judged(name, contacts))
            elif self._judged(name, contacts) != self._seen[name].verdict:
                self._ask_soon(name)
            elif contacts:
                self._seen[name] = replace(self._seen[name], seen_at=self._now())
        self._aside(self._lamps())
        self._aside(self._ask_trunk())

    async def _ask_trunk(self) -> None:
        """Its contact is the configuration's, and stands in no list of Asterisk's."""
        try:
            found = await self._contacts(dialplan.TRUNK)
        except AmiError as error:
            log.debug("the carrier could not be asked for", why=str(error))
            found = []
        self._trunk = found[0].answers if found else None

    def _ask_soon(self, name: PhoneId) -> None:
        if name in self._asking:
            self._again.add(name)
            return
        self._asking.add(name)
        self._aside(self._ask(name))

    async def _ask(self, name: PhoneId) -> None:
        """Ask until what is found has been the same twice, at the latest after the last of `AGAIN_S`."""
        try:
            waited = 0.0
            for at in AGAIN_S:
                await self._sleep(at - waited)
                waited = at
                await self._ask_once(name)
        finally:
            self._asking.discard(name)
            if name in self._again:
                self._again.discard(name)
                self._ask_soon(name)

    async def _ask_once(self, name: PhoneId) -> None:
        try:
            contacts = await self._contacts(name)
        except AmiError as error:
            log.warning("contacts not known", phone=name, why=str(error))
            return
        if name in self._lines:
            await self._settle(name, self._judged(name, contacts))

    async def _contacts(self, name: str) -> list[Contact]:
        ids = [part for part in (await self._get(f"PJSIP_AOR({name},contact)")).split(",") if part]
        found = []
        for one in ids:
            uri, agent, status = await asyncio.gather(
                *(self._get(f"PJSIP_CONTACT({one},{what})") for what in ("uri", "user_agent", "status"))
            )
            if uri:
                found.append(Contact(one, uri, agent, ANSWERS.get(status)))
        return found

    async def _get(self, variable: str) -> str:
        try:
            reply = await self._link.call({"Action": "Getvar", "Variable": variable}, timeout=TIMEOUT_S)
        except ActionFailed:
            return ""
        return reply.get("Value") or ""

    # -- judging ----------------------------------------------------------------------------------------------

    def _judged(self, name: PhoneId, contacts: list[Contact]) -> Verdict:
        """Notes who has answered OPTIONS, too: one that did is not refused for falling silent later."""
        seen = self._seen[name]
        shown: bool | None = None
        if len(contacts) == 1:
            contact = contacts[0]
            known = self._known(name)
            before = known is not None and known.policy is Policy.MATCHED and known.contact == seal(contact)
            if contact.answers or before:
                self._seen[name] = seen = replace(seen, answered=contact.id)
            if seen.answered == contact.id:
                contacts = [replace(contact, answers=True)]
            port = dict(seen.ports).get(contact.source)
            if not self._certificate_port:
                shown = False
            elif not (before and port is None):
                shown = port == self._certificate_port
        return judge(self._lines[name], contacts, certificate_seen=shown)

    def _settle_now(self, name: PhoneId, verdict: Verdict) -> None:
        """As `_settle`, without waiting: the seal is on its way before any caller can be sent to the phone."""
        self._seen[name] = replace(self._seen[name], verdict=verdict)
        if verdict.contact is not None:
            self._seen[name] = replace(self._seen[name], seen_at=self._now())
        self._told(name, verdict)
        self._device_again(name)
        self._aside(self._sealed_or_said(name, verdict))

    async def _sealed_or_said(self, name: PhoneId, verdict: Verdict) -> None:
        try:
            await self._sealed(name, verdict)
        except AmiError as error:
            log.warning("the verdict is not in AstDB", phone=name, why=str(error))

    async def _settle(self, name: PhoneId, verdict: Verdict) -> None:
        before = self._seen[name].verdict
        if verdict.contact is not None:
            self._seen[name] = replace(self._seen[name], seen_at=self._now())
        if verdict == before:
            return
        matched = verdict.policy is Policy.MATCHED
        if not matched:
            self._seen[name] = replace(self._seen[name], verdict=verdict)
            self._device_again(name)
        try:
            await self._sealed(name, verdict)
        except AmiError as error:
            log.warning("the verdict is not in AstDB", phone=name, why=str(error))
            if matched:
                return
        if matched:
            self._seen[name] = replace(self._seen[name], verdict=verdict)
        self._told(name, verdict)
        if matched:
            self._device_again(name)

    async def _sealed(self, name: PhoneId, verdict: Verdict) -> None:
        if verdict.policy is Policy.MATCHED and verdict.contact is not None:
            value = seal(verdict.contact)
            fields = {"Action": "DBPut", "Family": dialplan.POLICY, "Key": name, "Val": value}
            await self._link.call(fields, timeout=TIMEOUT_S)
            return
        try:
            fields = {"Action": "DBDel", "Family": dialplan.POLICY, "Key": name}
            await self._link.call(fields, timeout=TIMEOUT_S)
        except ActionFailed:
            return  # there was none

    def _told(self, name: PhoneId, verdict: Verdict) -> None:
        """The core knows by itself what it was told already."""
        agent, address = verdict.shown
        contact = verdict.contact
        if verdict.policy is Policy.UNANSWERED and contact is not None and contact.answers is None:
            return  # Asterisk still waits for its answer
        if verdict.policy in REFUSALS:
            self._violation(name, verdict.policy, address, agent)
        self._tell(
            i.PhoneJudged(
                at=self._now(),
                phone=name,
                policy=verdict.policy,
                user_agent=agent,
                address=address,
                contact="" if contact is None else seal(contact),
            )
        )
        self._aside(self._lamps())

    # -- lamps ------------------------------------------------------------------------------------------------

    async def _lamps(self) -> None:
        """One for each centre: lit while something is registered that is refused, and a while after an attempt."""
        now = self._now()
        for centre in sorted(set(self._centres.values())):
            lit = self._lit_until.get(centre, Instant(0)) > now or any(
                self._seen[name].verdict.policy in REFUSALS
                for name, where in self._centres.items()
                if where == centre
            )
            if self._lit.get(centre) is lit:
                continue
            device = f"DEVICE_STATE(Custom:{dialplan.POLICY}-{centre})"
            value = "INUSE" if lit else "NOT_INUSE"
            try:
                await self._link.call(
                    {"Action": "Setvar", "Variable": device, "Value": value}, timeout=TIMEOUT_S
                )
            except AmiError as error:
                log.warning("the lamp is not set", centre=centre, why=str(error))
            else:
                self._lit[centre] = lit

    # -- fetching its file anew -------------------------------------------------------------------------------

    def sync(self, name: PhoneId) -> str:
        """Have the phone fetch its file: `now`, or `when_idle` while it is in a call or not there; `by_hand`: its maker
        has no way. KeyError: no such phone."""
        seen, event = self._seen[name], self._resync(name)
        if event is None:
            return "by_hand"
        if seen.told is Device.FREE:
            self._aside(self._notify(name, event))
            return "now"
        self._to_sync[name] = event
        return "when_idle"

    def _resync(self, name: PhoneId) -> str | None:
        """The event at which a phone fetches its file; None: its maker has none."""
        maker = MAKERS.get(self._lines[name].maker)
        return None if maker is None else maker.resync

    async def _sync_soon(self) -> None:
        """Whoever is idle is told once the sidecar, which makes the files, has heard of the change as well."""
        await self._sleep(SYNC_AFTER_S)
        for name in list(self._to_sync):
            if name in self._seen and self._seen[name].told is Device.FREE:
                await self._notify(name, self._to_sync.pop(name))

    async def _notify(self, name: PhoneId, event: str) -> None:
        fields = {"Action": "PJSIPNotify", "Endpoint": name, "Variable": f"Event={event}"}
        try:
            await self._link.call(fields, timeout=TIMEOUT_S)
        except AmiError as error:
            log.warning("the phone was not told to fetch its file", phone=name, why=str(error))
            self._to_sync[name] = event

    # -- showing ----------------------------------------------------------------------------------------------

    def rows(self) -> list[dict[str, Any]]:
        """Every phone of the inventory with what is registered as it, for `callcore phones`."""
        shown = []
        for name, line in sorted(self._lines.items()):
            seen = self._seen[name]
            agent, address = seen.verdict.shown
            shown.append(
                {
                    "phone": name,
                    "centre": self._centres[name],
                    "seat": line.seat,
                    "maker": line.maker,
                    "model": line.model,
                    "extension": line.extension,
                    "policy": seen.verdict.policy.value,
                    "firmware": firmware(line, agent),
                    "user_agent": agent,
                    "address": address,
                    "device": None if seen.device is None else seen.device.value,
                    "seen_at": seen.seen_at,
                }
            )
        return shown


def _host(remote: str) -> str:
    """The address of `IPV4/UDP/192.0.2.7/5060`."""
    parts = remote.split("/")
    return printable(parts[2], 45) if len(parts) == 4 else ""
