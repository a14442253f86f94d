"""What travels with a guest: snapshots of others, names that both sides have, flags of streams, limits, clones."""

from __future__ import annotations

import json

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.scenario import FS, MIB, A, Scenario

pytestmark = pytest.mark.sampled(9)

DAY = 86400


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Scenario:
    """A cluster without a volume and without a job."""
    return Scenario(lab, source, target)


def take(guest: Scenario, name: str, snapshot: str) -> None:
    guest.source.run(f"zfs snapshot tank/data/{name}@{snapshot}")


def notes(guest: Scenario) -> str:
    return " ".join(json.loads(guest.zsr("plan", "100-0", "--format", "json"))["notes"])


class TestSnapshotsOfOthers:
    def test_older_ones_travel_with_the_first_copy_and_it_is_resumed(self, guest: Scenario) -> None:
        guest.zvol(A, 32)
        take(guest, A, "s1")
        guest.write(A, 4)
        take(guest, A, "s2")
        guest.write(A, 2)
        guest.job()
        expected = guest.well()
        assert guest.snapshots(guest.target, A)[:2] == ["s1", "s2"]
        assert expected > 16 * MIB
        assert guest.same_on_both()
        assert guest.well() == 0

    def test_those_of_an_idle_guest_and_of_a_template_travel_too(self, guest: Scenario) -> None:
        guest.zvol(A, 8)
        guest.job()
        guest.well()
        take(guest, A, "__base__")
        guest.well()
        assert "__base__" in guest.snapshots(guest.target, A)
        before = guest.ours(guest.source, A)
        assert guest.well() == 0
        assert guest.ours(guest.source, A) == before, "once it is there, nothing is a change"

    def test_patterns_exclude_some_and_are_no_reason_to_send(self, guest: Scenario) -> None:
        guest.zvol(A, 8)
        take(guest, A, "autosnap_1_hourly")
        take(guest, A, "autosnap_1_daily")
        guest.job("--snapshots", "autosnap_*,!*_hourly")
        guest.well()
        take(guest, A, "autosnap_2_hourly")
        guest.well()
        assert [name for name in guest.snapshots(guest.target, A) if "autosnap" in name] == ["autosnap_1_daily"]
        assert guest.same_on_both()

    def test_follow_their_source_after_the_grace(self, guest: Scenario) -> None:
        guest.zvol(A, 8)
        guest.job("--grace", "2d")
        guest.well()
        take(guest, A, "hourly")
        guest.write(A, 1)
        guest.well()
        guest.target.run(f"zfs snapshot {guest.target.path(A)}@theirs")
        guest.source.run(f"zfs destroy tank/data/{A}@hourly")
        for there in (True, True, False):
            guest.write(A, 1)
            guest.well()
            assert ("hourly" in guest.snapshots(guest.target, A)) is there
            guest.source.shift_clock(DAY)
        assert "theirs" in guest.snapshots(guest.target, A)
        assert guest.same_on_both()


class TestANameOnBothSides:
    def test_of_different_snapshots_never_stops_the_job(self, guest: Scenario) -> None:
        guest.zvol(A, 16)
        guest.job()
        guest.well()
        for hour in range(3):
            guest.write(A, 1)
            take(guest, A, f"autosnap_{hour}")
            guest.target.run(f"zfs snapshot {guest.target.path(A)}@autosnap_{hour}")
            guest.write(A, 2)
            guest.well()
            assert guest.same_on_both()
        assert "cannot travel" in guest.log()
        assert guest.aside() == []
        here, there = (guest.value(node, f"{A}@autosnap_0", "guid") for node in (guest.source, guest.target))
        assert here != there

    def test_that_was_taken_again_travels_again(self, guest: Scenario) -> None:
        guest.zvol(A, 8)
        guest.job("--grace", "0")
        guest.well()
        for _ in range(2):
            guest.write(A, 1)
            take(guest, A, "before-upgrade")
            guest.write(A, 1)
            guest.well()
            guest.source.run(f"zfs destroy tank/data/{A}@before-upgrade")
        assert not [name for name in guest.snapshots(guest.target, A) if name.startswith("zsr-outdated")]
        assert guest.same_on_both()


class TestFlags:
    """Bytes are compared, not GUIDs: ZFS may zero parts of files when -L comes and goes (#6224, #17866)."""

    def filesystem(self, guest: Scenario) -> None:
        """A filesystem with large blocks, large dnodes, and files that fit into block pointers."""
        guest.source.run(f"zfs create -o recordsize=1M -o dnodesize=auto -o compression=on tank/data/{FS}")
        guest.volumes[FS] = "filesystem"
        guest.write(FS, 8)
        self.change(guest)

    def change(self, guest: Scenario) -> None:
        """Write into the middle of a large file, and many small ones."""
        guest.source.run(
            f"cd /tank/data/{FS} && dd if=/dev/urandom of=file bs=4k count=3 seek=700 conv=notrunc status=none && "
            "for i in $(seq 40); do echo $i$RANDOM > small$i; done && truncate -s 3M sparse && zpool sync"
        )

    def test_of_a_replica_that_zsr_began_stay_and_its_bytes_are_the_sources(self, guest: Scenario) -> None:
        self.filesystem(guest)
        guest.job()
        guest.well()
        self.change(guest)
        guest.well()
        assert guest.value(guest.target, FS, "zsr:stream") == f"Lce:{guest.target.path(FS)}"
        assert guest.same_on_both()

    def test_of_an_adopted_replica_are_without_large_blocks(self, guest: Scenario) -> None:
        self.filesystem(guest)
        disk, there = f"tank/data/{FS}", guest.target.path(FS)
        receive = f"{guest.source.reach(guest.target)}zfs receive -u {there}"
        guest.source.run(f"zfs snapshot {disk}@moved && zfs send {disk}@moved | {receive}")
        guest.job()
        said = guest.source.zsr("adopt", "100-0", "--yes")
        assert "needs a full copy" in said.stderr
        for _ in range(2):
            self.change(guest)
            guest.well()
            assert guest.same_on_both()
        assert guest.value(guest.target, FS, "zsr:stream") == f"ce:{there}"

    def test_of_a_replica_that_lost_its_record_are_found_again(self, guest: Scenario) -> None:
        self.filesystem(guest)
        guest.job()
        guest.well()
        guest.target.run(f"zfs inherit zsr:stream {guest.target.path(FS)}")
        self.change(guest)
        guest.well()
        assert guest.value(guest.target, FS, "zsr:stream") == f"Lce:{guest.target.path(FS)}"
        assert guest.same_on_both()


class TestLimits:
    def test_of_a_source_do_not_stop_its_replica_and_can_be_brought_back(self, guest: Scenario) -> None:
        guest.source.run(f"zfs create -o quota=40M -o reservation=20M tank/data/{FS}")
        guest.volumes[FS] = "filesystem"
        guest.job("--keep", "10")
        for _ in range(5):
            guest.write(FS, 12)
            guest.well()
        assert guest.value(guest.target, FS, "quota") == "0"
        assert guest.value(guest.target, FS, "reservation") == "0"
        guest.target.run(f"zfs inherit -S reservation {guest.target.path(FS)}")
        assert guest.value(guest.target, FS, "reservation") == str(20 * MIB)

    def test_a_thick_zvol_that_becomes_thin_is_said(self, guest: Scenario) -> None:
        guest.source.run(f"zfs create -V 1G tank/data/{A}; udevadm settle")
        guest.volumes[A] = "zvol"
        guest.write(A, 4)
        guest.target.fresh_pool(size_mb=200)
        guest.target.run(["zfs", "create", guest.target.path()])
        guest.job()
        guest.well()
        assert "reserves no space" in guest.log()


def test_what_a_clone_costs_is_said(guest: Scenario) -> None:
    guest.source.run("zfs create -V 32M tank/data/base-900-disk-0; udevadm settle")
    guest.source.run("dd if=/dev/urandom of=/dev/zvol/tank/data/base-900-disk-0 bs=1M count=8 && zpool sync")
    guest.source.run("zfs snapshot tank/data/base-900-disk-0@__base__")
    guest.source.run(f"zfs clone tank/data/base-900-disk-0@__base__ tank/data/{A}; udevadm settle")
    guest.volumes[A] = "zvol"
    guest.job()
    assert "is a clone of tank/data/base-900-disk-0@__base__" in notes(guest)
    [volume] = json.loads(guest.zsr("plan", "100-0", "--format", "json"))["volumes"]
    assert volume["bytes"] > 8 * MIB, "with the origin, which was never the clone's to count"
    assert guest.well() > 8 * MIB
    assert "is a clone of" in guest.log()
