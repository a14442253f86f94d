"""What zsr itself reports of a state: the messages of its own grouping, and the lines of ``zsr check``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC

from alerts.delivery.pipeline import PipelineInput, process_events
from alerts.delivery.store import TargetState
from alerts.notice import Notice
from replicator.daemon.drill_health import drill_findings
from replicator.daemon.health_check import (
    HealthFinding,
    coverage_findings,
    daemon_findings,
    frozen_findings,
    job_health,
    pvesr_findings,
    replica_findings,
)
from replicator.daemon.moving_guests import moving_findings
from replicator.daemon.status_json import status_json
from replicator.events import Event
from tests.support.states import BEGIN, State

TARGET = "phone"


def messages(state: State, node: str) -> Iterator[tuple[int, Notice]]:
    """The messages of a node to a target that wants all, with the minutes since the state began (negative: before)."""
    known = TargetState(0)
    number = 0
    for minute in range(0, BEGIN + state.lasts, state.step):
        status = state.at(minute)[node]
        if status is None:
            continue
        events: list[tuple[int, Event]] = []
        for of, event in state.events.get(minute - BEGIN, ()):
            if of == node:
                number += 1
                events.append((number, event))
        known = process_events(events, known, PipelineInput(TARGET, state.route, status, UTC))
        for entry in known.outbox:
            yield minute - BEGIN, entry.notice
            known = known.without(entry)


def check_lines(state: State, node: str, since: int) -> list[HealthFinding]:
    """The findings of ``zsr check`` on a node, so many minutes after the state began."""
    status = state.at(BEGIN + since)[node]
    if status is None:
        raise AssertionError(f"{state.key}: no daemon answers on {node}")
    found = status_json(status)
    targets = [job["target"] for job in found["jobs"] if job["enabled"]]
    findings = daemon_findings(found, targets, promise_only=False)
    findings += frozen_findings(found["frozen"], status.time)
    findings += replica_findings(found["replicas"])
    findings += moving_findings(found["moving"], status.time)
    findings += drill_findings(found["drills"], status.time)
    findings += pvesr_findings(status.pvesr, found["jobs"])
    findings += coverage_findings(status.coverage)
    for job in found["jobs"]:
        findings += job_health(job, status.time, warn_at=0.8, promise_only=False).findings
    return findings
