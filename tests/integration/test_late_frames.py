"""The Asterisk that the project fetches has no check for late frames, and the one that Debian packs has."""

from __future__ import annotations

from pathlib import Path

import pytest

from callcore.pbx.late_frames import drops_late_frames, mend
from tests.support.asterisk import toolchain

ABOVE, ALWAYS = b"\x77", b"\xeb"
HEAD = bytes.fromhex("8b978800000081faffff0000")
"""As Debian's 22.10.1 for x86-64 has it: mov edx, [rdi + 0x88]; cmp edx, 0xffff."""


def test_the_asterisk_that_is_used_drops_nothing() -> None:
    program = Path(toolchain().argv[-1])
    assert not drops_late_frames(program)
    assert not mend(program), "there is nothing to mend"


def test_debians_program_is_known_and_mended_by_one_byte(tmp_path: Path) -> None:
    program = tmp_path / "asterisk"
    program.write_bytes(b"before" + HEAD + ABOVE + b"\x68after")
    program.chmod(0o755)
    assert drops_late_frames(program)
    assert mend(program)
    assert program.read_bytes() == b"before" + HEAD + ALWAYS + b"\x68after"
    assert program.stat().st_mode & 0o777 == 0o755
    assert [each.name for each in tmp_path.iterdir()] == ["asterisk"]


def test_a_program_in_which_the_place_is_not_certain_is_left_as_it_is(tmp_path: Path) -> None:
    doubtful = tmp_path / "asterisk"
    doubtful.write_bytes((HEAD + ABOVE) * 2)
    with pytest.raises(ValueError, match="2 places"):
        mend(doubtful)
    assert doubtful.read_bytes() == (HEAD + ABOVE) * 2
