"""Freeze and thaw around a snapshot: the thaw comes and is awaited, whatever happens in between."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest

from replicator.errors import ErrorClass, HookError, ZfsError
from replicator.hosts.host import Completed, Host
from replicator.models import FreezeFailure, Guest
from replicator.replication.hooks import frozen

GUEST = Guest(100, "web", "alpha", freeze="freeze-it", thaw="thaw-it")


class Hooks:
    """A host on which hooks take a while and may fail (a fake: a real one is in tests/lab)."""

    def __init__(self, *failing: str, seconds: float = 0.0) -> None:
        self.failing = failing
        self.seconds = seconds
        self.done: list[str] = []
        self.log: list[tuple[str, str]] = []
        self.holding = asyncio.Event()

    async def run(self, argv: list[str], *, limit: float) -> Completed:
        await asyncio.sleep(self.seconds)
        self.done.append(argv[-1])
        failed = argv[-1] in self.failing
        return Completed(tuple(argv), int(failed), "", "agent is gone\n" if failed else "")

    async def hold(self, guest: Guest = GUEST, *, body: Exception | None = None) -> None:
        async with frozen(guest, cast(Host, self), lambda level, text: self.log.append((level, text))):
            self.done.append("snapshot")
            self.holding.set()
            if body is not None:
                raise body


async def test_the_snapshot_lies_between_freeze_and_thaw() -> None:
    hooks = Hooks()
    await hooks.hold()
    assert hooks.done == ["freeze-it", "snapshot", "thaw-it"]


async def test_a_cancelled_run_waits_until_the_thaw_is_done() -> None:
    hooks = Hooks(seconds=0.05)
    run = asyncio.ensure_future(hooks.hold())
    await hooks.holding.wait()
    for _ in range(3):
        await asyncio.sleep(0)
        run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert hooks.done[-1] == "thaw-it"


@pytest.mark.parametrize("body", [None, ZfsError("The snapshot failed.")], ids=["well", "snapshot-failed"])
async def test_a_failed_thaw_is_an_error_of_class_hook_that_names_the_guest_and_the_command(
    body: Exception | None,
) -> None:
    hooks = Hooks("thaw-it")
    with pytest.raises(HookError, match="Guest 100 may still be frozen") as failed:
        await hooks.hold(body=body)
    assert failed.value.error_class is ErrorClass.HOOK
    assert failed.value.advice == "Thaw it now: thaw-it"
    assert failed.value.raw == "agent is gone\n"


async def test_a_failed_thaw_is_reported_also_when_the_run_was_cancelled() -> None:
    hooks = Hooks("thaw-it", seconds=0.02)
    run = asyncio.ensure_future(hooks.hold())
    await hooks.holding.wait()
    run.cancel()
    with pytest.raises(HookError):
        await run


async def test_an_error_of_the_snapshot_is_raised_after_the_thaw() -> None:
    hooks = Hooks()
    with pytest.raises(ZfsError, match="snapshot failed"):
        await hooks.hold(body=ZfsError("The snapshot failed."))
    assert hooks.done[-1] == "thaw-it"


async def test_a_failed_freeze_is_followed_by_a_thaw_and_ends_the_run_only_if_the_guest_says_so() -> None:
    lenient, strict = Hooks("freeze-it"), Hooks("freeze-it")
    await lenient.hold()
    assert lenient.done == ["freeze-it", "snapshot", "thaw-it"]
    with pytest.raises(HookError, match="agent is gone"):
        await strict.hold(Guest(100, "web", "alpha", freeze="freeze-it", thaw="thaw-it",
                                on_freeze_failure=FreezeFailure.ERROR))  # fmt: skip
    assert strict.done == ["freeze-it", "thaw-it"]


async def test_a_guest_that_is_off_and_answers_neither_hook_is_replicated_all_the_same() -> None:
    hooks = Hooks("freeze-it", "thaw-it")
    await hooks.hold()
    assert hooks.done == ["freeze-it", "snapshot", "thaw-it"]
    assert [level for level, _ in hooks.log] == ["warning", "warning"]
