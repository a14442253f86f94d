"""The one rule of when a promise is broken."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.job_status import JobStatus
from tests.support import statuses

NOW = statuses.NOW


def aged(job: JobStatus, age: float) -> JobStatus:
    """A job whose last sync is so many seconds ago."""
    return replace(job, state=replace(job.state, last_sync=NOW - age))


@pytest.mark.parametrize("job", [statuses.healthy(), statuses.syncing()])
def test_a_promise_is_broken_when_the_last_sync_is_older_than_the_rpo(job: JobStatus) -> None:
    assert not aged(job, job.rpo).is_promise_broken(NOW)
    assert aged(job, job.rpo + 1).is_promise_broken(NOW)


def test_before_the_first_sync_it_counts_from_the_creation_of_the_job() -> None:
    job = statuses.never_ran()
    assert not job.is_promise_broken(job.state.created + job.rpo)
    assert job.is_promise_broken(job.state.created + job.rpo + 1)


def test_a_first_copy_breaks_no_promise_while_it_is_sent_though_it_is_overdue() -> None:
    job = statuses.first_copy(age=1e6)
    assert (job.is_overdue(NOW), job.is_promise_broken(NOW)) == (True, False)
    assert replace(job, transfer=None).is_promise_broken(NOW)


def test_a_lost_replica_breaks_the_promise_at_once_whatever_is_being_sent() -> None:
    job = statuses.lost()
    assert job.transfer is not None
    assert job.is_promise_broken(NOW)


@pytest.mark.parametrize("job", [statuses.disabled(), statuses.removing()])
def test_nothing_is_promised_for_a_disabled_job_and_for_one_that_is_being_removed(job: JobStatus) -> None:
    assert (job.is_promised, job.is_promise_broken(NOW + 1e9)) == (False, False)


class TestAnEditedTarget:
    def test_keeps_the_promise_with_the_last_sync_of_the_old_one_until_its_time_has_passed(self) -> None:
        job = replace(statuses.healthy(), unconfirmed=True)
        assert not aged(job, job.rpo).is_overdue(NOW)
        assert aged(job, job.rpo + 1).is_promise_broken(NOW)

    def test_has_lost_nothing_before_a_run_has_looked_but_has_no_copy_either(self) -> None:
        job = replace(statuses.lost(), unconfirmed=True, transfer=None)
        assert (job.is_replica_lost, job.is_promise_broken(NOW)) == (False, True)

    def test_waits_for_a_first_copy_as_a_new_job_does(self) -> None:
        job = statuses.without_first_copy_on_new_target()
        assert (job.is_replica_lost, job.is_overdue(NOW), job.is_promise_broken(NOW)) == (False, True, False)
        assert replace(job, transfer=None).is_promise_broken(NOW)

    def test_is_confirmed_by_a_look_that_finds_the_same_or_by_a_first_copy(self) -> None:
        new = statuses.without_first_copy_on_new_target()
        assert new.state.place is not None
        held = replace(new.state, place=replace(new.state.place, held=True))
        assert not new.is_claim_confirmed
        assert replace(new, state=held).is_claim_confirmed
        assert not replace(new, state=held, unconfirmed=True).is_claim_confirmed
