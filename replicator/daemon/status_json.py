"""The status as JSON, for the control socket and ``--format json``: the keys are an interface. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs
from replicator.api.status import JobStatus, Status
from replicator.models import JobId


def job_json(job: JobStatus, now: float) -> dict[str, Any]:
    """Return one job's status; times are unix seconds, sizes bytes, None is unknown."""
    state = job.state
    lag = None if state.last_sync is None else max(0.0, now - state.last_sync)
    failure = state.failure
    return {
        "id": str(job.job.id),
        "guest": job.job.id.guest,
        "guest_name": job.guest.name if job.guest else "",
        "source": job.source,
        "target": job.job.target,
        "schedule": job.job.schedule,
        "enabled": not job.job.disabled,
        "state": str(job.condition),
        "last_sync": state.last_sync,
        "last_try": state.last_start or None,
        "next_sync": job.next_run,
        "duration": state.last_duration,
        "fail_count": state.consecutive_failures,
        "failing_since": state.failing_since,
        "error": str(failure.message) if failure else None,
        "error_class": str(failure.error_class) if failure else None,
        "advice": failure.advice if failure else None,
        "lag": lag,
        "rpo": job.rpo,
        "rpo_kept": not job.is_overdue(now),
        "unconfirmed": job.unconfirmed,
        "lost": job.is_replica_lost,
        "vanished": [each.dataset for each in state.vanished],
        "grace_end": job.grace_end,
        "sent_bytes": state.last_sent_bytes,
        "sent_bytes_total": job.sent_bytes_total,
        "unreplicated_bytes": state.unreplicated_bytes,
        "missed_runs": job.missed_runs,
        "runs": {"success": state.runs_succeeded, "failure": state.runs_failed, "cancelled": state.runs_cancelled},
        "transfer": asdict(job.transfer) if job.transfer else None,
    }


def status_json(status: Status) -> dict[str, Any]:
    """Return the status of a node."""
    return {
        "time": status.time,
        "node": status.node,
        "version": status.version,
        "zfs_version": status.zfs_version,
        "ready": status.ready,
        "config_problems": list(status.config.problems),
        "reachable": dict(status.reachable),
        "queue_length": status.queue_length,
        "jobs": [job_json(job, status.time) for job in status.jobs],
        "pvesr": pvesr_json(status.pvesr),
    }


def pvesr_json(pvesr: PvesrJobs) -> dict[str, Any]:
    """Return the replication jobs of Proxmox VE; with a ``problem`` there may be others."""
    return {"jobs": {str(each.id): each.target for each in pvesr.jobs}, "problem": pvesr.problem}


def pvesr_from_json(values: Mapping[str, Any]) -> PvesrJobs:
    """Return what `pvesr_json` made."""
    jobs = (PvesrJob(JobId.parse(each), target) for each, target in values["jobs"].items())
    return PvesrJobs(tuple(jobs), values["problem"])
