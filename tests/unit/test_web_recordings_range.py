"""Which bytes of a recording are sent for which Range header (RFC 9110, 14.1.2)."""

from __future__ import annotations

import contextlib

import pytest
from starlette.requests import ClientDisconnect

from callcore.web.recordings import PIECE, Sounding, byte_range, pieces


@pytest.mark.parametrize(
    ("header", "size", "sent"),
    [
        (None, 100, (0, 100, False)),
        ("bytes=0-", 100, (0, 100, True)),
        ("bytes=0-0", 100, (0, 1, True)),
        ("bytes=10-19", 100, (10, 20, True)),
        ("bytes=90-500", 100, (90, 100, True)),
        ("bytes=99-", 100, (99, 100, True)),
        ("bytes=100-", 100, None),
        ("bytes=-10", 100, (90, 100, True)),
        ("bytes=-500", 100, (0, 100, True)),
        ("bytes=-0", 100, None),
        ("bytes=0-", 0, None),
        ("bytes=-5", 0, None),
        ("bytes=-", 100, (0, 100, False)),
        ("bytes=5-1", 100, (0, 100, False)),
        ("bytes=0-1,5-6", 100, (0, 100, False)),
        ("items=0-1", 100, (0, 100, False)),
        ("bytes=٠-١", 100, (0, 100, False)),
        ("bytes=" + "9" * 40 + "-", 100, (0, 100, False)),
        (None, 0, (0, 0, False)),
    ],
)
def test_a_range_is_kept_to_or_passed_over_or_refused(
    header: str | None, size: int, sent: tuple[int, int, bool] | None
) -> None:
    assert byte_range(header, size) == sent


class Sound:
    """Keeps the port of a sound."""

    media_type = "audio/wav"

    def __init__(self, size: int, there: int) -> None:
        self.size, self.there, self.closed = size, bytes(range(256)) * (there // 256), False

    def read_at(self, offset: int, count: int) -> bytes:
        return self.there[offset : offset + count]

    def close(self) -> None:
        self.closed = True


def test_the_sound_comes_in_pieces_as_far_as_it_is_there() -> None:
    whole = Sound(3 * PIECE, 3 * PIECE)
    assert b"".join(pieces(whole, 7, 2 * PIECE + 9)) == whole.there[7 : 2 * PIECE + 9]
    assert len(b"".join(pieces(Sound(3 * PIECE, PIECE), 0, 3 * PIECE))) == PIECE


async def test_a_sound_that_nobody_takes_is_closed() -> None:
    async def nobody(message: object) -> None:
        raise OSError("gone")

    async def gone() -> dict[str, str]:
        return {"type": "http.disconnect"}

    left = Sound(3 * PIECE, 3 * PIECE)
    with contextlib.suppress(OSError, ClientDisconnect):
        await Sounding("c1", left, b"", 0, 3 * PIECE, 200, {})({"type": "http"}, gone, nobody)
    assert left.closed
