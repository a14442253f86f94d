"""What a run would destroy, and what it leaves, each with the law that decides (contract: Destruction). Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from replicator.models import KnownSets
from replicator.replication.aging_asides import aside_terms, decide_asides, keep_of, waiting
from replicator.replication.asides import aside_of
from replicator.replication.destruction import (
    KeepAside,
    Stays,
    decide_all_bookmarks,
    decide_half_received,
    decide_old_bookmarks,
    decide_old_on_source,
    decide_superseded,
    decide_unproven,
    decide_unproven_on_source,
    decide_useless_bookmarks,
)
from replicator.replication.foreseen import Facts, Foreseen
from replicator.replication.gone_snapshots import mirrored
from replicator.replication.plan import Incremental, Plan, Rollback, SetAside, VolumePair, choose_base
from replicator.replication.preview import Destruction, When
from replicator.replication.provenance import Direction, is_made, is_marked, never_whole, not_brought, sets_of
from replicator.replication.reseeding import needed
from replicator.zfs.dataset_names import Holds
from replicator.zfs.model import Dataset, Snapshot
from replicator.zfs.permits import (
    BookmarksPermit,
    HalfReceivedPermit,
    Law,
    ReplicaPermit,
    RollbackPermit,
    SnapshotsPermit,
)

Permit = SnapshotsPermit | BookmarksPermit | RollbackPermit | HalfReceivedPermit


def destructions(facts: Facts, foreseen: Foreseen) -> tuple[Destruction, ...]:
    """Return what a run would destroy, in the order of its steps, then what it leaves; each thing once."""
    found = [*_dropped(facts, foreseen)]
    if not foreseen.plan.conflicts:
        if foreseen.before is not None:
            found += _left_by_failed_runs(facts, foreseen.before, foreseen.known)
        found += _rolled_back(facts, foreseen)
        if foreseen.before is not None or not foreseen.unchanged:
            found += [*_superseded(facts, foreseen), *_old_on_source(facts, foreseen), *_aged(facts, foreseen)]
    found += [*_kept_replicas(facts, foreseen), *_kept_snapshots(facts, foreseen)]
    first: dict[tuple[str, str], Destruction] = {}
    for each in found:
        first.setdefault((each.node, each.what), each)
    return tuple(first.values())


def _permitted(permit: Permit, node: str, when: When) -> Iterator[Destruction]:
    """Yield all that a permit names."""
    match permit:
        case SnapshotsPermit():
            names = permit.names
        case BookmarksPermit():
            names = [f"{permit.dataset}#{bookmark.name}" for bookmark in permit.bookmarks]
        case RollbackPermit():
            names = [f"{permit.dataset}@{snapshot.name}" for snapshot in permit.destroyed]
        case HalfReceivedPermit():
            names = [permit.dataset]
    for name in names:
        yield Destruction(name, node, when, True, permit.law, permit.why)


def _dropped(facts: Facts, foreseen: Foreseen) -> Iterator[Destruction]:
    for pair in facts.discovered.volumes:
        resume, replica = foreseen.resumes.get(pair.volume), pair.target
        if resume is not None and not resume.resumed and replica is not None and replica.token is not None:
            permit = decide_half_received(replica, replica.token, resume.useless or "")
            for each in _permitted(permit, facts.way.target, When.LOOK):
                # ZFS keeps it in a dataset of its own, unless the replica is nothing else yet.
                yield replace(each, what=f"{each.what}/%recv") if replica.snapshots else each


def _left_by_failed_runs(facts: Facts, plan: Plan, known: KnownSets) -> Iterator[Destruction]:
    way = replace(facts.way, known=known)
    for action in plan.actions:
        source, replica = action.pair.source, action.pair.target
        base = action.base.name if isinstance(action, Incremental) else ""
        here = decide_unproven_on_source(way, source, base, needed(action.pair))
        yield from _permitted(here, way.source, When.LOOK)
        unproven = decide_unproven(way, None if action.preparations else replica, base)
        yield from _permitted(unproven, way.target, When.LOOK)
        yield from _permitted(decide_useless_bookmarks(way, source, replica, base), way.source, When.LOOK)


def _rolled_back(facts: Facts, foreseen: Foreseen) -> Iterator[Destruction]:
    for action in foreseen.plan.actions:
        for step in action.preparations:
            if isinstance(step, Rollback):
                yield from _permitted(step.permit, facts.way.target, When.PREPARE)


def _superseded(facts: Facts, foreseen: Foreseen) -> Iterator[Destruction]:
    sides = [(pair.source, pair.target) for pair in foreseen.done]
    keep = keep_of(facts.job, facts.former_keeps, facts.now)
    way = replace(facts.way, known=foreseen.sets)
    gone = mirrored(way, facts.job, replace(facts.synced, sets=foreseen.sets), foreseen.done, facts.now)[1]
    stale = decide_superseded(way, keep, sides, foreseen.new, facts.now, never_whole(foreseen.known))
    for permit in (*stale, *gone):
        yield from _permitted(permit, facts.way.target, When.PROVEN)


def _old_on_source(facts: Facts, foreseen: Foreseen) -> Iterator[Destruction]:
    job, node, way = facts.job.id, facts.way.source, replace(facts.way, known=foreseen.sets)
    listed = {pair.volume: pair.source for pair in foreseen.pairs}
    for pair in foreseen.done:
        keep = {foreseen.new, *needed(pair)}
        yield from _permitted(decide_old_on_source(way, pair.source, keep), node, When.PROVEN)
        source = listed[pair.volume]
        wants = facts.bookmarks
        bookmarks = decide_old_bookmarks(job, source, foreseen.new) if wants else decide_all_bookmarks(job, source)
        yield from _permitted(bookmarks, node, When.PROVEN)
    for each in facts.left_behind:
        yield from _permitted(each.permit, node, When.PROVEN)


def _aged(facts: Facts, foreseen: Foreseen) -> Iterator[Destruction]:
    diverged, now = facts.discovered.diverged, facts.now
    sets = waiting(replace(facts.synced, sets=foreseen.sets), diverged, facts.job, now).sets
    way, terms = replace(facts.way, known=sets), aside_terms(facts.job, facts.former_keeps, now)
    for permit in decide_asides(way, terms, foreseen.done, diverged, now, never_whole(foreseen.known)):
        if isinstance(permit, ReplicaPermit):
            yield Destruction(permit.dataset, facts.way.target, When.PROVEN, True, permit.law, permit.why)
        else:
            yield from _permitted(permit, facts.way.target, When.PROVEN)


def _kept_replicas(facts: Facts, foreseen: Foreseen) -> Iterator[Destruction]:
    node = facts.way.target
    for orphan in foreseen.plan.orphans:
        yield _vanished(facts, orphan, ends=not foreseen.plan.conflicts)
    for action in foreseen.plan.actions:
        if any(isinstance(step, SetAside) for step in action.preparations):
            yield _left(action.pair.target_name, node, Law.ONLY_COPY, "it differs from its source, and is kept aside")
    for pair in facts.discovered.volumes:
        if pair.reseed is not None:
            yield _left(pair.reseed.name, node, Law.ONLY_COPY, "a new replica in the making (zsr reseed)")
    for aside in facts.discovered.diverged:
        yield _left(aside.name, node, *_why_aside_stays(aside))


def _why_aside_stays(dataset: Dataset) -> tuple[Law, str]:
    holds = Holds.DIVERGED if (aside := aside_of(dataset)) is None else aside.holds
    if holds is Holds.DIVERGED:
        return Law.ONLY_COPY, "an earlier run kept it aside (zsr diverged)"
    if holds is Holds.OTHERS:
        return Law.OTHERS, "an earlier run kept it aside, with snapshots that were created on the target"
    if holds is None:
        return Law.PROVEN_STAYS, "an earlier run kept it aside; nothing is left in it, and it goes after the grace"
    return Law.PROVEN_STAYS, "an earlier run kept it aside: restore points that a rollback made stale"


def _vanished(facts: Facts, orphan: Dataset, *, ends: bool) -> Destruction:
    """Return what becomes of the replica of a vanished volume; ``ends``: the run proves a set and may end graces."""
    node, decision = facts.way.target, facts.vanished.get(orphan.name)
    if isinstance(decision, ReplicaPermit):
        if ends:
            return Destruction(orphan.name, node, When.PROVEN, True, decision.law, decision.why)
        return _left(orphan.name, node, Law.PROVEN_STAYS, "its volume's grace is over, and nothing newer is proven")
    if isinstance(decision, Stays):
        return replace(_left(orphan.name, node, decision.law, decision.why), until=decision.until)
    if isinstance(decision, KeepAside):
        why = f"its volume's grace is over; it is kept aside for {decision.snapshot.name}"
        return _left(orphan.name, node, Law.OTHERS, why)
    return _left(orphan.name, node, Law.VANISHED, "its volume vanished from the source")


def _kept_snapshots(facts: Facts, foreseen: Foreseen) -> Iterator[Destruction]:
    actions = foreseen.actions
    for found in foreseen.pairs:
        action = actions.get(found.volume)
        pair = found if action is None else action.pair
        if pair.target is not None and is_marked(facts.way, pair.target):
            for snapshot, why in _of_others(pair, pair.target.snapshots):
                yield _left(f"{pair.target_name}@{snapshot.name}", facts.way.target, Law.OTHERS, why)
        way = replace(facts.way, known=foreseen.sets)
        for side, node, snapshot in _unknown(way, pair):
            yield _left(
                f"{side.name}@{snapshot.name}", node, Law.OURS, "zsr did not take or send it, in spite of its name"
            )
        for snapshot in _received(facts, foreseen, pair):
            why = "this node received it as a target of the job, and did not take it"
            yield _left(f"{pair.source.name}@{snapshot.name}", facts.way.source, Law.OURS, why)


def _unknown(way: Direction, pair: VolumePair) -> Iterator[tuple[Dataset, str, Snapshot]]:
    """Yield the snapshots with a name of zsr's that are not known to be the job's, with their dataset and its node."""
    if not pair.source.may_be_replica:
        yield from (
            (pair.source, way.source, snapshot)
            for snapshot in sets_of(way.job, pair.source).values()
            if not is_made(way, pair.source, snapshot)
        )
    if pair.target is not None and is_marked(way, pair.target):
        yield from ((pair.target, way.target, s) for s in not_brought(way, pair.source, pair.target))


def _of_others(pair: VolumePair, snapshots: Iterable[Snapshot]) -> Iterator[tuple[Snapshot, str]]:
    """Yield the snapshots of others on a replica that are not on the source, each with the reason to name it."""
    base = None if pair.target is None else choose_base(pair.source, pair.target)
    common = None if base is None or pair.target is None else pair.target.by_guid(base.guid)
    for snapshot in snapshots:
        if snapshot.job is not None or pair.source.by_guid(snapshot.guid) is not None:
            continue
        here = snapshot.made_here or (common is not None and snapshot.createtxg > common.createtxg)
        yield snapshot, "it was created on the replica itself" if here else "it is gone from the source"


def _received(facts: Facts, foreseen: Foreseen, pair: VolumePair) -> list[Snapshot]:
    """Return the sets on the source that stay because it was a replica when it got them."""
    if not pair.source.may_be_replica:
        return []
    way = replace(facts.way, known=foreseen.sets)
    old = decide_old_on_source(way, pair.source, {foreseen.new}).snapshots
    return [s for s in sets_of(way.job, pair.source).values() if s.name != foreseen.new and s not in old]


def _left(what: str, node: str, law: Law, why: str) -> Destruction:
    return Destruction(what, node, When.NEVER, False, law, why)
