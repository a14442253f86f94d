"""Destroys the parts of set-aside replicas that are not needed any more, after a run has proven a newer set."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from replicator.models import Job, Synced
from replicator.replication.asides import aside_of
from replicator.replication.destruction import decide_aside
from replicator.replication.gone_snapshots import Gone, counted
from replicator.replication.plan import VolumePair
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction, sets_of
from replicator.replication.verification import attempt
from replicator.schedule.grace import DAY_SECONDS, terms_of
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.client import ZfsClient
from replicator.zfs.dataset_names import Holds, aside_stem
from replicator.zfs.model import Dataset
from replicator.zfs.permits import ReplicaPermit, SnapshotsPermit


@dataclass(frozen=True, slots=True)
class AsideTerms:
    """A job's terms for replicas that were set aside: its ``keep`` and its ``grace`` (seconds)."""

    keep: RetentionPolicy
    grace: float


def keep_of(job: Job, former_keeps: Iterable[str], now: float) -> RetentionPolicy:
    """Return a job's retention ``now`` (unix time); ``former_keeps``: what its ``keep`` was until lately."""
    gap = max(DAY_SECONDS, terms_of(job, now).gap)
    return RetentionPolicy.parse(job.keep).with_former(former_keeps).counting_at_most(gap)


def aside_terms(job: Job, former_keeps: Iterable[str], now: float) -> AsideTerms:
    """Return a job's terms ``now`` for replicas that were set aside; as `keep_of`."""
    return AsideTerms(keep_of(job, former_keeps, now), job.grace)


def waiting(synced: Synced, diverged: Iterable[Dataset], job: Job, now: float) -> Synced:
    """Return the state in which a run has seen replicas that were set aside ``now`` (unix time).

    What counts of their time is what counts of a grace: the clock is trusted neither now nor when they got their names.
    """
    there = {each.guid for each in diverged}
    if not there and not synced.sets.asides:
        return synced
    known = counted((Gone(*each) for each in synced.sets.asides), there, terms_of(job, now), now)
    return replace(synced, sets=replace(synced.sets, asides=known))


def decide_asides(
    way: Direction, terms: AsideTerms, volumes: Sequence[VolumePair], diverged: Iterable[Dataset], now: float,
    partial: Collection[int] = (),
) -> list[SnapshotsPermit | ReplicaPermit]:  # fmt: skip
    """Return the permits for the asides of these volumes, all of which have the newest set on the target. Pure.

    ``way.known`` says how long each has waited (`waiting`).
    ``partial`` are sets that were never whole: they are no restore points.
    """
    stems = {aside_stem(pair.target_path, pair.volume.name) for pair in volumes}
    found = [aside for each in diverged if (aside := aside_of(each)) is not None and aside.named.stem in stems]
    holders = [pair.target for pair in volumes] + [each.dataset for each in found if each.holds is Holds.POINTS]
    times = {at for each in holders for at in sets_of(way.job, each) if at not in partial}
    stale = terms.keep.stale(sorted(times), now) | set(partial)
    waited = {guid: seconds for guid, _, seconds in way.known.asides}
    decided = (decide_aside(way, each, terms.grace, stale, waited.get(each.dataset.guid)) for each in found)
    return [permit for permit in decided if permit is not None]


async def age_asides(permits: Iterable[SnapshotsPermit | ReplicaPermit], target: ZfsClient, log: Log) -> frozenset[int]:
    """Destroy what the permits name, and return the GUIDs of the snapshots; what fails is logged and tried again."""
    gone: set[int] = set()
    for permit in permits:
        whole = isinstance(permit, ReplicaPermit)
        step = target.destroy_replica(permit) if isinstance(permit, ReplicaPermit) else target.destroy_snapshots(permit)
        if await attempt(step, log):
            what = "destroyed" if whole else f"{len(permit.snapshots)} restore points destroyed"
            log("info", f"'{permit.dataset}', which was kept aside: {what}: {permit.why}")
            gone |= {snapshot.guid for snapshot in permit.snapshots}
    return frozenset(gone)
