"""What Asterisk holds, asked for over AMI: who is registered, phones' states, the safety net's members, channels with
our variables.

Each list is put into the inbox at its place among the events, so that one task sees "all that came before, then
the list" and never a state older than what it knows.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

from callcore.ami.link import Link
from callcore.ami.translate import caller_number, device
from callcore.ami.wire import ActionFailed, AmiError, Event
from callcore.domain.ids import SECOND, CallId, ChannelId, Instant, OfferId, PhoneId, QueueId
from callcore.domain.inputs import ChannelSeen, Member
from callcore.domain.stages import Device
from callcore.runtime import dialplan

LIST_TIMEOUT_S = 10.0
"""Seconds for one list. 3,000 channels take well under one."""

HOLD_TIMEOUT_S = 2.0
"""Seconds for one phone's word; it takes a millisecond, unless the phone's own thread is stuck."""

STATUS_VARIABLES = ",".join(
    (dialplan.CALL, dialplan.CHANNEL_OFFER, dialplan.NUMBER, dialplan.ENTERED, dialplan.TAPE_PAUSED)
)
CONTACTS, DEVICES, MEMBERS, CHANNELS = "contacts", "devices", "members", "channels"

_CREATED = re.compile(r"(?:.*-)?([0-9]{9,11})\.[0-9]+")


async def request(link: Link, tag: str, nobody: Callable[[str], None]) -> None:
    """Ask for the four lists, the channels last. They arrive in the inbox as `<tag>/devices` and so on.

    Asterisk refuses to list contacts when there are none: `nobody` is called with the tag then. Raises what
    `Link.call_list` raises.
    """
    try:
        await link.call_list(
            {"Action": "PJSIPShowContacts"},
            timeout=LIST_TIMEOUT_S,
            deliver="inbox",
            tag=f"{tag}/{CONTACTS}",
        )
    except ActionFailed:
        nobody(tag)
    for what, action in (
        (DEVICES, {"Action": "DeviceStateList"}),
        (MEMBERS, {"Action": "QueueStatus"}),
        (CHANNELS, {"Action": "Status", "AllVariables": "false", "Variables": STATUS_VARIABLES}),
    ):
        await link.call_list(action, timeout=LIST_TIMEOUT_S, deliver="inbox", tag=f"{tag}/{what}")


async def holds(link: Link, channels: Iterable[ChannelSeen]) -> tuple[ChannelSeen, ...]:
    """The same, with what each phone that talks says of hold. Not by `Variables` of the list, which would read a
    function of the media under the channel's lock."""
    return tuple([replace(c, held=await _held(link, c)) if c.phone and c.bridge else c for c in channels])


async def _held(link: Link, channel: ChannelSeen) -> bool | None:
    asked = {"Action": "Getvar", "Channel": channel.name, "Variable": "CHANNEL(rtp,hold)"}
    try:
        told = await link.call(asked, timeout=HOLD_TIMEOUT_S)
    except AmiError:
        return None  # it is gone, or no word came
    return {"0": False, "1": True}.get(told.get("Value") or "")


def devices(events: Iterable[Event]) -> tuple[tuple[PhoneId, Device], ...]:
    found = ((dialplan.phone_of(e.get("Device") or ""), device(e.get("State"))) for e in events)
    return tuple((phone, state) for phone, state in found if phone is not None)


def members(events: Iterable[Event]) -> tuple[Member, ...]:
    found: list[Member] = []
    for event in events:
        phone, queue = (
            dialplan.phone_of(event.get("Location") or event.get("Interface") or ""),
            event.get("Queue"),
        )
        if event.name == "QueueMember" and phone is not None and queue is not None:
            found.append(Member(QueueId(queue), phone, event.get("Paused") == "1"))
    return tuple(found)


def channels(events: Iterable[Event]) -> tuple[ChannelSeen, ...]:
    return tuple(seen for seen in map(_channel, events) if seen is not None)


def _channel(event: Event) -> ChannelSeen | None:
    unique, name = event.get("Uniqueid"), event.get("Channel")
    if event.name != "Status" or unique is None or name is None:
        return None
    told = event.variables
    created = _CREATED.fullmatch(unique)
    entered, paused = told.get(dialplan.ENTERED) or "", told.get(dialplan.TAPE_PAUSED) or ""
    call, offer = told.get(dialplan.CALL), told.get(dialplan.CHANNEL_OFFER)
    linked = event.get("Linkedid")
    return ChannelSeen(
        id=ChannelId(unique),
        name=name,
        context=event.get("Context") or "",
        application=event.get("Application"),
        bridge=event.get("BridgeID"),
        call=CallId(call) if call else None,
        offer=OfferId(offer) if offer else None,
        phone=dialplan.phone_of(name),
        number=told.get(dialplan.NUMBER),
        caller=caller_number(event.get("CallerIDNum")),
        # The unique id holds the second in which the channel was made.
        created=Instant(int(created[1]) * SECOND) if created else Instant(0),
        entered=Instant(int(entered) * SECOND) if entered.isdigit() else None,
        linked=ChannelId(linked) if linked else None,
        paused=Instant(int(paused)) if paused.isdigit() else None,
    )
