"""Release: volumes of a guest become read-only on the node that owns them or owned them, and then its replicas.

Nobody may have one open when it becomes read-only; only then may another node write to its copy (reference: moves.md,
rule 9). All of it may be done twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from replicator.errors import BusyError, ConfigError, ZsrError
from replicator.guests import power
from replicator.guests.mounts import mount
from replicator.guests.recovery import volumes_of
from replicator.ids import entry_of
from replicator.models import Guest, Storage, Volume
from replicator.replication.keys import refuse_locked_dataset
from replicator.replication.plan import VolumePair
from replicator.replication.prepare_target import keep_aside
from replicator.replication.progress import Log
from replicator.replication.stamps import refuse_superseded
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import replica_properties
from replicator.zfs.dataset_names import aside_name, owning_path
from replicator.zfs.execution import execute
from replicator.zfs.fence import Fence
from replicator.zfs.intent_log import replay_intent_logs
from replicator.zfs.model import Dataset
from replicator.zfs.open_datasets import surely_open_among

OPEN_SECONDS = 10.0
"""Seconds for which a dataset may stay open before it counts as used."""
_OPEN_POLL_SECONDS = 0.1


async def make_read_only(node: ZfsClient, volumes: Sequence[Dataset], *, is_off: bool) -> None:
    """Unmount volumes and make them read-only; nobody has one open when this returns.

    What a guest had synced before a power cut is in them then, also where nothing has mounted a filesystem since.

    Args:
        node: where they are.
        volumes: all of the guest's.
        is_off: what runs the guest says that it does not run here.

    Raises:
        BusyError: one is in use, or nothing can say that it is not. Nothing was changed, unless one was opened in just
            that moment: it stays read-only, see `make_writable`.
    """
    await _refuse_open(node, [each for each in volumes if each.is_volume], is_off=is_off)
    await _unmount(node, [each.name for each in volumes if each.mounted])
    closed = [each for each in volumes if each.mounted is False and each.readonly is False]
    for each in closed:
        refuse_locked_dataset(each, node.node)
    await replay_intent_logs(node, [each.name for each in closed])
    await node.set_together(sorted(each.name for each in volumes if each.readonly is not True), {"readonly": "on"})
    await _refuse_open(node, volumes, is_off=is_off)


async def make_writable(node: ZfsClient, volumes: Sequence[Dataset]) -> None:
    """Take `make_read_only` back. One that fails does not keep the others from it.

    Raises:
        ZsrError: the first failure.
    """
    failed: list[ZsrError] = []
    for each in sorted(volumes, key=lambda volume: volume.name):
        try:
            if each.readonly:
                await node.set_properties(each.name, {"readonly": "off"})
            if not each.is_volume:
                await mount(node, [each.name])
        except ZsrError as error:
            failed.append(error)
    if failed:
        raise failed[0]


def refuse_untaken(guest: Guest, storages: Iterable[Storage], there: Mapping[str, Dataset]) -> None:
    """Raise unless the guest's node has taken it: its volumes there have its epoch, and are writable.

    A node that was written into the cluster file by mistake must not make the only running copy a replica.

    Raises:
        ConfigError: nothing there says so.
    """
    theirs = [each for each in volumes_of(guest, storages, guest.node, there) if each.owner == guest.node]
    if not any(each.epoch == str(guest.epoch) and each.readonly is False for each in theirs):
        raise ConfigError(
            f"Guest {guest.id} is on {guest.node} by the cluster file, but {guest.node} has not taken it: no volume of "
            f"it there is writable with epoch {guest.epoch}.",
            advice=f"Take it there (zsr guest take {guest.id}), or correct {entry_of(guest.id)}.node.",
        )


def is_left(guest: Guest, node: str, volume: Dataset) -> bool:
    """Return whether a volume on a node that a guest has left is no replica of the guest's node yet."""
    if volume.owner in (None, node):
        return True
    return volume.owner == guest.node and (volume.job is None or volume.source != guest.node)


@dataclass(frozen=True, slots=True)
class KeptAside:
    """Volumes that cannot become replicas, since the guest's new node has nothing as new: they are kept aside whole.

    Attributes:
        volumes: they.
        paths: of the storages on the node.
        now: the time in their names there (unix seconds).
    """

    volumes: tuple[Dataset, ...]
    paths: tuple[str, ...]
    now: float


async def release(
    guest: Guest, fence: Fence, volumes: Sequence[Dataset], aside: KeptAside, node: ZfsClient, log: Log
) -> None:
    """Make volumes that the guest had on a node replicas of the node that owns it now. The guest's lock is held.

    Raises:
        BusyError: the guest runs here, or a volume is in use; see `make_read_only`. SupersededError: a volume has a
            later epoch than the fence.
    """
    found = await power.presence(guest, node.host)
    if found is power.Presence.RUNNING:
        raise BusyError(
            f"Guest {guest.id} runs on {node.node}, and belongs to {guest.node}.",
            advice="Stop it here: what it writes diverges.",
        )
    everything = (*volumes, *aside.volumes)
    await refuse_superseded(fence, node, everything)
    await make_read_only(node, everything, is_off=found is power.Presence.STOPPED)
    marks = {**fence.stamps, "zsr:source": fence.owner, "zsr:job": str(fence.job)}
    for each in sorted(aside.volumes, key=lambda volume: volume.name, reverse=True):  # children first
        kept = await _keep_whole(each, aside, marks, node)
        log("warning", f"'{each.name}' is kept aside as '{kept}': {fence.owner} has nothing as new")
    for is_volume in (False, True):
        names = sorted(each.name for each in volumes if each.is_volume is is_volume)
        await mark_replicas(node, names, replica_properties(is_volume=is_volume, extra=marks))
        for name in names:
            log("info", f"'{name}' is a replica of job {fence.job}")


async def mark_replicas(node: ZfsClient, names: Sequence[str], properties: Mapping[str, str]) -> None:
    """Give volumes of one kind the properties of replicas."""
    await node.set_together(names, properties)


async def _keep_whole(volume: Dataset, aside: KeptAside, marks: Mapping[str, str], node: ZfsClient) -> str:
    """Rename a volume that is read-only to the folder of diverged ones; return its name there.

    It gets the marks by which it is listed before, and the stamps after: until then it is what the guest left.
    """
    path = owning_path(volume.name, aside.paths) or ""
    name = volume.name[len(path) + 1 :]
    kept = aside_name(path, name, aside.now)
    found = {key: marks[key] for key in ("zsr:source", "zsr:job")}
    await node.set_properties(volume.name, found)
    await keep_aside(VolumePair(Volume("", name), path, volume, volume.name, volume), kept, node, found)
    await node.set_properties(kept, replica_properties(is_volume=volume.is_volume, extra=marks))
    return kept


async def _refuse_open(node: ZfsClient, volumes: Sequence[Dataset], *, is_off: bool) -> None:
    """Raise BusyError if one of some volumes stays open; udev opens a device for a moment after each change of it.

    Of a filesystem it is enough that it could be unmounted; whether a zvol is open has to be seen, or known otherwise.
    """
    names, zvols = [each.name for each in volumes], [each.name for each in volumes if each.is_volume]
    end = time.monotonic() + OPEN_SECONDS
    while opened := await surely_open_among(node, names):
        if time.monotonic() >= end:
            raise BusyError(f"'{min(opened)}' on {node.node} is open.", advice="Stop the guest, and what else uses it.")
        await asyncio.sleep(_OPEN_POLL_SECONDS)
    if opened is None and zvols and not is_off:
        raise BusyError(
            f"Whether '{zvols[0]}' on {node.node} is open cannot be seen: its ZFS runs no channel programs.",
            advice="Set guests.ID.runtime, which says whether the guest is off.",
        )


async def _unmount(node: ZfsClient, names: Sequence[str]) -> None:
    """Unmount filesystems, children first; if one is in use, those before it are mounted again."""
    done: list[str] = []
    for name in sorted(names, reverse=True):
        try:
            await execute(node, commands.unmount(name), f"unmount '{name}'")
        except ZsrError:
            await mount(node, done)
            raise
        done.append(name)
