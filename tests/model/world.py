"""The state of the model: the store's record, nodes, and the guest's volumes on each of them.

Content is a tuple of writes, oldest first; a snapshot is named by its content, as a GUID names it in ZFS: equal content
of one lineage is one snapshot, and a write of another node makes another lineage.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

Content = tuple[str, ...]
SETTLED, MOVING, TAKING = "settled", "moving", "taking"
NOBODY = -1
"""The owner of a volume without stamps."""


class Record(NamedTuple):
    """The guest's record in the cluster store, changed by transactions as a whole.

    ``to`` is the node that is to own the guest next, or that is taking it; the revision grows with each transaction.
    """

    owner: int
    epoch: int
    phase: str = SETTLED
    to: int = NOBODY
    revision: int = 0


class Receive(NamedTuple):
    """A ``zfs receive`` that has begun: of which epoch, onto which content, and what the volume holds after it.

    ``base`` is None where it makes the volume.
    """

    epoch: int
    base: Content | None
    content: Content


class Disk(NamedTuple):
    """One volume of the guest on one node.

    Attributes:
        owner, epoch: the stamps (the fence).
        writable: ``readonly=off``.
        content: what it holds now.
        snapshots: content of each snapshot.
        kept: content of what was kept aside, or of snapshots in it.
        claim: the epoch that a recovery on this node wants; 0 without one.
        receive: the receive going on.
        absent: nothing has its name; it was set aside with its stamps, and all that it held is among ``kept``.
    """

    owner: int
    epoch: int
    writable: bool
    content: Content = ()
    snapshots: frozenset[Content] = frozenset({()})
    kept: frozenset[Content] = frozenset()
    claim: int = 0
    receive: Receive | None = None
    absent: bool = False

    @property
    def forked(self) -> int:
        """The epoch of the newest fork among its snapshots; 0 without one. No hand removes it."""
        forks = (write for each in self.snapshots for write in each if write.startswith("fork"))
        return max((int(each.rpartition(" ")[2]) for each in forks), default=0)

    @property
    def fence(self) -> int:
        """The epoch that no older order passes: of the stamps, or of the newest fork."""
        return max(self.epoch, self.forked)


class Task(NamedTuple):
    """The process that zsr runs for the guest on a node: which protocol, its next step, and what it has read.

    ``expects`` is the record that the task acts on, and ``target`` the node that it sends to. ``sent`` is what a push
    sends, of each volume, and the older set that a person chose for a recovery.
    """

    kind: str
    step: str
    expects: Record
    target: int = -1
    volume: int = 0
    sent: tuple[Content, ...] = ()


class Node(NamedTuple):
    """A node.

    Attributes:
        up: it has power.
        known: the record as it was read last, since the last boot; None before.
        running: the epoch at which zsr started the guest here; 0 while it does not run.
        task: what zsr is doing.
        chosen: the older set with which the guest goes on here, and the epoch for which that holds; on its disk.
    """

    up: bool = True
    known: Record | None = None
    running: int = 0
    task: Task | None = None
    chosen: tuple[int, Content] | None = None


class Budget(NamedTuple):
    """How often something may still happen that nobody can foresee.

    ``delays``: receives that begin although the stamps refuse them, since they were looked at a moment before.
    """

    writes: int = 0
    kills: int = 0
    crashes: int = 0
    moves: int = 0
    recoveries: int = 0
    returns: int = 0
    unknown: int = 0
    inherits: int = 0
    delays: int = 0


class World(NamedTuple):
    """All of it.

    Attributes:
        disks: of each node, each volume.
        late: a transaction whose outcome nobody knows: the record that it expects, and the new one.
        written: all that a guest ever wrote.
        proven: the newest set that was proven on each node.
        recovered: a recovery has happened, so the old owner may have had writes that the new one does not.
        keep: how many sets a run leaves on a target; on the source it leaves one. 0: all, on both.
    """

    record: Record
    nodes: tuple[Node, ...]
    disks: tuple[tuple[Disk, ...], ...]
    left: Budget
    late: tuple[Record, Record] | None = None
    written: frozenset[str] = frozenset()
    proven: tuple[tuple[Content, ...] | None, ...] = ()
    recovered: bool = False
    keep: int = 0

    def with_node(self, index: int, **changes: Any) -> World:
        """Return the world with changes of one node."""
        changed = self.nodes[index]._replace(**changes)
        return self._replace(nodes=(*self.nodes[:index], changed, *self.nodes[index + 1 :]))

    def with_disk(self, node: int, volume: int, **changes: Any) -> World:
        """Return the world with changes of one volume on one node."""
        here = self.disks[node]
        changed = (*here[:volume], here[volume]._replace(**changes), *here[volume + 1 :])
        return self._replace(disks=(*self.disks[:node], changed, *self.disks[node + 1 :]))

    def each_disk(self) -> Iterator[tuple[int, int, Disk]]:
        """Yield node, volume and disk of all."""
        for node, disks in enumerate(self.disks):
            for volume, disk in enumerate(disks):
                yield node, volume, disk


def beginning(nodes: int, volumes: int, left: Budget) -> World:
    """Return a guest on node 0, with an equal replica on each of the others."""
    return World(
        Record(0, 1),
        tuple(Node() for _ in range(nodes)),
        tuple(tuple(Disk(0, 1, node == 0) for _ in range(volumes)) for node in range(nodes)),
        left,
        proven=tuple(None if node == 0 else ((),) * volumes for node in range(nodes)),
    )
