"""Mounts the filesystems of a guest that ZFS would mount."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from replicator.zfs import commands, output
from replicator.zfs.client import ZfsClient
from replicator.zfs.execution import execute, execute_all

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


async def mount(client: ZfsClient, names: Sequence[str]) -> dict[str, Mount]:
    """Mount those filesystems that are not mounted, if ZFS does that, parents first; return where each is.

    Raises:
        ZsrError: that failed for one; those before it are mounted.
    """
    asked = commands.mount_state(sorted(names))
    found = output.values_by_name(await execute_all(client, asked, "read where filesystems are mounted"))
    places: dict[str, Mount] = {}
    for name in sorted(names):
        values = found.get(name, {})
        places[name] = Mount(values.get("mountpoint", "-"), values.get("canmount"))
        if places[name].by_zfs and values.get("mounted") != "yes":
            await execute(client, commands.mount(name), f"mount '{name}'")
    return places
