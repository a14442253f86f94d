"""The grace of vanished volumes: replicas go when it is over, by counted time, and never while a volume lives on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import KEEP, Holdings
from tests.lab.scenario import A, B

DAY = 86400
ELSEWHERE = "vm-200-disk-0"

pytestmark = pytest.mark.sampled(9)


class Waiting(Holdings):
    """A guest with two zvols, of which the second one has restore points."""

    def __init__(self, lab: Lab, source: Node, target: Node) -> None:
        super().__init__(lab, source, target)
        self.zvol(A, 8)
        self.zvol(B, 8)

    def replicate(self, grace: str) -> None:
        """Create the job with a grace, and let it run."""
        self.job(*KEEP, "--grace", grace)
        self.grow(B, 2)

    def vanished(self) -> dict[str, Any]:
        """The one vanished replica, as it is listed."""
        [found] = json.loads(self.zsr("vanished", "list", "--format", "json"))
        return dict(found)

    def planned(self) -> dict[str, Any]:
        """What a run would do with the second volume's replica."""
        plan = json.loads(self.zsr("plan", "100-0", "--format", "json"))
        [found] = [each for each in plan["destructions"] if each["what"] == self.target.path(B)]
        return dict(found)

    def next_day(self) -> None:
        """Let a day pass on the source, and run."""
        self.source.shift_clock(DAY)
        self.write(A, 1)
        self.well()


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Waiting:
    return Waiting(lab, source, target)


def test_a_replica_goes_with_its_restore_points_a_day_after_that_was_announced(guest: Waiting) -> None:
    guest.replicate("2d")
    guest.destroy_on_source(B)
    guest.well()
    kept = guest.guids(guest.target)
    assert guest.planned()["until"] == pytest.approx(guest.source.clock() + 2 * DAY, abs=120)
    guest.next_day()
    assert kept <= guest.guids(guest.target)
    assert not guest.planned()["permitted"]
    guest.next_day()

    assert not guest.exists(guest.target, B)
    assert len(guest.ours(guest.target, A)) == 4
    assert guest.same_on_both()
    assert guest.status()["vanished"] == []


def test_a_clock_that_jumps_ahead_by_a_year_ends_no_grace(guest: Waiting) -> None:
    guest.replicate("7d")
    guest.destroy_on_source(B)
    guest.well()
    before = guest.points(guest.target, B)
    guest.source.shift_clock(365 * DAY)
    for _ in range(3):
        guest.write(A, 1)
        guest.well()

    assert guest.points(guest.target, B) == before
    assert guest.vanished()["until"] > guest.source.clock() + 5 * DAY


def test_a_disk_that_moved_to_another_guest_keeps_its_replica_until_it_is_gone_there_too(guest: Waiting) -> None:
    guest.replicate("0")
    before = guest.points(guest.target, B)
    guest.source.run(f"zfs rename tank/data/{B} tank/data/{ELSEWHERE}")
    guest.settle()
    del guest.volumes[B]
    for _ in range(2):
        guest.write(A, 1)
        guest.well()
    assert guest.points(guest.target, B) == before
    assert ELSEWHERE in guest.vanished()["kept"]
    assert ELSEWHERE in guest.planned()["why"]

    guest.source.run(f"zfs destroy -r tank/data/{ELSEWHERE}")
    guest.next_day()
    assert not guest.exists(guest.target, B)


@pytest.mark.parametrize("replicate", ["left out", "back"])
def test_a_volume_that_is_left_out_is_cleaned_with_its_replica_and_not_before(guest: Waiting, replicate: str) -> None:
    guest.replicate("2d")
    left_out = f'volumes = [{{ volume = "tank:{B}", replicate = false }}]\n'
    guest.cluster('name = "web"\n', f'name = "web"\n{left_out}')
    guest.source.run(f"zfs snapshot tank/data/{B}@mine")
    guest.write(A, 1)
    guest.well()
    guest.next_day()
    assert guest.ours(guest.source, B), "the replica may still go on with it"
    if replicate == "back":
        guest.cluster(left_out, "")
        guest.write(B, 1)
        assert guest.well() < 3 << 20
        assert guest.same_on_both()
        return
    guest.next_day()
    assert not guest.exists(guest.target, B)
    assert guest.snapshots(guest.source, B) == ["mine"]
    assert "#" not in guest.source.out(f"zfs list -Ho name -t bookmark tank/data/{B}")


def test_a_guest_of_which_all_volumes_were_made_again_keeps_its_old_replicas(guest: Waiting) -> None:
    guest.replicate("0")
    before = guest.points(guest.target, A) | guest.points(guest.target, B)
    for name in (A, B):
        guest.source.run(f"zfs destroy -r tank/data/{name}")
    guest.zvol(A, 8)
    del guest.volumes[B]
    guest.well()

    assert guest.points(guest.target, A).isdisjoint(before)
    assert len(guest.aside()) == 1
    assert "all were replaced" in guest.log()
