"""Replicas that lie below each other: what moves along, where it belongs, and the order of a plan's actions. Pure.

ZFS renames a dataset with all that is below it. When a replica is kept aside, those of its children move along to
``zsr-diverged/<volume>-<time>/...``. They belong below the replica that takes its place, and go back there, also when
the run died in between.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count
from typing import Protocol, TypeVar

from replicator.models import Volume
from replicator.zfs.dataset_names import aside_stem, carried_below, parents, parse_aside
from replicator.zfs.model import Dataset

Move = tuple[str, str]
"""A dataset that is renamed: its old and its new name."""


@dataclass(frozen=True, slots=True)
class Rename:
    """Rename the replica: the source's volume was renamed."""

    old: str


@dataclass(frozen=True, slots=True)
class MoveAway:
    """Move the replica that has this volume's name out of the way: volumes swapped names, and it is renamed later."""

    to: str


@dataclass(frozen=True, slots=True)
class BringBack:
    """Give back their places to replicas that moved along when another one was kept ``aside``: its ``parts``."""

    aside: str
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class View:
    """Replicas without a volume, as they are when what moved along is back.

    Attributes:
        replicas: what moved along, by the name that it gets back.
        rest: the others.
        back: what brings it back, by the replica below which it belongs.
    """

    replicas: Mapping[str, Dataset]
    rest: tuple[Dataset, ...]
    back: Mapping[str, tuple[BringBack, ...]]

    def orphans(self, volumes: Iterable[str]) -> list[Dataset]:
        """Return the replicas that none of the volumes, by the names of their replicas, has then."""
        names = set(volumes)
        return [*self.rest, *(replica for name, replica in self.replicas.items() if name not in names)]


def brought_back(orphans: Iterable[Dataset], stems: Mapping[str, str], present: Collection[str]) -> View:
    """Return the view of replicas without a volume.

    Args:
        orphans: these replicas.
        stems: the name of each volume's replica, by the stem of its asides.
        present: the names that other replicas have.
    """
    left = list(orphans)
    taken = {*present, *(each.name for each in left)}
    replicas: dict[str, Dataset] = {}
    moved: dict[str, dict[str, dict[str, None]]] = {}
    rest = []
    for each in left:
        found = carried_below(each.name)
        named = None if found is None else parse_aside(found[0])
        owner = None if named is None else stems.get(named.stem)
        if found is None or owner is None or (home := f"{owner}/{found[1]}") in taken:
            rest.append(each)
            continue
        root = home if each.encryption_root == each.name else each.encryption_root
        replicas[home] = replace(each, name=home, encryption_root=root)
        taken.add(home)
        moved.setdefault(owner, {}).setdefault(found[0], {})[f"{found[0]}/{found[1].partition('/')[0]}"] = None
    back = {owner: tuple(BringBack(aside, tuple(some)) for aside, some in of.items()) for owner, of in moved.items()}
    return View(replicas, tuple(rest), back)


class _Pair(Protocol):
    @property
    def volume(self) -> Volume: ...
    @property
    def target_path(self) -> str: ...
    @property
    def target_name(self) -> str: ...
    @property
    def target(self) -> Dataset | None: ...


class _Action(Protocol):
    @property
    def pair(self) -> _Pair: ...
    @property
    def preparations(self) -> tuple[object, ...]: ...


A = TypeVar("A", bound=_Action)


def in_order(
    actions: Iterable[A], prepared: Callable[[A, tuple[object, ...]], A], taken: Collection[str] = ()
) -> tuple[A, ...]:
    """Return a plan's actions in the order in which they can be done, each as it is after those before it.

    In a cycle of names, one replica is moved away, to a name that is not ``taken``. ``prepared`` returns an action with
    other preparations.
    """
    waiting, done = list(actions), []
    while waiting:
        at = next_in_order([(action.pair.target_name, _olds(action)) for action in waiting])
        if at is None:
            olds = set().union(*(_olds(action) for action in waiting))
            at = next((i for i, action in enumerate(waiting) if action.pair.target_name in olds), 0)
            name = waiting[at].pair.target_name
            stem = aside_stem(waiting[at].pair.target_path, waiting[at].pair.volume.name)
            names = (f"{stem}-parked{number or ''}" for number in count())
            parked = next(each for each in names if each not in taken)  # a run that died may have left one there
            waiting[at] = prepared(waiting[at], (MoveAway(parked), *waiting[at].preparations))
            waiting = [_moved_along(action, (name, parked), prepared) for action in waiting]
        done.append(waiting.pop(at))
        for old in _olds(done[-1]):
            waiting = [_moved_along(action, (old, done[-1].pair.target_name), prepared) for action in waiting]
    return tuple(done)


def _olds(action: _Action) -> set[str]:
    return {step.old for step in action.preparations if isinstance(step, Rename)}


def _moved_along(action: A, move: Move, prepared: Callable[[A, tuple[object, ...]], A]) -> A:
    """Return an action as it is after a rename: what lies below a dataset moves along."""
    name, steps = action.pair.target_name, action.preparations
    at = next((at for at, step in enumerate(steps) if isinstance(step, Rename)), None)
    if at is not None and isinstance(step := steps[at], Rename):
        now = now_at(step.old, move)
        if now == name:  # what had the name before went along with the one above it, too
            return prepared(action, steps[at + 1 :])
        return prepared(action, (*steps[:at], Rename(now), *steps[at + 1 :]))
    if action.pair.target is not None and (now := now_at(name, move)) != name:
        return prepared(action, (Rename(now), *steps))
    return action


def next_in_order(waiting: Sequence[tuple[str, Collection[str]]]) -> int | None:
    """Return which of a plan's actions may come first; None if each waits for another.

    ``waiting`` are the name of each one's replica, and the names from which it renames one. What lies below another
    replica waits for that one; a name below or at which one lies that goes elsewhere waits until it is free. Renames
    come before the rest.
    """
    names = {name for name, _ in waiting}
    olds = {old for _, some in waiting for old in some}
    for at in sorted(range(len(waiting)), key=lambda at: not waiting[at][1]):
        name, own = waiting[at]
        above = set(parents(name))
        if not above & names and not (above | {name}) & (olds - set(own)):
            return at
    return None


def first_below(name: str, replicas: Iterable[Dataset | None]) -> str | None:
    """Return the name of one of some replicas that lies below a dataset."""
    return min((each.name for each in replicas if each is not None and each.name.startswith(f"{name}/")), default=None)


def now_at(name: str, move: Move) -> str:
    """Return the name of a dataset after a rename, of itself or of one that it lies below."""
    old, new = move
    return f"{new}{name[len(old) :]}" if f"{name}/".startswith(f"{old}/") else name
