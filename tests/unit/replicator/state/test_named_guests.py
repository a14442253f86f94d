"""Guests with names in ``state.db``: their records are read back as those of the same guest, next to numbers."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from replicator.events import GuestMoved
from replicator.ids import GroupName
from replicator.models import Guest, Hook, JobId
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW, make_older, succeed

HOME = GroupName("home")
GROUP = Guest(HOME, "home", "alpha", freeze="freeze-home", thaw="thaw-home")
WEB = Guest(100, "web", "alpha", freeze="freeze-web", thaw="thaw-web")
HOME_JOB = JobId(HOME, 0)


def freeze_both(state: State) -> None:
    for guest, job in ((WEB, JOB), (GROUP, HOME_JOB)):
        state.hooks.record_freeze(guest, guest.thaw or "", job=job, run=7, now=NOW)


def test_freezes_and_failures_of_hooks_survive_a_restart(path: Path) -> None:
    with closing(State.open(path)) as state:
        freeze_both(state)
        state.hooks.count_failure(HOME, Hook.FREEZE, NOW)
        state.hooks.count_failure(100, Hook.THAW, NOW)
    with closing(State.open(path)) as state:
        assert [(each.guest, type(each.guest), each.job) for each in state.hooks.frozen()] == [
            (100, int, JOB),
            (HOME, GroupName, HOME_JOB),
        ]
        assert state.hooks.failures() == {100: {Hook.THAW: 1}, HOME: {Hook.FREEZE: 1}}
        assert state.hooks.failed_freezes(NOW) == {HOME: 1}
        state.hooks.record_thaw(HOME, NOW + 5)
        assert [each.guest for each in state.hooks.frozen()] == [100]


def test_drills_survive_a_restart(path: Path) -> None:
    with closing(State.open(path)) as state:
        for job in (HOME_JOB, JOB):
            state.drills.opening(job, "beta", NOW)
    with closing(State.open(path)) as state:
        assert [(each.guest, type(each.guest)) for each in state.drills.all()] == [(100, int), (HOME, GroupName)]
        state.drills.closed(HOME, "beta")
        known = state.drills.get(HOME, "beta")
        assert known is not None
        assert not known.may_be_open


def test_moves_survive_a_restart(path: Path) -> None:
    with closing(State.open(path)) as state:
        for job in (HOME_JOB, JOB):
            state.moves.record(GuestMoved(NOW, job, "alpha", "beta", 2, 3.0, recovered=False))
    with closing(State.open(path)) as state:
        assert [(each.guest, type(each.guest), each.moved) for each in state.moves.all()] == [
            (100, int, 1),
            (HOME, GroupName, 1),
        ]


def test_runs_and_the_state_of_its_jobs_survive_a_restart(path: Path) -> None:
    with closing(State.open(path)) as state:
        succeed(state, NOW, job=HOME_JOB)
    with closing(State.open(path)) as state:
        assert list(state.jobs.all()) == [HOME_JOB]
        assert type(next(iter(state.jobs.all())).guest) is GroupName
        assert [run.job for run in state.runs.newest(HOME_JOB)] == [HOME_JOB]


def test_a_file_of_format_13_goes_on_with_its_frozen_guests_and_takes_names(path: Path) -> None:
    with closing(State.open(path)) as state:
        state.hooks.record_freeze(WEB, "thaw-web", job=JOB, run=7, now=NOW)
    make_older(path, 13)
    with closing(State.open(path)) as state:
        assert [(each.guest, each.thaw, each.run) for each in state.hooks.frozen()] == [(100, "thaw-web", 7)]
        freeze_both(state)
        assert [each.guest for each in state.hooks.frozen()] == [100, HOME]
