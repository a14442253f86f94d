"""What a run knows of other jobs: their sets by state.db, their guests' locks, the end of a wait."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.cluster.model import Cluster
from replicator.daemon.other_jobs import other_jobs
from replicator.errors import BusyError
from replicator.models import Guest, Job, JobId, KnownSets, Synced
from replicator.state.guest_locks import guest_lock
from tests.support.state_records import JOB, NOW, gone, opened_state

CLUSTER = Cluster(guests={100: Guest(100, "web", "alpha")}, jobs={JOB: Job(JOB, "beta")})


async def test_the_memory_of_a_job_is_that_of_its_own_runs(tmp_path: Path) -> None:
    known = KnownSets(proven=5, taken=(5,), sent=frozenset({7}), inherited=frozenset({9}))
    with opened_state(tmp_path / "state.db") as state:
        state.jobs.set_synced(JOB, Synced(5.0, 5, known), run=1, now=NOW)
        others = other_jobs(CLUSTER, state, tmp_path)
        assert await others.known(JOB) == known
        assert await others.known(JobId(300, 0)) == KnownSets()
        assert (others.jobs, others.guests) == (CLUSTER.jobs, CLUSTER.guests)


async def test_a_node_without_a_state_remembers_nothing(tmp_path: Path) -> None:
    others = other_jobs(CLUSTER, None, tmp_path)
    assert await others.known(JOB) == KnownSets()
    await others.ended(JOB, 1)


async def test_the_wait_of_a_replica_ends(tmp_path: Path) -> None:
    with opened_state(tmp_path / "state.db") as state:
        state.vanished.set(JOB, gone("tank/a", "tank/b"), ends={}, run=1, now=NOW)
        await other_jobs(CLUSTER, state, tmp_path).ended(JOB, 2)
        found = state.jobs.get(JOB)
        assert found is not None
        assert [each.dataset for each in found.vanished] == ["tank/a"]


def test_a_guest_is_locked_as_by_a_run_also_in_the_same_process(tmp_path: Path) -> None:
    others = other_jobs(CLUSTER, None, tmp_path)
    with guest_lock(tmp_path, 100), pytest.raises(BusyError), others.lock(100):
        raise AssertionError("locked twice")
    with others.lock(100), pytest.raises(BusyError), guest_lock(tmp_path, 100):
        raise AssertionError("locked twice")


async def test_what_a_job_wants_to_keep_is_known_also_when_it_is_gone(tmp_path: Path) -> None:
    gone_job = JobId(300, 0)
    with opened_state(tmp_path / "state.db") as state:
        state.keeps.note(gone_job, "10", 60, NOW)
        others = other_jobs(CLUSTER, state, tmp_path)
        assert await others.keeps(gone_job) == ("10",)
        assert await others.keeps(JOB) == (CLUSTER.jobs[JOB].keep,)

        await others.inherit(CLUSTER.jobs[JOB], ("10",), NOW)
        assert state.keeps.wanted(JOB) == (CLUSTER.jobs[JOB].keep, "10")
    assert await other_jobs(Cluster(), None, tmp_path).keeps(JOB) == ()
