"""The findings about edited targets, machines and versions; all others are tested as `zsr check` prints them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.job_status import Disablement, JobStatus
from replicator.api.promise import promise_of
from replicator.api.status import Status
from replicator.daemon.health_check import (
    HealthFinding,
    HealthLevel,
    JobHealth,
    daemon_findings,
    frozen_findings,
    job_health,
)
from replicator.daemon.status_json import job_json, status_json
from replicator.job_choices import Removal
from replicator.models import JobCondition
from tests.support.statuses import (
    NOW,
    disabled,
    every_state,
    healthy,
    lost,
    status,
    unconfirmed,
    without_first_copy_on_new_target,
)

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
    del facts["lost"], facts["unconfirmed"], facts["promise"], facts["forgotten"]

    assert job_health(facts, NOW, warn_at=0.8, promise_only=False).level is CRITICAL


@pytest.mark.parametrize("job", [*every_state(), lost(), healthy()], ids=lambda job: str(job.condition))
def test_the_promise_of_a_daemon_of_before_an_upgrade_is_what_it_would_say_itself(job: JobStatus) -> None:
    facts = job_json(job, NOW)
    del facts["promise"]

    assert promise_of(facts) is job.promise(NOW)


@pytest.mark.parametrize(("ago", "level"), [(0.0, CRITICAL), (86_000.0, CRITICAL), (86_400.0, OK)])
def test_a_source_that_was_changed_is_critical_for_a_day(ago: float, level: HealthLevel) -> None:
    job = healthy()
    replaced = replace(job, state=replace(job.state, replaced_at=NOW - ago))
    back = replace(job, state=replace(job.state, went_back_at=NOW - ago))

    assert [health(replaced).level, health(back).level] == [level, level]


def test_a_source_that_was_changed_is_named_with_its_time() -> None:
    job = healthy()
    changed = replace(job, state=replace(job.state, replaced_at=NOW - 7200, went_back_at=NOW - 60))

    assert [finding.text for finding in health(changed).findings[:2]] == [
        "job 100-0 (guest-100) to beta: all volumes of the guest were replaced 2 h ago; the old replicas stay: "
        "zsr vanished list, zsr diverged list",
        "job 100-0 (guest-100) to beta: the source went back in time 1 min ago; the newer sets are kept: "
        "zsr restore-points",
    ]
    assert health(changed, promise_only=True).level is OK
    off = disabled()
    assert health(replace(off, state=replace(off.state, replaced_at=NOW))).level is OK


def test_a_guest_that_is_frozen_for_longer_than_a_snapshot_takes_is_critical() -> None:
    frozen = {"100": NOW - 400, "101": NOW - 200}

    assert [(each.level, each.text) for each in frozen_findings(frozen, NOW)] == [
        (CRITICAL, "guest 100 may have been frozen for 6 min; run its thaw command now")
    ]
    assert frozen_findings(frozen, NOW, guest=101) == []


DAY = 86_400.0


def off_for(seconds: float, *, resume: bool = False, removal: Removal | None = None) -> JobStatus:
    job = disabled()
    state = replace(job.state, disabled_since=NOW - seconds, resume_pending=resume)
    condition = job.condition if removal is None else JobCondition.REMOVING
    return replace(job, job=replace(job.job, removal=removal), state=state, condition=condition)


def test_a_disabled_job_is_a_warning_after_a_week() -> None:
    (early,), (late,) = health(off_for(7 * DAY)).findings, health(off_for(7 * DAY + 60, resume=True)).findings

    assert (early.level, late.level) == (OK, WARNING)
    assert early.text == "job 100-0 (guest-100) to beta: disabled for 7 d, so nothing is promised; zsr enable 100-0"
    assert late.text.endswith("so nothing is promised; a half-received state waits on beta; zsr enable 100-0")


def test_a_disabled_job_is_no_matter_of_a_check_of_promises() -> None:
    assert health(off_for(8 * DAY), promise_only=True).level is OK


def test_the_removal_of_a_disabled_job_waits() -> None:
    (found,) = health(off_for(8 * DAY, removal=Removal.FULL)).findings

    assert found.level is WARNING
    assert found.text.endswith("disabled for 8 d, so nothing is promised, and its removal waits; zsr enable 100-0")


def test_a_daemon_of_before_an_upgrade_does_not_say_since_when_a_job_is_disabled() -> None:
    facts = job_json(off_for(8 * DAY), NOW)
    del facts["disabled_since"], facts["resume_pending"]

    assert job_health(facts, NOW, warn_at=0.8, promise_only=False).level is OK


def of_daemon(picture: Status, *targets: str, promise_only: bool = False) -> list[HealthFinding]:
    return daemon_findings(status_json(picture), targets, promise_only=promise_only)


def test_a_target_that_is_this_machine_is_critical_and_two_that_are_one_are_a_warning() -> None:
    shared = replace(status(), same_machine={"beta": "alpha", "delta": "gamma"})

    assert [each.level for each in of_daemon(shared, "beta", "gamma", "delta")] == [CRITICAL, WARNING]
    assert of_daemon(shared, "delta") == []
    assert of_daemon(shared, "beta", promise_only=True) == []


def test_a_daemon_that_runs_another_version_than_the_installed_one_is_a_warning() -> None:
    (found,) = of_daemon(replace(status(), version="0.0.9"))

    assert found.level is WARNING
    assert found.text.startswith("the daemon still runs zsr 0.0.9, while")
    assert of_daemon(status()) == []


def test_it_says_with_which_node_a_job_is_disabled_and_for_how_long_yet() -> None:
    job = replace(off_for(600), disablement=Disablement(NOW + 3600, "beta"))
    (found,) = health(replace(job, job=replace(job.job, disabled=False))).findings

    assert found.level is OK
    assert found.text == (
        "job 100-0 (guest-100) to beta: disabled with node beta for 10 min, for another 1 h, so nothing is promised; "
        "zsr enable --node beta"
    )
