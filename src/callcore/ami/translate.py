"""AMI events into inputs. What means nothing to the core gives nothing; what is malformed is said and counted.

A PIN's digits and a feature code never become inputs of the core: they are `KeyPressed` and `FeatureKeyed`, for
the desk that knows PINs.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from callcore.ami.wire import Event
from callcore.domain import inputs as i
from callcore.domain.centre import OUTCOMES
from callcore.domain.findings import PACKET_S
from callcore.domain.ids import (
    SECOND,
    CallId,
    CentreId,
    ChannelId,
    DepartmentId,
    Instant,
    NodeId,
    OfferId,
    PhoneId,
)
from callcore.domain.sides import by_cause
from callcore.domain.stages import Choice, Device, OfferStage, Said, SideKind, SideOutcome, TalkKey
from callcore.runtime import dialplan


@dataclass(frozen=True, slots=True)
class FeatureKeyed:
    """A desk phone dialled a feature code. `agent` and `digit` (of a reason, a result) are None when it keyed none."""

    at: Instant
    feature: str
    agent: str | None
    phone: PhoneId
    channel: ChannelId
    channel_name: str
    digit: int | None = None


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """One key, on a channel that is being asked for a PIN. Never printed."""

    channel: ChannelId
    digit: str

    def __repr__(self) -> str:
        return f"KeyPressed(channel={self.channel!r})"


Told = i.Input | FeatureKeyed | KeyPressed

DIAL_RESULTS: dict[str, OfferStage | None] = {
    "ANSWER": None,
    "NOANSWER": OfferStage.NO_ANSWER,
    "BUSY": OfferStage.REJECTED,  # its state was asked before it rang: who is busy now has refused
    "CONGESTION": OfferStage.REJECTED,
    "CHANUNAVAIL": OfferStage.UNREACHABLE,
    "CANCEL": OfferStage.CALLER_GONE,
    "ABORT": OfferStage.CALLER_GONE,
}
"""`DialStatus` of DialEnd. What is not here (DONTCALL, TORTURE, INVALIDARGS …) is our own mistake: WITHDRAWN."""

RETURNED_RESULTS = DIAL_RESULTS | {
    "BUSY": OfferStage.BUSY,
    "UNREACHABLE": OfferStage.UNREACHABLE,
    "LOST": None,  # answered, then the phone's leg was lost: the bridge has told it
}
"""The dialplan's own words, when it asked the phone's state and did not dial. STALE is our own mistake: WITHDRAWN."""

OVERFLOWS = {outcome.value: outcome for outcome in OUTCOMES.values()}
"""What a wait may be ended as by us, by the dialplan's word."""

TALK_KEYS = {key.value: key for key in TalkKey}
DIGITS = frozenset("0123456789")

DEVICES: dict[str, Device] = {
    "NOT_INUSE": Device.FREE,
    "INUSE": Device.BUSY,
    "BUSY": Device.BUSY,
    "RINGING": Device.BUSY,
    "RINGINUSE": Device.BUSY,
    "ONHOLD": Device.BUSY,
}
"""Asterisk's device states; UNAVAILABLE, INVALID, UNKNOWN and whatever comes later are UNREACHABLE."""


def device(state: str | None) -> Device:
    return DEVICES.get(state or "", Device.UNREACHABLE)


def caller_number(raw: str | None) -> str | None:
    """The number that a caller shows; None when it is withheld (非通知) or not known."""
    if raw is None or not any(c.isdigit() for c in raw):
        return None
    return raw


def translate(event: Event, node: NodeId) -> Told | None:
    """The input that an event is, or None. Raises nothing: an event without what it must have is no input."""
    rule = _RULES.get(event.name)
    at = event.at
    return None if rule is None or at is None else rule(event, at, node)


def _channel(event: Event, name: str = "Uniqueid") -> ChannelId | None:
    found = event.get(name)
    return None if found is None else ChannelId(found)


SOUND = "RTPAUDIOQOS"
"""Set by Asterisk when a channel with RTP ends: `ssrc=…;…;rxcount=489;…`."""
_PACKETS = re.compile(r"(?:^|;)rxcount=(\d{1,9})(?:;|$)")
_COUNT = re.compile(r"^(\d{1,10})$")


def _call(event: Event) -> CallId | None:
    found = event.variables.get(dialplan.CALL)
    return None if found is None else CallId(found)


def _arrival(event: Event, at: Instant, node: NodeId) -> Told | None:
    channel, name, number = _channel(event), event.get("Channel"), event.get("Exten")
    if event.get("Context") != dialplan.ARRIVALS or channel is None or name is None or number is None:
        return None
    if event.get("Linkedid") not in (None, channel):
        return None  # the carrier's leg of a call that a phone made begins in this context too
    return i.ChannelArrived(
        at=at,
        node=node,
        channel=channel,
        name=name,
        number=number,
        caller=caller_number(event.get("CallerIDNum")),
    )


def _hangup(event: Event, at: Instant, _: NodeId) -> Told | None:
    channel = _channel(event)
    cause = event.get("Cause") or "0"
    return (
        None
        if channel is None
        else i.ChannelGone(
            at=at,
            channel=channel,
            cause=int(cause) if cause.isdigit() else 0,
            received=_received(_PACKETS, event.variables.get(SOUND)),
            before=_received(_COUNT, event.variables.get(dialplan.BEFORE)),
        )
    )


def _received(packets: re.Pattern[str], told: str | None) -> int | None:
    """Microseconds of sound that a channel received, by its packets."""
    found = None if told is None else packets.search(told)
    return None if found is None else round(int(found[1]) * PACKET_S * SECOND)


def _hangup_asked(event: Event, at: Instant, _: NodeId) -> Told | None:
    channel = _channel(event)
    return None if channel is None else i.HangupRequested(at=at, channel=channel)


def _dial(event: Event) -> tuple[CallId, ChannelId, PhoneId | None, OfferId | None] | None:
    call, leg = _call(event), _channel(event, "DestUniqueid")
    if call is None or leg is None:
        return None
    offer = event.variables.get(dialplan.CHANNEL_OFFER) if event.get("Context") == dialplan.OFFER else None
    return call, leg, dialplan.phone_of(event.get("DestChannel") or ""), OfferId(offer) if offer else None


def _dial_began(event: Event, at: Instant, _: NodeId) -> Told | None:
    caller, leg = event.get("Uniqueid"), _channel(event, "DestUniqueid")
    if event.get("Context") == dialplan.MENU:
        return None  # an outside number that the caller chose: no agent
    if event.get("Context") in dialplan.SIDES and caller is not None and leg is not None:
        phone = dialplan.phone_of(event.get("DestChannel") or "")
        return i.SideDialBegan(at=at, call=CallId(caller), channel=leg, phone=phone)
    found = _dial(event)
    if found is None:
        return None
    call, leg, phone, offer = found
    return i.DialBegan(at=at, call=call, channel=leg, phone=phone, offer=offer)


def _dial_ended(event: Event, at: Instant, _: NodeId) -> Told | None:
    found = _dial(event) if event.get("Context") != dialplan.MENU else None
    if found is None:
        return None
    call, leg, phone, offer = found
    result = DIAL_RESULTS.get(event.get("DialStatus") or "", OfferStage.WITHDRAWN)
    return i.DialEnded(at=at, call=call, channel=leg, offer=offer, result=result, phone=phone)


def _bridge(event: Event, at: Instant, _: NodeId) -> Told | None:
    channel, bridge = _channel(event), event.get("BridgeUniqueid")
    if channel is None or bridge is None:
        return None
    kind = i.BridgeEntered if event.name == "BridgeEnter" else i.BridgeLeft
    return kind(at=at, bridge=bridge, channel=channel)


def _hold(event: Event, at: Instant, _: NodeId) -> Told | None:
    channel = _channel(event)
    return None if channel is None else i.HoldChanged(at=at, channel=channel, held=event.name == "Hold")


def _device(event: Event, at: Instant, _: NodeId) -> Told | None:
    phone = dialplan.phone_of(event.get("Device") or "")
    return None if phone is None else i.DeviceReported(at=at, phone=phone, device=device(event.get("State")))


def _key(event: Event, at: Instant, _: NodeId) -> Told | None:
    channel, digit = _channel(event), event.get("Digit")
    # Asterisk tells each key twice when it is passed on; the one that we received counts.
    if channel is None or digit is None or event.get("Direction") != "Received":
        return None
    return KeyPressed(channel, digit) if event.get("Context") == dialplan.PIN else None


def side_outcome(result: str, cause: str) -> SideOutcome:
    """What a call that is counted apart came to, by the dialplan's word and Q.850's cause; Asterisk says NOANSWER of
    every refusal but busy."""
    if result in ("ANSWER", "DENIED"):
        return SideOutcome.CONNECTED if result == "ANSWER" else SideOutcome.REFUSED
    if result == "BUSY":
        return SideOutcome.BUSY
    if cause and not cause.isdecimal():
        return SideOutcome.FAILED
    told = by_cause(int(cause or 0))
    reached = result in ("NOANSWER", "CANCEL") or told is not SideOutcome.NO_ANSWER
    return told if reached else SideOutcome.FAILED


NAMED_KEYS = {"star": "*", "hash": "#"}
CHOICES = {choice.value: choice for choice in Choice}
SAID = {said.value: said for said in Said}


def menu_keyed(at: Instant, call: str, menu: str | None, key: str, chose: str) -> i.MenuKeyed | None:
    """`chose` as the dialplan has it: `<what>~<to>~<language>`."""
    what, to, language, *_ = (*chose.split("~"), "", "", "")
    if not menu or what not in CHOICES:
        return None
    return i.MenuKeyed(
        at=at,
        call=CallId(call),
        menu=menu,
        key=NAMED_KEYS.get(key, key),
        choice=CHOICES[what],
        to=to,
        language=language or None,
    )


def side_kind(word: str | None) -> SideKind | None:
    return next((kind for kind in SideKind if kind.value == word), None)


def _side_told(event: Event, at: Instant, node: NodeId) -> Told | None:
    call, centre, kind = event.get("Call"), event.get("Centre"), side_kind(event.get("Kind"))
    phone, beside = event.get("Phone"), event.get("Beside")
    if call is None or centre is None or kind is None:
        return None
    return i.SideCallTold(
        at=at,
        node=node,
        call=CallId(call),
        centre=CentreId(centre),
        kind=kind,
        phone=PhoneId(phone) if phone else None,
        number=event.get("Shown") or "",
        other=caller_number(event.get("Other")),
        why=event.get("Why") or "",
        refused=event.get("Refused") == "yes",
        beside=CallId(beside) if beside else None,
    )


def _user_event(event: Event, at: Instant, node: NodeId) -> Told | None:
    call = event.get("Call")
    match event.get("UserEvent"):
        case "CallcoreAdmitted" if call is not None:
            decision = event.get("Decision")
            return i.AdmissionDecided(
                at=at,
                call=CallId(call),
                open=decision == "open",
                source=event.get("Source") or "",
                emergency=decision == "emergency",
                blocked=decision == "blocked",
            )
        case "CallcoreMenu" if call is not None:
            keyed = menu_keyed(at, call, event.get("Menu"), event.get("Key") or "", event.get("Chose") or "")
            withheld = event.get("Withheld") == "yes"
            return keyed if keyed is None or not withheld else replace(keyed, withheld=True)
        case "CallcoreForwarded" if call is not None:
            channel, notice = _channel(event), event.get("Notice")
            if channel is None:
                return None
            recorded = event.get("Recorded") == "yes"
            return i.CallerForwarded(
                at=at, call=CallId(call), channel=channel, recorded=recorded, notice=notice or None
            )
        case "CallcoreCallback" if call is not None:
            return i.CallbackTold(at=at, call=CallId(call))
        case "CallcoreMessage" if call is not None:
            said = SAID.get(event.get("Said") or "")
            return None if said is None else i.MessageTold(at=at, call=CallId(call), said=said)
        case "CallcoreInsisted" if call is not None:
            return i.CallerInsisted(at=at, call=CallId(call))
        case "CallcoreHeld" if call is not None:
            aside = event.get("Aside") or ""
            known = aside.isascii() and aside.isdigit() and len(aside) < 10
            return i.CallerHeld(
                at=at,
                call=CallId(call),
                aside=int(aside) if known else None,
                notice=event.get("Notice") or None,
            )
        case "CallcoreNet" if call is not None:
            return i.CallerInNet(at=at, call=CallId(call))
        case "CallcoreApology" if call is not None:
            return i.CallerApologised(at=at, call=CallId(call))
        case "CallcoreOverflow" if call is not None:
            outcome = OVERFLOWS.get(event.get("Outcome") or "")
            return None if outcome is None else i.CallerOverflowed(at=at, call=CallId(call), outcome=outcome)
        case "CallcoreOfferEnded" if call is not None:
            offer, result = event.get("Offer"), event.get("Result") or ""
            if offer is None:
                return None
            stage = RETURNED_RESULTS.get(result, OfferStage.WITHDRAWN)
            return i.OfferReturned(at=at, call=CallId(call), offer=OfferId(offer), result=stage)
        case "CallcoreTransfer" if call is not None:
            department = event.get("Department")
            if department is None:
                return None
            closed = event.get("Closed") == "yes"
            return i.TransferTold(
                at=at, call=CallId(call), department=DepartmentId(department), closed=closed
            )
        case "CallcoreWatch":
            watch = event.get("Watch")
            return None if watch is None else i.WatchTold(at=at, watch=ChannelId(watch))
        case "CallcoreSide":
            return _side_told(event, at, node)
        case "CallcoreSideEnded" if call is not None:
            ended_as = side_outcome(event.get("Result") or "", event.get("Cause") or "")
            return i.SideReturned(at=at, call=CallId(call), outcome=ended_as)
        case "CallcoreFeature":
            phone, channel, name = event.get("Phone"), _channel(event), event.get("Channel")
            if phone is None or channel is None or name is None:
                return None
            digit = event.get("Digit") or ""
            return FeatureKeyed(
                at,
                event.get("Feature") or "",
                event.get("Agent"),
                PhoneId(phone),
                channel,
                name,
                int(digit) if digit in DIGITS else None,
            )
        case "CallcoreKey":
            channel, name, key = _channel(event), event.get("Channel"), TALK_KEYS.get(event.get("Key") or "")
            if channel is None or name is None or key is None:
                return None
            return i.TalkKeyed(at=at, key=key, leg=channel, channel=name)
    return None


_RULES = {
    "Newchannel": _arrival,
    "Hangup": _hangup,
    "HangupRequest": _hangup_asked,
    "DialBegin": _dial_began,
    "DialEnd": _dial_ended,
    "BridgeEnter": _bridge,
    "BridgeLeave": _bridge,
    "Hold": _hold,
    "Unhold": _hold,
    "DeviceStateChange": _device,
    "DTMFEnd": _key,
    "UserEvent": _user_event,
}
