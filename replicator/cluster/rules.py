"""What may stand in a cluster: the rules that hold for every store. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import tzinfo

from replicator.calendar import CalendarError, CalendarEvent
from replicator.cluster.store import Cluster
from replicator.errors import ConfigError
from replicator.jobs import Job
from replicator.plugins import Problem

_COMPONENT = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.: -]*", re.ASCII)
DATASET_ALLOWED = "a ZFS path: parts of letters, digits, '_', '-', '.', ':' and spaces, joined by '/', at most 255 long"


def is_dataset_path(path: str) -> bool:
    """Whether ZFS would accept a path as a dataset's name (zfs(8), 'ZFS Namespace')."""
    parts = path.split("/")
    return len(path) <= 255 and all(_COMPONENT.fullmatch(part) and part.strip() == part for part in parts)


def cluster_problems(cluster: Cluster) -> list[Problem]:
    """All that is wrong with how the parts of a cluster go together."""
    return [*_storages(cluster), *_guests(cluster), *_jobs(cluster)]


def _storages(cluster: Cluster) -> Iterator[Problem]:
    for storage in cluster.storages.values():
        key = f"storages.{storage.name}"
        for path in (storage.path, *(path for _, path in storage.paths)):
            if not is_dataset_path(path):
                yield Problem(f"{key}.path", repr(path), DATASET_ALLOWED)
        for node in sorted((storage.nodes or frozenset()) | {node for node, _ in storage.paths}):
            if node not in cluster.nodes:
                yield Problem(f"{key}.nodes", repr(node), _one_of("node", cluster.nodes))


def _guests(cluster: Cluster) -> Iterator[Problem]:
    for guest in cluster.guests.values():
        key = f"guests.{guest.id}"
        if guest.id < 100:
            yield Problem(key, str(guest.id), "a guest's number is 100 or more")
        if guest.node not in cluster.nodes:
            yield Problem(f"{key}.node", repr(guest.node), _one_of("node", cluster.nodes))
        for name in sorted({*guest.storages, *(volume.storage for volume in guest.volumes)}):
            if name not in cluster.storages:
                yield Problem(f"{key}.storages", repr(name), _one_of("storage", cluster.storages))
        for volume in guest.volumes:
            if not is_dataset_path(volume.name):
                yield Problem(f"{key}.volumes", repr(str(volume)), DATASET_ALLOWED)


def _jobs(cluster: Cluster) -> Iterator[Problem]:
    taken: dict[tuple[int, str], Job] = {}
    for job in cluster.jobs.values():
        yield from job_problems(cluster, job)
        twin = taken.setdefault((job.id.guest, job.target), job)
        if twin is not job:
            allowed = f"guest {job.id.guest} already has job {twin.id} to this target; one job per guest and target"
            yield Problem(f"jobs.{job.id}.target", repr(job.target), allowed)


def job_problems(cluster: Cluster, job: Job) -> Iterator[Problem]:
    """All that is wrong with one job in its cluster. A job marked for removal may have lost its guest."""
    key = f"jobs.{job.id}"
    guest = cluster.guests.get(job.id.guest)
    if guest is None and job.removal is None:
        known = ", ".join(str(known) for known in sorted(cluster.guests)) or "none yet"
        yield Problem(key, str(job.id.guest), f"there is no such guest; known guests: {known}")
    if job.target not in cluster.nodes:
        yield Problem(f"{key}.target", repr(job.target), _one_of("node", cluster.nodes))
    elif guest is not None and guest.node == job.target:
        yield Problem(f"{key}.target", repr(job.target), f"the target is guest {guest.id}'s own node; choose another")
    if job.rate is not None and not job.rate >= 1:
        yield Problem(f"{key}.rate", f"{job.rate:g}", "at least 1 (MB per second), or leave it out for no limit")
    if job.rpo is not None and not job.rpo > 0:
        yield Problem(f"{key}.rpo", f"{job.rpo:g}", "more than 0 seconds")
    try:
        CalendarEvent.parse(job.schedule)
    except CalendarError as error:
        yield Problem(f"{key}.schedule", repr(job.schedule), error.what)


def refuse_dead_schedule(job: Job, now: float, zone: tzinfo) -> None:
    """Refuse a schedule that never fires again.

    Asked when a job is made or changed, not when the cluster is read: a job for one date stays well after that date.
    """
    if CalendarEvent.parse(job.schedule).next(now, zone) is None:
        raise ConfigError(
            f"The schedule '{job.schedule}' of job {job.id} never fires.",
            advice="See when it would: zsr calendar next SPEC.",
        )


def _one_of(kind: str, known: Iterable[str]) -> str:
    names = ", ".join(sorted(known))
    return f"there is no such {kind}; known: {names or 'none yet'}"
