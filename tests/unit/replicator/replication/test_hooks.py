"""Freeze and thaw around a snapshot: the thaw comes and is awaited, whatever happens in between, and is recorded."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from dataclasses import replace
from typing import cast

import pytest

from replicator.errors import DeadlineError, ErrorClass, HookError, NoSpaceError, ZfsError
from replicator.hosts.host import Completed, Host
from replicator.job_choices import FreezeFailure
from replicator.models import Guest
from replicator.replication.hooks import frozen
from tests.support.hook_notes import HookNotes

GUEST = Guest(100, "web", "alpha", freeze="freeze-it", thaw="thaw-it")


class Hooks:
    """A host on which hooks take a while and may fail (a fake: a real one is in tests/lab)."""

    def __init__(self, *failing: str, seconds: float = 0.0, endless: str = "") -> None:
        self.failing = failing
        self.endless = endless
        self.seconds = seconds
        self.done: list[str] = []
        self.log: list[tuple[str, str]] = []
        self.holding = asyncio.Event()
        self.notes = HookNotes(self.done)

    @property
    def commands(self) -> list[str]:
        """What was run, without what was recorded."""
        return [each for each in self.done if each in ("freeze-it", "snapshot", "thaw-it")]

    async def run(self, argv: list[str], *, limit: float) -> Completed:
        await asyncio.sleep(self.seconds)
        if argv[-1] == self.endless:
            raise DeadlineError(f"It did not end within {limit:.0f} s.")
        self.done.append(argv[-1])
        failed = argv[-1] in self.failing
        return Completed(tuple(argv), int(failed), "", "agent is gone\n" if failed else "")

    async def hold(self, guest: Guest = GUEST, *, body: Exception | None = None) -> None:
        async with frozen(guest, cast(Host, self), lambda level, text: self.log.append((level, text)), self.notes):
            self.done.append("snapshot")
            self.holding.set()
            if body is not None:
                raise body


async def test_the_snapshot_lies_between_freeze_and_thaw() -> None:
    hooks = Hooks()
    await hooks.hold()
    assert hooks.commands == ["freeze-it", "snapshot", "thaw-it"]


async def test_a_cancelled_run_waits_until_the_thaw_is_done() -> None:
    hooks = Hooks(seconds=0.05)
    run = asyncio.ensure_future(hooks.hold())
    await hooks.holding.wait()
    for _ in range(3):
        await asyncio.sleep(0)
        run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert hooks.commands[-1] == "thaw-it"


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
    assert hooks.commands[-1] == "thaw-it"


async def test_a_failed_freeze_is_followed_by_a_thaw_and_ends_the_run_only_if_the_guest_says_so() -> None:
    lenient, strict = Hooks("freeze-it"), Hooks("freeze-it")
    await lenient.hold()
    assert lenient.commands == ["freeze-it", "snapshot", "thaw-it"]
    with pytest.raises(HookError, match="agent is gone"):
        await strict.hold(Guest(100, "web", "alpha", freeze="freeze-it", thaw="thaw-it",
                                on_freeze_failure=FreezeFailure.ERROR))  # fmt: skip
    assert strict.commands == ["freeze-it", "thaw-it"]


async def test_a_guest_that_is_off_and_answers_neither_hook_is_replicated_all_the_same() -> None:
    hooks = Hooks("freeze-it", "thaw-it")
    await hooks.hold()
    assert hooks.commands == ["freeze-it", "snapshot", "thaw-it"]
    assert [level for level, _ in hooks.log] == ["warning", "warning"]


class TestHowAFreezeEnded:
    """Each freeze hook that came to an end is recorded, when the guest runs again."""

    @pytest.mark.parametrize("guest", [GUEST, replace(GUEST, thaw=None)], ids=["both hooks", "freeze alone"])
    async def test_a_success_is_recorded_after_the_thaw(self, guest: Guest) -> None:
        hooks = Hooks()
        await hooks.hold(guest)
        assert (hooks.done[-1], "freeze failed" in hooks.done) == ("froze", False)

    @pytest.mark.parametrize("then", list(FreezeFailure))
    async def test_a_failure_is_recorded_and_no_success(self, then: FreezeFailure) -> None:
        hooks = Hooks("freeze-it")
        with pytest.raises(HookError) if then is FreezeFailure.ERROR else nullcontext():
            await hooks.hold(replace(GUEST, on_freeze_failure=then))
        assert (hooks.done.count("freeze failed"), "froze" in hooks.done) == (1, False)

    async def test_a_freeze_that_was_cut_off_is_a_failure(self) -> None:
        hooks = Hooks(endless="freeze-it")
        await hooks.hold()
        assert ("freeze failed" in hooks.done, "froze" in hooks.done) == (True, False)

    async def test_a_success_is_recorded_though_the_snapshot_or_the_thaw_fails(self) -> None:
        for hooks, body in ((Hooks(), ZfsError("The snapshot failed.")), (Hooks("thaw-it"), None)):
            with pytest.raises((ZfsError, HookError)):
                await hooks.hold(body=body)
            assert hooks.done[-1] == "froze"

    async def test_a_guest_without_a_freeze_hook_has_none(self) -> None:
        hooks = Hooks()
        await hooks.hold(replace(GUEST, freeze=None))
        assert "froze" not in hooks.done

    async def test_a_success_that_cannot_be_written_fails_no_run(self) -> None:
        hooks = Hooks()
        hooks.notes.refuses["froze"] = NoSpaceError("Could not write state.db: the disk is full.")
        await hooks.hold()
        assert any("the disk is full" in text for _, text in hooks.log)


class TestTheRecord:
    """A guest is recorded as frozen from before its freeze hook until it is known not to be."""

    async def test_begins_before_the_freeze_and_ends_after_the_thaw(self) -> None:
        hooks = Hooks()
        await hooks.hold()
        assert hooks.done == ["recorded", "freeze-it", "snapshot", "thaw-it", "forgotten", "froze"]

    async def test_is_not_made_for_a_guest_that_lacks_one_of_the_hooks(self) -> None:
        for guest in (replace(GUEST, thaw=None), replace(GUEST, freeze=None)):
            hooks = Hooks()
            await hooks.hold(guest)
            assert "recorded" not in hooks.done

    async def test_that_cannot_be_made_keeps_the_guest_from_being_frozen(self) -> None:
        hooks = Hooks()
        hooks.notes.refuses["recorded"] = NoSpaceError("Could not write state.db: the disk is full.")
        with pytest.raises(NoSpaceError):
            await hooks.hold()
        assert hooks.done == []

    async def test_stays_when_the_thaw_fails(self) -> None:
        hooks = Hooks("thaw-it")
        with pytest.raises(HookError):
            await hooks.hold()
        assert "thaw failed, frozen" in hooks.done
        assert hooks.notes.frozen == {100}

    @pytest.mark.parametrize("failing", [("freeze-it",), ("freeze-it", "thaw-it")], ids=["thawed", "off"])
    @pytest.mark.parametrize("then", list(FreezeFailure))
    async def test_ends_with_a_freeze_that_itself_failed(self, failing: tuple[str, ...], then: FreezeFailure) -> None:
        hooks = Hooks(*failing)
        with pytest.raises(HookError, match="freeze hook") if then is FreezeFailure.ERROR else nullcontext():
            await hooks.hold(replace(GUEST, on_freeze_failure=then))
        assert "freeze failed" in hooks.done
        assert ("thaw failed" in hooks.done) is ("thaw-it" in failing)
        assert hooks.notes.frozen == set()

    async def test_of_an_earlier_freeze_does_not_end_with_a_freeze_that_itself_failed(self) -> None:
        """A frozen guest refuses to be frozen again. Or it is off by now, and its last writes must be replicated."""
        hooks = Hooks("freeze-it", "thaw-it")
        hooks.notes.frozen.add(100)
        await hooks.hold()
        assert hooks.notes.frozen == {100}

    async def test_of_an_earlier_freeze_ends_with_the_next_thaw(self) -> None:
        hooks = Hooks("freeze-it")
        hooks.notes.frozen.add(100)
        await hooks.hold()
        assert hooks.notes.frozen == set()

    async def test_stays_when_the_freeze_was_cut_off_and_the_thaw_fails(self) -> None:
        hooks = Hooks("thaw-it", endless="freeze-it")
        with pytest.raises(HookError, match="may still be frozen"):
            await hooks.hold()
        assert hooks.notes.frozen == {100}

    async def test_ends_with_the_thaw_of_a_run_that_was_cancelled_in_its_freeze(self) -> None:
        hooks = Hooks(seconds=0.05)
        run = asyncio.ensure_future(hooks.hold())
        await asyncio.sleep(0.02)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert hooks.done == ["recorded", "thaw-it", "forgotten"]

    async def test_is_taken_back_when_the_run_is_cancelled_before_the_freeze(self) -> None:
        hooks = Hooks()
        run = asyncio.ensure_future(hooks.hold())
        await asyncio.sleep(0)
        run.cancel()
        with pytest.raises(asyncio.CancelledError):
            await run
        assert "freeze-it" not in hooks.done
        assert hooks.notes.frozen == set()

    async def test_that_a_thaw_failed_cannot_be_written_hides_neither_that_nor_the_way_out(self) -> None:
        hooks = Hooks("thaw-it")
        hooks.notes.refuses["thaw failed, frozen"] = NoSpaceError("Could not write state.db: the disk is full.")
        with pytest.raises(HookError, match="may still be frozen"):
            await hooks.hold()
        assert any("the disk is full" in text for _, text in hooks.log)


@pytest.mark.parametrize("policy", FreezeFailure)
async def test_hooks_that_others_may_have_written_are_counted_as_failed_and_never_run(policy: FreezeFailure) -> None:
    hooks = Hooks()
    guest = replace(GUEST, hooks_refused="'/etc/zsr/cluster.toml' may be written by others", on_freeze_failure=policy)
    refusal = pytest.raises(HookError, match="are not run") if policy is FreezeFailure.ERROR else nullcontext()
    with refusal:
        async with frozen(guest, cast(Host, hooks), lambda level, text: hooks.log.append((level, text)), hooks.notes):
            hooks.done.append("snapshot")
    assert hooks.commands == ([] if policy is FreezeFailure.ERROR else ["snapshot"])
    assert hooks.done[:2] == ["freeze failed", "thaw failed"]
