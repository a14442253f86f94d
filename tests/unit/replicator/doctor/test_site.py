"""One check that hangs, fails or has a bug is one unknown line; the others go on."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterable

import pytest

from replicator.api.doctor import Level, Line, Subject
from replicator.doctor.site import Check, all_lines, in_own_thread
from replicator.errors import NetworkError

OK = Subject("good", "alpha").ok("Well.")


async def good() -> Iterable[Line]:
    return [OK]


async def hangs() -> Iterable[Line]:
    await asyncio.sleep(60)
    return []


async def fails() -> Iterable[Line]:
    raise NetworkError("Node beta does not answer.", advice="Look at it.")


async def has_a_bug() -> Iterable[Line]:
    raise KeyError("key")


async def test_a_check_that_hangs_is_unknown_after_its_time_and_delays_no_other() -> None:
    began = time.monotonic()

    lines = await all_lines([Check(("slow", "late"), "beta", hangs), Check(("good",), "alpha", good)], 0.2)

    assert time.monotonic() - began < 5
    assert [(line.check, line.level) for line in lines] == [
        ("slow", Level.UNKNOWN), ("late", Level.UNKNOWN), ("good", Level.OK),
    ]  # fmt: skip


async def test_an_error_is_unknown_in_its_own_words() -> None:
    (line,) = await all_lines([Check(("ask",), "beta", fails)], 1)

    assert (line.level, line.text, line.advice) == (Level.UNKNOWN, "Node beta does not answer.", "Look at it.")


async def test_a_bug_ends_one_check_only() -> None:
    lines = await all_lines([Check(("ask",), "beta", has_a_bug), Check(("good",), "alpha", good)], 1)

    assert [line.level for line in lines] == [Level.UNKNOWN, Level.OK]
    assert "KeyError" in lines[0].text


async def test_work_that_blocks_is_left_behind() -> None:
    ended = threading.Event()

    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await in_own_thread(lambda: ended.wait(30))

    ended.set()


async def test_work_in_a_thread_returns_its_result_or_its_error() -> None:
    assert await in_own_thread(lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        await in_own_thread(lambda: 1 // 0)
