"""The intent log (ZIL) of a filesystem: what programs had synced before a power cut, and is nowhere else yet.

ZFS writes it into the filesystem when that is mounted, be it read-only. Before that no snapshot has it, and no property
counts it as written: a receive, or a rollback, throws it away. That of a zvol is written when its device comes.
"""

from __future__ import annotations

from collections.abc import Sequence

from replicator.zfs import errors
from replicator.zfs.client import ZfsClient
from replicator.zfs.execution import COMMAND_TIMEOUT_SECONDS

_MOUNT_ONCE = """
place=$(mktemp -d) || exit
status=0
for dataset; do
    how=ro,zfsutil
    [ "$(zfs get -Ho value mountpoint "$dataset")" != legacy ] || how=ro
    mount -t zfs -o "$how" "$dataset" "$place" && umount "$place" || { status=$?; break; }
done
rmdir "$place"
exit $status
"""
"""ZFS mounts a filesystem with a legacy mount point, as incus has them, without ``zfsutil``, and all others with it."""


async def replay_intent_logs(node: ZfsClient, filesystems: Sequence[str]) -> None:
    """Let ZFS write the intent logs of filesystems that are not mounted, by a read-only mount for a moment.

    On a filesystem that was once mounted to be written to, the mount alone writes a little. zfs-fuse has no such mount.

    Raises:
        ZsrError: one could not be mounted, for example since its key is not loaded.
    """
    if not filesystems:
        return
    done = await node.host.run(["sh", "-c", _MOUNT_ONCE, "sh", *filesystems], limit=COMMAND_TIMEOUT_SECONDS)
    if not done.ok and "unknown filesystem type" not in done.stderr:
        raise errors.classify(f"mount '{filesystems[0]}' read-only", done.stderr, node=node.node)
