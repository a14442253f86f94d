"""Recovery: a guest goes on from its replicas, while the node that owns it is dead (contract: Guests that move).

The order keeps each death on the way harmless. The store's record is changed first; only then do the replicas get the
new owner's stamps, which refuse the former owner from its next order on; only then do they go back to an older set, if
a person chose one, and become writable. Done again, it does the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from shlex import quote

from replicator.errors import (
    ConfigError,
    DivergedError,
    StorageMissingError,
    SupersededError,
    TargetActiveError,
    ZsrError,
)
from replicator.guests.activation import activate, begin_activation, is_activating, open_volumes
from replicator.guests.claims import PLAIN, claims_on, fork_name
from replicator.guests.older_set import ChosenSet, claims_for, go_back, is_behind, whole_sets
from replicator.models import Guest, JobId, Storage, Volume
from replicator.replication.branches import is_others
from replicator.replication.guest_replicas import Answers
from replicator.replication.keys import refuse_locked_dataset
from replicator.replication.progress import Log
from replicator.replication.provenance import sets_of
from replicator.replication.restore_points import Replicas, heads
from replicator.replication.stamps import refuse_superseded
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import in_parts
from replicator.zfs.dataset_names import has_guests_name, is_diverged
from replicator.zfs.fence import Fence, claim_of
from replicator.zfs.model import Dataset


@dataclass(frozen=True, slots=True)
class Recovery:
    """The replicas of one node that can become a guest.

    Attributes:
        job: the one that made them.
        former: the node that owns the guest.
        set_time: the newest set that is whole, or the chosen one (unix seconds); what was written on the former node
            since is not here.
        replicas: those of the guest's volumes, parents first.
        newer: the time of the newest set that is kept aside here; None: there is none.
    """

    job: JobId
    former: str
    set_time: int
    replicas: tuple[Dataset, ...]
    newer: int | None = None

    @property
    def identity(self) -> tuple[int, tuple[tuple[str, int], ...]]:
        """What was shown to a person, and must still hold when it is done."""
        return self.set_time, tuple((each.name, each.guid) for each in self.replicas)


def plan_recovery(
    job: JobId,
    former: str,
    node: str,
    replicas: Replicas,
    wanted: Collection[str] = (),
    without: Collection[str] = (),
    at: int | None = None,
) -> Recovery:
    """Return from what a guest of the ``former`` node can go on, on ``node``. Pure.

    Args:
        job: the one that replicates to the node.
        former: the node that owns the guest.
        node: the one that takes it.
        replicas: those of the job there.
        wanted: the replicas that the guest's listed volumes must have; empty where they are not listed.
        without: those that a person gives up.
        at: the set that a person chose; a replica that has it belongs to the guest, also if its volume left since.

    Raises:
        ConfigError: there is no replica, no set of it is whole, or a volume would be left behind. DivergedError: one is
            ahead of the others. TargetActiveError: one is in use. EncryptionError: the key of one is not loaded.
    """
    theirs = _from(former, replicas, without)
    found = heads(job, Replicas(theirs, replicas.wanted))
    if not found.current:
        raise _none_from(former, job, node, replicas)
    if found.whole is None:
        raise ConfigError(f"No set of job {job} is whole on {node}.", advice=f"See: zsr restore-points {job}.")
    having = found.current if at is None else {name for name, each in theirs.items() if at in sets_of(job, each)}
    due = {*theirs, *wanted} - (found.left.keys() if at is not None else set())
    _refuse_half(job, node, sorted(due - having - set(without)), found.left if replicas.wanted is not None else {})
    if at is None:
        _refuse_ahead(job, node, found.whole, found.ahead)
    chosen = tuple(theirs[name] for name in sorted(having))
    for each in chosen:
        _refuse_unfit(node, each)
    set_time = found.whole if at is None else at
    return Recovery(job, former, set_time, chosen, _newest_after(job, set_time, chosen))


def _newest_after(job: JobId, set_time: int, replicas: Iterable[Dataset]) -> int | None:
    return max((time for each in replicas for time in sets_of(job, each) if time > set_time), default=None)


def _none_from(former: str, job: JobId, node: str, replicas: Replicas) -> ConfigError:
    others = sorted({each.source or "(none)" for each in replicas.datasets.values()} - {former})
    known = (
        f" There are some from {', '.join(others)}: after a move, zsr adopt makes them {former}'s." if others else ""
    )
    return ConfigError(f"No replica of guest {job.guest} from {former} is on {node}.{known}", advice=_WHERE.format(job))


def without_way_back(recovery: Recovery) -> list[str]:
    """Return the replicas of which the former node has probably nothing as old as the chosen set. Pure.

    A source keeps the newest set of a job only, and the snapshots of others that travelled.
    """

    def is_left(replica: Dataset) -> bool:
        sets = sets_of(recovery.job, replica)
        end = sets[recovery.set_time].createtxg
        others = any(each.job is None and not each.made_here and each.createtxg <= end for each in replica.snapshots)
        return others or recovery.set_time == max(sets)

    return [each.name for each in recovery.replicas if not is_left(each)]


def sets_to_choose(
    job: JobId, former: str, replicas: Replicas, wanted: Collection[str] = (), without: Collection[str] = ()
) -> list[int]:
    """Return the sets from which a guest of the ``former`` node can go on, newest first; see `plan_recovery`."""
    theirs = _from(former, replicas, without)
    current = heads(job, Replicas(theirs, replicas.wanted)).current | (set(wanted) - set(without))
    return whole_sets(job, [theirs[name] for name in current]) if current <= theirs.keys() else []


def _from(former: str, replicas: Replicas, without: Collection[str]) -> dict[str, Dataset]:
    return {name: each for name, each in replicas.datasets.items() if each.source == former and name not in without}


def _refuse_half(job: JobId, node: str, missing: Sequence[str], gone: Collection[str]) -> None:
    """Refuse replicas that would be left behind.

    Of those that are ``gone`` the guest's node, which answers, has no volume: the new one would find them by name.
    """
    for name in sorted(set(missing) & set(gone)):
        raise ConfigError(
            f"The volume of '{name}' on {node} is gone: there guest {job.guest} would have it again.",
            advice=f"If it is not missed: zsr vanished destroy {job} {quote(name)}. Or wait until its grace is over.",
        )
    if missing:
        raise ConfigError(
            f"{', '.join(map(repr, missing))} on {node} cannot be taken with the others: there is no set of it, or "
            "none that is as new as theirs.",
            advice=f"See: zsr restore-points. If the guest does not need it, give --without {quote(missing[0])}.",
        )


def refuse_taken(guest: Guest, storages: Collection[Storage], former: str, here: str, answers: Answers) -> None:
    """Raise if any node has volumes of a guest that say that it was taken already.

    They are another owner's at a later epoch than the store's, or its own and writable; or their epoch cannot be read,
    or a recovery has claimed a later one.

    Raises:
        SupersededError: it was taken.
    """
    for node, each in _volumes_of(guest, storages, answers):
        if (wanted := claim_of(each.stamped)) is not None and wanted > guest.epoch:
            raise SupersededError(
                f"A recovery of guest {guest.id} was begun on {node}: '{each.name}' there is claimed ({each.epoch}).",
                node=node,
                advice=f"Finish it there, or let it take the claim back: zsr guest recover {guest.id}.",
            )
        unreadable = each.epoch is not None and not each.epoch.isdecimal() and wanted is None
        others = each.owner not in (None, former)
        later = others and each.epoch is not None and each.epoch.isdecimal() and int(each.epoch) > guest.epoch
        used = others and each.readonly is False and each.owner == node != here
        if unreadable or later or used:
            raise SupersededError(
                f"Guest {guest.id} may have been taken already: '{each.name}' on {node} is of {each.owner}, epoch "
                f"{each.epoch}, and the cluster file here is at epoch {guest.epoch}.",
                node=node,
                advice=f"Bring the cluster file of {each.owner} here (there: zsr cluster push).",
            )


def highest_epoch(guest: Guest, storages: Collection[Storage], answers: Answers) -> int:
    """Return the highest epoch of a guest that can be seen anywhere, in the store or on a volume."""
    stamps = (each.epoch for _, each in _volumes_of(guest, storages, answers))
    return max([guest.epoch, *(int(each) for each in stamps if each is not None and each.isdecimal())])


def volumes_of(
    guest: Guest, storages: Iterable[Storage], node: str, listed: Mapping[str, Dataset]
) -> Iterator[Dataset]:
    """Yield the volumes and replicas of a guest among what lies on a node: by their marks, by the list, or by name.

    A volume that the settings leave out stays what and where it is, whatever stamps it has of an earlier time.
    """
    paths = {each.name: each.path_on(node) for each in storages if each.allowed_on(node)}

    def names(volumes: Iterable[Volume]) -> set[str]:
        return {f"{paths[each.storage]}/{each.name}" for each in volumes if each.storage in paths}

    own, left_out = names(guest.volumes), names(guest.excluded)
    for name, each in listed.items():
        if (each.job or "").partition("-")[0] == str(guest.id):
            yield each
        elif is_others(guest.id, each):
            continue
        elif name in own or (has_guests_name(name, guest.id) and name not in left_out):
            yield each


def _volumes_of(guest: Guest, storages: Collection[Storage], answers: Answers) -> Iterator[tuple[str, Dataset]]:
    for node, answer in answers.items():
        for each in volumes_of(guest, storages, node, {} if isinstance(answer, ZsrError) else answer):
            yield node, each


_WHERE = "Ask all nodes: zsr guest replicas {0.guest}."


def _refuse_ahead(job: JobId, node: str, whole: int, ahead: Mapping[str, int]) -> None:
    for name in sorted(ahead):
        raise DivergedError(
            f"'{name}' on {node} has a newer set than the other volumes: the transfer was cut off between them.",
            node=node,
            advice="All volumes must be of one moment. If the owner is dead, take it back to the newest set that all "
            f"have: zsr guest recover {job.guest} --restore-point {whole}. What is newer is kept aside.",
        )


def _refuse_unfit(node: str, replica: Dataset) -> None:
    if replica.readonly is False or replica.written:
        how = "writable" if replica.readonly is False else "written to"
        raise TargetActiveError(
            f"The replica '{replica.name}' on {node} is {how}: it is used already.",
            node=node,
            advice="If it is to be the guest, set guests.ID.node by hand (docs/replication.md, Owner and epoch).",
        )
    refuse_locked_dataset(replica, node)


async def become_guest(
    fence: Fence, replicas: Sequence[Dataset], former: str, node: ZfsClient, log: Log, chosen: ChosenSet | None = None
) -> None:
    """Let replicas become the guest of the fence's owner, whose epoch was committed before. May be done again.

    The caller holds the guest's lock. What the ``former`` owner sends is refused from the stamps on, and what arrived
    before them is seen: only then does a volume become writable. With a ``chosen`` set what is newer is kept aside.
    A receive that had passed the stamps a moment before is seen after the write that lets none fit any more.

    Raises:
        SupersededError: a volume has a later epoch. DivergedError: they are not of one moment any more. ZsrError: a
            step failed; what was done stays.
    """
    await refuse_superseded(fence, node, replicas)
    names = [each.name for each in replicas]
    claims = (
        dict.fromkeys(names, PLAIN)
        if chosen is None
        else claims_for(fence, replicas, chosen, await claims_on(node, names, fence.epoch))
    )
    await begin_activation(node, fence, names, claims)
    if await node.end_stale_receives(fence.job, former):
        log("warning", f"a receive from {former} was ended")
    now = await _listed(node, replicas)
    if chosen is None:
        _refuse_differing(fence.job, now, node)
    for each in now:
        refuse_locked_dataset(each, node.node)
    if chosen is not None:
        now = await go_back(fence, now, chosen, node, log)
    await open_volumes(node, now, fork_name(fence), log)
    _refuse_late(fence, await _listed(node, now), chosen, node)
    await activate(node, now, fork_name(fence), log)
    for name in sorted(each.name for each in now):
        log("info", f"'{name}' is writable")


async def _listed(node: ZfsClient, datasets: Iterable[Dataset]) -> list[Dataset]:
    """Return datasets as they are now, by one command where this ZFS can; the guest is off meanwhile."""
    names = [each.name for each in datasets]
    parts = in_parts(names) if (await node.features()).list_parsable else [[name] for name in names]
    found: dict[str, Dataset] = {}
    for some in parts:
        listed = (await node.inventory(some[0], depth=1, also=some[1:])).datasets
        found |= {name: listed[name] for name in some if name in listed}
    for name in names:
        if name not in found:
            raise StorageMissingError(f"'{name}' does not exist on node {node.node} any more.", node=node.node)
    return [found[name] for name in names]


def _refuse_differing(job: JobId, replicas: Sequence[Dataset], node: ZfsClient) -> None:
    found = heads(job, Replicas({each.name: each for each in replicas}, frozenset(each.name for each in replicas)))
    _refuse_ahead(job, node.node, found.whole or 0, found.ahead)


def _refuse_late(fence: Fence, opened: Sequence[Dataset], chosen: ChosenSet | None, node: ZfsClient) -> None:
    """Raise DivergedError if a receive that was late brought a set before the volume was written to."""
    if chosen is None:
        _refuse_differing(fence.job, opened, node)
        return
    for each in opened:
        if each.named(fork_name(fence)) is None and is_behind(fence.job, each, chosen.set_time):
            raise DivergedError(
                f"'{each.name}' on {node.node} got a newer set while the guest was recovered.",
                node=node.node,
                advice="The owner may not be dead: look. Then run it again: what is newer is kept aside too.",
            )


@dataclass(frozen=True, slots=True)
class Unfinished:
    """What is left of a recovery on the guest's own node.

    Attributes:
        job: the one that made the replicas.
        replicas: those that are not the guest's volumes yet, under the names that they have now.
        names: the names that they get.
        set_time: the older set with which they go on; None: their newest.
        is_begun: one of the others is the guest's volume by now, from its newest set.
    """

    job: JobId
    replicas: tuple[Dataset, ...]
    names: tuple[str, ...]
    set_time: int | None = None
    is_begun: bool = False

    def apart_from(self, names: Collection[str]) -> Unfinished:
        """Return the same without what a person gives up, by the names that they get."""
        left = [pair for pair in zip(self.names, self.replicas, strict=True) if pair[0] not in names]
        return replace(self, names=tuple(name for name, _ in left), replicas=tuple(each for _, each in left))


async def unfinished(
    job: JobId, datasets: Mapping[str, Dataset], node: ZfsClient, epoch: int, at: int | None = None
) -> Unfinished:
    """Return the volumes of a guest on its own node that still are replicas of a job, as their marks say.

    That is what a recovery leaves that died, and a guest whose node was edited by hand. ``at``: the older set that was
    chosen, if none of them says it itself.
    """
    marked = {name: each for name, each in datasets.items() if each.job == str(job) and each.source != node.node}
    claims = await claims_on(node, marked, epoch)
    at = next((claim.set_time for _, claim in sorted(claims.items())), at)
    present = {name: each for name, each in marked.items() if not is_diverged(name)}
    if at is None:
        current = [present[name] for name in sorted(heads(job, Replicas(present)).current)]
        left = {each.name: each for each in current if each.readonly or await is_activating(node, each.name)}
        fork = fork_name(Fence(job, node.node, epoch))
        is_begun = any(each.named(fork) is not None for each in present.values())
        return Unfinished(job, tuple(left.values()), tuple(left), is_begun=is_begun)
    left = {claims[name].home: marked[name] for name in sorted(claims) if is_diverged(name)}
    left |= {name: each for name, each in present.items() if name in claims or _is_unclaimed(job, each, at)}
    names = sorted(left)
    return Unfinished(job, tuple(left[name] for name in names), tuple(names), at)


def _is_unclaimed(job: JobId, replica: Dataset, at: int) -> bool:
    return replica.readonly is True and at in sets_of(job, replica)
