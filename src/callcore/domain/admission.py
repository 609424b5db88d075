"""How a call comes in and as what it ends: the two places where the definitions' books are kept straight.

The first that fits counts: closed, emergency closed, blocked, IVR only; else the call is offered. What an offered
call ends as is decided at its end, by the last thing that happened to the caller.
"""

from __future__ import annotations

from callcore.domain.call import Call
from callcore.domain.ids import SECOND, Instant, seconds
from callcore.domain.stages import SAME_INSTANT_S, Outcome, Party, Stage

NORMAL_CLEARING = 16
"""Q.850 cause 16: one of the parties put down."""


def outcome_at_end(call: Call, at: Instant, by: Party, short_abandon_s: int) -> Outcome:
    """The one outcome of a call whose arriving channel ends at `at`. Its talk and its offer are closed already.

    Source: definitions, "Every call ends in exactly one outcome".
    """
    by_caller = by is Party.CALLER
    if call.refused_as is not None:
        return call.refused_as
    if call.served and call.entered_at is None:
        return Outcome.IVR_ONLY
    if call.answered_at is not None:
        if call.stage is Stage.WAITING:
            # Back in the queue and not answered again; or both put down at once, and the agent was heard of first.
            at_once = call.let_go_at is not None and at - call.let_go_at <= seconds(SAME_INSTANT_S)
            return Outcome.LOST_ON_HOLD if by_caller and at_once else Outcome.CUT_OFF
        if call.transfer is not None:
            # Nobody put down: Asterisk was stopped.
            if by is Party.SYSTEM:
                return Outcome.CUT_OFF
            blind = call.transfer.blind
            return Outcome.TRANSFERRED_BLIND if blind else Outcome.TRANSFERRED_ATTENDED
        if by_caller:
            # Who is kept waiting for a department that the agent has left the caller to is still held by us.
            lost = call.held_since is not None or call.passed_on
            return Outcome.LOST_ON_HOLD if lost else Outcome.COMPLETED
        # Nobody put down: Asterisk was stopped, or a leg was taken from under the talk.
        fault = by is Party.SYSTEM or call.last_cause not in (None, NORMAL_CLEARING)
        return Outcome.CUT_OFF if fault else Outcome.COMPLETED
    if call.callback:
        return Outcome.CALLBACK_REQUESTED
    if call.message:
        return Outcome.MESSAGE_LEFT
    if call.given_up_as is not None:
        return call.given_up_as
    aside = call.aside.outcome if call.aside is not None else None
    # By key, or put down in the menu. Else nobody did: Asterisk was stopped, or we are at fault.
    if aside is not None and (by_caller or aside is Outcome.OVERFLOW_KEY):
        return aside
    if by_caller:
        short = at - call.arrived_at <= short_abandon_s * SECOND
        return Outcome.ABANDONED_SHORT if short else Outcome.ABANDONED
    if call.leaving_as is not None and by is Party.SYSTEM:
        return call.leaving_as  # the treatment ran to its end; that it began was not told
    return Outcome.FAILED


def who_hung_up(call: Call) -> Party:
    """Who put down first: the side whose far end asked for the end of its channel; nobody did: the system."""
    asked = call.asked_to_end
    if asked is None:
        return Party.SYSTEM
    if asked == call.channel:
        return Party.CALLER
    called = (each.channel for each in (call.transfer, call.forward) if each is not None)
    return Party.CALLED if asked in called else Party.AGENT


def reason_of_end(call: Call, outcome: Outcome, by: Party) -> str:
    """The reason that is stored with the outcome, in words."""
    who = {
        Party.CALLER: "入電者が切断 / the caller hung up",
        Party.AGENT: "オペレーターが切断 / the agent hung up",
        Party.CALLED: "相手が切断 / the far end hung up",
        Party.SYSTEM: "システムが終了 / ended by the system",
        Party.UNKNOWN: "切断者不明 / not known who hung up",
    }[by]
    where = {
        Stage.ARRIVED: "着信直後 / on arrival",
        Stage.ANNOUNCED: "案内中 / during an announcement",
        Stage.WAITING: "待ち中 / waiting",
        Stage.OFFERED: "呼出中 / while a phone rang",
        Stage.TALKING: "通話中 / talking",
        Stage.PARTED: "通話後 / after the talk",
        Stage.TRANSFERRED: "取り次ぎ先と通話中 / talking with a department",
        Stage.ENDED: "終了後 / ended",
    }[call.stage]
    if call.in_net and outcome is Outcome.FAILED:
        return f"非常時分配で応答なし / nobody answered in the safety net; {who}"
    if call.aside is not None:
        where = (
            "あふれのメニューで / in the overflow menu" if call.in_menu else "待ち中の案内で / in a phrase"
        )
    if call.forward is not None:
        where = "転送先と通話中 / talking with the outside number"
    if call.passed_on:
        where = "取り次ぎ先の呼出中 / while a department rang"
    if call.callback:
        return f"折り返しを希望 / asked to be called back; {who}"
    if call.message:
        return f"伝言を残した / left a message; {who}"
    return f"{who}; {where}"
