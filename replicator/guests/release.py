"""Release: volumes of a guest become read-only on the node that owns them or owned them, and then its replicas.

Nobody may have one open once it is read-only; only then may another node write to its copy (reference: moves.md,
rule 9). All of it may be done twice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from replicator.errors import BusyError, ConfigError
from replicator.guests import power
from replicator.guests.recovery import volumes_of
from replicator.models import Guest
from replicator.replication.progress import Log
from replicator.zfs import commands, errors, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import replica_properties
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.open_datasets import open_among

OPEN_SECONDS = 10.0
"""Seconds for which a dataset may stay open before it counts as used."""
_OPEN_POLL_SECONDS = 0.1
_TIMEOUT_SECONDS = 60.0


async def make_read_only(node: ZfsClient, volumes: Sequence[Dataset], *, is_off: bool) -> None:
    """Make volumes read-only and unmount them; nobody has one open when this returns.

    Args:
        node: where they are.
        volumes: all of the guest's.
        is_off: what runs the guest says that it does not run here.

    Raises:
        BusyError: one is in use, or nothing can say that it is not. It stays read-only: see `make_writable`.
    """
    for each in sorted(volumes, key=lambda volume: volume.name):
        if each.readonly is not True:
            await node.set_properties(each.name, {"readonly": "on"})
    for each in sorted(volumes, key=lambda volume: volume.name, reverse=True):
        if each.mounted:
            await _execute(node, commands.unmount(each.name), f"unmount '{each.name}'")
    zvols = [each.name for each in volumes if each.is_volume]
    if zvols and not is_off and not (await node.features()).programs:
        raise BusyError(
            f"Whether '{zvols[0]}' on {node.node} is open cannot be seen: its ZFS has no channel programs.",
            advice="Set guests.ID.runtime, which says whether the guest is off.",
        )
    await _refuse_open(node, [each.name for each in volumes])


async def make_writable(node: ZfsClient, volumes: Sequence[Dataset]) -> None:
    """Take `make_read_only` back, for volumes as they were listed before it. Raises ZsrError: a step failed."""
    for each in sorted(volumes, key=lambda volume: volume.name):
        await node.set_properties(each.name, {"readonly": "off"})
        if not each.is_volume:
            await _mount(node, each.name)


def refuse_untaken(guest: Guest, there: Mapping[str, Dataset]) -> None:
    """Raise unless the guest's node has taken it: its volumes there have its epoch, and are writable.

    A node that was written into the cluster file by mistake must not make the only running copy a replica.

    Raises:
        ConfigError: nothing there says so.
    """
    theirs = [each for each in volumes_of(guest.id, there) if each.owner == guest.node]
    if not any(each.epoch == str(guest.epoch) and each.readonly is False for each in theirs):
        raise ConfigError(
            f"Guest {guest.id} is on {guest.node} by the cluster file, but {guest.node} has not taken it: no volume of "
            f"it there is writable with epoch {guest.epoch}.",
            advice=f"Take it there (zsr guest take {guest.id}), or correct guests.{guest.id}.node.",
        )


async def release(guest: Guest, fence: Fence, volumes: Sequence[Dataset], node: ZfsClient, log: Log) -> None:
    """Make volumes that the guest had on a node replicas of the node that owns it now. The guest's lock is held.

    Raises:
        BusyError: the guest runs here, or a volume is open: nothing was changed then, as far as could be seen before.
    """
    if await power.presence(guest, node.host) is power.Presence.RUNNING:
        raise BusyError(
            f"Guest {guest.id} runs on {node.node}, and belongs to {guest.node}.",
            advice="Stop it here: what it writes diverges.",
        )
    await _refuse_open(node, [each.name for each in volumes if each.is_volume])
    await make_read_only(node, volumes, is_off=guest.runtime is not None)
    await become_replicas(fence, volumes, node, log)


async def become_replicas(fence: Fence, volumes: Sequence[Dataset], node: ZfsClient, log: Log) -> None:
    """Mark read-only volumes as replicas of the fence's job and owner, whose epoch was committed before.

    What is newer in them than the owner's base stays in them; the owner's next run sets it aside without a copy.
    """
    marks = {**fence.stamps, "zsr:source": fence.owner, "zsr:job": str(fence.job)}
    for each in sorted(volumes, key=lambda volume: volume.name):
        await node.set_properties(each.name, replica_properties(is_volume=each.is_volume, extra=marks))
        log("info", f"'{each.name}' is a replica of job {fence.job}")


async def _refuse_open(node: ZfsClient, names: Sequence[str]) -> None:
    """Raise BusyError if one of some datasets stays open; udev opens a device for a moment after each change of it."""
    end = time.monotonic() + OPEN_SECONDS
    while opened := sorted(await open_among(node, names)):
        if time.monotonic() >= end:
            raise BusyError(f"'{opened[0]}' on {node.node} is open.", advice="Stop the guest, and what else uses it.")
        await asyncio.sleep(_OPEN_POLL_SECONDS)


async def _mount(node: ZfsClient, name: str) -> None:
    """Mount a filesystem that ZFS would mount at boot and that is not mounted."""
    found = output.properties(await _execute(node, commands.mount_state(name), f"read where '{name}' is mounted"))
    by_zfs = found.get("mountpoint", "-") not in ("none", "legacy", "-") and found.get("canmount") == "on"
    if by_zfs and found.get("mounted") != "yes":
        await _execute(node, commands.mount(name), f"mount '{name}'")


async def _execute(node: ZfsClient, argv: Sequence[str], doing: str) -> str:
    done = await node.host.run(argv, limit=_TIMEOUT_SECONDS)
    if not done.ok:
        raise errors.classify(doing, done.stderr, node=node.node)
    return done.stdout
