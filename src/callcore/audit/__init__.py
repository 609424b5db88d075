"""The books held against one another, call by call: journal, CDR, CEL, and the recordings on disk.

The journal is what callcore believes and counts; the other three were written by Asterisk, whether callcore lived or
not. Nothing is mended here: each difference is named with its call, and a person looks (docs/operations).

    journal = fold(frames, span)                    what callcore wrote down
    cdr = read_cdr(files, span)                     Asterisk's call records
    cel = Cel(traces, begins)                       handed in: `callcore.ami.cel` reads that file for the engine too
    sounds = shelf(recordings folder, span)         the recordings, by their headers
    found = compare(span, journal, cdr, cel, sounds, at=now)
"""

from callcore.audit.account import Account, Journal, Talk, fold
from callcore.audit.cdr import Cdr, CdrRow, read_cdr
from callcore.audit.compare import Cause, Cel, Difference, Gap, Kind, Reconciliation, Source, compare
from callcore.audit.keep import Kept, keep, kept, newest, prune
from callcore.audit.sounds import Sealed, Sound, look, look_into, shelf
from callcore.audit.span import Span
from callcore.audit.told import CAUSES, KINDS, gap_line, headline, json_lines, line, text

__all__ = [
    "CAUSES",
    "KINDS",
    "Account",
    "Cause",
    "Cdr",
    "CdrRow",
    "Cel",
    "Difference",
    "Gap",
    "Journal",
    "Kept",
    "Kind",
    "Reconciliation",
    "Sealed",
    "Sound",
    "Source",
    "Span",
    "Talk",
    "compare",
    "fold",
    "gap_line",
    "headline",
    "json_lines",
    "keep",
    "kept",
    "line",
    "look",
    "look_into",
    "newest",
    "prune",
    "read_cdr",
    "shelf",
    "text",
]
