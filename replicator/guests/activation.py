"""Makes a replica the volume of a guest that lives on this node: writable, mounted, with its own limits, and forked.

The fork is a small write and a snapshot: an incremental stream of the former owner can never fit again, even where
the stamps were taken off (contract: Guests that move). All of it may be done twice.
"""

from __future__ import annotations

from replicator.errors import ZsrError
from replicator.guests.claims import ACTIVATING, PLAIN
from replicator.guests.clone_properties import CANMOUNT, RESERVED, canmount_of
from replicator.guests.mounts import mount
from replicator.replication.progress import Log
from replicator.replication.streams import remembered_limits, remembering
from replicator.zfs import commands, errors, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.execution import COMMAND_TIMEOUT_SECONDS, execute
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


async def begin_activation(client: ZfsClient, dataset: str, claim: str = PLAIN) -> None:
    """Mark a replica as one that is becoming a guest's volume, until `activate` has ended."""
    await client.set_properties(dataset, {ACTIVATING: claim})


async def is_activating(client: ZfsClient, dataset: str) -> bool:
    """Return whether `begin_activation` was done, and `activate` has not ended."""
    return bool(await execute(client, commands.own_properties(dataset, [ACTIVATING]), f"look at '{dataset}'"))


async def activate(client: ZfsClient, dataset: Dataset, fork: str, log: Log) -> None:
    """Make a replica writable, mount a filesystem, and take the snapshot ``fork`` of it after a small write.

    Raises:
        ZsrError: a step failed; what was done stays, and all of it may be done again.
    """
    name, forked = dataset.name, dataset.named(fork) is not None
    await client.set_properties(name, {"readonly": "off"})
    await execute(client, commands.inherit(name, "com.sun:auto-snapshot"), f"let tools snapshot '{name}' again")
    if not dataset.is_volume:
        await _let_mount(client, name, fork)
    place = f"/dev/zvol/{name}" if dataset.is_volume else await _mounted(client, name, log)
    if place is not None and not forked:  # later a guest may work on it
        await _write(client, _REWRITE_ZVOL if dataset.is_volume else _WRITE_FILE, place, log)
    if not forked:
        await client.snapshot([f"{name}@{fork}"])
    await _restore_limits(client, dataset, log)
    await execute(client, commands.inherit(name, ACTIVATING), f"end the activation of '{name}'")


async def _let_mount(client: ZfsClient, name: str, fork: str) -> None:
    """Give back the source's ``canmount``; what an older set was cloned from has none that came with a stream."""
    own = output.properties(await execute(client, commands.own_properties(name, [CANMOUNT]), f"look at '{name}'"))
    if (remembered := canmount_of(own, fork)) is not None:
        await client.set_properties(name, {"canmount": remembered})
    else:
        await execute(client, commands.inherit(name, "canmount", received=True), f"let '{name}' be mounted")


async def _restore_limits(client: ZfsClient, dataset: Dataset, log: Log) -> None:
    """Give back the limits of the former source, which a replica is kept without; one that ZFS refuses is a warning.

    The replica may have more snapshots than its source had, and its pool less room.
    """
    limits = commands.VOLUME_LIMITS if dataset.is_volume else commands.LIMITS
    keys = [*limits, *remembering(dataset), RESERVED]
    done = await execute(client, commands.own_properties(dataset.name, keys), f"read the limits of '{dataset.name}'")
    own = output.properties(done)
    remembered = remembered_limits(own, dataset)
    if dataset.is_volume and RESERVED in own:
        remembered["refreservation"] = own[RESERVED]
    for limit in (*limits, commands.REFQUOTA, *(["refreservation"] if dataset.is_volume else [])):
        try:
            if limit in remembered:
                await client.set_properties(dataset.name, {limit: remembered[limit]})
                await _forget(client, dataset.name, f"{commands.REMEMBERED}{limit}")
            elif own.get(limit) in ("0", "none"):
                await execute(client, commands.inherit(dataset.name, limit, received=True), f"give {limit} back")
        except ZsrError as error:
            log("warning", f"'{dataset.name}' is without its {limit}: {error.what}")


async def _forget(client: ZfsClient, name: str, key: str) -> None:
    """Take a remembered limit off: the guest may change the limit, and be a replica again later."""
    await execute(client, commands.inherit(name, key), f"take {key} off '{name}'")


async def _mounted(client: ZfsClient, name: str, log: Log) -> str | None:
    """Mount a filesystem; return where, or None if ZFS does not mount it."""
    found = await mount(client, name)
    if found.by_zfs:
        return found.mountpoint
    log("warning", f"'{name}' has mountpoint {found.mountpoint} and canmount {found.canmount}: ZFS does not mount it")
    return None


async def _write(client: ZfsClient, script: str, place: str, log: Log) -> None:
    """Write a little; where that fails the stamps still keep the former owner off."""
    done = await client.host.run(["sh", "-c", script, "sh", place], limit=COMMAND_TIMEOUT_SECONDS)
    if not done.ok:
        log("warning", f"nothing could be written to {place}: {errors.first_line(done.stderr)}")
