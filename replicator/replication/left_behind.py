"""The sets that failed runs left on both sides: destroy those never proven, before they pile up."""

from __future__ import annotations

from replicator.replication.destruction import (
    decide_unproven,
    decide_unproven_on_source,
    decide_useless_bookmarks,
)
from replicator.replication.plan import Incremental, Plan
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction
from replicator.replication.reseeding import needed
from replicator.replication.verification import attempt
from replicator.zfs.client import ZfsClient


async def destroy_unproven(way: Direction, plan: Plan, source: ZfsClient, target: ZfsClient, log: Log) -> set[int]:
    """Destroy what failed runs left on both sides; it would pile up while one volume cannot be sent.

    Returns the GUIDs of the snapshots that are gone from the target.

    Raises:
        SupersededError: another node has taken the guest over.
    """
    gone: set[int] = set()
    for action in plan.actions:
        base = action.base.name if isinstance(action, Incremental) else ""
        replica = None if action.preparations else action.pair.target
        here = decide_unproven_on_source(way, action.pair.source, base, needed(action.pair))
        await attempt(source.destroy_snapshots(here), log)
        there = decide_unproven(way, replica, base)
        if await attempt(target.destroy_snapshots(there), log):
            gone |= {snapshot.guid for snapshot in there.snapshots}
        bookmarks = decide_useless_bookmarks(way, action.pair.source, action.pair.target, base)
        await attempt(source.destroy_bookmarks(bookmarks), log)
    return gone
