"""The journal: a local append-only file of facts, written before anything is done about them.

The writer (the engine):

    keys = KeyStore.open(journal_folder, keys_folder, write=True)
    codec = Codec(KINDS, UPCASTS, keys)
    spool = Spool.open(journal_folder, codec, before_sync=keys.sync)   # .run, .opened (.last, .cuts)
    kept = checkpoint.load(checkpoints, shape(Floor), up_to=spool.opened.last).checkpoint
    floor = codec.decode_state(kept.state, Floor) if kept else Floor()
    for frame in read_all(journal_folder, codec, after=kept.seq if kept else None): ...fold frame.facts
    spool.append(spool.frame(at, facts))     # one write: survives the process. SpoolFull, SpoolBroken: retry
    await spool.sync()                       # survives the host: before what must never happen twice
    checkpoint.save(checkpoints, spool.synced, codec.encode_state(floor), shape(Floor))
    spool.close(); keys.close()

Readers (the sidecar):

    codec = Codec(KINDS, UPCASTS, KeyStore.open(journal_folder, keys_folder))
    async for frame in Follower(journal_folder, codec, after=seq): ...       # only what is synced
    for frame in read_since(journal_folder, codec, instant): ...             # beside a living writer, or without one
    await Drain(lambda after: Follower(journal_folder, codec, after), sink).run()

Erasing: `keys.destroy_call(call)`, `keys.destroy_period(centre, "2026-11")`. The format stands in
docs/journal.md.
"""

from callcore.journal import checkpoint
from callcore.journal.codec import Codec, Frame, Seq, Upcast, shape
from callcore.journal.drain import Drain, Lag, Sink, SinkAway, drain
from callcore.journal.errors import (
    CallKeyLost,
    CodecError,
    JournalDamaged,
    JournalError,
    JournalGap,
    JournalLocked,
    JournalNewer,
    KeyDamaged,
    KeyLost,
    SpoolBroken,
    SpoolFull,
)
from callcore.journal.follow import Follower, began, read_all, read_since
from callcore.journal.keys import KeyStore, period_of
from callcore.journal.spool import Cut, Mark, Opened, Spool, read_mark

__all__ = [
    "CallKeyLost",
    "Codec",
    "CodecError",
    "Cut",
    "Drain",
    "Follower",
    "Frame",
    "JournalDamaged",
    "JournalError",
    "JournalGap",
    "JournalLocked",
    "JournalNewer",
    "KeyDamaged",
    "KeyLost",
    "KeyStore",
    "Lag",
    "Mark",
    "Opened",
    "Seq",
    "Sink",
    "SinkAway",
    "Spool",
    "SpoolBroken",
    "SpoolFull",
    "Upcast",
    "began",
    "checkpoint",
    "drain",
    "period_of",
    "read_all",
    "read_mark",
    "read_since",
    "shape",
]
