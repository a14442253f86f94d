"""Mounts the filesystems of a guest that ZFS would mount."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.execution import execute

_NOT_MOUNTED_BY_ZFS = ("none", "legacy", "-")


@dataclass(frozen=True, slots=True)
class Mount:
    """Where a filesystem is mounted, by its properties; ``canmount`` is None where ZFS does not say it."""

    mountpoint: str
    canmount: str | None

    @property
    def by_zfs(self) -> bool:
        """Whether ZFS mounts it."""
        return self.mountpoint not in _NOT_MOUNTED_BY_ZFS and self.canmount != "off"


async def mount(client: ZfsClient, name: str) -> Mount:
    """Mount a filesystem unless it is mounted, if ZFS does that; return where. Raises ZsrError: that failed."""
    found = output.properties(await execute(client, commands.mount_state(name), f"read where '{name}' is mounted"))
    place = Mount(found.get("mountpoint", "-"), found.get("canmount"))
    if place.by_zfs and found.get("mounted") != "yes":
        await execute(client, commands.mount(name), f"mount '{name}'")
    return place
