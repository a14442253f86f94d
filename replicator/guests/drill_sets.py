"""Which set of a job's replicas a drill takes, and why there may be none. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicator.errors import ConfigError, EncryptionError
from replicator.models import Job, KnownSets, Storage
from replicator.replication.provenance import sets_of
from replicator.replication.replica_heads import replica_heads
from replicator.replication.restore_points import Replicas
from replicator.zfs.dataset_names import DRILL_SUFFIX, aside_stem, owning_path
from replicator.zfs.model import Dataset, Snapshot


@dataclass(frozen=True, slots=True)
class Cloned:
    """A volume of the set that is drilled.

    Attributes:
        volume: ``storage:name``.
        replica, snapshot: what is cloned.
        path: of the storage on the target.
        clone: the name of the clone.
    """

    volume: str
    replica: Dataset
    snapshot: Snapshot
    path: str
    clone: str


@dataclass(frozen=True, slots=True)
class DrillSet:
    """The set that a drill takes: its time (unix seconds), and its volumes."""

    time: int
    volumes: tuple[Cloned, ...]


def newest_proven(
    job: Job, source: str, replicas: Replicas, storages: Iterable[Storage], last_set: int | None, known: KnownSets
) -> DrillSet:
    """Return the newest set that is proven on the target, judged by the replicas and by what their node remembers.

    A replica that is ahead of the others, by a run that was cut off, has that set too.

    Args:
        job: whose replicas they are.
        source: the node from which they come; others are another owner's.
        replicas: what the target holds.
        storages: all of the cluster.
        last_set: the time of the newest set that this node knows to be proven; None: it does not know.
        known: what it remembers of the job's sets.

    Raises:
        ConfigError: there is none, or a volume of it is not there. EncryptionError: a key is not loaded.
    """
    theirs = {name: each for name, each in replicas.datasets.items() if each.source == source}
    sets = {name: sets_of(job.id, each) for name, each in theirs.items()}
    current = replica_heads(sets).current
    common = set.intersection(*(set(sets[name]) for name in current)) if current else set()
    proven = {time for time in common if last_set is None or time <= last_set}
    if not proven:
        raise ConfigError(
            f"{job.target} holds no whole set of job {job.id} that is proven.",
            advice=f"See: zsr restore-points {job.id}.",
        )
    newest = max(proven)
    paths = {each.path_on(job.target): each.name for each in storages if each.allowed_on(job.target)}
    volumes = tuple(_cloned(theirs[name], sets[name][newest], paths, newest) for name in sorted(current))
    missing = sorted(set(known.volumes) - {each.volume for each in volumes})
    if newest == known.proven and missing:
        raise ConfigError(
            f"{job.target} lacks {', '.join(missing)} of the newest proven set of job {job.id}.",
            advice=f"See: zsr restore-points {job.id}.",
        )
    _refuse_locked(job.target, volumes)
    return DrillSet(newest, volumes)


def _cloned(replica: Dataset, snapshot: Snapshot, paths: dict[str, str], time: int) -> Cloned:
    path = owning_path(replica.name, paths) or ""
    name = replica.name[len(path) + 1 :]
    return Cloned(
        f"{paths.get(path, '?')}:{name}", replica, snapshot, path, f"{aside_stem(path, name)}-{time}{DRILL_SUFFIX}"
    )


def _refuse_locked(node: str, volumes: Iterable[Cloned]) -> None:
    for each in volumes:
        if each.replica.key_loaded is False:
            raise EncryptionError(
                f"The key of '{each.replica.name}' on {node} is not loaded, so what is in it cannot be checked.",
                node=node,
                advice="Load it there for the drill (zfs load-key), or drill on a node that has the key.",
            )
