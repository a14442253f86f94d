"""The daemon's event loop: it needs no other thread later, and reports refused connections once a minute."""

from __future__ import annotations

import asyncio
import errno
import logging
import threading

import pytest

from replicator.common import event_loop
from replicator.common.event_loop import run


def refused(message: str = "socket.accept() out of system resource") -> dict[str, object]:
    return {"message": message, "exception": OSError(errno.EMFILE, "Too many open files")}


def test_commands_and_blocking_calls_start_no_thread() -> None:
    seen = []

    async def work() -> None:
        seen.append(set(threading.enumerate()))
        await asyncio.gather(*(asyncio.to_thread(threading.get_ident) for _ in range(50)))
        for _ in range(3):
            process = await asyncio.create_subprocess_exec("true")
            assert await process.wait() == 0
        seen.append(set(threading.enumerate()))

    run(work())
    before, after = seen
    assert after <= before
    assert len(before) > event_loop.THREADS


def test_connections_that_nobody_can_accept_are_one_sentence_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        for _ in range(100):
            loop.call_exception_handler(refused())
        monkeypatch.setattr(event_loop, "REPORT_SECONDS", 0.0)
        loop._report_at = 0.0  # type: ignore[attr-defined]  # a minute later
        loop.call_exception_handler(refused())

    with caplog.at_level(logging.ERROR):
        run(work())
    words = "Nobody can connect to the daemon: Too many open files. Raise its limit (LimitNOFILE)."
    assert [record.getMessage() for record in caplog.records] == [words] * 2


def test_all_else_is_reported_as_asyncio_does(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> None:
        asyncio.get_running_loop().call_exception_handler(refused("something else"))

    with caplog.at_level(logging.ERROR):
        run(work())
    assert "something else" in caplog.text


def test_what_the_work_raises_comes_out() -> None:
    async def work() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        run(work())
