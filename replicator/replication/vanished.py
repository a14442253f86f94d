"""Replicas whose volumes are gone from the source: list them, destroy one when a person asks (contract: Destruction).

A run destroys them when their grace is over (`replication.grace_ends`). A volume that comes back, under its name or
another one, goes on with its replica.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from replicator.errors import ConfigError
from replicator.models import Guest, Job, Storage
from replicator.replication.destruction import KeepAside, decide_removal
from replicator.replication.discovery import Discovered, discover
from replicator.replication.plan import Full, Plan, make_plan
from replicator.replication.prepare_target import destroy_or_keep
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction, is_marked, sets_of
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import owning_path
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.permits import Law


@dataclass(frozen=True, slots=True)
class VanishedReplica:
    """A job's replica on a node, of which the source has no volume any more."""

    job: Job
    node: str
    replica: Dataset

    @property
    def newest_set(self) -> int | None:
        """The unix time of its newest set; None if it has none."""
        return max(sets_of(self.job.id, self.replica), default=None)


async def read_vanished(
    job: Job, guest: Guest, storages: Iterable[Storage], source: ZfsClient, target: ZfsClient
) -> list[VanishedReplica]:
    """Return the replicas of a job whose volumes are gone; lists both sides.

    Raises:
        ZsrError: a side cannot be listed, or the guest's volumes cannot be paired (`discovery.pair_volumes`).
    """
    way = Direction(job.id, source.node, target.node)
    found = await discover(job, guest, storages, source, target)
    return [VanishedReplica(job, target.node, replica) for replica in left_over(way, found)]


def left_over(way: Direction, found: Discovered) -> tuple[Dataset, ...]:
    """Return the replicas without a volume, except those with which a renamed volume would go on."""
    return make_plan(way, found.volumes, found.orphans, found.diverged).orphans


def replaced_replicas(way: Direction, plan: Plan) -> tuple[Dataset, ...]:
    """Return a guest's old replicas if none of its volumes has anything in common with one of them; else nothing.

    Its number was used again, it was restored under the same number, or all common snapshots were destroyed.
    """
    if plan.conflicts or not plan.actions or not all(isinstance(action, Full) for action in plan.actions):
        return ()
    old = [action.pair.target for action in plan.actions if action.pair.target is not None]
    return tuple(each for each in (*old, *plan.orphans) if is_marked(way, each) and sets_of(way.job, each))


def find_vanished(dataset: str, job: Job, replicas: Iterable[Dataset]) -> Dataset:
    """Return the vanished replica of a job with this name; raises ConfigError if none of them has it."""
    for replica in replicas:
        if replica.name == dataset:
            return replica
    raise ConfigError(
        f"'{dataset}' on node {job.target} is not a replica of job {job.id} whose volume is gone.",
        advice="See: zsr vanished list.",
    )


async def destroy_vanished(
    dataset: str, job: Job, guest: Guest, storages: Iterable[Storage], source: ZfsClient, target: ZfsClient,
    now: float, log: Log,
) -> frozenset[int]:  # fmt: skip
    """Look again at both sides, then destroy the vanished replica of this name, or set it aside.

    It is set aside if it has snapshots created on the target; ``now`` (unix seconds) becomes part of its name then. The
    caller holds the guest's lock. Returns the GUIDs of the snapshots that were destroyed with it.

    Raises:
        ConfigError: the dataset is none of the job's vanished replicas.
        TargetActiveError: it is writable or was written to.
        SupersededError: another node has taken the guest over.
        ZsrError: a side cannot be listed, or it could not be destroyed.
    """
    everywhere = tuple(storages)
    found = await discover(job, guest, everywhere, source, target)
    way = Direction(job.id, source.node, target.node, fence=Fence(job.id, guest.node, guest.epoch))
    replica = find_vanished(dataset, job, left_over(way, found))
    paths = [each.path_on(target.node) for each in everywhere if each.allowed_on(target.node)]
    path = owning_path(dataset, paths) or dataset.rpartition("/")[0]
    decision = decide_removal(way, replica, Law.VANISHED)
    await destroy_or_keep(decision, replica, path, found.diverged, target, now, log)
    return frozenset(each.guid for each in ([] if isinstance(decision, KeepAside) else replica.snapshots))
