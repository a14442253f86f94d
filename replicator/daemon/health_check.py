"""The health of this node's replication, as a verdict for monitoring scripts (`zsr check`). Pure.

The thresholds are those of the alert rules (``alerts/rules/zsr.yml``), so that Nagios and Prometheus agree: the promise
is a job's own, and failures count from the third in a row. Input is the JSON of a job
(`replicator.daemon.status_json`), which the daemon returns and which can be made from ``state.db`` without it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from replicator.api.pvesr_jobs import PvesrJobs, old_job_stands
from replicator.common.clocks import CLOCK_SLACK_SECONDS
from replicator.common.durations import words
from replicator.models import JobId

FAILURES = 3
"""Failures in a row that are a warning: the third comes 15 minutes after the first (as ZsrJobFailing)."""


class HealthLevel(IntEnum):
    """A verdict; the value is the exit status of the Monitoring Plugins guidelines."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True)
class HealthFinding:
    """One thing that was checked: its level (never UNKNOWN), and a sentence without its full stop."""

    level: HealthLevel
    text: str


@dataclass(frozen=True, slots=True)
class JobHealth:
    """The findings about one job; the worst first, and at least one.

    Attributes:
        lag: seconds since its last sync; None without one.
        rpo: the promise in seconds; None where nothing is promised (disabled, or being removed).
        warning: the lag in seconds from which on there is a warning; None as for ``rpo``.
        unreplicated: bytes that its target does not have; None if unknown.
    """

    id: str
    lag: float | None
    rpo: float | None
    warning: float | None
    failures: int
    unreplicated: int | None
    findings: tuple[HealthFinding, ...]

    @property
    def level(self) -> HealthLevel:
        """The worst level of the findings."""
        return self.findings[0].level

    @property
    def used(self) -> float:
        """The part of the promise that is used up, 1 being all; infinite without a copy, 0 without a promise."""
        if self.rpo is None:
            return 0.0
        return float("inf") if self.lag is None else self.lag / max(self.rpo, 1.0)


def job_health(job: Mapping[str, Any], now: float, *, warn_at: float, promise_only: bool) -> JobHealth:
    """Return the findings about one job.

    Args:
        job: its JSON, as `replicator.daemon.status_json.job_json` makes it.
        now: unix seconds.
        warn_at: the part of the promise from which on a lag is a warning, 0 to 1.
        promise_only: check nothing but the promise.
    """
    promises = bool(job["enabled"]) and job["state"] != "removing"
    found = [_promise(job, now, warn_at) if promises else HealthFinding(HealthLevel.OK, _no_promise(job))]
    if not promise_only and job["enabled"] and job["fail_count"]:
        found.append(_failures(job))
    if promises and job.get("unconfirmed") and job["last_sync"] is not None:
        found.append(_unconfirmed(job))
    if not promise_only and promises and job.get("vanished"):
        found.append(_vanished(job, now))
    return JobHealth(
        id=job["id"],
        lag=job["lag"],
        rpo=job["rpo"] if promises else None,
        warning=job["rpo"] * warn_at if promises else None,
        failures=job["fail_count"],
        unreplicated=job["unreplicated_bytes"],
        findings=sorted_findings(found),
    )


def _promise(job: Mapping[str, Any], now: float, warn_at: float) -> HealthFinding:
    name, lag, rpo = _name(job), job["lag"], job["rpo"]
    if lag is None:
        return _no_copy(job)
    if job["last_sync"] > now + CLOCK_SLACK_SECONDS:
        ahead = words(job["last_sync"] - now)
        return HealthFinding(
            HealthLevel.WARNING, f"{name}: the last copy is {ahead} in the future; check this node's clock"
        )
    age = f"{name}: the last copy is {words(lag)} old, promised are at most {words(rpo)}"
    if lag > rpo:
        return HealthFinding(HealthLevel.CRITICAL, age)
    return HealthFinding(HealthLevel.WARNING if lag > rpo * warn_at else HealthLevel.OK, age)


def _no_copy(job: Mapping[str, Any]) -> HealthFinding:
    name, rpo = _name(job), words(job["rpo"])
    if job.get("lost", job["runs"]["success"] > 0):  # a daemon of before an upgrade does not say it
        return HealthFinding(
            HealthLevel.CRITICAL, f"{name}: the replica is lost; there was a copy, and the target holds none now"
        )
    if job["rpo_kept"]:
        return HealthFinding(HealthLevel.OK, f"{name}: no copy yet; the job is younger than its promise of {rpo}")
    transfer = job["transfer"]
    if transfer and transfer["transferring"] and not job["fail_count"]:
        return HealthFinding(
            HealthLevel.WARNING, f"{name}: no copy yet, after more than the promised {rpo}; the first one is being sent"
        )
    return HealthFinding(HealthLevel.CRITICAL, f"{name}: there is no copy at all, after more than the promised {rpo}")


def _unconfirmed(job: Mapping[str, Any]) -> HealthFinding:
    """Return the finding about a last copy that is known of the target before, and not of the one that the job has."""
    why = "the target, its address or a path was edited, and no run has looked at it since"
    return HealthFinding(
        HealthLevel.WARNING,
        f"{_name(job)}: the last copy is unconfirmed: {why}; look now: zsr schedule-now {job['id']}",
    )


def _no_promise(job: Mapping[str, Any]) -> str:
    return f"{_name(job)}: {'being removed' if job['state'] == 'removing' else 'disabled'}, so nothing is promised"


def _failures(job: Mapping[str, Any]) -> HealthFinding:
    count = job["fail_count"]
    times = "the last run failed" if count == 1 else f"the last {count} runs failed"
    level = HealthLevel.WARNING if count >= FAILURES else HealthLevel.OK
    reason = f": {job['error_class']}: {job['error']}" if job["error"] else ""
    return HealthFinding(level, f"{_name(job)}: {times}{reason}".rstrip("."))


def _vanished(job: Mapping[str, Any], now: float) -> HealthFinding:
    """Return the finding about replicas that are kept although their volumes are gone."""
    kept = job["vanished"]
    one = len(kept) == 1
    count = "1 replica is kept whose volume is" if one else f"{len(kept)} replicas are kept whose volumes are"
    end = job.get("grace_end")
    when = "" if end is None else f"{'it' if one else 'the first'} is destroyed in {words(max(0.0, end - now))}; "
    return HealthFinding(
        HealthLevel.WARNING,
        f"{_name(job)}: {count} gone from {job['source']}: {', '.join(kept)}; {when}zsr vanished list",
    )


def _name(job: Mapping[str, Any]) -> str:
    guest = f" ({job['guest_name']})" if job["guest_name"] else ""
    return f"job {job['id']}{guest} to {job['target']}"


def silent_daemon(why: str, *, promise_only: bool) -> HealthFinding:
    """Return the finding about a daemon that does not answer: never OK.

    Critical, since nothing is replicated from now on (as ZsrDaemonDown). A warning where only promises are checked:
    they are still kept, and become critical when they are broken.
    """
    return HealthFinding(HealthLevel.WARNING if promise_only else HealthLevel.CRITICAL, why)


def daemon_findings(status: Mapping[str, Any], targets: Iterable[str], *, promise_only: bool) -> list[HealthFinding]:
    """Return the findings about a daemon that answers; ``targets`` are those of the jobs that are checked.

    A daemon that has read no job yet is never OK: nothing is known about any promise.
    """
    found = []
    if not status["ready"] and not (promise_only and status["jobs"]):
        found.append(HealthFinding(HealthLevel.WARNING, "the daemon runs but is not ready"))
    if promise_only:
        return found
    found += [
        HealthFinding(HealthLevel.WARNING, f"settings: {problem}".rstrip(".")) for problem in status["config_problems"]
    ]
    silent = [node for node in sorted(set(targets)) if status["reachable"].get(node) is False]
    return [*found, *(HealthFinding(HealthLevel.WARNING, f"target {node} does not answer") for node in silent)]


def pvesr_findings(pvesr: PvesrJobs, jobs: Sequence[Mapping[str, Any]]) -> list[HealthFinding]:
    """Return the findings about replication jobs of Proxmox VE that are in conflict with jobs of zsr."""
    found = [
        HealthFinding(HealthLevel.WARNING, f"{_name(job)}: {old_job_stands(other, JobId.parse(job['id']))}")
        for job in jobs
        for other in pvesr.conflicting(JobId.parse(job["id"]), job["target"])
    ]
    if pvesr.problem is not None and jobs:
        unknown = f"whether Proxmox VE replicates these guests too is not known: {pvesr.problem}".rstrip(".")
        found.append(HealthFinding(HealthLevel.WARNING, unknown))
    return found


def sorted_findings(findings: Sequence[HealthFinding]) -> tuple[HealthFinding, ...]:
    """Return the findings, the worst first, otherwise in the order given."""
    return tuple(sorted(findings, key=lambda finding: -finding.level))
