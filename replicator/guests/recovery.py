"""Recovery: a guest goes on from its replicas, while the node that owns it is dead (contract: Guests that move).

The order keeps each death on the way harmless. The store's record is changed first; only then do the replicas get the
new owner's stamps, which refuse the former owner from its next order on; only then do they become writable. Done again,
it does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from shlex import quote

from replicator.errors import (
    ConfigError,
    DivergedError,
    EncryptionError,
    SupersededError,
    TargetActiveError,
    ZsrError,
)
from replicator.guests.activation import activate, begin_activation, is_activating
from replicator.models import JobId
from replicator.replication.progress import Log
from replicator.replication.restore_points import Replicas, heads
from replicator.replication.stamps import refuse_superseded
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import has_guests_name
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
    """

    job: JobId
    former: str
    set_time: int
    replicas: tuple[Dataset, ...]

    @property
    def identity(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        """What was shown to a person, and must still hold when it is done."""
        return self.set_time, tuple((each.name, each.guid) for each in self.replicas)


def plan_recovery(
    job: JobId, former: str, node: str, replicas: Replicas, wanted: Collection[str] = (), without: Collection[str] = ()
) -> Recovery:
    """Return from what a guest of the ``former`` node can go on, on ``node``. Pure.

    Args:
        job: the one that replicates to the node.
        former: the node that owns the guest.
        node: the one that takes it.
        replicas: those of the job there.
        wanted: the replicas that the guest's listed volumes must have; empty where they are not listed.
        without: those that a person gives up.

    Raises:
        ConfigError: there is no replica, no set of it is whole, or a volume would be left behind. DivergedError: one is
            ahead of the others. TargetActiveError: one is in use. EncryptionError: the key of one is not loaded.
    """
    theirs = {name: each for name, each in replicas.datasets.items() if each.source == former and name not in without}
    found = heads(job, Replicas(theirs, replicas.wanted))
    if not found.current:
        others = sorted({each.source or "(none)" for each in replicas.datasets.values()} - {former})
        known = (
            f" There are some from {', '.join(others)}: after a move, zsr adopt makes them {former}'s."
            if others
            else ""
        )
        raise ConfigError(
            f"No replica of guest {job.guest} from {former} is on {node}.{known}", advice=_WHERE.format(job)
        )
    if found.whole is None:
        raise ConfigError(f"No set of job {job} is whole on {node}.", advice=f"See: zsr restore-points {job}.")
    _refuse_half(node, sorted({*theirs, *wanted} - found.current - set(without)))
    _refuse_ahead(job, node, found.whole, found.ahead)
    chosen = tuple(theirs[name] for name in sorted(found.current))
    for each in chosen:
        _refuse_unfit(node, each)
    return Recovery(job, former, found.whole, chosen)


def _refuse_half(node: str, missing: Sequence[str]) -> None:
    if missing:
        raise ConfigError(
            f"{', '.join(map(repr, missing))} on {node} cannot be taken with the others: there is no set of it, or "
            "none that is as new as theirs.",
            advice=f"See: zsr restore-points. If the guest does not need it, give --without {quote(missing[0])}.",
        )


def refuse_taken(
    guest: int, epoch: int, former: str, here: str, answers: Mapping[str, Mapping[str, Dataset] | ZsrError]
) -> None:
    """Raise if any node has volumes of a guest that say that it was taken already.

    They are another owner's at a later epoch than the store's, or its own and writable; or their epoch cannot be read.

    Raises:
        SupersededError: it was taken.
    """
    for node, each in _volumes_of(guest, answers):
        unreadable = each.epoch is not None and not each.epoch.isdecimal()
        others = each.owner not in (None, former)
        later = others and each.epoch is not None and each.epoch.isdecimal() and int(each.epoch) > epoch
        used = others and each.readonly is False and each.owner == node != here
        if unreadable or later or used:
            raise SupersededError(
                f"Guest {guest} may have been taken already: '{each.name}' on {node} is of {each.owner}, epoch "
                f"{each.epoch}, and the cluster file here is at epoch {epoch}.",
                node=node,
                advice=f"Bring the cluster file of {each.owner} here (there: zsr cluster push).",
            )


def highest_epoch(guest: int, epoch: int, answers: Mapping[str, Mapping[str, Dataset] | ZsrError]) -> int:
    """Return the highest epoch of a guest that can be seen anywhere; ``epoch`` is the store's."""
    stamps = (each.epoch for _, each in _volumes_of(guest, answers))
    return max([epoch, *(int(each) for each in stamps if each is not None and each.isdecimal())])


def volumes_of(guest: int, listed: Mapping[str, Dataset]) -> Iterator[Dataset]:
    """Yield the volumes and replicas of a guest among what lies on a node."""
    for name, each in listed.items():
        if (each.job or "").partition("-")[0] == str(guest) or has_guests_name(name, guest):
            yield each


def _volumes_of(guest: int, answers: Mapping[str, Mapping[str, Dataset] | ZsrError]) -> Iterator[tuple[str, Dataset]]:
    for node, answer in answers.items():
        for each in volumes_of(guest, {} if isinstance(answer, ZsrError) else answer):
            yield node, each


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
    _refuse_locked(node, replica)


def _refuse_locked(node: str, replica: Dataset) -> None:
    if replica.key_loaded is False:
        raise EncryptionError(
            f"The key of '{replica.name}' on {node} is not loaded.",
            node=node,
            advice=f"Load it: zfs load-key {quote(replica.encryption_root or replica.name)}.",
        )


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
    if await node.end_stale_receives(fence.job, former):
        log("warning", f"a receive from {former} was ended")
    now = [(await node.inventory(each.name, depth=1)).datasets[each.name] for each in replicas]
    found = heads(fence.job, Replicas({each.name: each for each in now}, frozenset(each.name for each in now)))
    _refuse_ahead(fence.job, node.node, found.whole or 0, found.ahead)
    for each in now:
        _refuse_locked(node.node, each)
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
