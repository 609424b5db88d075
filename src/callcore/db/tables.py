"""What is kept of calls, for reports and for looking one up. All of it can be made again from the journal.

Rules
- A call's row is its `measures.Record`, column by column: reports give records to `measures.figures`, and no SQL
  holds a percentage.
- Lengths are whole microseconds and named `_us`; sizes are bytes; instants are UTC.
- Whatever belongs to a call goes with its row, but for what is known of recordings: that is kept as long as they are.
- What belongs to a person stands sealed, in the columns of `PERSONAL`.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    false,
    text,
)

from callcore.db.types import At, Document, Word
from callcore.domain.message import MessageState
from callcore.domain.recording import Direction, Place, RecordingKind, Through
from callcore.domain.stages import CallbackEnd, OfferStage, Outcome, Party, ResultKind, SideKind, SideOutcome

NEWEST = "0030"
"""The revision of these tables: that of the newest file in `migrations/versions`."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _of_call(*, key: bool = False) -> Column[str]:
    return Column("call", Text, ForeignKey("calls.id", ondelete="CASCADE"), primary_key=key, nullable=False)


def _sparse(where: str, *columns: str, name: str | None = None) -> Index:
    """For finding the few rows of which this is true, the newest first."""
    of_sqlite = where.replace("true", "1").replace("false", "0")
    return Index(name, *columns, sqlite_where=text(of_sqlite), postgresql_where=text(where))


drain_position = Table(
    "drain_position",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("run", BigInteger, nullable=False),
    Column("n", BigInteger, nullable=False),
    CheckConstraint("id = 1", name="one_row"),
    comment="The last frame of the journal that is in these tables",
)

calls = Table(
    "calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("node", Text, nullable=False),
    Column("centre", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("number", Text, nullable=False, comment="The number dialled"),
    Column("arrived_at", At, nullable=False),
    Column("due_agent", Boolean),
    Column("admission", Text, comment="Why it was let in or refused"),
    Column("entered_at", At),
    Column("answered_at", At),
    Column("agent", Text),
    Column("by_net", Boolean, nullable=False),
    Column("talk_us", BigInteger, nullable=False),
    Column("hold_us", BigInteger, nullable=False),
    Column("talk_since", At),
    Column("held_since", At),
    Column("ended_at", At),
    Column("outcome", Word(Outcome)),
    Column("reason", Text),
    Column("hung_up_by", Word(Party)),
    Column("visits", Integer, nullable=False),
    Column("offers", Integer, nullable=False),
    Column("reconstructed", Boolean, nullable=False),
    Column("imprecise", Boolean, nullable=False, server_default=false()),
    Column("position", Integer, comment="In the line, at the first entry"),
    Column("estimate_s", Double, comment="The wait estimated then"),
    Column("result", Text, comment="What the agent keyed, by the centre's list of that day"),
    Column("result_kind", Word(ResultKind), comment="What that counts as"),
    Column("helped", Boolean, nullable=False, server_default=false(), comment="The agent asked for help"),
    Column("abuse", Boolean, nullable=False, server_default=false(), comment="Reported: keep the recording"),
    Column("relay", Boolean, nullable=False, server_default=false(), comment="A relay-service call"),
    Column("unrecorded_us", BigInteger, nullable=False, server_default=text("0")),
    Column("unrecorded_since", At),
    Column("test", Boolean, nullable=False, server_default=false(), comment="From a listed test number"),
    Column("message", Boolean, nullable=False, server_default=false(), comment="The caller left a message"),
    Column("callback", Word(CallbackEnd), comment="What became of a call-back that was asked for"),
    Column("task", Boolean, nullable=False, server_default=false(), comment="An escalation was kept"),
    Column(
        "moved_by_hand",
        Boolean,
        nullable=False,
        server_default=false(),
        comment="A supervisor moved the waiting caller",
    ),
    Column("second", Boolean, nullable=False, server_default=false(), comment="Taken over by a colleague"),
    Column("department", Text, comment="The last that the caller was put through to"),
    Column("transferred_at", At),
    Column("away_us", BigInteger, nullable=False, server_default=text("0"), comment="With departments"),
    Column("away_since", At),
    Index(None, "centre", "arrived_at"),
    Index(None, "arrived_at"),
)

visits = Table(
    "visits",
    metadata,
    Column("id", Text, primary_key=True),
    _of_call(),
    Column("centre", Text, nullable=False, server_default=text("''"), comment="The call's"),
    Column("queue", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("entered_at", At, nullable=False),
    Column("since", At, nullable=False, comment="What the order of waiting goes by"),
    Column("in_net", Boolean, nullable=False, comment="Was in the safety net for a while"),
    Column("ended_at", At),
    Column("outcome", Text, comment="answered, requeued, or the outcome of the call"),
    Column("reconstructed", Boolean, nullable=False),
    Column("position", Integer, comment="In the line, at the entry"),
    Column("estimate_s", Double, comment="The wait estimated then"),
    Column("reasons", Document, comment="Why this queue and this priority, in words"),
    Index(None, "call"),
    # All that a stay is looked for by stands in each: what does not fit is passed over without its row.
    Index("ix_visits_by_time", "entered_at", "id", "centre", "queue", "outcome"),
    Index("ix_visits_by_centre", "centre", "entered_at", "id", "queue", "outcome"),
    Index("ix_visits_by_queue", "queue", "entered_at", "id", "centre", "outcome"),
)

offers = Table(
    "offers",
    metadata,
    Column("id", Text, primary_key=True),
    _of_call(),
    Column("visit", Text, ForeignKey("visits.id", ondelete="CASCADE"), nullable=False),
    Column("agent", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("ring_s", Integer, nullable=False),
    Column("reasons", Document, nullable=False, comment="Why this agent for this caller, in words"),
    Column("made_at", At, nullable=False),
    Column("rang_at", At),
    Column("ended_at", At),
    Column("result", Word(OfferStage), nullable=False),
    Column("rest_until", At),
    Column("reason", Text),
    Column("reconstructed", Boolean, nullable=False),
    Index(None, "call"),
    Index(None, "visit"),
    Index(None, "agent", "made_at"),
)

_LOOKED_THROUGH = (
    "centre",
    "kind",
    "direction",
    "seconds",
    "size",
)
"""Too much alike, or asked for from and to: found by going through one index by time, without the rows."""

recordings = Table(
    "recordings",
    metadata,
    Column("name", Text, primary_key=True, comment="The file without its ending"),
    Column("file", Text, nullable=False),
    Column("kind", Word(RecordingKind), nullable=False),
    Column(
        "call", Text, nullable=False, comment="Whose talk it is; of a consult, the call that it was about"
    ),
    Column("side", Text, comment="The call that is no arrival, if it is one's"),
    Column(
        "segments",
        Integer,
        nullable=False,
        server_default="1",
        comment="Recordings of the call, this one among them",
    ),
    Column("centre", Text, nullable=False),
    Column("queue", Text),
    Column("language", Text),
    Column("direction", Word(Direction), nullable=False),
    Column("began_at", At, nullable=False),
    Column("ended_at", At),
    Column("format", Text, nullable=False),
    Column(
        "channels",
        Integer,
        nullable=False,
        server_default="1",
        comment="Of two the left one is the citizen's",
    ),
    Column("size", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("sha256", Text),
    Column("problem", Text),
    Column(
        "findings",
        Document,
        nullable=False,
        server_default="[]",
        comment="All that is wrong with it, the gravest first",
    ),
    Column("result", Text, comment="What the agent keyed for the call"),
    Column("result_kind", Word(ResultKind)),
    Column("department", Text, comment="The last that the caller was put through to"),
    Column("through", Word(Through), comment="How, if the call ended there"),
    Column("complaint", Boolean, nullable=False, server_default=false()),
    Column("abuse", Boolean, nullable=False),
    Column("relay", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column(
        "pauses",
        Document,
        nullable=False,
        comment="Each with first, before (µs since 1970 UTC) and reason",
    ),
    Column("place", Word(Place), nullable=False),
    Column("key_period", Text, comment="Of the key that its own is wrapped by"),
    Column("folder", Text, comment="Where it lies below the store: the centre's folder, and the day's"),
    Column("kept_at", At, comment="Since when it lies there"),
    Column("captured_size", BigInteger, comment="Bytes of the sound as Asterisk wrote it"),
    Column("captured_sha256", Text),
    Column("stored_size", BigInteger, comment="Bytes of the sealed file"),
    Column("stored_sha256", Text),
    Column("keep_until", At, comment="By the orders that extend the rule; the rule is not in here"),
    Column("legal_hold", Boolean, nullable=False, server_default=false()),
    Column("erased_at", At),
    Column("erased_why", Text),
    Column("filed_at", At, nullable=False),
    Column("over_at", At, nullable=False, comment="From when on its months count: its end, else filed_at"),
    Index("ix_recordings_by_time", "began_at", "name", *_LOOKED_THROUGH),
    Index(None, "call"),
    Index(None, "side"),
    *(Index(None, each) for each in ("sha256", "captured_sha256", "stored_sha256")),
    *(
        Index(None, each, "began_at")
        for each in ("centre", "queue", "language", "format", "channels", "place", "key_period")
    ),
    *(
        _sparse(f"{each} IS NOT NULL", each, "began_at")
        for each in ("result", "result_kind", "department", "through")
    ),
    *(
        _sparse(f"{each} = true", each, "began_at")
        for each in ("complaint", "abuse", "relay", "paused", "legal_hold")
    ),
    _sparse("problem IS NOT NULL", "began_at", "name", name="ix_recordings_faulty"),
    _sparse("segments > 1", "began_at", "name", "segments", name="ix_recordings_segments"),
    _sparse(
        "place <> 'gone' AND legal_hold = false",
        *("centre", "kind", "began_at", "name", "over_at"),
        name="ix_recordings_kept",
    ),
    _sparse("keep_until IS NOT NULL", "began_at", "name", name="ix_recordings_extended"),
    comment="One row for each file of sound, and what is known of it",
)

recording_agents = Table(
    "recording_agents",
    metadata,
    Column("recording", Text, primary_key=True, comment="By name; there from the answer on, before the file"),
    Column("agent", Text, primary_key=True),
    Column("began_at", At, nullable=False, comment="The recording's, for the order of a search"),
    Index(None, "agent", "began_at", "recording"),
)

messages = Table(
    "messages",
    metadata,
    Column("call", Text, primary_key=True, comment="Its name: that of its call, or a task's own"),
    Column("centre", Text, nullable=False),
    Column("queue", Text, nullable=False, comment="Of the agents who are to deal with it"),
    Column("language", Text),
    Column("left_at", At, nullable=False),
    Column("due_at", At, nullable=False),
    Column("state", Word(MessageState), nullable=False),
    Column("agent", Text, comment="Who has taken it"),
    Column("taken_at", At),
    Column("closed_at", At),
    Column("closed_by", Text),
    Column("result", LargeBinary, comment="What became of it, sealed"),
    Column("file", Text),
    Column("size", BigInteger),
    Column("seconds", Double),
    Column("sha256", Text),
    Column("problem", Text),
    Column("reconstructed", Boolean, nullable=False),
    Column("subject", LargeBinary, comment="What an escalation is about, sealed"),
    Column("department", Text, comment="Of an escalation: who calls back, or is to be asked"),
    Column("note", LargeBinary, comment="What else was written about it, sealed"),
    Column("about", Text, comment="Of an escalation: the call, which may be gone; null: about none"),
    Column("number_period", Text, comment="Of the key that wraps a task's own key"),
    Column("number_fingerprint", Text, comment="HMAC of whom a task of its own concerns"),
    Column("number_sealed", LargeBinary, comment="Of a task of its own: whom it concerns"),
    Index(None, "centre", "left_at"),
    Index(None, "about"),
    Index(None, "number_fingerprint"),
    comment="Tasks with a deadline: what callers left after the tone, and escalations",
)
callers = Table(
    "callers",
    metadata,
    _of_call(key=True),
    Column("centre", Text, nullable=False),
    Column("at", At, nullable=False, comment="What it was sealed for, with call and centre"),
    Column("period", Text, nullable=False, comment="Of the key that the call's key is wrapped by"),
    Column("fingerprint", Text, comment="HMAC, by which equal values are found"),
    Column("sealed", LargeBinary, nullable=False),
    Index(None, "fingerprint"),
    Index(None, "centre", "period"),
)

side_calls = Table(
    "side_calls",
    metadata,
    Column("id", Text, primary_key=True),
    Column("centre", Text, nullable=False),
    Column("kind", Word(SideKind), nullable=False),
    Column("number", Text, nullable=False, comment="The centre's own: shown, or called"),
    Column("why", Text, nullable=False, comment="The kind of numbers by which it was allowed or refused"),
    Column("phone", Text),
    Column("agent", Text),
    Column("began_at", At, nullable=False),
    Column("connected_at", At),
    Column("ended_at", At),
    Column("outcome", Word(SideOutcome)),
    Column("reason", Text),
    Column("hung_up_by", Word(Party)),
    Column("not_carried", Text, comment="110, 118 or 119, if the phone had to say where else to call"),
    Column("beside", Text, comment="The call about which it was a consult"),
    Column("put_through", Boolean, nullable=False, server_default=false(), comment="That call's caller was"),
    Column("reconstructed", Boolean, nullable=False),
    Column("other_period", Text, comment="Of the key that wraps the call's key"),
    Column("other_fingerprint", Text, comment="HMAC of the other side's number"),
    Column("other_sealed", LargeBinary, comment="The other side's number"),
    Column("recording", Text),
    Column("recording_size", BigInteger),
    Column("recording_seconds", Double),
    Column("recording_sha256", Text),
    Column("recording_problem", Text),
    Index(None, "centre", "began_at"),
    Index(None, "other_fingerprint"),
    Index(None, "beside"),
    comment="Calls that are no arrivals: outgoing, emergency, to a contact number",
)

agent_sessions = Table(
    "agent_sessions",
    metadata,
    Column("run", BigInteger, primary_key=True, comment="Place of the signing in: frame, and fact within it"),
    Column("n", BigInteger, primary_key=True),
    Column("k", Integer, primary_key=True),
    Column("agent", Text, nullable=False),
    Column("phone", Text, nullable=False),
    Column("signed_in_at", At, nullable=False),
    Column("signed_out_at", At),
    Column("reason", Text, comment="Why signed out"),
    Index(None, "agent", "signed_in_at"),
)

facts_noted = Table(
    "facts_noted",
    metadata,
    Column("run", BigInteger, primary_key=True),
    Column("n", BigInteger, primary_key=True),
    Column("k", Integer, primary_key=True),
    Column("at", At, nullable=False),
    Column("kind", Text, nullable=False),
    Column("call", Text),
    Column("detail", Document, nullable=False),
    Index(None, "kind", "at"),
    Index(None, "call"),
    comment="What somebody must be able to look up: starts, gaps in the watch, things mended, differences",
)

keep_orders = Table(
    "keep_orders",
    metadata,
    Column("order", Text, primary_key=True),
    Column("call", Text, primary_key=True),
    Column("centre", Text, nullable=False),
    Column("until", At, comment="None: a legal hold, until it is taken back"),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", At, nullable=False),
    Index(None, "call"),
    Index(None, "centre"),
    comment="Calls that are kept longer by an order that was not taken back",
)

PERSONAL = {
    "callers": ("period", "fingerprint", "sealed"),
    "side_calls": ("other_period", "other_fingerprint", "other_sealed"),
    "messages": ("number_period", "number_fingerprint", "number_sealed", "subject", "note", "result"),
}
"""By table, the columns that hold what belongs to a person: an erasure takes it away, and PostgreSQL takes no samples
of it (ADR 76). A new one needs a migration as 0028."""
