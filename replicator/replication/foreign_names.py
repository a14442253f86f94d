"""Names that the source and a replica both have, for different snapshots: whose stays, and what is said of it. Pure.

A snapshot that was made on the target keeps its name forever, and the source's one of that name stays out. One that
zsr brought, and that the source has no more, gives its name up: it gets another one before the transfer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from replicator.common.snapshot_patterns import SnapshotPatterns
from replicator.models import JobId
from replicator.replication.legs import snapshots_there
from replicator.replication.plan import Full, Incremental, Plan, VolumePair
from replicator.replication.provenance import Direction, is_foreign_brought
from replicator.zfs.model import Snapshot

_NAMED = 3
"""How many snapshots a sentence names."""


def giving_way(way: Direction, plan: Plan) -> Plan:
    """Return a plan in which outdated snapshots make room for those that took their names.

    This node brought them, by their GUIDs, and the source has them no more. Their content is not lost by that: they get
    other names, and go when what is gone from the source goes.
    """
    return replace(plan, actions=tuple(_giving_way(way, action) for action in plan.actions))


def _giving_way(way: Direction, action: Full | Incremental) -> Full | Incremental:
    if isinstance(action, Full):
        return action
    source, fits = action.pair.source, SnapshotPatterns.parse(way.snapshots).fits
    taken = {s.name for s in source.snapshots if s.createtxg > action.base.createtxg and fits(s.name)}
    outdated = (
        each
        for each in snapshots_there(action)
        if each.name in taken and is_foreign_brought(way, each) and source.by_guid(each.guid) is None
    )
    return replace(action, outdated=tuple(outdated))


def described_never(pair: VolumePair, snapshots: Sequence[Snapshot], job: JobId, node: str) -> str:
    """Return the sentence about snapshots that are older than the base and not on the target."""
    return (
        f"{pair.volume}: {_listed(snapshots)} of the source cannot travel any more: older than the base that "
        f"'{pair.target_name}' on {node} has. To bring all: zsr reseed {job} {pair.volume}"
    )


def _listed(snapshots: Sequence[Snapshot]) -> str:
    names = ", ".join(each.name for each in snapshots[:_NAMED])
    more = f" and {len(snapshots) - _NAMED} more" if len(snapshots) > _NAMED else ""
    return f"{len(snapshots)} snapshot{'s' if len(snapshots) > 1 else ''} ({names}{more})"


def described_blocked(pair: VolumePair, blocked: Sequence[Snapshot], node: str) -> str:
    """Return the sentence about snapshots that stay out, since the replica has others of their names."""
    return (
        f"{pair.volume}: {_listed(blocked)} of the source cannot travel: '{pair.target_name}' on {node} has others of "
        "these names, which stay"
    )
