"""Which guests may be frozen, and how often hooks failed: durable, and in the journal where a person has to know."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from pathlib import Path

from replicator.api.event_codec import from_json, to_json
from replicator.events import Event, GuestFrozen, GuestThawed
from replicator.models import Guest, Hook, JobId
from replicator.state.guest_hooks import FrozenGuest
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW, make_older
from tests.support.statuses import DAY

WEB = Guest(100, "web", "alpha", freeze="freeze-web", thaw="thaw-web", hook_timeout=20.0)
MAIL = Guest(101, "mail", "alpha", freeze="freeze-mail", thaw="thaw-mail")
OTHER_JOB = JobId(100, 1)

KILLED_AFTER_FREEZE = """
import os, signal, sys
from pathlib import Path
from replicator.models import Guest, JobId
from replicator.state.stores import State
state = State.open(Path(sys.argv[1]))
guest = Guest(100, "web", "alpha", freeze="freeze-web", thaw="thaw-web", hook_timeout=20.0)
state.hooks.record_freeze(guest, "thaw-web", job=JobId(100, 0), run=7, now=1_800_000_000.0)
os.kill(os.getpid(), signal.SIGKILL)
"""


def freeze(state: State, guest: Guest = WEB, *, job: JobId = JOB, now: float = NOW) -> bool:
    return state.hooks.record_freeze(guest, guest.thaw or "", job=job, run=7, now=now)


def journal(state: State) -> list[Event]:
    return [event for _, event in state.journal.events(0)]


class TestAFrozenGuest:
    def test_is_still_recorded_after_the_process_was_killed(self, path: Path) -> None:
        done = subprocess.run([sys.executable, "-c", KILLED_AFTER_FREEZE, str(path)], check=False)
        assert done.returncode == -9
        with closing(State.open(path)) as state:
            assert state.hooks.frozen() == [FrozenGuest(100, NOW, "thaw-web", 20.0, JOB, 7, reported=False)]

    def test_is_synced_to_the_disk_so_that_a_power_cut_does_not_lose_it(self, state: State) -> None:
        (pragma,) = state.database.rows("PRAGMA synchronous")
        full = 2
        assert pragma[0] == full

    def test_is_forgotten_with_its_thaw_and_the_others_are_not(self, state: State) -> None:
        freeze(state, WEB)
        freeze(state, MAIL)
        state.hooks.record_thaw(100, NOW + 5)
        assert [each.guest for each in state.hooks.frozen()] == [101]
        assert state.hooks.get(100) is None

    def test_keeps_the_time_of_its_first_freeze_and_takes_the_newest_command(self, state: State) -> None:
        assert freeze(state) is False
        newer = Guest(100, "web", "alpha", freeze="f", thaw="thaw-better", hook_timeout=90.0)
        assert freeze(state, newer, job=OTHER_JOB, now=NOW + 900) is True
        assert state.hooks.get(100) == FrozenGuest(100, NOW, "thaw-better", 90.0, JOB, 7, reported=False)

    def test_that_is_thawed_in_time_is_not_in_the_journal(self, state: State) -> None:
        freeze(state)
        state.hooks.record_thaw(100, NOW + 5)
        state.hooks.record_thaw(100, NOW + 6)
        assert journal(state) == []

    def test_that_cannot_be_thawed_is_in_the_journal_once_and_so_is_its_end(self, state: State) -> None:
        freeze(state)
        for minute in range(3):
            state.hooks.record_failed_thaw(100, "The thaw hook of guest 100 failed: no agent.", NOW + 60 * minute)
        for _ in range(2):
            state.hooks.record_thaw(100, NOW + 200)
        assert journal(state) == [
            GuestFrozen(NOW, JOB, 7, NOW, "The thaw hook of guest 100 failed: no agent.", "thaw-web"),
            GuestThawed(NOW + 200, JOB, 7, NOW),
        ]

    def test_events_of_it_survive_the_journal(self) -> None:
        for event in (GuestFrozen(NOW, JOB, 7, NOW - 3, "words", "thaw-web"), GuestThawed(NOW, JOB, 7, NOW - 3)):
            assert from_json(*to_json(event)) == event


class TestFailures:
    def test_are_counted_by_guest_and_hook_and_survive_a_restart(self, path: Path) -> None:
        with closing(State.open(path)) as state:
            freeze(state)
            for _ in range(3):
                state.hooks.count_failure(100, Hook.FREEZE, NOW)
            state.hooks.count_failure(101, Hook.THAW, NOW)
            state.hooks.record_failed_thaw(100, "no agent", NOW)
        with closing(State.open(path)) as state:
            assert state.hooks.failures() == {100: {Hook.FREEZE: 3, Hook.THAW: 1}, 101: {Hook.THAW: 1}}

    def test_of_a_guest_that_is_not_frozen_are_counted_and_not_reported(self, state: State) -> None:
        state.hooks.record_failed_thaw(100, "no agent", NOW)
        assert state.hooks.failures() == {100: {Hook.THAW: 1}}
        assert journal(state) == []


class TestFailedFreezes:
    def test_are_those_of_a_guests_last_five_and_survive_a_restart(self, path: Path) -> None:
        with closing(State.open(path)) as state:
            for _ in range(9):
                state.hooks.count_failure(100, Hook.FREEZE, NOW)
            state.hooks.record_froze(101, NOW)
            state.hooks.count_failure(101, Hook.FREEZE, NOW)
        with closing(State.open(path)) as state:
            assert state.hooks.failed_freezes(NOW) == {100: 5, 101: 1}

    def test_go_with_as_many_that_succeed(self, state: State) -> None:
        for _ in range(5):
            state.hooks.count_failure(100, Hook.FREEZE, NOW)
        left = []
        for _ in range(5):
            state.hooks.record_froze(100, NOW)
            left.append(state.hooks.failed_freezes(NOW)[100])
        assert left == [4, 3, 2, 1, 0]

    def test_are_forgotten_after_thirty_days(self, state: State) -> None:
        for day in range(3):
            state.hooks.count_failure(100, Hook.FREEZE, NOW + day * DAY)
        counts = [state.hooks.failed_freezes(NOW + day * DAY).get(100, 0) for day in (2, 29, 30, 31, 32)]
        assert counts == [3, 3, 2, 1, 0]

    def test_are_the_last_ones_whatever_the_clock_said(self, state: State) -> None:
        for _ in range(5):
            state.hooks.count_failure(100, Hook.FREEZE, NOW + 365 * DAY)
        for _ in range(5):
            state.hooks.record_froze(100, NOW)
        assert state.hooks.failed_freezes(NOW) == {100: 0}

    def test_count_from_the_upgrade_on_in_a_file_of_format_11(self, path: Path) -> None:
        with closing(State.open(path)) as state:
            state.hooks.count_failure(100, Hook.FREEZE, NOW)
        make_older(path, 11)
        for expected in ({}, {100: 1}):
            with closing(State.open(path)) as state:
                assert state.database.moved_aside is None
                assert state.hooks.failed_freezes(NOW) == expected
                state.hooks.count_failure(100, Hook.FREEZE, NOW)
        with closing(State.open(path)) as state:
            assert state.hooks.failures() == {100: {Hook.FREEZE: 3}}

    def test_are_not_those_of_the_thaw_hook(self, state: State) -> None:
        state.hooks.count_failure(100, Hook.THAW, NOW)
        state.hooks.record_failed_thaw(100, "no agent", NOW)
        assert state.hooks.failed_freezes(NOW) == {}
