"""The findings about a job whose target was edited; those about other jobs are tested as `zsr check` prints them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.status import JobStatus
from replicator.daemon.health_check import HealthLevel, JobHealth, job_health
from replicator.daemon.status_json import job_json
from tests.support.statuses import NOW, disabled, lost, unconfirmed, without_first_copy_on_new_target

OK, WARNING, CRITICAL = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL


def health(job: JobStatus, *, promise_only: bool = False) -> JobHealth:
    return job_health(job_json(job, NOW), NOW, warn_at=0.8, promise_only=promise_only)


@pytest.mark.parametrize("promise_only", [False, True])
def test_a_copy_on_a_target_that_was_edited_is_a_warning_until_a_run_has_looked(promise_only: bool) -> None:
    found = health(unconfirmed(), promise_only=promise_only)

    assert [finding.level for finding in found.findings] == [WARNING, OK]
    assert found.findings[0].text == (
        "job 100-0 (guest-100) to beta: the last copy is unconfirmed: the target, its address or a path was edited, "
        "and no run has looked at it since; look now: zsr schedule-now 100-0"
    )


def test_it_is_critical_when_the_time_of_the_promise_has_passed() -> None:
    job = unconfirmed()
    old = replace(job, state=replace(job.state, last_sync=NOW - job.rpo - 1))

    assert [finding.level for finding in health(old).findings] == [CRITICAL, WARNING]


def test_what_was_lost_on_the_old_target_is_no_loss_of_one_that_was_not_looked_at() -> None:
    (found,) = health(replace(lost(), unconfirmed=True, transfer=None)).findings

    assert found.level is CRITICAL
    assert "there is no copy at all" in found.text


def test_a_first_copy_to_a_target_that_was_edited_is_no_loss() -> None:
    (found,) = health(without_first_copy_on_new_target()).findings

    assert found.level is WARNING
    assert "the first one is being sent" in found.text


def test_nothing_is_said_of_a_disabled_job() -> None:
    assert health(replace(disabled(), unconfirmed=True)).level is OK


def test_a_daemon_of_before_an_upgrade_is_understood() -> None:
    facts = job_json(lost(), NOW)
    del facts["lost"], facts["unconfirmed"]

    assert job_health(facts, NOW, warn_at=0.8, promise_only=False).level is CRITICAL
