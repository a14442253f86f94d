"""A replica that a person renamed on the target, to keep it as it is: it stays, and a clone of it goes on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.models import KnownSets, Vanished, Volume
from replicator.replication.destruction import Stays, decide_vanished
from replicator.replication.held_sets import held_on_target
from replicator.replication.plan import CloneFromDiverged, Disown, Incremental, Promote, make_plan
from replicator.replication.provenance import Direction
from replicator.replication.trees import Rename
from replicator.schedule.grace import Terms
from replicator.zfs.model import Dataset, Inventory, Snapshot
from tests.support.volumes import JOB, WAY, dataset, pair, snap

NAME = "pool/vm-100-disk-0"
KEPT = "pool/vm-100-disk-0-before-upgrade"
VOLUME = "data:vm-100-disk-0"
PROVEN = replace(WAY, known=KnownSets(1002, (VOLUME,), (1001, 1002), sent=frozenset({1, 2})))


def kept(*snapshots: Snapshot, name: str = KEPT) -> Dataset:
    """The replica under its new name."""
    return dataset(*(snapshots or (snap(1), snap(2))), name=name, job=str(JOB), readonly=True)


def planned(way: Direction, orphan: Dataset) -> Incremental:
    """What is done with the volume, whose replica has another name."""
    (action,) = make_plan(way, [pair(dataset(snap(2)), None)], [orphan]).actions
    assert isinstance(action, Incremental)
    return action


def test_it_stays_where_it_is_and_a_clone_of_it_goes_on() -> None:
    action = planned(PROVEN, kept())
    assert action.preparations == (CloneFromDiverged(KEPT, snap(2)), Promote(), Disown(KEPT))
    assert make_plan(PROVEN, [pair(dataset(snap(2)), None)], [kept()]).orphans == ()


@pytest.mark.parametrize(
    "volumes",
    [(), ("data:vm-100-disk-7",), (VOLUME, "data:vm-100-disk-0-before-upgrade")],
    ids=["nothing-known", "a-new-name-of-the-volume", "a-volume-had-the-other-name"],
)
def test_one_whose_volume_was_renamed_is_renamed_too(volumes: tuple[str, ...]) -> None:
    way = replace(PROVEN, known=replace(PROVEN.known, volumes=volumes))
    assert planned(way, kept()).preparations == (Rename(KEPT),)


def test_what_is_in_it_is_still_held_on_the_target() -> None:
    held = held_on_target(planned(PROVEN, kept()), ()).target
    assert held is not None
    assert [each.guid for each in held.snapshots] == [1, 2]


def test_a_run_that_was_killed_after_the_clone_promotes_it_and_leaves_the_other() -> None:
    clone = dataset(name=NAME, job=str(JOB), readonly=True, origin=f"{KEPT}@{snap(2).name}")
    (action,) = make_plan(PROVEN, [pair(dataset(snap(2)), clone)], [kept()]).actions
    assert action.preparations == (Promote(), Disown(KEPT))


def test_one_that_was_not_disowned_in_time_is_not_destroyed_after_a_grace() -> None:
    left = replace(kept(), snapshots=(), origin=f"{NAME}@{snap(2).name}", written=0)
    over = Vanished(KEPT, left.guid, 0.0, 0.0, waited=9e9)
    decision = decide_vanished(PROVEN, left, over, Terms(0.0), Inventory({}))
    assert isinstance(decision, Stays)
    assert "clone of" in decision.why


def test_volumes_that_swapped_their_names_swap_their_replicas() -> None:
    other = "pool/vm-100-disk-1"
    way = replace(PROVEN, known=replace(PROVEN.known, volumes=(VOLUME, "data:vm-100-disk-1")))
    one = replace(pair(dataset(snap(2)), kept(snap(9, "x"), name=NAME)), target_name=NAME)
    two = replace(
        pair(dataset(snap(9, "x")), kept(snap(2), name=other)),
        volume=Volume("data", "vm-100-disk-1"), target_name=other,
    )  # fmt: skip
    plan = make_plan(way, [one, two])
    assert not any(isinstance(step, Disown) for action in plan.actions for step in action.preparations)
