"""ZFS of one node: typed operations, each one command on its host; failures raise classified errors."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from replicator.errors import DeadlineError, DivergedError, StorageMissingError
from replicator.hosts.host import Completed, Host
from replicator.models import JobId
from replicator.zfs import channel_programs, commands, errors, marks, output, replica_checks, stale_receives
from replicator.zfs.features import Features, features_from_usage, version_from_output
from replicator.zfs.fence import Fence, Guard, Stamped, refusal
from replicator.zfs.model import Dataset, Inventory, pool_of
from replicator.zfs.permits import BookmarksPermit, HalfReceivedPermit, ReplicaPermit, RollbackPermit, SnapshotsPermit
from replicator.zfs.pruning import PORTION, prune_rest
from replicator.zfs.resume_token import is_same_state

FEATURES_VALID_SECONDS = 86400.0
"""Seconds after which the features of a host's ZFS are read again: it may have been upgraded meanwhile."""
LARGE_OUTPUT_BYTES = 256 * 1024
"""Length from which on an inventory is parsed in a thread: thousands of volumes must not block the event loop."""


class ZfsClient:
    """ZFS on one host. ``limit`` is the seconds that any command but a transfer may take; ``clock`` returns unix time.

    ``inventoried`` is when something here was last listed (unix time); None: not yet.
    """

    def __init__(self, host: Host, *, limit: float, clock: Callable[[], float] = time.time) -> None:
        self.host = host
        self.inventoried: float | None = None
        self._clock = clock
        self._limit = limit
        self._features: tuple[float, Features] | None = None
        self._runs_programs = True
        self._own_marks: set[marks.Known] = set()

    @property
    def node(self) -> str:
        """The node's name."""
        return self.host.name

    async def features(self) -> Features:
        """Return the features of this host's ZFS, as they were read within the last day."""
        if self._features is not None and 0 <= self._clock() - self._features[0] < FEATURES_VALID_SECONDS:
            return self._features[1]
        text = (usage := await self.host.run(commands.usage(), limit=self._limit)).stdout + usage.stderr
        if "snapshot" not in text:
            raise errors.classify("read the features of its zfs", text, node=self.node)
        version = await self.host.run(commands.version(), limit=self._limit)
        found = features_from_usage(text, version_from_output(version.stdout))
        self._features, self._runs_programs = (self._clock(), found), True
        return found

    async def inventory(self, path: str, *, depth: int = 2, bookmarks: bool = False, marks_of: str | None = None,
                        snapshots: bool = True, also: Sequence[str] = ()) -> Inventory:  # fmt: skip
        """Return the datasets below a path with their snapshots, and with their bookmarks if wanted.

        Only a dataset's own marks count (`replicator.zfs.marks`): those that this client has not seen yet cost another
        command, as do those of snapshots whose names begin with ``marks_of``. Names in ``also`` need not exist.

        Raises:
            StorageMissingError: the path does not exist on this node.
        """
        features = await self.features()
        argv = commands.inventory(features, path, depth, bookmarks=bookmarks, snapshots=snapshots, also=also)
        done = await self.host.run(argv, limit=self._limit)
        if not done.ok and (error := errors.listing_error(path, also, done.stderr, self.node)) is not None:
            raise error
        parse = output.inventory_from_list if features.list_parsable else output.inventory_from_get
        read = partial(parse, done.stdout, marks_of=marks_of)
        found = read() if len(done.stdout) < LARGE_OUTPUT_BYTES else await asyncio.to_thread(read)
        self.inventoried = self._clock()
        return await self._settled(found)

    async def _settled(self, found: Inventory) -> Inventory:
        """Return an inventory without marks that were received or inherited."""
        own: dict[str, marks.Marks] = {}
        for argv in commands.local_marks(asked := marks.doubtful(found, self._own_marks)):
            done = await self.host.run(argv, limit=self._limit)
            if not done.ok and not errors.is_absent(done.stderr):  # what is gone meanwhile has no marks
                raise errors.classify("read whose its datasets are", done.stderr, node=self.node)
            own |= output.local_marks(done.stdout)
        settled = marks.settled(found, asked, own)
        if asked:
            self._own_marks |= marks.known_marks(settled)
        return settled

    async def space(self, pools: Sequence[str]) -> dict[str, tuple[int, int]]:
        """Return used and free bytes of pools; a pool that cannot be read is left out.

        Raises:
            ZsrError: none of them could be read.
        """
        done = await self.host.run(commands.space(pools), limit=self._limit)
        found = output.space(done.stdout)
        if not found and not done.ok:
            raise errors.classify(f"read the space of {', '.join(pools)}", done.stderr, node=self.node)
        return found

    async def sync(self, pool: str) -> None:
        """Wait until all that was written to a pool so far is on disk, and so counted by an inventory."""
        await self._execute(commands.sync(pool), f"sync the pool '{pool}'")

    async def snapshot_if_changed(
        self, pool: str, request: channel_programs.SnapshotRequest
    ) -> channel_programs.SnapshotOutcome | None:
        """List a guest's volumes in one pool and take their snapshots, in one transaction.

        Returns None where this ZFS, or this user, cannot run a channel program; nothing was done then.

        Raises:
            SupersededError: a volume refuses the request's fence; nothing was done.
            ZsrError: a volume is gone, or the snapshots could not be taken; none was.
        """
        done = await self.program(pool, channel_programs.snapshot_if_changed(request))
        if done is None:
            return None
        found = channel_programs.snapshot_outcome(done)
        if isinstance(found, Stamped):
            self.refuse(request.fence, found)
            return None
        if isinstance(found, channel_programs.Refused):
            raise errors.classify(f"take the snapshot {request.name}", f"{found.name}: {found.words}", node=self.node)
        return found

    async def verify_and_prune(self, pool: str, *, expected: Iterable[tuple[str, int]] = (),
                               stale: Sequence[SnapshotsPermit] = (), bookmarks: Iterable[tuple[str, str]] = (),
                               bookmarks_of: Sequence[str] = (), guard: Guard | None = None,
                               received: Iterable[channel_programs.ReceivedReplica] = (),
                               ) -> channel_programs.PruneResult | str | None:  # fmt: skip
        """Verify snapshots by GUID and, only if all are there, destroy stale ones and make bookmarks; one transaction.

        Args:
            pool: all names lie in it.
            expected: snapshots (``dataset@name``) with the GUIDs that they must have.
            stale: snapshots to destroy; more than one transaction should destroy go in further ones.
            bookmarks: snapshots and the bookmarks to make of them.
            bookmarks_of: datasets whose bookmarks are wanted in the result.
            received: replicas on which snapshots that were created meanwhile are tagged.
            guard: the stamps to compare first, and to set at the end.

        Returns:
            The name of the first snapshot that is not proven (nothing was done then); None as in `snapshot_if_changed`.

        Raises:
            SupersededError: a dataset refuses the guard's fence; nothing was done.
        """
        old = [(f"{permit.dataset}@{each.name}", each.guid) for permit in stale for each in permit.snapshots]
        text = channel_programs.verify_and_prune(expected, old[:PORTION], bookmarks, bookmarks_of, received, guard)
        done = await self.program(pool, text)
        found = None if done is None else channel_programs.prune_result(done)
        if isinstance(found, Stamped):
            self.refuse(None if guard is None else guard.fence, found)
            return None
        if isinstance(found, channel_programs.PruneResult):
            self._own_marks |= found.marks
            return await prune_rest(found, old[PORTION:], guard, partial(self.program, pool), self.refuse)
        return found

    def refuse(self, fence: Fence | None, seen: object) -> None:
        """Raise SupersededError if what was found is a dataset of this node whose stamps refuse a fence."""
        if fence is not None and isinstance(seen, Stamped) and (error := refusal(fence, self.node, seen)) is not None:
            raise error

    async def local_stamps(self, datasets: Sequence[str]) -> list[Stamped]:
        """Return those of some datasets that have stamps themselves: received and inherited ones do not count."""
        asked, doing = commands.local_stamps(datasets), f"read owner and epoch of '{datasets[0]}'"
        return output.local_stamps("".join([(await self._execute(argv, doing)).stdout for argv in asked]))

    async def stamp(self, fence: Fence, datasets: Sequence[str]) -> None:
        """Set the fence's owner and epoch on datasets by a command, where no program did it."""
        await self.set_together(datasets, fence.stamps)

    async def set_together(self, datasets: Sequence[str], values: Mapping[str, str]) -> None:
        """Set properties of datasets by one command, where this ZFS can."""
        for argv in commands.stamp(await self.features(), datasets, values) if datasets else ():
            await self._execute(argv, f"set properties of '{datasets[0]}'")

    async def program(self, pool: str, text: str) -> str | None:
        """Run a channel program; return its output, None where it cannot run, or met a limit, maybe half-way."""
        if not (await self.features()).programs or not self._runs_programs:
            return None
        done = await self.host.run(commands.program(pool), limit=self._limit, stdin=text)
        if done.ok:
            return done.stdout
        if errors.is_over_limit(done.stderr):
            return None
        if not errors.is_absent(done.stderr) and errors.runs_no_programs(done.stderr):
            self._runs_programs = False
            return None
        raise errors.classify("run a channel program", done.stderr, node=self.node)

    async def snapshot(self, names: Sequence[str]) -> None:
        """Take snapshots (``dataset@name``) of datasets of one pool, atomically where this ZFS can.

        Each gets the node's name as ``zsr:source``: it says who took it, also where the memory of that is lost.
        """
        for argv in commands.snapshot(await self.features(), names, {"zsr:source": self.node}):
            await self._execute(argv, f"take the snapshot {names[0].partition('@')[2]}")

    async def estimate(self, argv: Sequence[str]) -> int | None:
        """Return the bytes that a send will take; None where this ZFS has no estimate, or none in time.

        From a bookmark it reads all that was written since. That it takes long is no reason not to send.
        """
        if not (await self.features()).estimate:
            return None
        try:
            done = await self.host.run(commands.estimate(list(argv)), limit=self._limit)
        except DeadlineError:
            return None
        return output.estimated_size(done.stdout + done.stderr) if done.ok else None

    async def remaining(self, token: str) -> int | None:
        """Return the bytes that a resumed send will take; None if ZFS does not say.

        Raises:
            ZsrError: ZFS would not send it, or could not be asked; ``raw`` has its words.
        """
        done = await self._execute(commands.estimate(commands.send_resume(token)), "prepare the resumed send")
        return output.estimated_size(done.stdout + done.stderr)

    async def abort_receive(self, permit: HalfReceivedPermit) -> bool:
        """Drop a half-received state, but no other one than the permit's.

        Return whether there was one, since ZFS may show a token without a state.
        """
        found = await self._listed(permit.dataset)
        if found is None or found.token is None or not is_same_state(found.token, permit.token):
            return False
        done = await self.host.run(commands.abort_receive(permit.dataset), limit=self._limit)
        if not done.ok and not errors.is_nothing_to_abort(done.stderr):
            raise errors.classify(f"drop the half-received state of '{permit.dataset}'", done.stderr, node=self.node)
        return done.ok

    async def end_stale_receives(self, job: JobId, source: str) -> bool:
        """Kill receives for a job that an earlier run left running; return whether there were any.

        When a connection dies silently the remote end does not notice, waits for hours and may keep its dataset busy.
        The caller holds the guest's lock, so no active run can have started them.
        """
        done = await self.host.run(stale_receives.end_stale_receives(job, source), limit=self._limit)
        return done.ok

    async def rollback(self, permit: RollbackPermit) -> None:
        """Roll a replica back, after destroying the permit's snapshots by GUID; ZFS refuses it if others are newer.

        Raises:
            DivergedError: it was written to, or has another newer snapshot; nothing was done.
            ZfsError, TargetActiveError: as `refuse_in_use`; or a snapshot was taken meanwhile.
        """
        name, to = permit.dataset, permit.to
        await self.refuse_in_use(name, permit.job, permit.source, permit.fence)
        found = await self._listed(name)
        base = None if found is None else found.by_guid(to.guid)
        permitted = {snapshot.guid for snapshot in permit.destroyed}
        if found is None or base is None or base.name != to.name or found.written or any(
            each.createtxg > base.createtxg and each.guid not in permitted for each in found.snapshots
        ):  # fmt: skip
            raise DivergedError(
                f"The replica '{name}' on node {self.node} changed during the run; it was not rolled back.",
                node=self.node,
                advice="The next run looks at it again.",
            )
        await self.destroy_snapshots(permit.newer)
        await self._execute(commands.rollback(name, to.name), f"roll '{name}' back to {to.name}")

    async def destroy_snapshots(self, permit: SnapshotsPermit) -> None:
        """Destroy snapshots; one that is gone, or that has another GUID now, is no error and stays.

        One transaction compares and destroys them; where ZFS cannot do that, they are listed again right before.
        Raises SupersededError if the dataset refuses the permit's fence.
        """
        if not permit.snapshots:
            return
        guard = None if permit.fence is None else Guard(permit.fence, (permit.dataset,))
        done = await self.verify_and_prune(pool_of(permit.dataset), stale=[permit], guard=guard)
        left = permit.only(done.left) if isinstance(done, channel_programs.PruneResult) else permit
        if not left.snapshots or (found := await self._listed(permit.dataset)) is None:
            return
        if permit.fence is not None and refusal(permit.fence, self.node, found.stamped) is not None:
            for seen in await self.local_stamps([permit.dataset]):
                self.refuse(permit.fence, seen)
        there = {(snapshot.name, snapshot.guid) for snapshot in found.snapshots}
        stale = [snapshot for snapshot in left.snapshots if (snapshot.name, snapshot.guid) in there]
        failed = ""
        for argv in commands.destroy_snapshots(await self.features(), permit.dataset, stale):
            again = await self.host.run(argv, limit=self._limit)
            if not again.ok and not errors.is_absent(again.stderr):  # one with a clone keeps no other
                failed = failed or again.stderr
        if failed:
            raise errors.classify(f"destroy old snapshots of '{permit.dataset}'", failed, node=self.node)

    async def bookmark(self, dataset: str, snapshot: str) -> None:
        """Make a bookmark of a snapshot, with its name."""
        await self._execute(commands.bookmark(dataset, snapshot), f"bookmark '{dataset}@{snapshot}'")

    async def destroy_bookmarks(self, permit: BookmarksPermit) -> None:
        """Destroy bookmarks that are listed again right before; one that is gone is no error."""
        found = await self._listed(permit.dataset, bookmarks=True) if permit.bookmarks else None
        there = set() if found is None else {(bookmark.name, bookmark.guid) for bookmark in found.bookmarks}
        for bookmark in permit.bookmarks:
            if (bookmark.name, bookmark.guid) not in there:
                continue
            done = await self.host.run(commands.destroy_bookmark(permit.dataset, bookmark.name), limit=self._limit)
            if not done.ok and not errors.is_absent(done.stderr):
                raise errors.classify(f"destroy '{permit.dataset}#{bookmark.name}'", done.stderr, node=self.node)

    async def portable_properties(self, dataset: str) -> dict[str, str]:
        """Return the properties that a replica needs, as ``zfs set`` takes them, for a stream that carries none."""
        done = await self._execute(commands.portable_properties(dataset), f"read the properties of '{dataset}'")
        found = output.properties(done.stdout)
        return {key: commands.settable(key, value) for key, value in found.items() if commands.is_portable(key)}

    async def salts(self, datasets: Sequence[str]) -> dict[str, int]:
        """Return the salt of each dataset's key; a new passphrase has another one, a raw key has 0."""
        asked = commands.salts(datasets)
        return output.salts("".join([(await self._execute(argv, "read the salts of keys")).stdout for argv in asked]))

    async def rename(self, old: str, name: str) -> None:
        """Rename a dataset within its pool, or a snapshot (``dataset@name``), which keeps its GUID."""
        await self._execute(commands.rename(old, name), f"rename '{old}' to '{name}'")

    async def clone(self, snapshot: str, dataset: str, properties: Mapping[str, str]) -> None:
        """Make ``dataset`` out of a snapshot (``dataset@name``)."""
        origin, _, name = snapshot.partition("@")
        await self._execute(commands.clone(origin, name, dataset, properties), f"clone '{snapshot}'")

    async def promote(self, dataset: str) -> None:
        """Give a clone the snapshots of its origin."""
        await self._execute(commands.promote(dataset), f"promote '{dataset}'")

    async def destroy_replica(self, permit: ReplicaPermit) -> None:
        """Destroy a replica, after checking again that it is the permit's, with no other snapshots.

        Raises:
            SupersededError: it refuses the permit's fence.
            ZfsError: its own (not inherited) marks, its GUID or a snapshot are not the permit's, or something is below.
            TargetActiveError: it is open; or it is writable or was written to, and was not set aside.
        """
        name = permit.dataset
        replica_checks.refuse_not_permitted(permit, self.node, await self._ownership(name, permit.fence))
        family = await self.inventory(name, depth=2)
        replica_checks.refuse_changed(permit, self.node, family)
        if family.datasets[name].mounted:
            unmounted = await self.host.run(commands.unmount(name), limit=self._limit)
            replica_checks.refuse_open(permit, self.node, is_open=not unmounted.ok)
        done = await self.program(pool_of(name), channel_programs.destroy_replica(permit))
        if done is None or not replica_checks.is_destroyed(permit, self.node, channel_programs.replica_end(done)):
            await self._execute(commands.destroy_replica(name), f"destroy the replica '{name}'")

    async def refuse_in_use(self, dataset: str, job: str, source: str, fence: Fence | None = None) -> None:
        """Raise unless a dataset still is a read-only replica of a job from a source node.

        Raises:
            SupersededError: its own stamps refuse the fence.
            ZfsError: its own marks name another job or source.
            TargetActiveError: it is writable.
        """
        replica_checks.refuse_in_use(dataset, self.node, job, source, await self._ownership(dataset, fence))

    async def _ownership(self, dataset: str, fence: Fence | None) -> dict[str, tuple[str, str]]:
        asked = commands.ownership(await self.features(), dataset)
        done = await self._execute(asked, f"check whose replica '{dataset}' is")
        found = output.sourced_properties(done.stdout)
        self.refuse(fence, output.own_stamps(dataset, found))
        return found

    async def _listed(self, dataset: str, *, bookmarks: bool = False) -> Dataset | None:
        """Return a dataset as it is now; None if it does not exist."""
        try:
            return (await self.inventory(dataset, depth=1, bookmarks=bookmarks)).get(dataset)
        except StorageMissingError:
            return None

    async def set_properties(self, dataset: str, properties: Mapping[str, str]) -> None:
        """Set properties one by one, as any version understands it."""
        for key, value in properties.items():
            await self._execute(commands.set_property(dataset, key, value), f"set {key} of '{dataset}'")

    async def create_parents(self, path: str, name: str, properties: Mapping[str, str] | None = None) -> None:
        """Create the missing parents of ``path/name``; does nothing for a direct child."""
        for argv in commands.create_parents(path, name, properties or {"canmount": "off"}):
            done = await self.host.run(argv, limit=self._limit)
            if not done.ok and not errors.is_existing(done.stderr):
                raise errors.classify(f"create '{argv[-1]}'", done.stderr, node=self.node)

    async def _execute(self, argv: Sequence[str], doing: str) -> Completed:
        done = await self.host.run(argv, limit=self._limit)
        if not done.ok:
            raise errors.classify(doing, done.stderr, node=self.node)
        return done
