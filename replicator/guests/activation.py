"""Makes replicas the volumes of a guest that lives on this node: writable, mounted, with their limits, and forked.

The fork is a small write and a snapshot: an incremental stream of the former owner can never fit again, even where
the stamps were taken off (contract: Guests that move). All of it may be done twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from replicator.errors import ZsrError
from replicator.guests.claims import ACTIVATING
from replicator.guests.clone_properties import CANMOUNT, RESERVED, canmount_of
from replicator.guests.mounts import mount
from replicator.replication.progress import Log
from replicator.replication.streams import remembered_limits, remembering
from replicator.zfs import commands, errors, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import device_of
from replicator.zfs.execution import COMMAND_TIMEOUT_SECONDS, execute, execute_all
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset

_REWRITE_ZVOL = """
n=0; until [ -b "$1" ] || [ $n -ge 50 ]; do n=$((n+1)); sleep 0.1; done
[ -b "$1" ] || { echo "there is no device $1" >&2; exit 1; }
dd if="$1" bs=4096 count=1 status=none | dd of="$1" bs=4096 count=1 conv=notrunc,fsync status=none
"""
_WRITE_FILE = (
    'file=$(mktemp "$1/.zsr-recovered.XXXXXXXX") && echo recovered >"$file" && sync "$file" && rm -f -- "$file"'
)
"""The name is new, so no link or file that a guest made there is followed or overwritten."""


async def begin_activation(client: ZfsClient, fence: Fence, names: Sequence[str], claims: Mapping[str, str]) -> None:
    """Stamp replicas for a fence's owner, and mark them as ones that are becoming a guest's volumes until `activate`.

    Args:
        client: the node.
        fence: the owner and epoch, which refuse the former owner from then on.
        names: all of the replicas.
        claims: what the mark says, by name; those that are left out have theirs.
    """
    for claim in sorted({*claims.values()}):
        claimed = [name for name in names if claims.get(name) == claim]
        await client.set_together(claimed, {ACTIVATING: claim, **fence.stamps})
    await client.set_together([name for name in names if name not in claims], fence.stamps)


async def is_activating(client: ZfsClient, dataset: str) -> bool:
    """Return whether `begin_activation` was done, and `activate` has not ended."""
    return bool(await execute(client, commands.own_properties(dataset, [ACTIVATING]), f"look at '{dataset}'"))


async def open_volumes(client: ZfsClient, replicas: Sequence[Dataset], fork: str, log: Log) -> None:
    """Make replicas writable, mount filesystems, and write a little: no stream of the former owner fits any more.

    The guest is off meanwhile, and starting a process is what takes time: one command does a step for all.

    Raises:
        ZsrError: a step failed; what was done stays, and all of it may be done again.
    """
    volumes = {each.name: each for each in sorted(replicas, key=lambda replica: replica.name)}  # parents first
    await client.set_together([*volumes], {"readonly": "off"})
    await _inherit(client, [*volumes], "com.sun:auto-snapshot", "let tools snapshot it again")
    places = {name: device_of(name) for name, each in volumes.items() if each.is_volume}
    filesystems = [name for name in volumes if name not in places]
    await _let_mount(client, filesystems, fork)
    places |= await _mounted(client, filesystems, log)
    for name, each in volumes.items():
        if name in places and each.named(fork) is None:  # later a guest may work on it
            await _write(client, _REWRITE_ZVOL if each.is_volume else _WRITE_FILE, places[name], log)


async def close_volume(client: ZfsClient, dataset: Dataset) -> None:
    """Take `open_volumes` back, so that a volume can be set aside: nothing can have used it yet."""
    if dataset.mounted:
        await execute(client, commands.unmount(dataset.name), f"unmount '{dataset.name}'")
    await client.set_properties(dataset.name, {"readonly": "on"})


async def activate(client: ZfsClient, replicas: Sequence[Dataset], fork: str, log: Log) -> None:
    """Take the snapshot ``fork`` of volumes that `open_volumes` made writable, and give them their own limits back.

    Raises:
        ZsrError: a step failed; what was done stays, and all of it may be done again.
    """
    volumes = {each.name: each for each in sorted(replicas, key=lambda replica: replica.name)}
    new = [name for name, each in volumes.items() if each.named(fork) is None]
    for _, some in groupby(new, lambda name: name.partition("/")[0]):
        await client.snapshot([f"{name}@{fork}" for name in some])
    await _restore_limits(client, volumes, log)
    await _inherit(client, [*volumes], ACTIVATING, "end the activation")


async def _own_values(client: ZfsClient, names: Sequence[str], keys: Iterable[str]) -> dict[str, dict[str, str]]:
    """Return those of some properties that volumes have themselves, by name."""
    asked = commands.own_values(names, ",".join(sorted({*keys})))
    return output.values_by_name(await execute_all(client, asked, "read what replicas remember"))


async def _inherit(client: ZfsClient, names: Sequence[str], key: str, doing: str, *, received: bool = False) -> None:
    if names:
        await execute_all(client, commands.inherit(names, key, received=received), f"{doing}: '{names[0]}'")


async def _let_mount(client: ZfsClient, names: Sequence[str], fork: str) -> None:
    """Give back the source's ``canmount``; what an older set was cloned from has none that came with a stream."""
    own = await _own_values(client, names, [CANMOUNT])
    remembered = {name: canmount_of(own.get(name, {}), fork) for name in names}
    for name, value in remembered.items():
        if value is not None:
            await client.set_properties(name, {"canmount": value})
    others = [name for name, value in remembered.items() if value is None]
    await _inherit(client, others, "canmount", "let it be mounted", received=True)


async def _restore_limits(client: ZfsClient, volumes: Mapping[str, Dataset], log: Log) -> None:
    """Give back the limits of the former source, which a replica is kept without; one that ZFS refuses is a warning.

    The replica may have more snapshots than its source had, and its pool less room.
    """
    keys = {RESERVED, *commands.LIMITS, *(key for each in volumes.values() for key in remembering(each))}
    own = await _own_values(client, [*volumes], keys)
    received: dict[str, list[str]] = {}
    for name, dataset in volumes.items():
        limits = commands.VOLUME_LIMITS if dataset.is_volume else commands.LIMITS
        values = own.get(name, {})
        remembered = remembered_limits(values, dataset)
        if dataset.is_volume and RESERVED in values:
            remembered["refreservation"] = values[RESERVED]
        for limit, value in remembered.items():
            await _restore(client, name, limit, value, log)
        for limit in limits:
            if limit not in remembered and values.get(limit) in ("0", "none"):
                received.setdefault(limit, []).append(name)
    for limit, names in received.items():
        await _receive_back(client, names, limit, log)


async def _restore(client: ZfsClient, name: str, limit: str, value: str, log: Log) -> None:
    """Set a remembered limit, and forget it: the guest may change it, and be a replica again later."""
    try:
        await client.set_properties(name, {limit: value})
        await _inherit(client, [name], f"{commands.REMEMBERED}{limit}", "forget a limit")
    except ZsrError as error:
        _warn_of_limit(name, limit, error, log)


async def _receive_back(client: ZfsClient, names: Sequence[str], limit: str, log: Log) -> None:
    """Let a limit that came with a stream count again; where ZFS refuses it for all together, for each one."""
    try:
        await _inherit(client, names, limit, f"give {limit} back", received=True)
    except ZsrError as error:
        if len(names) == 1:
            _warn_of_limit(names[0], limit, error, log)
            return
        for name in names:
            await _receive_back(client, [name], limit, log)


def _warn_of_limit(name: str, limit: str, error: ZsrError, log: Log) -> None:
    log("warning", f"'{name}' is without its {limit}: {error.what}")


async def _mounted(client: ZfsClient, names: Sequence[str], log: Log) -> dict[str, str]:
    """Mount filesystems; return where, without those that ZFS does not mount."""
    found = await mount(client, names)
    for name, where in found.items():
        if not where.by_zfs:
            log(
                "warning",
                f"'{name}' has mountpoint {where.mountpoint} and canmount {where.canmount}: ZFS does not mount it",
            )
    return {name: where.mountpoint for name, where in found.items() if where.by_zfs}


async def _write(client: ZfsClient, script: str, place: str, log: Log) -> None:
    """Write a little; where that fails the stamps still keep the former owner off."""
    done = await client.host.run(["sh", "-c", script, "sh", place], limit=COMMAND_TIMEOUT_SECONDS)
    if not done.ok:
        log("warning", f"nothing could be written to {place}: {errors.first_line(done.stderr)}")
