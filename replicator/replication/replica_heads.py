"""Which set of a job is whole on its target, judged by the replicas alone: the source may be dead. Pure.

A run that dies between two volumes leaves one replica ahead of another. At most one such set is on a target, since the
next run destroys it. So a replica that has neither of the two newest sets is not waiting for one: its volume had left
the guest before.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heads:
    """The newest sets of a job's replicas.

    Attributes:
        whole: the newest set (unix seconds) that all current replicas have; None if there is none.
        current: the names of the guest's replicas; while the source does not answer, those with one of the two newest
            sets.
        ahead: the replicas with a set that is newer than the whole one, and that set; where none is whole, newer than
            the newest one of another replica.
        left: the replicas whose volume left the guest, and their newest set.
    """

    whole: int | None
    current: frozenset[str]
    ahead: Mapping[str, int]
    left: Mapping[str, int]


def replica_heads(sets: Mapping[str, Collection[int]], wanted: frozenset[str] | None = None) -> Heads:
    """Return the heads of replicas.

    Args:
        sets: the times of each replica's sets (unix seconds), by name.
        wanted: the names of the replicas that there should be; None while the source does not answer.
    """
    held = {name: set(times) for name, times in sets.items() if times}
    newest = {name: max(times) for name, times in held.items()}
    recent = set(sorted(set().union(*held.values()))[-2:])
    current = frozenset(name for name, times in held.items() if times & recent) if wanted is None else wanted
    common = set.intersection(*(held.get(name, set()) for name in current)) if current else set()
    whole = max(common, default=None)
    mark = min((at for name, at in newest.items() if name in current), default=0) if whole is None else whole
    return Heads(
        whole=whole,
        current=current,
        ahead={name: at for name, at in sorted(newest.items()) if name in current and at > mark},
        left={name: at for name, at in sorted(newest.items()) if name not in current},
    )
