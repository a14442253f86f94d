"""Recovery: a guest goes on from its replicas, while the node that owns it is dead (contract: Guests that move).

The order keeps each death on the way harmless. The store's record is changed first; only then do the replicas get the
new owner's stamps, which refuse the former owner from its next order on; only then do they become writable. Done again,
it does the rest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from replicator.errors import ConfigError, DivergedError, EncryptionError, TargetActiveError, ZsrError
from replicator.models import JobId
from replicator.replication.activation import activate, begin_activation, is_activating
from replicator.replication.progress import Log
from replicator.replication.restore_points import Replicas, heads
from replicator.replication.stamps import refuse_superseded
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset
from replicator.zfs.snapshot_names import snapshot_name


@dataclass(frozen=True, slots=True)
class Recovery:
    """The replicas of one node that can become a guest.

    Attributes:
        job: the one that made them.
        former: the node that owns the guest.
        set_time: the newest set that is whole (unix seconds); what was written on the former node since is not here.
        replicas: those of the guest's volumes, parents first.
        left: replicas whose volume had left the guest, and their newest set; they stay what they are.
    """

    job: JobId
    former: str
    set_time: int
    replicas: tuple[Dataset, ...]
    left: Mapping[str, int]

    @property
    def identity(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        """What was shown to a person, and must still hold when it is done."""
        return self.set_time, tuple((each.name, each.guid) for each in self.replicas)


def plan_recovery(job: JobId, former: str, node: str, replicas: Replicas) -> Recovery:
    """Return from what a guest of the ``former`` node can go on, on ``node``. Pure.

    Raises:
        ConfigError: there is no replica, or no set of it is whole. DivergedError: one is ahead of the others.
        TargetActiveError: one is in use or was written to. EncryptionError: the key of one is not loaded.
    """
    theirs = {name: each for name, each in replicas.datasets.items() if each.source == former}
    found = heads(job, Replicas(theirs, replicas.wanted))
    if not found.current:
        raise ConfigError(f"No replica of guest {job.guest} from {former} is on {node}.", advice=_WHERE.format(job))
    if found.whole is None:
        raise ConfigError(f"No set of job {job} is whole on {node}.", advice=f"See: zsr restore-points {job}.")
    chosen = tuple(theirs[name] for name in sorted(found.current))
    _refuse_ahead(job, node, found.whole, found.ahead)
    for each in chosen:
        _refuse_unfit(node, each)
    return Recovery(job, former, found.whole, chosen, found.left)


_WHERE = "Ask all nodes: zsr guest replicas {0.guest}."


def _refuse_ahead(job: JobId, node: str, whole: int, ahead: Mapping[str, int]) -> None:
    for name in sorted(ahead):
        base = quote(f"{name}@{snapshot_name(job, whole)}")
        raise DivergedError(
            f"'{name}' on {node} has a newer set than the other volumes: the transfer was cut off between them.",
            node=node,
            advice=f"All volumes must be of one moment. Take it back by hand: zfs rollback -r {base}. That destroys "
            "its newer state: keep it before under another name (zfs clone), if it may be needed.",
        )


def _refuse_unfit(node: str, replica: Dataset) -> None:
    if replica.readonly is False or replica.written:
        how = "writable" if replica.readonly is False else "written to"
        raise TargetActiveError(
            f"The replica '{replica.name}' on {node} is {how}: it is used already.",
            node=node,
            advice="If it is to be the guest, set guests.ID.node by hand (docs/replication.md, Owner and epoch).",
        )
    if replica.key_loaded is False:
        raise EncryptionError(
            f"The key of '{replica.name}' on {node} is not loaded.",
            node=node,
            advice=f"Load it: zfs load-key {quote(replica.encryption_root or replica.name)}.",
        )


def next_epoch(known: int, replicas: Iterable[Dataset]) -> int:
    """Return the epoch with which a guest is taken: above the store's and above all stamps that can be read."""
    stamped = (int(each.epoch) for each in replicas if each.epoch is not None and each.epoch.isdecimal())
    return max([known, *stamped]) + 1


async def become_guest(fence: Fence, replicas: Sequence[Dataset], former: str, node: ZfsClient, log: Log) -> None:
    """Let replicas become the guest of the fence's owner, whose epoch was committed before. May be done again.

    The caller holds the guest's lock. What the ``former`` owner sends is refused from the stamps on, and what arrived
    before them is seen: only then does a volume become writable.

    Raises:
        SupersededError: a volume has a later epoch. DivergedError: they are not of one moment any more. ZsrError: a
            step failed; what was done stays.
    """
    await refuse_superseded(fence, node, replicas)
    for each in replicas:
        await begin_activation(node, each.name)
    await node.stamp(fence, [each.name for each in replicas])
    await end_receives(fence.job, former, node, log)
    now = [(await node.inventory(each.name, depth=1)).datasets[each.name] for each in replicas]
    found = heads(fence.job, Replicas({each.name: each for each in now}, frozenset(each.name for each in now)))
    _refuse_ahead(fence.job, node.node, found.whole or 0, found.ahead)
    for each in sorted(now, key=lambda replica: replica.name):
        await activate(node, each, fork_name(fence), log)
        log("info", f"'{each.name}' is writable")


def fork_name(fence: Fence) -> str:
    """Return the name of the snapshot that marks where a guest was taken over."""
    return f"zsr-recovered-{fence.epoch}"


async def unfinished(job: JobId, datasets: Mapping[str, Dataset], node: ZfsClient) -> list[Dataset]:
    """Return the volumes of a guest on its own node that still are replicas of a job, as their marks say.

    That is what a recovery leaves that died, and a guest whose node was edited by hand.
    """
    marked = {name: each for name, each in datasets.items() if each.job == str(job) and each.source != node.node}
    current = [marked[name] for name in sorted(heads(job, Replicas(marked)).current)]
    return [each for each in current if each.readonly or await is_activating(node, each.name)]


async def end_receives(job: JobId, former: str, node: ZfsClient, log: Log) -> None:
    """End what the former owner still sends; the set is chosen from what is whole after that."""
    try:
        if await node.end_stale_receives(job, former):
            log("warning", f"a receive from {former} was ended")
    except ZsrError as error:
        log("warning", error.what)
