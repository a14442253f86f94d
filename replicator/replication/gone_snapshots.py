"""Snapshots of others on the target that are gone from the source: they follow it, after the job's grace. Pure.

Only what this node brought goes, by the GUIDs that were recorded when it was sent; and only after a proof. The clock is
not trusted: of the time between two runs so much counts as the schedule explains, and a clock that was set back starts
the grace again.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple

from replicator.job_choices import Foreign
from replicator.models import Job, Synced
from replicator.replication.destruction import decide_gone
from replicator.replication.plan import VolumePair
from replicator.replication.provenance import Direction, is_foreign_brought
from replicator.schedule.grace import Terms, terms_of, waited_on
from replicator.zfs.permits import SnapshotsPermit


class Gone(NamedTuple):
    """A snapshot of others that is gone from the source: when a run last saw that, and the seconds that it waited."""

    guid: int
    seen: float
    waited: float = 0.0


def mirrored(
    way: Direction, job: Job, synced: Synced, volumes: Sequence[VolumePair], now: float
) -> tuple[Synced, list[SnapshotsPermit]]:
    """Return the state with what has waited ``now`` (unix time), and the permits for what has waited long enough.

    ``volumes`` are as they are after the transfer, with all snapshots of both sides.
    """
    if job.foreign is not Foreign.MIRROR:
        return replace(synced, sets=replace(synced.sets, gone=())), []
    known = counted((Gone(*each) for each in synced.sets.gone), _gone(way, volumes), terms_of(job, now), now)
    over = {each.guid for each in known if each.waited >= job.grace}
    sides = [(pair.source, pair.target) for pair in volumes if pair.target is not None]
    permits = [decide_gone(way, source, target, over) for source, target in sides]
    return replace(synced, sets=replace(synced.sets, gone=known)), permits


def _gone(way: Direction, volumes: Iterable[VolumePair]) -> set[int]:
    """Return the GUIDs of the snapshots that this node brought, and that no volume has any more.

    Where a clone was promoted on the source, it has those of the volume of which it was.
    """
    pairs = list(volumes)
    here = {each.guid for pair in pairs for each in pair.source.snapshots}
    return {
        each.guid
        for pair in pairs
        if pair.target is not None
        for each in pair.target.snapshots
        if is_foreign_brought(way, each) and each.guid not in here
    }


def counted(before: Iterable[Gone], gone: Collection[int], terms: Terms, now: float) -> tuple[Gone, ...]:
    """Return how long each of the ``gone`` snapshots has waited; one that came back is forgotten."""
    known = {each.guid: each for each in before}
    return tuple(_again(known.get(guid), guid, terms, now) for guid in sorted(gone))


def _again(known: Gone | None, guid: int, terms: Terms, now: float) -> Gone:
    return Gone(guid, now) if known is None else Gone(guid, *waited_on(known.seen, known.waited, terms, now))
