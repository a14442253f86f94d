"""What runs keep aside and what becomes of it: stale restore points, snapshots that others create on raw replicas."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.scenario import MIB, A, Scenario

pytestmark = pytest.mark.sampled(9)

DISK = f"tank/data/{A}"


def asides(scene: Scenario) -> list[dict[str, Any]]:
    """What is kept aside, as ``zsr diverged list`` shows it."""
    found: list[dict[str, Any]] = json.loads(scene.zsr("diverged", "list", "--format", "json"))
    return found


def times(scene: Scenario) -> list[int]:
    """The restore points, oldest first."""
    return sorted(point["time"] for point in json.loads(scene.zsr("restore-points", "100-0", "--format", "json")))


def another_set(scene: Scenario) -> int:
    """Write a little and run the job; returns the bytes that were sent."""
    scene.write(A, 1)
    return scene.well()


@pytest.fixture
def rolled_back(lab: Lab, source: Node, target: Node) -> Scenario:
    """A volume that was rolled back behind three proven sets; the next run has set their replica aside."""
    scene = Scenario(lab, source, target)
    scene.zvol(A, 16)
    scene.job("--keep", "3", "--grace", "0")
    scene.well()
    scene.source.run(f"zfs snapshot {DISK}@before")
    for _ in range(3):
        another_set(scene)
    scene.source.run(f"zfs rollback -r {DISK}@before")
    assert another_set(scene) < 3 * MIB
    return scene


class TestARollbackOnTheSource:
    def test_is_reported_and_the_sets_that_it_lacks_are_restore_points(self, rolled_back: Scenario) -> None:
        assert "went back in time: it lacks 3 sets" in rolled_back.log()
        [aside] = asides(rolled_back)
        assert (aside["holds"], aside["snapshots"]) == ("restore points", 3)
        assert len(times(rolled_back)) == 4
        assert rolled_back.same_on_both()

    def test_leaves_restore_points_that_age_by_keep_with_the_others(self, rolled_back: Scenario) -> None:
        before = times(rolled_back)
        another_set(rolled_back)
        assert times(rolled_back)[:2] == before[2:4]
        another_set(rolled_back)
        assert asides(rolled_back) == []
        assert times(rolled_back)[0] == before[3]
        assert rolled_back.same_on_both()

    def test_loses_nothing_of_them_before_the_grace_is_over(self, rolled_back: Scenario) -> None:
        rolled_back.zsr("update", "100-0", "--grace", "1d")
        before = times(rolled_back)
        for _ in range(3):
            another_set(rolled_back)
        assert set(before[:3]) <= set(times(rolled_back))

    def test_leaves_what_is_written_to_an_aside_to_a_person(self, rolled_back: Scenario) -> None:
        [aside] = asides(rolled_back)
        rolled_back.target.run(f"zfs set readonly=off {aside['dataset']} && udevadm settle")
        rolled_back.target.run(f"echo mine | dd of=/dev/zvol/{aside['dataset']} conv=fsync bs=512")
        for _ in range(3):
            another_set(rolled_back)
        [left] = asides(rolled_back)
        assert (left["holds"], left["snapshots"]) == ("diverged", 3)


@pytest.fixture
def vault(lab: Lab, source: Node, target: Node) -> Scenario:
    """A raw replica of an encrypted zvol; another tool has taken a snapshot of it, and the next run has met that."""
    scene = Scenario(lab, source, target)
    scene.source.write("/root/key", "12345678\n")
    key = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"
    scene.source.run(f"zfs create {key} -V 16M {DISK} && udevadm settle")
    scene.volumes[A] = "zvol"
    scene.write(A, 4)
    scene.job("--grace", "0")
    scene.well()
    replica = scene.target.path(A)
    scene.target.run(f"zfs snapshot {replica}@autosnap")
    assert f"{replica} -> {scene.target.path('zsr-diverged')}/{A}-TIME-others" in scene.zsr("plan", "100-0")
    assert another_set(scene) < 3 * MIB
    return scene


class TestASnapshotThatIsCreatedOnARawReplica:
    def test_is_kept_aside_and_is_no_divergence(self, vault: Scenario) -> None:
        [aside] = asides(vault)
        assert aside["holds"] == "snapshots of others"
        assert vault.target.out(f"zfs list -Ho name -t snapshot {aside['dataset']}").endswith("@autosnap")
        for _ in range(2):
            another_set(vault)
        assert asides(vault) == [aside]

    def test_takes_its_aside_with_it_when_its_tool_destroys_it(self, vault: Scenario) -> None:
        [aside] = asides(vault)
        vault.target.run(f"zfs destroy {aside['dataset']}@autosnap")
        another_set(vault)
        assert asides(vault) == []
        assert vault.target.out(f"zfs list -Ho name -t snapshot {vault.target.path(A)}").count("@") == 1
