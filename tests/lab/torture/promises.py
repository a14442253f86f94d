"""The promises that must hold after a fault: comparisons of both nodes before and after. Pure.

Everything goes by node, name and GUID: a snapshot that is gone from one node is not found again on the other.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replicator.replication.destruction import BOOKMARKS_KEPT
from replicator.zfs.snapshot_names import PREFIX

ZVOL, FILES = "tank/data/vm-100-disk-0", "tank/data/subvol-100-disk-1"
CHILD = f"{FILES}/child"
VOLUMES = (ZVOL, FILES, CHILD)
"""The guest's volumes, as they are called where all storages are one (`tests.lab.torture.ground.Ground`)."""

_OURS = re.compile(f"[@#]{PREFIX}")
_ASIDE = "/zsr-diverged"
_CHILD_ASIDE = re.compile(r"_child\.[0-9a-f]{8}$")


class BrokenError(AssertionError):
    """A promise of the crash matrix does not hold."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A dataset, snapshot or bookmark."""

    name: str
    guid: str
    token: str
    job: str
    origin: str

    @property
    def dataset(self) -> str:
        """The dataset that it is, or is of."""
        return re.split("[@#]", self.name)[0]

    @property
    def volume(self) -> str:
        """The volume that it belongs to on the source, also where its replica is kept aside."""
        aside = re.match(rf"tank/data{_ASIDE}/([^/]+)-\d+(/.+)?$", self.dataset)
        name = f"{aside[1]}{aside[2] or ''}" if aside else ""
        return f"tank/data/{_CHILD_ASIDE.sub('/child', name)}" if aside else self.dataset

    @property
    def is_ours(self) -> bool:
        """Whether it is a snapshot or bookmark of zsr."""
        return _OURS.search(self.name) is not None

    @property
    def is_snapshot(self) -> bool:
        """Whether it is a snapshot."""
        return "@" in self.name


@dataclass(frozen=True, slots=True)
class Holding:
    """What one node holds."""

    entries: tuple[Entry, ...] = ()

    @classmethod
    def read(cls, text: str) -> Holding:
        """What ``zfs list -Hp -t all`` wrote; `tests.lab.torture.ground` has its columns."""
        return cls(tuple(Entry(*line.split("\t")) for line in text.splitlines()))

    def of(self, prefix: str) -> list[Entry]:
        """The entries whose names begin so, oldest first."""
        return [entry for entry in self.entries if entry.name.startswith(prefix)]


Both = tuple[Holding, Holding]
"""What the source holds, and what the target holds."""


@dataclass(frozen=True, slots=True)
class Users:
    """What is not zsr's, and must be there afterwards.

    ``named`` are name and GUID of what keeps its name, for each node: everything on the source, and everything outside
    the replicas on the target. ``on_replicas`` are GUIDs of snapshots on replicas, which may be kept under any name.
    """

    named: tuple[frozenset[tuple[str, str]], frozenset[tuple[str, str]]]
    on_replicas: frozenset[str]


def users(both: Both, *, removal: bool) -> Users:
    """What is the user's now. A removal takes along what travelled to a replica and is on the source as well."""
    here, there = both
    theirs = [entry for entry in there.entries if not entry.is_ours]
    replicas = [entry for entry in theirs if entry.dataset in VOLUMES or _ASIDE in entry.name]
    travelled = {entry.guid for entry in here.entries} if removal else set()
    return Users(
        (
            frozenset((entry.name, entry.guid) for entry in here.entries if not entry.is_ours),
            frozenset((entry.name, entry.guid) for entry in theirs if entry not in replicas),
        ),
        frozenset(entry.guid for entry in replicas if entry.is_snapshot and entry.guid not in travelled),
    )


def lost(owned: Users, both: Both) -> list[str]:
    """What of the user's is gone, in words."""
    found = []
    for node, (named, holding) in enumerate(zip(owned.named, both, strict=True), 1):
        now = {(entry.name, entry.guid) for entry in holding.entries}
        found += [f"{name} ({guid}) of node{node}" for name, guid in sorted(named - now)]
    held = {entry.guid for entry in both[1].entries if entry.is_snapshot}
    return found + [f"snapshot {guid} of a replica" for guid in sorted(owned.on_replicas - held)]


def left_after_removal(both: Both, kept: Iterable[str] = ()) -> list[str]:
    """What is wrong after a removal: what of zsr's is left, or which of the ``kept`` replicas is gone.

    Diverged datasets stay, and so do the ``kept`` replicas, which a person took from zsr.
    """
    here, there = both
    ours, theirs = (
        [entry for entry in side.entries if entry.is_ours and _ASIDE not in entry.name] for side in (here, there)
    )
    replicas = [*theirs, *(entry for volume in VOLUMES for entry in there.of(volume))]
    left = [*ours, *(entry for entry in replicas if entry.dataset not in kept)]
    names = {entry.name for entry in there.entries}
    return [entry.name for entry in left] + [f"{replica} is gone" for replica in kept if replica not in names]


def whole_set(both: Both, most: int = 1) -> str:
    """The name of the newest set, which every volume has on both sides; the target has at most so many.

    Raises:
        BrokenError: it is not so.
    """
    here, there = both
    kept_alive = {entry.origin.partition("@")[0] for entry in there.entries if f"{_ASIDE}/" in entry.name}
    names = set()
    for volume in VOLUMES:
        ours, theirs = here.of(f"{volume}@{PREFIX}"), there.of(f"{volume}@{PREFIX}")
        marks = here.of(f"{volume}#{PREFIX}")
        if len(ours) != 1 or len(marks) > BOOKMARKS_KEPT + 1:
            raise BrokenError(f"left over on the source: {ours} {len(marks)} bookmarks")
        if not theirs or (len(theirs) > most and volume not in kept_alive):
            raise BrokenError(f"left over on the target: {theirs}")
        if (theirs[-1].name, theirs[-1].guid) != (ours[0].name, ours[0].guid):
            raise BrokenError(f"lost: {theirs[-1]} on the target is not {ours[0]}")
        names.add(ours[0].name.partition("@")[2])
    if half := [entry.name for entry in there.entries if entry.token != "-"]:
        raise BrokenError(f"left over: a half-received state of {half}")
    if len(names) != 1:
        raise BrokenError(f"lost: the volumes are not of one set: {names}")
    return names.pop()


def bases(both: Both, *, tokens: bool = True) -> set[str]:
    """The volumes of which the target has something to go on from: a snapshot that the source knows, or a token."""
    here, there = both
    known = {(entry.dataset, entry.guid) for entry in here.entries if entry.dataset != entry.name}
    return {
        entry.volume
        for entry in there.entries
        if (entry.is_snapshot and (entry.volume, entry.guid) in known) or (tokens and entry.token != "-")
    }


@dataclass(frozen=True, slots=True)
class Fulls:
    """The log lines of full transfers: of the run into which the fault came, and of those after it."""

    faulted: Sequence[str]
    after: Sequence[str]


def avoidable(fulls: Fulls, *, first: bool, had: Iterable[str], had_after: Iterable[str]) -> list[str]:
    """The full transfers that need not have been, in words.

    ``had`` names the volumes with a base right after the fault, ``had_after`` those with one (or a token) when the run
    with the fault had ended. ``first`` says that this run was to be the first one, which sends each volume in full.
    """
    found = []
    for volume in VOLUMES:
        faulted, after = (_count(lines, volume) for lines in (fulls.faulted, fulls.after))
        if faulted > (1 if first or volume not in set(had) else 0):
            found.append(f"{volume} was sent in full {faulted} times by the run with the fault")
        if after > (0 if volume in set(had_after) else 1):
            found.append(f"{volume} was sent in full {after} times after the fault")
    return found


def _count(lines: Iterable[str], volume: str) -> int:
    return sum(f":{volume.removeprefix('tank/data/')}: full" in line for line in lines)
