"""Asterisk builds that drop media as "late" whenever its source changes, and the mend of their program.

Debian and Ubuntu build Asterisk with a patch for packet-loss concealment in main/translate.c (upstream took it in and
out again in 2016). It compares the RTP sequence number of each frame with the number of the frame before, also when
that one came from another source: music on hold, or who talked before. If the new source's numbers are up to 32,768
lower, each of its frames is "late" and is thrown away. A caller is heard all the same, but what the recording gets
passes there: of those put through, every second one was recorded without the department (ADR 57).

The comparison is three instructions at the head of ast_translate(): the number of the frame before is loaded; if it
is above 0xFFFF, for a translation that has had no frame yet, the check is jumped over. Mended, it always is.

Only the standard library is used, and nothing of this package: scripts/lib/toolchain.py loads this file by its path.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

# x86-64: mov r32, [r64 + 0x88]; cmp r32, 0xFFFF; ja (near). A compiler that writes it otherwise is not known here.
_CHECK = re.compile(rb"\x8b[\x80-\xbf]\x88\x00\x00\x00(?:\x3d|\x41?\x81[\xf8-\xff])\xff\xff\x00\x00\x77")
_JUMP_ABOVE, _JUMP = b"\x77", b"\xeb"


def drops_late_frames(program: Path) -> bool:
    """Whether this Asterisk has the check. Raises OSError where the file cannot be read."""
    return _CHECK.search(program.read_bytes()) is not None


def mend(program: Path) -> bool:
    """Take the check out, in a new file under the same name; whether there was one. Raises OSError, and ValueError for
    a program in which the place is not the only one like it."""
    code = program.read_bytes()
    found = list(_CHECK.finditer(code))
    if not found:
        return False
    if len(found) > 1:
        raise ValueError(f"{program}: {len(found)} places look like the check for late frames")
    at = found[0].end()
    assert code[at - 1 : at] == _JUMP_ABOVE
    aside = program.with_name(f".{program.name}.{os.getpid()}")
    aside.write_bytes(code[: at - 1] + _JUMP + code[at:])
    aside.chmod(program.stat().st_mode & 0o7777)
    aside.replace(program)
    return True
