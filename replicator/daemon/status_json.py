"""The status as JSON, for the control socket and ``--format json``: the keys are an interface. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from replicator.api.coverage import Gap, GuestCoverage, UncoveredVolume
from replicator.api.drills import GuestDrills
from replicator.api.job_status import JobStatus
from replicator.api.pvesr_jobs import PvesrJob, PvesrJobs
from replicator.api.status import Status
from replicator.ids import stored_guest
from replicator.models import GuestId, JobId


def job_json(job: JobStatus, now: float) -> dict[str, Any]:
    """Return one job's status; times are unix seconds, sizes bytes, None is unknown."""
    state = job.state
    failure = state.failure
    return {
        "id": str(job.job.id),
        "guest": job.job.id.guest,
        "guest_name": job.guest.name if job.guest else "",
        "source": job.source,
        "target": job.job.target,
        "schedule": job.job.schedule,
        **_off_json(job),
        "state": str(job.condition),
        "last_try": state.last_start or None,
        "next_sync": job.next_run,
        "duration": state.last_duration,
        "fail_count": state.consecutive_failures,
        "failing_since": state.failing_since,
        "error": str(failure.message) if failure else None,
        "error_class": str(failure.error_class) if failure else None,
        "advice": failure.advice if failure else None,
        **_promise_json(job, now),
        "vanished": [each.dataset for each in state.vanished],
        "grace_end": job.grace_end,
        "guest_replaced": state.replaced_at,
        "source_went_back": state.went_back_at,
        "resume_pending": state.resume_pending,
        "sent_bytes": state.last_sent_bytes,
        "sent_bytes_total": job.sent_bytes_total,
        "unreplicated_bytes": state.unreplicated_bytes,
        "missed_runs": job.missed_runs,
        "runs": {"success": state.runs_succeeded, "failure": state.runs_failed, "cancelled": state.runs_cancelled},
        "transfer": asdict(job.transfer) if job.transfer else None,
    }


def _promise_json(job: JobStatus, now: float) -> dict[str, Any]:
    last_sync = job.state.last_sync
    return {
        "last_sync": last_sync,
        "lag": None if last_sync is None else max(0.0, now - last_sync),
        "rpo": job.rpo,
        "rpo_kept": not job.is_overdue(now),
        "promise": str(job.promise(now)),
        "unconfirmed": job.unconfirmed,
        "lost": job.is_replica_lost,
        "forgotten": job.forgotten,
    }


def _off_json(job: JobStatus) -> dict[str, Any]:
    """Return whether no run starts, and since when, until when and with which node it is so."""
    off = job.disablement
    return {
        "enabled": not job.is_disabled,
        "disabled_since": job.state.disabled_since,
        "disabled_until": off.until if off else None,
        "disabled_node": off.node or None if off else None,
        "removal_since": job.state.removal_since,
    }


def status_json(status: Status) -> dict[str, Any]:
    """Return the status of a node."""
    return {
        "time": status.time,
        "node": status.node,
        "version": status.version,
        "zfs_version": status.zfs_version,
        "ready": status.ready,
        "not_ready": list(status.not_ready),
        "looked_at": dict(status.looked_at),
        "config_problems": list(status.config.problems),
        "reachable": dict(status.reachable),
        "same_machine": dict(status.same_machine),
        "queue_length": status.queue_length,
        "jobs": [job_json(job, status.time) for job in status.jobs],
        "pvesr": pvesr_json(status.pvesr),
        "vanished_jobs": {str(job): since for job, since in sorted(status.vanished_jobs.items())},
        "replicas": [
            {"guest": each.guest, "source": each.source, "storage": each.storage, "points_missing": each.points_missing}
            for each in status.replicas
        ],
        "frozen": {str(guest): since for guest, since in sorted(status.frozen_since.items())},
        "coverage": coverage_json(status.coverage),
        "config_pending": list(status.config.pending),
        "plugins": {name: asdict(ends) for name, ends in sorted(status.plugins.items())},
        "untidy": {str(job): since for job, since in sorted(status.untidy.items())},
        "damaged_states": list(status.damaged_states),
        "certificates": [asdict(each) for each in status.certificates],
        "unreported": None if status.unreported is None else [str(job) for job in status.unreported],
        "state_unwritable_since": status.state_unwritable_since,
        "blocked": {str(job): why for job, why in sorted(status.blocked.items())},
        "disagreements": [asdict(each) for each in status.disagreements],
        "moving": [asdict(each) for each in status.moving],
        "drills": [drill_json(each, status.time) for each in status.drills],
    }


def drill_json(drill: GuestDrills, now: float) -> dict[str, Any]:
    """Return how the drills of a guest on a target ended."""
    return {
        "guest": drill.guest,
        "guest_name": drill.guest_name,
        "node": drill.node,
        "job": str(drill.job),
        "result": None if drill.result is None else str(drill.result),
        "message": drill.message,
        "time": drill.time,
        "set_time": drill.set_time,
        "obstacle": drill.obstacle,
        "last_pass": drill.last_pass,
        "awaited_since": drill.awaited_since,
        "overdue": drill.is_overdue(now),
        "next": drill.next,
        "clones_since": drill.clones_since,
    }


def coverage_json(coverage: Mapping[GuestId, GuestCoverage]) -> list[dict[str, Any]]:
    """Return the guests of a node with their jobs, and with the volumes that none of these replicates."""
    return [
        {
            "guest": guest,
            "guest_name": each.name,
            "jobs": [str(job) for job in each.jobs],
            "uncovered": [{"dataset": one.dataset, "reason": str(one.reason)} for one in each.uncovered],
        }
        for guest, each in sorted(coverage.items())
    ]


def coverage_from_json(values: Sequence[Mapping[str, Any]]) -> dict[GuestId, GuestCoverage]:
    """Return what `coverage_json` made."""
    return {
        stored_guest(each["guest"]): GuestCoverage(
            each["guest_name"],
            tuple(JobId.parse(job) for job in each["jobs"]),
            tuple(UncoveredVolume(one["dataset"], Gap(one["reason"])) for one in each["uncovered"]),
        )
        for each in values
    }


def pvesr_json(pvesr: PvesrJobs) -> dict[str, Any]:
    """Return the replication jobs of Proxmox VE; with a ``problem`` there may be others."""
    return {"jobs": {str(each.id): each.target for each in pvesr.jobs}, "problem": pvesr.problem}


def pvesr_from_json(values: Mapping[str, Any]) -> PvesrJobs:
    """Return what `pvesr_json` made."""
    jobs = (PvesrJob(JobId.parse(each), target) for each, target in values["jobs"].items())
    return PvesrJobs(tuple(jobs), values["problem"])
