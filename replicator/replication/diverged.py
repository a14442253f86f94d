"""Replicas that runs set aside because they no longer fit their source: list them, destroy one on request.

They lie directly below ``<storage>/zsr-diverged`` and keep the ``zsr:job`` of the replica. Nothing else is listed here,
and nothing else is ever destroyed. What they hold is said by `replication.asides`, and `replication.opened_asides`
opens one.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from replicator.errors import ConfigError, StorageMissingError
from replicator.models import JobId, Storage
from replicator.replication.asides import aside_of
from replicator.replication.destruction import decide_diverged
from replicator.replication.opened import Opened, opened_as
from replicator.replication.provenance import OPENED_ASIDE, sets_of
from replicator.replication.snapshot_sets import unreplicated_bytes
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET, OPEN_ASIDE_SUFFIX, Holds, aside_stem, parse_aside
from replicator.zfs.model import Dataset, Inventory, Snapshot


@dataclass(frozen=True, slots=True)
class DivergedReplica:
    """One replica that was set aside.

    Attributes:
        node, dataset: where it is.
        guid: its GUID.
        job: whose replica it was.
        size: bytes that only it holds; None where this ZFS does not report them.
        snapshots: its snapshots, oldest first.
        written: bytes written after the newest of them; None where this ZFS does not report them.
        clones: the clones of its snapshots that are in the inventory.
        holds: what it holds: diverged data, restore points, snapshots of others; None: nothing is left in it.
        successor: the replica of the same volume with a set of the job, if the inventory has one.
        opened: the clone by which a person reads it.
    """

    node: str
    dataset: str
    guid: int
    job: JobId
    size: int | None
    snapshots: tuple[Snapshot, ...]
    written: int | None
    clones: tuple[str, ...]
    holds: Holds | None = Holds.DIVERGED
    successor: str | None = None
    opened: Opened | None = None

    @property
    def closing(self) -> str:
        """The command that closes it."""
        return f"zsr diverged close {self.node} {shlex.quote(self.dataset)}"


def diverged_replicas(node: str, path: str, inventory: Inventory) -> list[DivergedReplica]:
    """Return the diverged replicas of a storage's path."""
    return [
        DivergedReplica(
            node=node,
            dataset=dataset.name,
            guid=dataset.guid,
            job=job,
            size=unreplicated_bytes(dataset, None),
            snapshots=dataset.snapshots,
            written=dataset.written,
            clones=tuple(sorted(_clones(dataset.name, inventory))),
            holds=Holds.DIVERGED if (aside := aside_of(dataset)) is None else aside.holds,
            successor=_successor(dataset, job, path, inventory),
            opened=next((opened_as(each) for each in clones_for_reading(dataset.name, inventory)), None),
        )
        for dataset, job in diverged_below(path, inventory)
    ]


def diverged_below(path: str, inventory: Inventory) -> list[tuple[Dataset, JobId]]:
    """Return the datasets in a storage's folder of diverged replicas that were a job's, sorted by name."""
    found = []
    for dataset in sorted(inventory.below(f"{path}/{DIVERGED_DATASET}"), key=lambda dataset: dataset.name):
        job = _job(dataset.job)
        if job is not None:
            found.append((dataset, job))
    return found


async def read_diverged(storages: Iterable[Storage], client: ZfsClient) -> list[DivergedReplica]:
    """Return the diverged replicas of a node, by one inventory for each storage.

    Raises:
        ZsrError: the node cannot be listed.
    """
    found: dict[str, DivergedReplica] = {}
    for path in _paths(storages, client.node):
        try:
            inventory = await client.inventory(f"{path}/{DIVERGED_DATASET}", depth=2)
        except StorageMissingError:  # no replica was ever set aside there
            continue
        found |= {kept.dataset: kept for kept in diverged_replicas(client.node, path, inventory)}
    return [found[name] for name in sorted(found)]


async def find_diverged(dataset: str, storages: Iterable[Storage], client: ZfsClient) -> DivergedReplica:
    """Return the diverged replica of exactly this name.

    Raises:
        ConfigError: the name is not in a folder of diverged replicas, or no diverged replica has it.
    """
    path = path_of_aside(dataset, storages, client.node)
    inventory = await client.inventory(path, depth=3)
    kept = next((kept for kept in diverged_replicas(client.node, path, inventory) if kept.dataset == dataset), None)
    if kept is None:
        problem = "was not a replica of zsr" if inventory.get(dataset) else "does not exist"
        raise ConfigError(f"'{dataset}' on node {client.node} {problem}.", advice="See: zsr diverged list.")
    return kept


def path_of_aside(dataset: str, storages: Iterable[Storage], node: str) -> str:
    """Return the path of the storage in which a diverged replica of this name would be kept.

    Raises:
        ConfigError: the name is not in a folder of diverged replicas of the node.
    """
    paths = _paths(storages, node)
    path, _, name = dataset.rpartition(f"/{DIVERGED_DATASET}/")
    if path not in paths or not name or "/" in name or "@" in name:
        places = ", ".join(f"{each}/{DIVERGED_DATASET}" for each in paths) or "none"
        raise ConfigError(
            f"'{dataset}' is not directly below a dataset where node {node} keeps diverged replicas.",
            advice=f"These are: {places}. See: zsr diverged list.",
        )
    return path


def clones_for_reading(dataset: str, inventory: Inventory) -> list[Dataset]:
    """Return the clones by which a person reads a diverged replica, also if it was renamed meanwhile."""
    return [
        each
        for each in inventory.datasets.values()
        if each.job == OPENED_ASIDE
        and (each.name == f"{dataset}{OPEN_ASIDE_SUFFIX}" or (each.origin or "").startswith(f"{dataset}@"))
    ]


def refuse_needed(kept: DivergedReplica) -> None:
    """Raise ConfigError if a diverged replica is open, or has other clones, which need it."""
    if kept.opened is not None:
        raise ConfigError(
            f"'{kept.dataset}' is open on node {kept.node}: {kept.opened.place}.",
            advice=f"Close it first: {kept.closing}.",
        )
    if kept.clones:
        raise ConfigError(
            f"'{kept.dataset}' on node {kept.node} is needed by its clones: {', '.join(kept.clones)}.",
            advice="A replica stops needing it with the next successful run; promote any other clone (zfs promote).",
        )


def refuse_only_copy(kept: DivergedReplica) -> None:
    """Raise ConfigError if no replica has taken the place of a diverged one: it is lost, or still in the making."""
    if kept.successor is None:
        raise ConfigError(
            f"'{kept.dataset}' is the only copy of its volume on node {kept.node}: no replica there has a snapshot of "
            f"job {kept.job}.",
            advice=f"Let the job succeed first (zsr run --id {kept.job}). If the copy is not needed: --only-copy.",
        )


async def destroy_diverged(
    dataset: str, storages: Iterable[Storage], client: ZfsClient, *, only_copy: bool = False
) -> DivergedReplica:
    """Look again, then destroy the diverged replica of this name; ``only_copy``: also if no other replica is there.

    Returns what was destroyed. The caller holds the guest's lock.

    Raises:
        ConfigError: as `find_diverged`, `refuse_needed` and `refuse_only_copy`. ZsrError: it could not be destroyed.
    """
    kept = await find_diverged(dataset, storages, client)
    refuse_needed(kept)
    if not only_copy:
        refuse_only_copy(kept)
    await client.destroy_replica(decide_diverged(kept.dataset, kept.guid, kept.snapshots, kept.job))
    return kept


def _paths(storages: Iterable[Storage], node: str) -> list[str]:
    return sorted({storage.path_on(node) for storage in storages if storage.allowed_on(node)})


def _clones(name: str, inventory: Inventory) -> list[str]:
    return [d.name for d in inventory.datasets.values() if d.origin is not None and d.origin.startswith(f"{name}@")]


def _successor(kept: Dataset, job: JobId, path: str, inventory: Inventory) -> str | None:
    """Return the replica of the volume that a diverged one is of; its name is that of the volume and a time."""
    named = parse_aside(kept.name)
    stem = kept.name.rpartition("-")[0] if named is None else named.stem  # a new replica in the making has no time
    return next(
        (
            replica.name
            for replica in inventory.replicas_of(job)
            if aside_stem(path, replica.name[len(path) + 1 :]) == stem and sets_of(job, replica)
        ),
        None,
    )


def _job(text: str | None) -> JobId | None:
    try:
        return JobId.parse(text or "")
    except ConfigError:
        return None
