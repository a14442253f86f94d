"""What a planned move decides: when the last sync may begin, and when the guest may be handed over. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from replicator.errors import ConfigError
from replicator.models import Guest, Job, JobId
from replicator.replication.snapshot_sets import unreplicated_bytes
from replicator.zfs.model import Dataset
from replicator.zfs.snapshot_names import snapshot_name

MOST_SYNCS = 8
"""Syncs while the guest runs; one that writes as fast as its line would never be done."""

_STILL_SHRINKING = 0.7


def job_to(jobs: Collection[Job], guest: Guest, to: str) -> Job:
    """Return the job that replicates a guest to the node to which it moves.

    Raises:
        ConfigError: there is none, or it is being removed.
    """
    for job in sorted(jobs, key=lambda each: each.id):
        if job.id.guest == guest.id and job.target == to:
            if job.removal is not None:
                raise ConfigError(f"Job {job.id} to {to} is being removed.", advice="Create another one first.")
            return job
    number = max((job.id.number for job in jobs if job.id.guest == guest.id), default=-1) + 1
    raise ConfigError(
        f"No job replicates guest {guest.id} to {to}.",
        advice=f"Create one: zsr create-local-job {guest.id}-{number} {to}. Its first run is a full copy.",
    )


def is_small(durations: Sequence[float], until: float) -> bool:
    """Return whether another sync would not help: the last one was short, or they do not get shorter any more.

    Args:
        durations: seconds of each sync so far, oldest first.
        until: seconds that the last one may take.
    """
    if not durations:
        return False
    if durations[-1] <= until or len(durations) >= MOST_SYNCS:
        return True
    return len(durations) > 1 and durations[-1] > durations[-2] * _STILL_SHRINKING


def written_since(job: JobId, set_time: int, volumes: Iterable[Dataset]) -> list[str]:
    """Return the volumes that are not what a set has of them: it has none, or something was written after it."""
    name = snapshot_name(job, set_time)
    found = []
    for each in volumes:
        base = each.named(name)
        if base is None or unreplicated_bytes(each, base) != 0:
            found.append(each.name)
    return sorted(found)
