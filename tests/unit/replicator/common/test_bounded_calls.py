"""Calls that may hang: each is awaited for a limited time, and one that hangs holds up nothing but calls like it."""

from __future__ import annotations

import gc
import subprocess
import sys
import threading
import time

import pytest

from replicator.common.bounded_calls import BoundedCalls


def test_gives_what_a_call_returns_and_raises_what_it_raises() -> None:
    calls = BoundedCalls()
    assert calls.call(lambda: 7, 5) == 7
    with pytest.raises(ZeroDivisionError):
        calls.call(lambda: 1 // 0, 5)


def test_a_timeout_of_the_call_itself_is_one_of_its_errors() -> None:
    def fails() -> None:
        raise TimeoutError("its own")

    calls = BoundedCalls()
    with pytest.raises(TimeoutError, match="its own"):
        calls.call(fails, 5)
    assert calls.call(lambda: 7, 5) == 7


def test_while_one_hangs_the_others_fail_at_once_and_all_is_well_when_it_returns() -> None:
    calls, hold, began = BoundedCalls(), threading.Event(), []

    def hangs() -> None:
        began.append(1)
        hold.wait(30)

    with pytest.raises(TimeoutError):
        calls.call(hangs, 0.05)
    begin = time.monotonic()
    for _ in range(10):
        with pytest.raises(TimeoutError):
            calls.call(hangs, 5)
    assert time.monotonic() - begin < 1
    assert began == [1], "no other thread hangs too"
    hold.set()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            assert calls.call(lambda: 7, 5) == 7
            break
        except TimeoutError:
            time.sleep(0.01)


def test_two_threads_wait_for_each_other() -> None:
    calls, found = BoundedCalls(), []

    def slow() -> int:
        time.sleep(0.05)
        return 7

    threads = [threading.Thread(target=lambda: found.append(calls.call(slow, 10))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [7] * 4


def test_the_thread_ends_with_its_object() -> None:
    calls = BoundedCalls()
    thread = calls.call(threading.current_thread, 5)
    del calls
    gc.collect()
    thread.join(10)
    assert not thread.is_alive()


def test_a_process_ends_although_one_hangs() -> None:
    code = (
        "import threading; from contextlib import suppress\n"
        "from replicator.common.bounded_calls import BoundedCalls\n"
        "with suppress(TimeoutError): BoundedCalls().call(threading.Event().wait, 0.1)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
