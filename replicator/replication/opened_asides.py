"""Opens what is kept aside for reading: as it was written last, or as of one of its snapshots.

What was written last often has no snapshot: the node that wrote it lost its power, and a run sets a dataset aside by a
mere rename. So a snapshot of zsr's own name is taken of it, and a read-only clone of that is what a person reads. ZFS
destroys nothing that has a clone: neither a run nor another node nor an older zsr can destroy what is open.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import count

from replicator.errors import ConfigError, DivergedError, StorageMissingError
from replicator.models import Storage
from replicator.replication.asides import aside_of, is_diverged_data
from replicator.replication.destruction import decide_opened
from replicator.replication.diverged import DivergedReplica, clones_for_reading, find_diverged, path_of_aside
from replicator.replication.keys import refuse_locked_dataset
from replicator.replication.opened import Opened, close_clone, make_usable, open_clone, opened_as
from replicator.replication.provenance import OPENED_ASIDE
from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET, OPEN_ASIDE_SUFFIX, is_reseed
from replicator.zfs.execution import execute_all
from replicator.zfs.intent_log import replay_intent_logs
from replicator.zfs.model import Dataset, Inventory, Snapshot

OPENED_SNAPSHOT = "zsr-opened-"
"""The beginning of the name of a snapshot that is taken to open what has none of what was written last."""


async def open_aside(
    dataset: str, snapshot: str | None, by: str, now: float, storages: Iterable[Storage], node: ZfsClient
) -> Opened:
    """Open a diverged replica of this name; what is open already stays so.

    Args:
        dataset: its name.
        snapshot: the name of one of its snapshots; None: what was written last.
        by: the node on which a person asks for it.
        now: unix seconds, for the name of a snapshot.
        storages: of the cluster.
        node: where it is.

    Raises:
        ConfigError: as `find_diverged`; it has no such snapshot, nothing to read, or is open as of another one.
        EncryptionError: its key is not loaded. ZsrError: it could not be opened.
    """
    everywhere = tuple(storages)
    kept = await find_diverged(dataset, everywhere, node)
    if is_reseed(dataset):
        raise ConfigError(f"'{dataset}' is a new replica in the making.", advice="It holds nothing but copies.")
    if kept.opened is not None:
        _refuse_another(kept, kept.opened, snapshot)
        for each in clones_for_reading(dataset, await _folder(dataset, everywhere, node)):
            await make_usable(each, node)
        return kept.opened
    name = await _snapshot_to_read(await _listed(dataset, node), snapshot, now, node)
    marks = {"zsr:job": OPENED_ASIDE, "zsr:source": by}
    clone = f"{dataset}{OPEN_ASIDE_SUFFIX}"
    await open_clone(await _listed(dataset, node), name, clone, marks, node)
    return opened_as(await _listed(clone, node))


async def close_aside(dataset: str, storages: Iterable[Storage], node: ZfsClient) -> list[Opened]:
    """Destroy the clone by which a diverged replica was read, and the snapshot that was taken for it.

    Returns what was open. ``dataset`` may be gone, and may be the clone itself.

    Raises:
        ConfigError: neither it nor a clone of it is there. ZsrError: the clone is in use, or has snapshots.
    """
    everywhere = tuple(storages)
    name = dataset.removesuffix(OPEN_ASIDE_SUFFIX)
    found = [opened_as(each) for each in clones_for_reading(name, await _folder(name, everywhere, node))]
    for each in found:
        await close_clone(each, OPENED_ASIDE, node)
    if not found:
        await find_diverged(name, everywhere, node)
    try:
        listed = await _listed(name, node)
    except StorageMissingError:
        return found
    await node.destroy_snapshots(decide_opened(name, await _taken_to_open(listed, node)))
    return found


async def _taken_to_open(dataset: Dataset, node: ZfsClient) -> list[Snapshot]:
    """Return the snapshots of a diverged replica that zsr took to open it: a name alone does not say who took one."""
    named = {f"{dataset.name}@{each.name}": each for each in dataset.snapshots if each.name.startswith(OPENED_SNAPSHOT)}
    asked = await execute_all(node, commands.local_marks([*named]), f"read who took the snapshots of '{dataset.name}'")
    return [named[name] for name, (_, source) in output.local_marks(asked).items() if source == node.node]


async def _folder(dataset: str, storages: Iterable[Storage], node: ZfsClient) -> Inventory:
    path = path_of_aside(dataset, storages, node.node)
    return await node.inventory(f"{path}/{DIVERGED_DATASET}", depth=1, snapshots=False)


def _refuse_another(kept: DivergedReplica, opened: Opened, snapshot: str | None) -> None:
    """Raise ConfigError if a diverged replica is open as of another snapshot than a person asks for now."""
    of = (opened.origin or "").partition("@")[2]
    newest = kept.snapshots[-1].name if kept.snapshots else ""
    is_last = of.startswith(OPENED_SNAPSHOT) or (of == newest and kept.written == 0)
    if (snapshot is None and is_last) or snapshot == of:
        return
    raise ConfigError(
        f"'{kept.dataset}' is open on node {kept.node} already, as of {of}: {opened.place}.",
        advice=f"Close it first: {kept.closing}.",
    )


async def _snapshot_to_read(dataset: Dataset, snapshot: str | None, now: float, node: ZfsClient) -> str:
    """Return the name of the snapshot of a diverged replica that a person reads; it is taken where there is none."""
    refuse_locked_dataset(dataset, node.node)
    if snapshot is not None:
        if dataset.named(snapshot) is None:
            raise ConfigError(
                f"'{dataset.name}' on node {node.node} has no snapshot '{snapshot}'.",
                advice="See: zsr diverged show.",
            )
        return snapshot
    if not dataset.is_volume and dataset.mounted is False and is_diverged_data(dataset):
        await replay_intent_logs(node, [dataset.name])
        dataset = await _listed(dataset.name, node)
    if dataset.readonly and dataset.written == 0 and dataset.snapshots:
        return dataset.snapshots[-1].name
    aside = aside_of(dataset)
    if aside is not None and aside.holds is None:
        raise ConfigError(
            f"Nothing is left in '{dataset.name}' on node {node.node} that its replica does not have.",
            advice="Read the replica: zsr restore-points open.",
        )
    names = (f"{OPENED_SNAPSHOT}{at}" for at in count(int(now)))
    name = next(each for each in names if dataset.named(each) is None)
    await node.snapshot([f"{dataset.name}@{name}"])
    return name


async def _listed(dataset: str, node: ZfsClient) -> Dataset:
    found = (await node.inventory(dataset, depth=1)).get(dataset)
    if found is None:
        raise DivergedError(f"'{dataset}' on node {node.node} is gone.", node=node.node)
    return found
