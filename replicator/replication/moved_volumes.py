"""Volumes that moved here from another guest or storage of the node: which replica on the target each continues. Pure.

A replica is recognised by the GUIDs of its snapshots, never by a name. One of another job is taken over only if this
node made it and owns that job's guest, nobody uses it, and that guest has no volume any more that continues it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from replicator.errors import ConfigError, ZsrError
from replicator.models import GuestId, Job, JobId, KnownSets, Storage, Synced
from replicator.replication.context import OtherJobs
from replicator.replication.discovery import Discovered
from replicator.replication.keys import check_keys
from replicator.replication.plan import (
    Full,
    Incremental,
    Plan,
    SetAside,
    TagForeignSnapshots,
    VolumePair,
    choose_base,
    make_plan,
    may_move,
)
from replicator.replication.provenance import Direction, continues_as, is_brought, is_foreign_brought
from replicator.replication.snapshot_sets import with_sent
from replicator.replication.trees import BringBack, Rename
from replicator.zfs.dataset_names import is_diverged, is_reseed, owning_path, volume_prefixes
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Inventory


@dataclass(frozen=True, slots=True)
class MovedVolume:
    """A volume and the replica on the target that it continues, with the job whose replica that is."""

    pair: VolumePair
    replica: Dataset
    job: JobId


def wants_replica(plan: Plan) -> list[VolumePair]:
    """Return the volumes that may have a replica elsewhere; none where a conflict stops the run anyway.

    They would be sent in full although they have snapshots or bookmarks, or the dataset of their name is a replica of
    another job, with which they have something in common.
    """
    foreign = [conflict.pair for conflict in plan.conflicts]
    if not all(_has_others_replica(pair) for pair in foreign):
        return []
    full = [action.pair for action in plan.actions if isinstance(action, Full)]
    return [
        pair
        for pair in (*full, *foreign)
        if (pair.source.snapshots or pair.source.bookmarks) and (pair.target is None or pair.target.token is None)
    ]


def _has_others_replica(pair: VolumePair) -> bool:
    target = pair.target
    return target is not None and job_of_replica(target) is not None and choose_base(pair.source, target) is not None


def candidates(way: Direction, others: OtherJobs, listings: Mapping[str, Inventory]) -> list[Dataset]:
    """Return the datasets on the target that are this node's replicas, and that may be continued by another volume.

    ``listings`` are those of the storages there, by path.
    """
    found = {name: each for inventory in listings.values() for name, each in inventory.datasets.items()}
    return [
        each
        for name, each in sorted(found.items())
        if _is_idle(each)
        and owning_path(name, listings) != name
        and each.source == way.source
        and _may_leave(way, others, job_of_replica(each))
    ]


def _is_idle(replica: Dataset) -> bool:
    """Return whether nobody uses a replica, and no transfer into it waits."""
    used = replica.readonly is not True or replica.written or replica.mounted
    return not used and replica.token is None and not is_reseed(replica.name)


def job_of_replica(replica: Dataset) -> JobId | None:
    """Return the job of a marked dataset."""
    try:
        return None if replica.job is None else JobId.parse(replica.job)
    except ConfigError:
        return None


def _may_leave(way: Direction, others: OtherJobs, job: JobId | None) -> bool:
    """Return whether a job may give a replica to this one: it is this one, or of another guest that the node owns."""
    if job is None or job == way.job:
        return job is not None
    guest = others.guests.get(job.guest)
    if job.guest == way.job.guest or (guest is None and job in others.jobs):
        return False
    return guest is None or guest.node == way.source


def fence_of(others: OtherJobs, job: JobId, node: str) -> Fence:
    """Return the fence of another job of a node, which its replica's stamps must pass."""
    guest = others.guests.get(job.guest)
    return Fence(job, node, None if guest is None else guest.epoch)


def still_continued(
    way: Direction, others: OtherJobs, storages: Iterable[Storage], moved: MovedVolume, on_source: Inventory
) -> str | None:
    """Return the dataset of the source with which the replica's own job would go on; None if there is none.

    It is one of that job's guest that shares a snapshot or bookmark with the replica; or a clone of the volume: after a
    promote the snapshots are the clone's.
    """
    node, guest = way.source, way.job.guest
    everywhere = tuple(storages)
    own = moved.pair.source.name
    sharing = {*continues_as(moved.replica, on_source), *_clones_of(own, on_source)}
    theirs = (each for each in sorted(sharing) if is_volume_of(others, everywhere, node, moved.job.guest, each))
    return next((each for each in theirs if each != own or moved.job.guest != guest), None)


def is_volume_of(others: OtherJobs, storages: Iterable[Storage], node: str, guest: GuestId, dataset: str) -> bool:
    """Return whether a dataset of a node is a volume of a guest by its name or by the settings, be it left out."""
    by_name = {each.name: each for each in storages if each.allowed_on(node)}
    known = others.guests.get(guest)
    volumes = () if known is None else (*known.volumes, *known.excluded)
    foreign = () if known is None else known.others
    listed = {each.dataset(by_name[each.storage], node) for each in volumes if each.storage in by_name}
    not_its = {each.dataset(by_name[each.storage], node) for each in foreign if each.storage in by_name}
    prefixes = [prefix for each in by_name.values() for prefix in volume_prefixes(guest, each.path_on(node))]
    below = tuple(f"{each}/" for each in listed)
    return dataset in listed or (dataset not in not_its and dataset.startswith((*prefixes, *below)))


def _clones_of(dataset: str, on_source: Inventory) -> Iterator[str]:
    for name, each in on_source.datasets.items():
        if each.origin is not None and each.origin.startswith(f"{dataset}@"):
            yield name


def bears_others_stamps(way: Direction, others: OtherJobs | None, storages: Iterable[Storage], source: Dataset) -> bool:
    """Return whether a volume of the source still bears the owner and epoch of the guest of which it was before.

    Its newest set is of that guest, which this node owns at that very epoch, and which has the volume no more. Another
    guest's epoch says nothing about this one's owner.
    """
    marks = [each for each in (*source.snapshots, *source.bookmarks) if each.job is not None]
    newest = max(marks, key=lambda each: each.createtxg, default=None)
    job = None if newest is None else newest.job
    guest = None if others is None or job is None else others.guests.get(job.guest)
    if others is None or guest is None or guest.id == way.job.guest or guest.node != way.source:
        return False
    stamps = (source.owner, source.epoch) == (way.source, str(guest.epoch))
    return stamps and not is_volume_of(others, storages, way.source, guest.id, source.name)


def match(wanting: Sequence[VolumePair], replicas: Collection[Dataset]) -> list[MovedVolume]:
    """Return for each volume the replica with the newest common snapshot; each replica goes to one volume only."""
    found: list[MovedVolume] = []
    taken: set[str] = set()
    for pair in wanting:
        fitting = [
            (base.createtxg, not is_diverged(each.name), each)
            for each in replicas
            if each.name not in taken and each.is_volume == pair.source.is_volume and may_move(pair, each)
            if (base := choose_base(pair.source, each)) is not None
        ]
        best = max(fitting, key=lambda each: each[:2], default=None)
        if best is not None and (job := job_of_replica(best[2])) is not None:
            taken.add(best[2].name)
            found.append(MovedVolume(pair, best[2], job))
    return found


def with_taken(way: Direction, found: Discovered, moved: Iterable[MovedVolume]) -> Discovered:
    """Return both sides as they are when these replicas are the job's, without a volume of their name."""
    taken = {each.replica.name: _given(way, each.replica) for each in moved}
    volumes = tuple(replace(pair, target=taken.pop(pair.target_name, pair.target)) for pair in found.volumes)
    names = {each.replica.name for each in moved}
    orphans = [each for each in found.orphans if each.name not in names]
    diverged = tuple(each for each in found.diverged if each.name not in names)
    return replace(found, volumes=volumes, orphans=(*taken.values(), *orphans), diverged=diverged)


def _given(way: Direction, replica: Dataset) -> Dataset:
    epoch = None if way.fence is None or way.fence.epoch is None else str(way.fence.epoch)
    return replace(replica, job=str(way.job), source=way.source, owner=way.source, epoch=epoch)


def accepted(way: Direction, job: Job, found: Discovered, moved: Sequence[MovedVolume]) -> list[MovedVolume]:
    """Return those volumes that a plan would continue from these replicas; the others are sent in full."""
    left = list(moved)
    while left:
        after = with_taken(way, found, left)
        plan = plan_of_moved(way, after)
        good = [each for each in left if _is_continued(job, plan, each)]
        if len(good) == len(left):
            return [] if plan.conflicts else left
        left = good
    return []


def plan_of_moved(way: Direction, after: Discovered) -> Plan:
    """Return the plan with the replicas of volumes that moved: their names are others since then, on both sides."""
    unnamed = replace(way, known=replace(way.known, volumes=()))
    return make_plan(unnamed, after.volumes, after.orphans, after.diverged)


def _is_continued(job: Job, plan: Plan, moved: MovedVolume) -> bool:
    action = next((each for each in plan.actions if each.pair.volume == moved.pair.volume), None)
    steps = () if action is None else action.preparations
    in_place = moved.pair.target_name == moved.replica.name
    if not isinstance(action, Incremental) or not (in_place or Rename(moved.replica.name) in steps):
        return False
    # What is aside is kept as it is: it may be continued only where nothing in it is newer.
    plain = all(isinstance(each, Rename | TagForeignSnapshots | BringBack) or each == SetAside(None) for each in steps)
    try:
        check_keys(job, action)
    except ZsrError:
        return False
    return plain or not is_diverged(moved.replica.name)


def inherited(way: Direction, synced: Synced, moved: MovedVolume, known: KnownSets) -> Synced:
    """Return the state in which this job is about to get a replica of another job.

    What this node brought for that job, as it remembers (``known``), is this job's now: its sets are restore points
    like the job's own, other snapshots follow the source. Nothing else on the replica will ever be destroyed.
    """
    old = Direction(moved.job, way.source, way.target, known)
    brought = [
        each
        for each in moved.replica.snapshots
        if is_brought(old, moved.pair.source, each) or is_foreign_brought(old, each)
    ]
    points = {each.guid for each in brought if each.job == moved.job and each.guid not in known.carried}
    points |= {each.guid for each in brought if each.guid in known.inherited and each.job != way.job}
    rest = {each.guid for each in brought} - points
    after = with_sent(synced, rest, rest & known.carried)
    return replace(after, sets=replace(after.sets, inherited=after.sets.inherited | points))


def words(moved: MovedVolume, job: JobId) -> str:
    """Return the sentence about a volume that continues a replica."""
    whose = "" if moved.job == job else f" of job {moved.job}"
    return f"{moved.pair.volume} moved here: it continues the replica{whose} '{moved.replica.name}'"
