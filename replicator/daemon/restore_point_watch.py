"""Notices restore points that are gone from the replicas of this node although the job's ``keep`` asks for them.

The sender destroys what ``keep`` does not want, so what it wants and what was here a minute ago must be here still.
Nothing else shows it: an idle guest, or one whose runs failed, has few restore points by right. What was here is kept
in ``state.db``, so that a restart forgets neither a restore point nor one that is missing.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace

from replicator.api.held import HeldReplica
from replicator.api.plugin import PluginStore
from replicator.cluster.model import Cluster
from replicator.daemon.held_replicas import Replica, Sender
from replicator.models import GuestId
from replicator.schedule.retention import RetentionPolicy

REPORTED_SECONDS = 7 * 86400.0
"""How long a missing restore point is reported: nothing brings it back, and a person has had a week to ask why."""
TRUSTED_SECONDS = 86400.0
"""After a longer time without a look, which points went by right cannot be worked out from those that are left."""

WRITTEN_SECONDS = TRUSTED_SECONDS / 4
"""How often the time of a look is written where nothing else changes."""


@dataclass(frozen=True, slots=True)
class Sight:
    """The sets of one replica at a look.

    Attributes:
        place: guest, source and storage, as in `HeldReplica`.
        times: of all sets of its job, also of those that were set aside (unix seconds).
        whole: those of them that all replicas of the job have; a run that died leaves others.
        keep: the job's.
    """

    place: tuple[GuestId, str, str]
    times: frozenset[int]
    whole: frozenset[int]
    keep: RetentionPolicy


@dataclass(frozen=True, slots=True)
class KnownPoints:
    """The restore points that a replica had at a look (unix time), and since when others are missing."""

    looked: float
    there: frozenset[int] = frozenset()
    missing: Mapping[int, float] = field(default_factory=dict)


def sights(cluster: Cluster, node: str, replicas: Iterable[Replica]) -> dict[str, Sight]:
    """Return the sights of the replicas that jobs of the cluster send to a node, by dataset. Pure.

    Args:
        cluster: the jobs and guests.
        node: the node whose replicas these are.
        replicas: those in its storages.
    """
    senders: defaultdict[Sender, list[Replica]] = defaultdict(list)
    for each in replicas:
        job, guest = cluster.jobs.get(each.job), cluster.guests.get(each.job.guest)
        if job is None or guest is None or job.removal is not None:
            continue
        if job.target == node and guest.node == each.source:
            senders[each.job, each.source].append(each)
    seen = {}
    for sender, here in senders.items():
        keep = RetentionPolicy.parse(cluster.jobs[sender[0]].keep)
        whole = frozenset(set.intersection(*(each.sets for each in here)))
        for each in here:
            place = (each.job.guest, each.source, each.storage)
            seen[each.dataset.name] = Sight(place, frozenset(each.points), whole, keep)
    return seen


def note_points(before: KnownPoints | None, sight: Sight, now: float) -> KnownPoints:
    """Return what is known of a replica's restore points after a look. Pure."""
    known = KnownPoints(now) if before is None else before
    if now - known.looked > TRUSTED_SECONDS:
        known = replace(known, there=frozenset())
    wanted = known.there | known.missing.keys() | sight.whole
    stale = sight.keep.stale(sorted(wanted | sight.times), now)
    since = {time: known.missing.get(time, now) for time in wanted - sight.times - stale}
    missing = {time: at for time, at in since.items() if now - at <= REPORTED_SECONDS}
    return KnownPoints(now, wanted & sight.times, missing)


@dataclass(slots=True)
class RestorePointWatch:
    """The restore points of this node's replicas as of the last look, by dataset."""

    store: PluginStore
    known: dict[str, KnownPoints] | None = None

    def look(self, found: Mapping[str, Sight], now: float, *, all_read: bool) -> None:
        """Note what a look found. Blocks.

        Args:
            found: the sights, by dataset.
            now: unix time.
            all_read: whether they are of all storages; else replicas that are not among them are still known.

        Raises:
            ZsrError: state.db cannot be read or written.
        """
        before = self._read() if self.known is None else self.known
        after = {} if all_read else dict(before)
        after |= {name: note_points(before.get(name), sight, now) for name, sight in found.items()}
        changed = {name: each for name, each in after.items() if _differs(before.get(name), each)}
        gone = before.keys() - after.keys()
        if changed or gone:
            self.store.put_all({**{name: _text(each) for name, each in changed.items()}, **dict.fromkeys(gone)})
        self.known = after

    def with_missing(self, held: Collection[HeldReplica], found: Mapping[str, Sight]) -> tuple[HeldReplica, ...]:
        """Return the replicas with how many restore points they lack: the most of one volume."""
        counts: dict[tuple[GuestId, str, str], int] = {}
        for name, known in (self.known or {}).items():
            if name in found:
                place = found[name].place
                counts[place] = max(counts.get(place, 0), len(known.missing))
        return tuple(replace(each, points_missing=counts.get((each.guest, each.source, each.storage))) for each in held)

    def _read(self) -> dict[str, KnownPoints]:
        return {name: _known(text) for name, text in self.store.items("").items()}


def _differs(before: KnownPoints | None, after: KnownPoints) -> bool:
    """Return whether a row has to be written: a point came or went, or the time of the look that it has is old."""
    if before is None or before.looked // WRITTEN_SECONDS != after.looked // WRITTEN_SECONDS:
        return True
    return before.there != after.there or before.missing != after.missing


def _text(known: KnownPoints) -> str:
    missing = {str(time): since for time, since in known.missing.items()}
    return json.dumps({"looked": known.looked, "there": sorted(known.there), "missing": missing})


def _known(text: str) -> KnownPoints:
    values = json.loads(text)
    missing = {int(time): float(since) for time, since in values["missing"].items()}
    return KnownPoints(values["looked"], frozenset(values["there"]), missing)
