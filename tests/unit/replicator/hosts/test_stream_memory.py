"""A transfer takes no memory that grows with it: bytes pass through pipes, never through Python."""

from __future__ import annotations

from bench.pump import pumped

SIZE = 2**30


async def test_a_long_stream_takes_no_more_memory_than_a_short_one() -> None:
    await pumped(SIZE // 16)  # modules loaded once do not count as growth
    assert (await pumped(SIZE)).grown < 5_000_000
