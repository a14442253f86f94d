"""A run without its effects: look at both sides, and report what a run would do. Nothing is changed by it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from replicator.common.tasks import gather_two
from replicator.errors import ZsrError
from replicator.models import Synced, Volume
from replicator.replication.adoption import KnownJobs, others_snapshots
from replicator.replication.clones import described_clone
from replicator.replication.context import RunContext, may_snapshot_first
from replicator.replication.destruction import KeepAside, Stays, decide_vanished
from replicator.replication.discovery import Discovered, TargetInventory, selections
from replicator.replication.expected_bytes import estimated
from replicator.replication.foreign_names import described_blocked, described_never
from replicator.replication.foreseen import Facts, Foreseen, foresee
from replicator.replication.foreseen_destruction import destructions
from replicator.replication.former_jobs import left_behind
from replicator.replication.grace_ends import left_out_as, read_for, source_pools
from replicator.replication.inventories import Inventories
from replicator.replication.keys import described_plain, has_new_key, is_raw, plain_below_encrypted
from replicator.replication.legs import Leg, blocked_by_name, never_travels, route
from replicator.replication.moved_volumes import with_taken, words
from replicator.replication.plan import Full, Incremental
from replicator.replication.preview import Preview
from replicator.replication.provenance import Direction
from replicator.replication.snapshot_sets import sum_if_known
from replicator.replication.stamps import Stamps
from replicator.replication.streams import needs_properties, send_argv, without_limits
from replicator.replication.take_over import TakeOver
from replicator.replication.target_place import (
    Sight,
    claim_on_other_target,
    compare,
    is_edited,
    place_of,
    seen_storages,
)
from replicator.replication.trees import first_below
from replicator.replication.volume_previews import Asked, counted_bytes, volume_previews
from replicator.schedule.grace import sight, terms_of
from replicator.zfs.client import ZfsClient
from replicator.zfs.permits import ReplicaPermit


async def dry_run(
    context: RunContext,
    source: ZfsClient,
    target: ZfsClient,
    clock: Callable[[], float],
    known_jobs: KnownJobs = KnownJobs(),  # noqa: B008 - frozen
) -> Preview:
    """List both sides and return what a run would do now, and what an adoption would rename.

    Raises:
        ZsrError: a side cannot be listed, or the guest's volumes cannot be paired (`discovery.pair_volumes`).
    """
    inventories = Inventories(context, source, target, clock)
    on_source, on_target = await gather_two(inventories.on_source(), inventories.on_target())
    discovered = inventories.pair(on_source, on_target)
    said: list[str] = []
    take_over = TakeOver(context, source, target, lambda level, text: said.append(text), clock)
    facts = await _facts(context, discovered, on_target, take_over)
    stamps = Stamps(context.fence, context.storages, source, target, lambda level, text: None, context.others)
    facts = replace(facts, refusal=await stamps.refusal_of(facts.way, discovered, on_target))
    foreseen = foresee(facts)
    facts = replace(facts, left_behind=await left_behind(context, facts.way, foreseen.done, source))
    asked = await _ask(facts, foreseen, source, target)
    return Preview(
        job=context.job.id,
        guest=context.guest.id,
        guest_name=context.guest.name,
        source=source.node,
        target=target.node,
        volumes=volume_previews(facts, foreseen, asked),
        destructions=destructions(facts, foreseen),
        notes=(*said, *_notes(facts, foreseen, asked), *_renamed_by_adoption(facts, known_jobs)),
    )


def _notes(facts: Facts, foreseen: Foreseen, asked: Asked) -> Iterator[str]:
    """Yield what a reader has to know of the replicas."""
    for action in foreseen.plan.actions:
        raw = is_raw(facts.job, action)
        if (plain := plain_below_encrypted(action, raw=raw)) is not None:
            yield described_plain(facts.job, action.pair, plain)
        counted = counted_bytes(action)
        cost = asked.sizes.get(action.pair.volume) if counted is None else counted
        if (clone := described_clone(action, cost)) is not None:
            yield clone
        yield from _staying_out(facts, action)
        if raw and has_new_key(action.pair):
            yield f"{action.pair.volume}: its key was changed; the stream brings the source's key along"


def _staying_out(facts: Facts, action: Full | Incremental) -> Iterator[str]:
    """Yield what is to be said of snapshots of others that do not travel."""
    pair = action.pair
    if isinstance(action, Incremental) and pair.target is not None:
        never = never_travels(pair.source, pair.target, action.base, facts.job.snapshots)
        if never:
            yield described_never(pair, never, facts.job.id, facts.way.target)
    if blocked := blocked_by_name(action, facts.job.snapshots):
        yield described_blocked(pair, blocked, facts.way.target)


def _renamed_by_adoption(facts: Facts, known_jobs: KnownJobs) -> Iterator[str]:
    for pair in facts.discovered.volumes:
        for each in others_snapshots(facts.way, pair, known_jobs):
            what = f"'{pair.target_name}@{each.snapshot.name}' on {facts.way.target} is another tool's"
            yield f"{what}; zsr adopt {facts.job.id} would rename it to @{each.new}."


async def _facts(context: RunContext, discovered: Discovered, on_target: TargetInventory, take_over: TakeOver) -> Facts:
    job, source, target, now = context.job, take_over.source, take_over.target, take_over.clock()
    late = not (await target.features()).receive_properties
    tokens: dict[Volume, int | ZsrError | None] = {}
    for pair in discovered.volumes:
        if pair.target is not None and pair.target.token is not None:
            tokens[pair.volume] = await _remaining(source, pair.target.token)
    sets = context.remembered.sets
    way = Direction(job.id, source.node, target.node, sets, late, context.fence, job.snapshots)
    synced = _synced_there(context, way, discovered, on_target, now)
    moved = await take_over.look(replace(way, known=synced.sets), discovered, on_target)
    synced, discovered = await take_over.remembered(way, synced, moved), with_taken(way, discovered, moved)
    for each in moved:
        take_over.log("info", words(each, job.id))
    pools = selections(context.guest, context.storages, source.node)
    programs = (await source.features()).programs
    return Facts(
        job=job,
        way=replace(way, known=synced.sets),
        synced=synced,
        discovered=discovered,
        tokens=tokens,
        bookmarks=context.bookmarks,
        programs=programs,
        may_snapshot_first=may_snapshot_first(context, synced.last_set, pools, programs=programs),
        now=now,
        vanished=await _decide_vanished(context, replace(way, known=synced.sets), discovered, source, now),
        former_keeps=(*context.former_keeps, *await take_over.keeps_of(moved)),
    )


async def _decide_vanished(
    context: RunContext, way: Direction, found: Discovered, source: ZfsClient, now: float
) -> dict[str, ReplicaPermit | KeepAside | Stays]:
    """Decide what becomes of each replica without a volume; only where there is one, the source's pools are read."""
    if not found.orphans:
        return {}
    try:
        here = await source_pools(context.storages, source)
    except ZsrError:
        here = None
    terms = terms_of(context.job, now)
    known = {each.dataset: each for each in context.vanished}
    decided: dict[str, ReplicaPermit | KeepAside | Stays] = {}
    for replica in sorted(found.orphans, key=lambda each: -each.name.count("/")):  # children first, as in a run
        name = replica.name
        record = sight(known.get(name), name, replica.guid, terms, now)
        left_out = (
            frozenset[str]()
            if here is None
            else left_out_as(name, way, context.storages, context.neighbours, found.volumes, here)
        )
        others = [*(pair.target for pair in found.volumes), *found.orphans]
        staying = (each for each in others if each is None or not isinstance(decided.get(each.name), ReplicaPermit))
        read = None if here is None else read_for(name, way, context.storages, here)
        decided[name] = decide_vanished(way, replica, record, terms, read, left_out, first_below(name, staying))
    return decided


def _synced_there(
    context: RunContext, way: Direction, discovered: Discovered, on_target: TargetInventory, now: float
) -> Synced:
    """Return the record of the target that was found; if it is not the one of the last sync, only what ZFS shows."""
    synced = context.remembered
    storages = {storage.name: storage for storage in context.storages}
    seen = seen_storages(on_target, context.storages, way.target)
    place = place_of(way.target, context.address, discovered.volumes, seen)
    edited = is_edited(synced.place, way.target, context.address, storages)
    sight = compare(synced.place, place, edited=edited)
    if sight is Sight.SAME:
        return synced
    return claim_on_other_target(synced, place, way, discovered.volumes, now, sight)


async def _remaining(source: ZfsClient, token: str) -> int | ZsrError | None:
    try:
        return await source.remaining(token)
    except ZsrError as error:
        return error


async def _ask(facts: Facts, foreseen: Foreseen, source: ZfsClient, target: ZfsClient) -> Asked:
    """Ask the source for what its inventory does not say about the streams of a plan."""
    asked = Asked(await source.features(), await target.features())
    if foreseen.unchanged:
        return asked
    sizes: dict[Volume, int | None] = {}
    portable = {}
    for action in foreseen.plan.actions:
        volume, dataset, raw = action.pair.volume, action.pair.source, is_raw(facts.job, action)
        if counted_bytes(action) is None:
            sizes[volume] = await _estimate(facts, asked, action, source)
        if needs_properties(dataset, raw=raw):
            found = await source.portable_properties(dataset.name)
            portable[volume] = without_limits(found, is_volume=dataset.is_volume)
    return Asked(asked.source, asked.target, sizes, portable)


async def _estimate(facts: Facts, asked: Asked, action: Full | Incremental, source: ZfsClient) -> int | None:
    """Return the bytes up to the newest snapshot that there is, and those written since; None if that is not known.

    The snapshot that the run would send does not exist yet. A clone without any begins with its origin.
    """
    dataset, raw = action.pair.source, is_raw(facts.job, action)
    newest = max(dataset.snapshots, key=lambda each: each.createtxg, default=None)
    if newest is None and dataset.origin is not None:
        origin, _, name = dataset.origin.partition("@")
        whole = replace(action, pair=replace(action.pair, source=replace(dataset, name=origin)))
        argv = send_argv(asked.common, whole, Leg(None, name), raw=raw)
        return sum_if_known([await source.estimate(argv), dataset.written])
    base = action.base if isinstance(action, Incremental) else None
    if newest is None or (base is not None and newest.createtxg <= base.createtxg):
        return None
    sent = route(action, newest.name, facts.job.snapshots)
    until = await estimated(source, asked.common, action, sent, raw=raw)
    return sum_if_known([until, dataset.written])
