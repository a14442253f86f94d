"""A clone on the source is promoted (``zfs promote``): zsr's snapshots and bookmarks of the volume are its then.

The volume goes on with a full copy that is said, or when it was promoted back. Nothing that is safe is destroyed.
"""

from __future__ import annotations

import json

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import KEEP, Holdings
from tests.lab.scenario import MIB, A, B

pytestmark = pytest.mark.sampled(5)

OUTSIDE = "tank/theirs"
OTHER = "vm-200-disk-0"
GUEST_200 = """\
[guests.200]
name = "db"
node = "node1"
"""


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A zvol with three restore points, the newest of which is the base."""
    made = Holdings(lab, source, target).with_zvol()
    made.well()
    made.grow(A, 2)
    return made


def promote(guest: Holdings, clone: str) -> None:
    """Clone the volume's base, and let the clone have it; both are written to."""
    base = guest.ours(guest.source, A)[-1]
    guest.source.run(f"zfs clone {guest.source.path(A)}@{base} {clone} && zfs promote {clone} && udevadm settle")
    assert guest.snapshots(guest.source, A) == []
    guest.write(A, 1)
    guest.source.run(f"dd if=/dev/urandom of=/dev/zvol/{clone} bs=1M count=1 seek=2 conv=notrunc,fsync status=none")
    guest.source.run("zpool sync")


def notes(guest: Holdings) -> str:
    return " ".join(json.loads(guest.zsr("plan", "100-0", "--format", "json"))["notes"])


def snapshots_of(guest: Holdings, dataset: str) -> set[str]:
    return set(guest.source.out(f"zfs list -Hpo guid -t snapshot -d 1 {dataset}").split())


def back(guest: Holdings) -> None:
    """Give the volume its base back."""
    guest.source.run(f"zfs promote {guest.source.path(A)}")


class TestAForeignDatasetGetsTheBase:
    def test_and_the_full_copy_that_is_due_is_said_and_nothing_is_lost(self, guest: Holdings) -> None:
        before = guest.guids(guest.target)
        promote(guest, OUTSIDE)
        theirs = snapshots_of(guest, OUTSIDE)
        for said in (f"is a clone of {OUTSIDE}@", "arrives as a full copy of", f"'zfs promote {guest.source.path(A)}'"):
            assert said in notes(guest)
        [volume] = json.loads(guest.zsr("plan", "100-0", "--format", "json"))["volumes"]
        assert volume["bytes"] > 4 * MIB

        assert guest.well() > 4 * MIB
        assert f"is a clone of {OUTSIDE}@" in guest.log()
        assert guest.same_on_both()
        assert before <= guest.guids(guest.target)
        assert len(guest.aside()) == 1
        guest.write(A, 1)
        assert guest.well() < 2 * MIB
        assert before <= guest.guids(guest.target)
        assert snapshots_of(guest, OUTSIDE) == theirs

    def test_and_gives_it_back_before_the_next_run(self, guest: Holdings) -> None:
        replica, points = guest.value(guest.target, A, "guid"), guest.points(guest.target, A)
        promote(guest, OUTSIDE)
        back(guest)
        for _ in range(2):
            assert guest.well() < 2 * MIB
            assert guest.same_on_both()
            guest.write(A, 1)
        assert guest.value(guest.target, A, "guid") == replica
        assert points <= guest.points(guest.target, A)
        assert guest.aside() == []


class TestAVolumeOfAnotherGuestGetsTheBase:
    @pytest.fixture
    def two(self, guest: Holdings) -> Holdings:
        """Guest 200 has the promoted clone, and its job has run twice."""
        guest.source.write("/etc/zsr/cluster.toml", guest.source.read("/etc/zsr/cluster.toml") + GUEST_200)
        promote(guest, guest.source.path(OTHER))
        guest.zsr("create-local-job", "200-0", "node2", *KEEP)
        for _ in range(2):
            guest.zsr("run", "--id", "200-0")
            guest.source.run(f"dd if=/dev/urandom of=/dev/zvol/{guest.source.path(OTHER)} bs=1M count=1 status=none")
        return guest

    def test_and_both_guests_are_replicated_and_nothing_is_lost(self, two: Holdings) -> None:
        before = two.guids(two.target)
        theirs = snapshots_of(two, two.source.path(OTHER))
        two.well()
        assert two.same_on_both()
        for _ in range(2):
            two.write(A, 1)
            two.zsr("run", "--id", "200-0")
            assert two.well() < 2 * MIB
        assert before <= two.guids(two.target)
        assert len(theirs - snapshots_of(two, two.source.path(OTHER))) <= 1, "no more than the set of job 200-0"
        assert [two.value(two.target, name, "zsr:job") for name in (A, OTHER)] == ["100-0", "200-0"]

    def test_and_gives_it_back_and_goes(self, two: Holdings) -> None:
        """What job 200-0 found on its volume of job 100-0 was that job's base all the time."""
        replica, points = two.value(two.target, A, "guid"), two.points(two.target, A)
        back(two)
        two.source.run(f"zfs destroy -r {two.source.path(OTHER)}")

        assert two.well() < 2 * MIB
        assert two.same_on_both()
        assert two.value(two.target, A, "guid") == replica
        assert points <= two.points(two.target, A)


def test_a_volume_of_the_same_guest_gets_the_base(guest: Holdings) -> None:
    before = guest.guids(guest.target)
    promote(guest, guest.source.path(B))
    guest.volumes[B] = "zvol"

    guest.well()

    assert guest.same_on_both()
    assert before <= guest.guids(guest.target)
    for name in (A, B):
        guest.write(name, 1)
    assert guest.well() < 3 * MIB
    assert guest.same_on_both()
    assert before <= guest.guids(guest.target)
