"""A guest that this node takes: its replicas become its volumes, its files are put in place, and it is started.

That is the same whether its former node is dead (``zsr guest recover``) or gave it over (``zsr guest take``).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import click

from replicator.cli.context import store
from replicator.cli.guest_files import note_files, place_files
from replicator.config.settings import Settings
from replicator.guests import power
from replicator.guests.older_set import ChosenSet
from replicator.guests.recovery import Unfinished, become_guest, unfinished
from replicator.models import GuestId
from replicator.replication.restore_points import datasets_on
from replicator.state.pending_files import FilesOfSet
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset


class TakenGuest:
    """A guest of the cluster, and what is done on this node to take it.

    Attributes:
        cluster, guest: as the cluster file of this node has them.
        jobs: those of the guest.
        files: what is still to be put in place; None: nothing.
    """

    def __init__(self, node: Settings, guest_id: GuestId) -> None:
        self._node, self.cluster = node, store(node).read()
        self.guest = self.cluster.guest(guest_id)
        self.files: FilesOfSet | None = None
        self.jobs = [job for job_id, job in sorted(self.cluster.jobs.items()) if job_id.guest == guest_id]

    @property
    def is_here(self) -> bool:
        """Whether this node owns the guest already."""
        return self.guest.node == self._node.node

    def look_again(self) -> None:
        """Read the guest again, as the cluster file has it now."""
        self.guest = store(self._node).read().guests[self.guest.id]

    async def datasets(self, zfs: ZfsClient) -> dict[str, Dataset]:
        """Return what lies on this node's storages."""
        storages = [each for each in self.cluster.storages.values() if each.allowed_on(zfs.node)]
        return await datasets_on(storages, zfs, self.guest)

    async def unfinished(
        self, found: Mapping[str, Dataset], zfs: ZfsClient, pending: FilesOfSet | None = None
    ) -> list[Unfinished]:
        """Return what is left to do here, by job.

        Args:
            found: what lies on this node's storages.
            zfs: this node's.
            pending: what an earlier command remembered.
        """
        chosen = {pending.job: pending.set_time} if pending is not None and pending.chosen else {}
        left = [
            await unfinished(job.id, found, zfs, self.guest.epoch, chosen.get(str(job.id))) for job in self.jobs
        ]  # fmt: skip
        return [each for each in left if each.replicas]

    def pend(self, files: FilesOfSet | None) -> None:
        """Remember the set and the files that the guest gets here, before the guest is this node's."""
        self.files = files if files is not None and (self.guest.files or files.chosen) else None
        if self.files is not None:
            note_files(self._node, self.guest.id, self.files)

    async def become(
        self, fence: Fence, replicas: Sequence[Dataset], former: str, at: int | None, zfs: ZfsClient
    ) -> None:
        """Let replicas become the guest, as of the set ``at`` if a person chose one. The guest's lock is held."""
        paths = {each.path_on(zfs.node) for each in self.cluster.storages.values() if each.allowed_on(zfs.node)}
        chosen = None if at is None else ChosenSet(at, tuple(sorted(paths)), time.time())
        await become_guest(fence, replicas, former, zfs, _say, chosen)

    async def become_all(self, left: Sequence[Unfinished], former: str, zfs: ZfsClient) -> None:
        """Let all that is left become the guest. The guest's lock is held."""
        for each in left:
            fence = Fence(each.job, self._node.node, self.guest.epoch)
            await self.become(fence, each.replicas, former, each.set_time, zfs)

    async def place_files(self, zfs: ZfsClient) -> None:
        """Put its files in place, if it has any."""
        if self.files is not None and self.guest.files:
            await place_files(self._node, self.guest.id, self.files, zfs)
        elif self.files is not None:
            note_files(self._node, self.guest.id, None)

    async def start(self, zfs: ZfsClient) -> None:
        """Start the guest as its runtime says; without one, a person does."""
        if self.guest.runtime is None:
            click.echo(f"Start guest {self.guest.id} on {self._node.node} now.")
            return
        await power.start(self.guest, zfs.host)
        click.echo(f"guest {self.guest.id} was started on {self._node.node}")


def former_of(left: Sequence[Unfinished]) -> str | None:
    """Return the node from which the replicas are that are left; None if none is."""
    return left[0].replicas[0].source or "" if left else None


def _say(_level: str, text: str) -> None:
    click.echo(text)
