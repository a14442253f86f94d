"""Adoption: datasets that pvesr, syncoid or a manual ``zfs send`` brought to the target become a job's replicas.

The same goes for replicas of another source node: the guest was moved, or its node has a new name. Only properties are
set, on datasets that share a base (by GUID) with their volume and belong to no other job; nothing is sent or destroyed.

Another tool's snapshots with a name of zsr's format are renamed first. When pvesr removes its job, it destroys each
volume on the target on which it finds a snapshot with its job's name; renamed, the replica is out of its reach, and the
snapshot is a base as before, by its GUID. The renames are recorded, and only then is the dataset marked, ``zsr:job``
last: so an adoption that dies anywhere is finished by the next one.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from replicator.errors import ConfigError
from replicator.models import Guest, Job, JobId, KnownSets, Storage
from replicator.replication.discovery import discover
from replicator.replication.plan import VolumePair, choose_base
from replicator.replication.provenance import Direction, is_brought, sets_of
from replicator.replication.stamps import confirmed, unstamped
from replicator.replication.stream_flags import LARGE_BYTES, described_way_back
from replicator.zfs.block_sizes import block_sizes
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import replica_properties
from replicator.zfs.fence import Fence, epoch_to_take, refusal
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.open_datasets import open_among
from replicator.zfs.snapshot_names import adopted_name, is_adopted_name, parse_snapshot_name


class Verdict(StrEnum):
    """The result of examining a volume's dataset on the target."""

    ABSENT = "absent"
    REPLICA = "replica"
    ADOPTABLE = "adoptable"
    NO_BASE = "no_base"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Rename:
    """Another tool's snapshot on the target, and the name that it gets."""

    snapshot: Snapshot
    new: str


@dataclass(frozen=True, slots=True)
class KnownJobs:
    """The ids of the jobs that may have taken snapshots with names of zsr's format.

    ``zsr`` are all of zsr's in the cluster; ``pvesr`` those of Proxmox VE that are in conflict with the job.
    """

    zsr: frozenset[JobId] = frozenset()
    pvesr: frozenset[JobId] = frozenset()


@dataclass(frozen=True, slots=True)
class Finding:
    """The dataset on the target that has a volume's name.

    Attributes:
        pair: the volume and that dataset.
        verdict: whether it can be adopted.
        base: the target's snapshot that both sides have.
        newer: the target's snapshots after it.
        why: for a refusal, the end of a sentence that begins with the dataset's name, and the advice.
        renames: the other tool's snapshots there that get another name.
    """

    pair: VolumePair
    verdict: Verdict
    base: Snapshot | None = None
    newer: tuple[Snapshot, ...] = ()
    why: str = ""
    renames: tuple[Rename, ...] = ()

    @property
    def written(self) -> int:
        """Bytes written on the target after its newest snapshot; 0 also where this ZFS does not report it."""
        return (self.pair.target.written or 0) if self.pair.target else 0


def examine(way: Direction, volumes: Iterable[VolumePair], known_jobs: KnownJobs) -> list[Finding]:
    """Return for each volume of a guest on the source whether its dataset on the target can be adopted.

    ``way.known`` is what the source's node remembers of the job.
    """
    return [_with_renames(way, _examine(way.job, pair, way.source), known_jobs) for pair in volumes]


def others_snapshots(way: Direction, pair: VolumePair, known_jobs: KnownJobs) -> list[Rename]:
    """Return the snapshots of other tools on a dataset that have a name of zsr's format, with the names they get.

    On an unmarked dataset they are those that this node did not bring. On a replica the job's own name is not among
    them, nor that of another job of zsr: they may be of a time that this node does not remember. What has the name of a
    job of pvesr is among them wherever it came from, also if it travelled with the job.
    """
    target, found = pair.target, []
    for snapshot in () if target is None else target.snapshots:
        name = parse_snapshot_name(snapshot.name)
        if target is None or name is None:
            continue
        reached = name.job in known_jobs.pvesr and name.job not in known_jobs.zsr
        is_other = target.job is None or (name.job != way.job and name.job not in known_jobs.zsr)
        if reached or (is_other and not is_brought(way, pair.source, snapshot)):
            found.append(Rename(snapshot, _free_name(target, adopted_name(name))))
    return found


def _free_name(target: Dataset, wanted: str) -> str:
    """Return a name that no snapshot of the dataset has; it ends with dots where the wanted one is taken."""
    return wanted if target.named(wanted) is None else _free_name(target, f"{wanted}.")


def _with_renames(way: Direction, finding: Finding, known_jobs: KnownJobs) -> Finding:
    target = finding.pair.target
    used = target is not None and target.job is not None and target.readonly is False
    if finding.verdict not in (Verdict.ADOPTABLE, Verdict.REPLICA) or used:
        return finding
    return replace(finding, renames=tuple(others_snapshots(way, finding.pair, known_jobs)))


async def ways_back(findings: Iterable[Finding], source: ZfsClient) -> list[str]:
    """Return what is to be said of the way back from replicas that can be adopted: large blocks may prevent it."""
    volumes = {each.pair.source.name: each.pair.volume for each in findings if each.verdict is Verdict.ADOPTABLE}
    sizes = await block_sizes(source, list(volumes))
    return [described_way_back(str(volumes[name]), size) for name, size in sizes.items() if size > LARGE_BYTES]


def refuse_adoption(findings: Iterable[Finding], target: str) -> None:
    """Raise ConfigError with all reasons if any dataset cannot be adopted."""
    refused = [finding for finding in findings if finding.verdict is Verdict.REFUSED]
    if refused:
        lines = "".join(f"\n  '{finding.pair.target_name}' on {target} {finding.why}" for finding in refused)
        raise ConfigError(f"Nothing was adopted and nothing changed:{lines}")


async def examine_target(
    job: Job,
    guest: Guest,
    storages: Iterable[Storage],
    source: ZfsClient,
    target: ZfsClient,
    known: KnownSets,
    known_jobs: KnownJobs,
) -> list[Finding]:
    """List both sides and `examine` them; what is open on the target is refused.

    Raises:
        ZsrError: a side cannot be listed. ConfigError: the guest has no volume.
    """
    way = Direction(job.id, source.node, target.node, known)
    findings = examine(way, (await discover(job, guest, storages, source, target)).volumes, known_jobs)
    writable = [
        each.pair.target_name
        for each in findings
        if each.verdict is Verdict.ADOPTABLE and each.pair.target is not None and each.pair.target.readonly is False
    ]
    opened = await open_among(target, writable)
    return [_refused_if_open(each) if each.pair.target_name in opened else each for each in findings]


def _refused_if_open(finding: Finding) -> Finding:
    why = (
        "is open there, and would be made read-only: a guest may be running on it. Stop it there; if it was moved "
        "there, set its node in the cluster file."
    )
    return replace(finding, verdict=Verdict.REFUSED, why=why, renames=())


def still_holds(shown: Sequence[Finding], found: Sequence[Finding]) -> bool:
    """Return whether the findings shown before the question still hold; newer snapshots do not matter."""
    return _outcome(shown) == _outcome(found)


async def rename_all(findings: Iterable[Finding], target: ZfsClient) -> AsyncIterator[str]:
    """Rename the other tools' snapshots; yield each (``dataset@name``) when it is done.

    The caller holds the guest's lock.
    """
    for finding in findings:
        for each in finding.renames:
            replica = finding.pair.target_name
            await target.rename(f"{replica}@{each.snapshot.name}", f"{replica}@{each.new}")
            yield f"{finding.pair.target_name}@{each.snapshot.name}"


async def adopt_all(
    fence: Fence, findings: Iterable[Finding], source: ZfsClient, target: ZfsClient
) -> AsyncIterator[str]:
    """Mark the adoptable datasets as replicas of the fence's job and owner; yield each dataset when it is done.

    All volumes on both sides get the stamps of the fence. The caller holds the guest's lock, and has committed the
    fence's epoch to the cluster store.
    """
    found = list(findings)
    await source.stamp(fence, unstamped(fence, (finding.pair.source for finding in found)))
    replicas = [each.pair.target for each in found if each.verdict is Verdict.REPLICA and each.pair.target is not None]
    await target.stamp(fence, unstamped(fence, replicas))
    for finding in found:
        if finding.verdict is Verdict.ADOPTABLE:
            name, is_volume = finding.pair.target_name, finding.pair.source.is_volume
            marks = {**fence.stamps, "zsr:source": fence.owner, "zsr:job": str(fence.job)}
            await target.set_properties(name, replica_properties(is_volume=is_volume, extra=marks))
            yield name


async def take_over(fence: Fence, findings: Sequence[Finding], source: ZfsClient, target: ZfsClient) -> Fence:
    """Return the fence with which the owner goes on: with the next epoch if a volume is stamped by another owner.

    That is what a guest looks like whose node was changed by hand in the cluster file. Nothing is changed.

    Raises:
        SupersededError: a volume has a later epoch, or one that cannot be read. Only a person can say who owns the
            guest then.
    """
    sides = [
        (source, [finding.pair.source for finding in findings]),
        (target, [finding.pair.target for finding in findings if finding.pair.target is not None]),
    ]
    epochs = [fence.epoch or 1]
    for client, datasets in sides:
        for seen in await confirmed(fence, client, datasets):
            taken = epoch_to_take(fence, seen)
            if taken is None and (error := refusal(fence, client.node, seen)) is not None:
                raise error
            epochs.append(taken or 1)
    return replace(fence, epoch=max(epochs))


@dataclass(frozen=True, slots=True)
class OwnSnapshots:
    """Snapshots that an adoption makes the job's own: the times of sets on the source, GUIDs on the target."""

    sets: frozenset[int]
    guids: frozenset[int]


def own_snapshots(job: JobId, findings: Iterable[Finding]) -> OwnSnapshots:
    """Return what has the job's name on its replicas, or is or was renamed there, and the source's part of it.

    A snapshot of that name that only the source has may be another tool's base for another node.
    """
    sets: set[int] = set()
    guids: set[int] = set()
    for finding in findings:
        if finding.verdict in (Verdict.ADOPTABLE, Verdict.REPLICA):
            there = {snapshot.guid for snapshot in sets_of(job, finding.pair.target).values()}
            there |= {each.snapshot.guid for each in finding.renames} | _renamed(finding.pair.target)
            guids |= there
            source = finding.pair.source
            if not source.may_be_replica:  # what a former replica holds are its restore points
                sets |= {at for at, snapshot in sets_of(job, source).items() if snapshot.guid in there}
    return OwnSnapshots(frozenset(sets), frozenset(guids))


def _renamed(target: Dataset | None) -> set[int]:
    """Return the GUIDs of what an earlier adoption renamed."""
    return {each.guid for each in (() if target is None else target.snapshots) if is_adopted_name(each.name)}


def _outcome(findings: Sequence[Finding]) -> list[tuple[str, Verdict, int, tuple[Rename, ...]]]:
    return [(f.pair.target_name, f.verdict, f.pair.target.guid if f.pair.target else 0, f.renames) for f in findings]


def _examine(job: JobId, pair: VolumePair, source: str) -> Finding:
    target = pair.target
    if target is None:
        return Finding(pair, Verdict.ABSENT)
    common = choose_base(pair.source, target)
    base = None if common is None else target.by_guid(common.guid)
    newer = tuple(s for s in target.snapshots if base is not None and s.createtxg > base.createtxg)
    why = _foreign(job, pair, target)
    if why is None and target.job is not None and target.source == source:
        return Finding(pair, Verdict.REPLICA, base, newer)
    if why is None and base is None:
        return Finding(pair, Verdict.NO_BASE)
    why = why or _in_use(target)
    return Finding(pair, Verdict.ADOPTABLE if why is None else Verdict.REFUSED, base, newer, why or "")


def _foreign(job: JobId, pair: VolumePair, target: Dataset) -> str | None:
    if target.job is not None and target.job != str(job):
        return f"belongs to job {target.job}: delete that job first, or rename the dataset there."
    if target.is_volume != pair.source.is_volume:
        kinds = {True: "a volume (zvol)", False: "a filesystem"}
        return f"is {kinds[target.is_volume]}, and {pair.volume} is {kinds[pair.source.is_volume]}: rename it there."
    return None


def _in_use(target: Dataset) -> str | None:
    if target.token is not None:
        return (
            f"has a half-received state: let that transfer end, or drop the state there (zfs receive -A {target.name})."
        )
    if target.job is not None and target.readonly is False:
        return "is a writable replica (readonly=off): stop using it there, and set readonly=on."
    if target.mounted and target.readonly is False:
        return "is in use (mounted, readonly=off): unmount it there (zfs unmount), or set readonly=on."
    return None
