"""The ZFS client of a node that destroys nothing while ``state.db`` cannot be written (contract: Destruction).

What cannot be remembered is as unknown as what cannot be read (the seventh law).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from errno import EROFS

from replicator.errors import NoSpaceError
from replicator.hosts.host import Host
from replicator.zfs import channel_programs
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Guard
from replicator.zfs.permits import BookmarksPermit, HalfReceivedPermit, ReplicaPermit, RollbackPermit, SnapshotsPermit


class GuardedClient(ZfsClient):
    """A client whose permits count only while ``may_destroy`` returns True; else what destroys raises NoSpaceError.

    A caller that can go on without it does so: old snapshots stay, and a later run destroys them.
    """

    def __init__(
        self,
        host: Host,
        *,
        limit: float,
        may_destroy: Callable[[], bool],
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(host, limit=limit, clock=clock)
        self._may_destroy = may_destroy

    async def verify_and_prune(
        self,
        pool: str,
        *,
        expected: Iterable[tuple[str, int]] = (),
        stale: Sequence[SnapshotsPermit] = (),
        bookmarks: Iterable[tuple[str, str]] = (),
        bookmarks_of: Sequence[str] = (),
        received: Iterable[channel_programs.ReceivedReplica] = (),
        guard: Guard | None = None,
    ) -> channel_programs.PruneResult | str | None:
        """See `ZfsClient.verify_and_prune`; what is stale is left while nothing may be destroyed."""
        may_destroy = self._may_destroy()
        found = await super().verify_and_prune(
            pool,
            expected=expected,
            stale=stale if may_destroy else (),
            bookmarks=bookmarks,
            bookmarks_of=bookmarks_of,
            received=received,
            guard=guard,
        )
        if may_destroy or not isinstance(found, channel_programs.PruneResult):
            return found
        return replace(found, left={**found.left, **{name: EROFS for permit in stale for name in permit.names}})

    async def destroy_snapshots(self, permit: SnapshotsPermit) -> None:
        """See `ZfsClient.destroy_snapshots`; raises NoSpaceError while nothing may be destroyed."""
        if permit.snapshots:
            self._refuse(f"old snapshots of '{permit.dataset}'")
        await super().destroy_snapshots(permit)

    async def destroy_bookmarks(self, permit: BookmarksPermit) -> None:
        """See `ZfsClient.destroy_bookmarks`; raises NoSpaceError while nothing may be destroyed."""
        if permit.bookmarks:
            self._refuse(f"old bookmarks of '{permit.dataset}'")
        await super().destroy_bookmarks(permit)

    async def destroy_replica(self, permit: ReplicaPermit) -> None:
        """See `ZfsClient.destroy_replica`; raises NoSpaceError while nothing may be destroyed."""
        self._refuse(f"the replica '{permit.dataset}'")
        await super().destroy_replica(permit)

    async def rollback(self, permit: RollbackPermit) -> None:
        """See `ZfsClient.rollback`; raises NoSpaceError while nothing may be destroyed."""
        self._refuse(f"what is newer than {permit.to.name} of '{permit.dataset}'")
        await super().rollback(permit)

    async def abort_receive(self, permit: HalfReceivedPermit) -> bool:
        """See `ZfsClient.abort_receive`; raises NoSpaceError while nothing may be destroyed."""
        self._refuse(f"the half-received state of '{permit.dataset}'")
        return await super().abort_receive(permit)

    def _refuse(self, what: str) -> None:
        if not self._may_destroy():
            raise NoSpaceError(
                f"state.db cannot be written, so zsr does not destroy {what} on node {self.node}.",
                node=self.node,
                advice="Free space below state_dir; it goes on by itself then.",
            )
