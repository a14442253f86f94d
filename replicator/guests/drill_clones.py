"""The clones of a drill on its target: read-only, hidden from the node's own services, and destroyed at the end.

A clone lies in the storage's folder of what is set aside, as an opened restore point does, so that nothing takes it
for a guest's volume or a replica; its marks say whose drill made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass

from replicator.errors import NetworkError, ZsrError
from replicator.guests.drill_scripts import end_left, private_folder
from replicator.guests.drill_sets import Cloned
from replicator.models import JobId, Storage
from replicator.replication.destruction import decide_clone
from replicator.replication.opened import find_clones, place_of
from replicator.replication.provenance import drill_mark
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import DIVERGED_DATASET, DRILL_SUFFIX
from replicator.zfs.model import Dataset

MOUNTED_BELOW = "/run/zsr/drills"
"""The folder of the target, for root alone, below which the filesystems of drills are mounted."""

BUSY_TRIES = 10
"""How often a clone is tried to be destroyed: a device is looked at by others, for a moment, when it comes."""
BUSY_SECONDS = 1.0
"""Seconds between two tries."""
_LIMIT_SECONDS = 60.0

_COMMON = {"readonly": "on", "com.sun:auto-snapshot": "false"}
_VOLUME = {"volmode": "dev"}
"""The kernel reads no partition table then, and nothing that is in the guest's partitions comes up on the node."""
_FILESYSTEM = {"canmount": "noauto", "exec": "off", "setuid": "off", "devices": "off"}


def clone_place(each: Cloned) -> str:
    """Return the device of a volume's clone, or the folder on which it is mounted."""
    return place_of(each.clone, MOUNTED_BELOW, is_volume=each.replica.is_volume)


@dataclass(frozen=True, slots=True)
class DrillClones:
    """Makes and destroys the clones of one job's drills, of those that ``source`` makes."""

    job: JobId
    source: str
    storages: tuple[Storage, ...]
    target: ZfsClient

    async def make(self, volumes: Iterable[Cloned]) -> None:
        """Clone the volumes of a set; raises ZsrError if one cannot be cloned, and those before it are there."""
        await self.target.host.run(private_folder(MOUNTED_BELOW), limit=_LIMIT_SECONDS)
        for each in volumes:
            await self.target.create_parents(each.path, f"{DIVERGED_DATASET}/-")
            properties = self._properties(each)
            await self.target.clone(f"{each.replica.name}@{each.snapshot.name}", each.clone, properties)

    def _properties(self, each: Cloned) -> dict[str, str]:
        own = _VOLUME if each.replica.is_volume else {**_FILESYSTEM, "mountpoint": clone_place(each)}
        return {**_COMMON, **own, "zsr:job": drill_mark(self.job), "zsr:source": self.source}

    async def left(self) -> list[Dataset]:
        """Return the clones that are there; raises ZsrError if a storage cannot be read."""
        found = await find_clones(drill_mark(self.job), DRILL_SUFFIX, self.storages, self.target)
        return [each for each in found if each.source == self.source]

    async def destroy(self) -> list[Dataset]:
        """End the checks that still run, and destroy all clones that are there; return them.

        Raises:
            ZsrError: one is in use, or was changed; those before it are gone.
        """
        found = await self.left()
        if found:
            await self.target.host.run(end_left(self.job, self.source), limit=_LIMIT_SECONDS)
        for each in found:
            await self._destroy(each)
        return found

    async def _destroy(self, clone: Dataset) -> None:
        if clone.mounted is not False and not clone.is_volume:  # an old ZFS says readonly=off of a mounted one
            await self.target.host.run(commands.unmount(clone.name), limit=_LIMIT_SECONDS)
        permit = decide_clone(clone.name, clone.guid, drill_mark(self.job), self.source, closed=False)
        for _ in range(BUSY_TRIES - 1):
            try:
                await self.target.destroy_replica(permit)
            except NetworkError:
                raise
            except ZsrError:
                await asyncio.sleep(BUSY_SECONDS)
                if clone.name not in {each.name for each in await self.left()}:
                    return
            else:
                return
        await self.target.destroy_replica(permit)
