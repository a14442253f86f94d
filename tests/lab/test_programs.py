"""The channel programs on a real ZFS: what they compare in the transaction, and that nothing is done where it differs.

A run looks at all this before, so that only a change in between meets these comparisons. Here each is met alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import pytest

from replicator.errors import SupersededError
from replicator.hosts.host import Completed, Host
from replicator.models import JobId
from replicator.zfs import channel_programs, commands
from replicator.zfs.channel_programs import Place, PruneResult, ReceivedReplica, SnapshotRequest
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence, Guard
from replicator.zfs.model import Snapshot
from replicator.zfs.permits import Law, SnapshotsPermit
from replicator.zfs.snapshot_names import job_prefix, snapshot_name
from tests.lab.lab import Node

pytestmark = pytest.mark.sampled(4)

JOB = JobId(100, 0)
NAME = "tank/data/vm-100-disk-0"
OLD, NEW, NEXT = (snapshot_name(JOB, at) for at in (1, 2, 3))
FENCE = Fence(JOB, "alpha", 2)
GUARD = Guard(FENCE, (NAME,), (NAME,))
REFUSING = [("beta", "3"), ("alpha", "3"), ("beta", "2"), ("alpha", "many"), ("alpha", "0"), ("alpha", "1234567890")]
"""Owners and epochs of a volume that refuse the fence."""


class Volume:
    """A filesystem with two snapshots on a node, and the client that works on it."""

    def __init__(self, node: Node) -> None:
        self.name = node.name
        self.node = node
        self.client = ZfsClient(cast(Host, self), limit=60)
        node.run(f"zfs create tank/data; zfs create {NAME}; zfs snapshot {NAME}@{OLD}; zfs snapshot {NAME}@{NEW}")

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Run a command of the client on the node."""
        done = await self.node.arun(list(argv), check=False, timeout=limit, stdin=stdin)
        return Completed(tuple(argv), done.returncode, done.stdout, done.stderr)

    def set(self, dataset: str, **values: str) -> None:
        """Set properties of zsr on a dataset."""
        self.node.run(["zfs", "set", *(f"zsr:{key}={value}" for key, value in values.items()), dataset])

    def own(self) -> dict[str, str]:
        """The properties of zsr that the volume has itself."""
        keys = "zsr:owner,zsr:epoch,zsr:job,zsr:source"
        rows = self.node.out(["zfs", "get", "-Hpo", "property,value", "-s", "local", keys, NAME]).splitlines()
        return dict(row.split("\t") for row in rows)

    def snapshots(self) -> list[str]:
        """The names of its snapshots, oldest first."""
        names = self.node.out(["zfs", "list", "-Ho", "name", "-t", "snapshot", "-s", "createtxg", NAME]).split()
        return [name.partition("@")[2] for name in names]

    def number(self, name: str, key: str = "guid") -> int:
        """A number of a snapshot."""
        return int(self.node.out(["zfs", "get", "-Hpo", "value", key, f"{NAME}@{name}"]))

    def stale(self, *, off: int = 0) -> list[SnapshotsPermit]:
        """The permit for the older snapshot; ``off`` makes its GUID another one's."""
        old = Snapshot(OLD, self.number(OLD) + off, 1, 1)
        return [SnapshotsPermit(Law.PROVEN_STAYS, "", NAME, (old,))]

    def proof(self, *, off: int = 0) -> list[tuple[str, int]]:
        """What must be there before anything goes: the newer snapshot, by its GUID."""
        return [(f"{NAME}@{NEW}", self.number(NEW) + off)]


@pytest.fixture
def volume(node1: Node) -> Volume:
    return Volume(node1)


class TestTheProgramThatPrunes:
    async def test_destroys_the_older_set_once_the_newer_is_there_by_its_guid(self, volume: Volume) -> None:
        found = await volume.client.verify_and_prune("tank", expected=volume.proof(off=1), stale=volume.stale())
        assert (found, volume.snapshots()) == (f"{NAME}@{NEW}", [OLD, NEW])

        await volume.client.verify_and_prune("tank", expected=volume.proof(), stale=volume.stale(off=1))
        assert volume.snapshots() == [OLD, NEW], "a snapshot of that name, but not the one of the permit"

        await volume.client.verify_and_prune("tank", expected=volume.proof(), stale=volume.stale())
        assert volume.snapshots() == [NEW]

    async def test_does_nothing_where_a_volume_refuses_the_fence(self, volume: Volume) -> None:
        proof, stale = volume.proof(), volume.stale()
        for owner, epoch in REFUSING:
            volume.set(NAME, owner=owner, epoch=epoch)
            with pytest.raises(SupersededError):
                await volume.client.verify_and_prune("tank", expected=proof, stale=stale, guard=GUARD)
            assert volume.snapshots() == [OLD, NEW]
            assert volume.own() == {"zsr:owner": owner, "zsr:epoch": epoch}

    async def test_brings_an_older_epoch_up_to_the_fence(self, volume: Volume) -> None:
        volume.set(NAME, owner="alpha", epoch="1")
        await volume.client.verify_and_prune("tank", expected=volume.proof(), guard=GUARD)
        assert volume.own() == {"zsr:owner": "alpha", "zsr:epoch": "2"}

    async def test_counts_no_stamp_and_no_mark_that_is_inherited(self, volume: Volume) -> None:
        volume.set("tank/data", owner="beta", epoch="9", job=str(JOB), source="alpha")
        found = await volume.client.verify_and_prune("tank", expected=volume.proof(), guard=GUARD)
        assert volume.own() == {"zsr:owner": "alpha", "zsr:epoch": "2"}
        assert isinstance(found, PruneResult)
        assert [(job, source) for _, job, source in found.marks] == [(None, None)]

    async def test_tags_only_what_was_made_on_a_replica_after_it_was_listed(self, volume: Volume) -> None:
        received = self.made_there(volume)
        await volume.client.verify_and_prune("tank", expected=volume.proof(), received=[received])
        assert self.tags(volume) == {"before": "-", "sent": "-", "after": "nobody"}

    async def test_says_what_a_zfs_without_properties_in_programs_leaves_to_do(self, volume: Volume) -> None:
        received = self.made_there(volume)
        text = channel_programs.verify_and_prune(volume.proof(), received=[received], guard=GUARD)
        program = f"zfs.sync.set_prop = nil\n{text}"
        done = channel_programs.prune_result(volume.node.run(commands.program("tank"), stdin=program).stdout)
        assert isinstance(done, PruneResult)
        assert (done.untagged, done.unstamped) == ((f"{NAME}@after",), (NAME,))

    @staticmethod
    def made_there(volume: Volume) -> ReceivedReplica:
        """Snapshots that are no set's: one from before the listing; one that was sent and one made there since."""
        volume.node.run(f"zfs snapshot {NAME}@before; zfs snapshot {NAME}@sent; zfs snapshot {NAME}@after")
        return ReceivedReplica(
            NAME, volume.number("before", "createtxg"), frozenset({volume.number("sent")}), job_prefix(JOB)
        )

    @staticmethod
    def tags(volume: Volume) -> dict[str, str]:
        """The ``zsr:job`` of the snapshots that are no set's."""
        names = ("before", "sent", "after")
        return {name: volume.node.out(["zfs", "get", "-Hpo", "value", "zsr:job", f"{NAME}@{name}"]) for name in names}


class TestTheProgramThatTakesTheSnapshot:
    REQUEST = SnapshotRequest("alpha", NEXT, (Place("tank/data", ("tank/data/vm-100-",)),), fence=FENCE)

    async def test_does_nothing_where_a_volume_refuses_the_fence(self, volume: Volume) -> None:
        for owner, epoch in REFUSING:
            volume.set(NAME, owner=owner, epoch=epoch)
            with pytest.raises(SupersededError):
                await volume.client.snapshot_if_changed("tank", self.REQUEST)
            assert volume.snapshots() == [OLD, NEW]
            assert volume.own() == {"zsr:owner": owner, "zsr:epoch": epoch}

    async def test_shows_no_mark_that_is_inherited(self, volume: Volume) -> None:
        volume.set("tank/data", job=str(JOB), source="alpha")
        outcome = await volume.client.snapshot_if_changed("tank", self.REQUEST)
        assert outcome is not None
        found = outcome.inventory.datasets[NAME]
        assert (found.job, found.source, found.borrowed_marks) == (None, None, True)
        assert [each.name for each in found.snapshots] == volume.snapshots() == [OLD, NEW, NEXT]
