"""One severity for one thing: in the alert rules, in messages, in alerts posted to Alertmanager, and in `zsr check`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from alerts.channels.alertmanager import alerts_of
from alerts.notice import NoticeKind, Severity
from alerts.render.samples import sample
from replicator.api.disagreement import Disagreement, Dispute
from replicator.api.status import ConfigStatus, Status
from replicator.daemon.drill_health import drill_findings
from replicator.daemon.health_check import HealthLevel, daemon_findings, frozen_findings, job_health
from replicator.daemon.status_json import job_json, status_json
from replicator.models import JobId
from tests.support import statuses
from tests.support.drills import failed_drill
from tests.support.state_records import gone

RULES = Path(__file__).parents[3] / "alerts" / "rules"
FIRING: Mapping[str, str] = {
    rule["alert"]: rule["labels"]["severity"]
    for path in sorted(RULES.glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
ALERTS = [kind for kind in NoticeKind if kind.facts.alertname]
WITHOUT_RULE = {"ZsrTest"}
"""The test message."""
LEVELS = {Severity.INFO: HealthLevel.OK, Severity.WARNING: HealthLevel.WARNING, Severity.CRITICAL: HealthLevel.CRITICAL}


def failing_in_time() -> Status:
    job = statuses.failing()
    return statuses.status(replace(job, state=replace(job.state, last_sync=statuses.NOW - 60)))


def failing_removal() -> Status:
    job, failed = statuses.removing(), statuses.failing()
    return statuses.status(replace(job, state=replace(failed.state, last_sync=statuses.NOW - 60)))


def keeping_vanished(grace_end: float | None = None) -> Status:
    job = statuses.healthy()
    kept = replace(job.state, vanished=gone("tank/vm-100-disk-1"))
    return statuses.status(replace(job, state=kept, grace_end=grace_end))


def changed_source(*, replaced_at: float | None = None, went_back_at: float | None = None) -> Status:
    job = statuses.healthy()
    return statuses.status(replace(job, state=replace(job.state, replaced_at=replaced_at, went_back_at=went_back_at)))


def late() -> Status:
    job = statuses.healthy()
    return statuses.status(replace(job, state=replace(job.state, last_sync=statuses.NOW - 2 * job.rpo)))


def disputed(dispute: Dispute) -> Status:
    return replace(statuses.status(), disagreements=(Disagreement("beta", dispute, "x", statuses.NOW - 3600),))


CHECKED: Mapping[NoticeKind, Callable[[], Status]] = {
    NoticeKind.FAILED: failing_in_time,
    NoticeKind.STILL_FAILING: failing_in_time,
    NoticeKind.FLAPPING: failing_in_time,
    NoticeKind.RPO_BREACHED: late,
    NoticeKind.REPLICA_LOST: lambda: statuses.status(statuses.lost()),
    NoticeKind.VOLUMES_VANISHED: keeping_vanished,
    NoticeKind.GRACE_ENDING: lambda: keeping_vanished(statuses.NOW + 3600),
    NoticeKind.GUEST_REPLACED: lambda: changed_source(replaced_at=statuses.NOW - 60),
    NoticeKind.SOURCE_WENT_BACK: lambda: changed_source(went_back_at=statuses.NOW - 60),
    NoticeKind.GUEST_FROZEN: lambda: replace(statuses.status(), frozen_since={100: statuses.NOW - 600}),
    NoticeKind.DRILL_FAILED: lambda: replace(statuses.status(), drills=(failed_drill(),)),
    NoticeKind.TARGET_UNREACHABLE: lambda: statuses.status(statuses.healthy(), reachable={"beta": False}),
    NoticeKind.JOB_VANISHED: lambda: replace(statuses.status(), vanished_jobs={JobId(200, 0): statuses.NOW - 60}),
    NoticeKind.REMOVAL_STUCK: failing_removal,
    NoticeKind.NODES_DISAGREE: lambda: disputed(Dispute.OWNER),
    NoticeKind.FILES_DIFFER: lambda: disputed(Dispute.FACTS),
    NoticeKind.STATE_UNWRITABLE: lambda: replace(statuses.status(), state_unwritable_since=statuses.NOW),
    NoticeKind.SETTINGS_REJECTED: lambda: statuses.status(config=ConfigStatus(False, statuses.NOW, ("node: wrong",))),
}
"""The state behind each kind that `zsr check` sees."""
NOT_CHECKED = {NoticeKind.UNDELIVERED, NoticeKind.TEST}
"""What is no part of a job's or daemon's state as `zsr check` reads it."""


def test_every_kind_that_is_an_alert_is_in_one_of_the_tables() -> None:
    assert {*CHECKED, *NOT_CHECKED} == set(ALERTS)
    assert {kind.facts.alertname for kind in ALERTS} - set(FIRING) == WITHOUT_RULE


@pytest.mark.parametrize("kind", [kind for kind in ALERTS if kind.facts.alertname not in WITHOUT_RULE])
def test_a_message_is_as_severe_as_the_rule_of_its_name(kind: NoticeKind) -> None:
    assert str(kind.facts.severity) == FIRING[kind.facts.alertname]


@pytest.mark.parametrize("severity", Severity)
@pytest.mark.parametrize("kind", ALERTS)
def test_what_is_posted_to_alertmanager_is_as_severe_as_the_message(kind: NoticeKind, severity: Severity) -> None:
    notice = replace(sample(kind, now=statuses.NOW), severity=severity)
    posted = alerts_of(notice, "", "")
    assert posted
    assert {dict(alert.labels)["severity"] for alert in posted} == {str(severity)}


@pytest.mark.parametrize("kind", CHECKED)
def test_zsr_check_gives_it_the_verdict_of_that_severity(kind: NoticeKind) -> None:
    status = CHECKED[kind]()
    jobs = [
        job_health(job_json(job, status.time), status.time, warn_at=0.9, promise_only=False).level
        for job in status.jobs
    ]
    facts = status_json(status)
    findings = daemon_findings(facts, ["beta"], promise_only=False) + frozen_findings(facts["frozen"], status.time)
    findings += drill_findings(facts["drills"], status.time)
    assert max([*jobs, *(finding.level for finding in findings)]) is LEVELS[kind.facts.severity]
