"""Snapshots of the job, of its admin and of other tools: which travel, which are kept, which are the base."""

from __future__ import annotations

import json

import pytest

from tests.lab.scenario import FS, MIB, OURS, A, Scenario

pytestmark = pytest.mark.sampled(9)


class TestOthersSnapshots:
    def test_of_a_backup_tool_travel_or_do_not_as_the_job_says(self, scene: Scenario) -> None:
        scene.source.run(f"zfs snapshot tank/data/{A}@autosnap_1")
        scene.write(A, 1)
        scene.source.run(f"zfs snapshot tank/data/{A}@autosnap_2")
        scene.well()
        assert {"autosnap_1", "autosnap_2"} <= set(scene.snapshots(scene.target, A))
        scene.source.run(f"zfs destroy tank/data/{A}@autosnap_1")
        scene.zsr("update", "100-0", "--snapshots", "own")
        scene.source.run(f"zfs snapshot tank/data/{A}@autosnap_3")
        scene.write(A, 1)
        scene.source.run(f"zfs snapshot 'tank/data/{A}@auto snap 4'")
        assert scene.well() < 2 * MIB
        there = scene.snapshots(scene.target, A)
        assert {"autosnap_1", "autosnap_2"} <= set(there)
        assert not {"autosnap_3", "auto snap 4"} & set(there)
        assert {"autosnap_2", "autosnap_3", "auto snap 4"} <= set(scene.snapshots(scene.source, A))
        scene.zsr("update", "100-0", "--delete", "snapshots")
        scene.source.run(f"zfs snapshot 'tank/data/{A}@auto snap 5'")
        scene.write(A, 1)
        scene.well()
        assert "auto snap 5" in scene.snapshots(scene.target, A)
        assert scene.same_on_both()

    def test_of_another_job_of_the_guest_do_not_pile_up(self, scene: Scenario) -> None:
        scene.source.run("zfs create pond/vault")
        scene.cluster("[storages.tank]", '[nodes.vault]\naddress = "local"\n[storages.tank]')
        scene.cluster("paths = {", 'paths = { vault = "pond/vault",')
        scene.zsr("create-local-job", "100-1", "vault")
        for _ in range(5):
            scene.write(A, 1)
            scene.zsr("run", "--id", "100-1")
            assert scene.well() < 3 * MIB
        assert scene.same_on_both()
        ours = [name for name in scene.snapshots(scene.target, A) if not name.startswith(OURS)]
        assert len(ours) <= 2, ours
        there = scene.source.out(f"zfs list -Ho name -t snapshot pond/vault/{A}").split()
        assert len(there) <= 4, there
        scene.daemon()
        scene.zsr("delete", "100-1", "--yes")
        scene.until(lambda: "100-1" not in scene.zsr("list"), "the other job is gone", timeout=180)
        assert scene.source.out("zfs list -Ho name -r pond/vault") == "pond/vault"
        assert not [name for name in scene.snapshots(scene.source, A) if "_100-1_" in name]
        scene.write(A, 1)
        assert scene.well() < 3 * MIB
        assert scene.same_on_both()


class TestAdopted:
    def test_what_pvesr_left_goes_on_with_an_increment(self, bare: Scenario) -> None:
        bare.zvol(A, 16)
        bare.filesystem(FS, 4)
        for name in (A, FS):
            snapshot = f"tank/data/{name}@__replicate_100-0_1700000000__"
            receive = f"{bare.source.reach(bare.target)}zfs receive -F {bare.target.path(name)}"
            bare.source.run(f"zfs snapshot {snapshot} && zfs send -Rp {snapshot} | {receive}", timeout=120)
        bare.target.run(f"zfs unmount {bare.target.path(FS)}")
        bare.job()
        bare.zsr("adopt", "100-0", "--yes")
        bare.write(A, 1)
        assert bare.well() < 2 * MIB
        assert bare.same_on_both()
        assert len(bare.ours(bare.target, A)) == 1
        assert len(bare.ours(bare.source, A)) == 1


class TestHistory:
    def test_three_are_kept_and_then_one(self, scene: Scenario) -> None:
        scene.zsr("update", "100-0", "--keep", "3")
        for _ in range(4):
            scene.write(A, 1)
            scene.well()
        assert len(json.loads(scene.zsr("restore-points", "100-0", "--format", "json"))) == 3
        assert [len(scene.ours(scene.target, name)) for name in (A, FS)] == [3, 3]
        assert [len(scene.ours(scene.source, name)) for name in (A, FS)] == [1, 1]
        scene.zsr("update", "100-0", "--keep", "1h:1m,1d:1h")
        for _ in range(2):
            scene.source.shift_clock(61)
            scene.write(A, 1)
            scene.well()
        assert len(scene.ours(scene.target, A)) >= 3
        scene.zsr("update", "100-0", "--delete", "keep")
        scene.write(A, 1)
        scene.well()
        assert [len(scene.ours(scene.target, name)) for name in (A, FS)] == [1, 1]


class TestNothingChanged:
    def test_sends_nothing_and_a_writers_last_bytes_are_not_claimed_before_they_are_there(
        self, scene: Scenario
    ) -> None:
        before = (scene.everything(scene.target), scene.status()["last_sync"])
        scene.source.run("sleep 2")
        assert scene.well() == 0
        assert scene.everything(scene.target) == before[0]
        assert scene.status()["last_sync"] > before[1]
        for number in range(6):
            sync = "conv=fsync,notrunc" if number % 2 else "conv=notrunc"
            written = scene.source.out(
                f"dd if=/dev/urandom of=/tank/data/{FS}/file bs=4k count=3 seek={number} {sync} status=none; "
                f"dd if=/dev/urandom of=/tank/data/{FS}/new{number} bs=512 count=1 {sync} status=none; "
                f"{'' if number % 2 else 'sync;'} date +%s.%N; zsr run --id 100-0 >&2"
            )
            assert scene.status()["last_sync"] + 1 >= float(written)
            newest = scene.ours(scene.target, FS)[-1]
            here = scene.source.out(f"cd /tank/data/{FS} && find . -type f | sort | xargs sha256sum | sha256sum")
            clone = f"zfs clone -o mountpoint=/mnt/l {scene.target.path(FS)}@{newest} {scene.target.pool}/l"
            look = "(cd /mnt/l && find . -type f | sort | xargs sha256sum | sha256sum)"
            assert scene.target.out(f"{clone} && {look}; zfs destroy {scene.target.pool}/l") == here, f"burst {number}"

    def test_last_sync_is_no_later_than_what_reached_the_target(self, scene: Scenario) -> None:
        """Writes that no fsync followed, right before the run."""
        for number in range(6):
            scene.source.run(f"echo {number} > /tank/data/{FS}/burst; date +%s.%N > /tmp/done; zsr run --id 100-0")
            written = float(scene.source.read("/tmp/done"))
            newest = scene.ours(scene.target, FS)[-1]
            clone = f"zfs clone -o mountpoint=/mnt/l {scene.target.path(FS)}@{newest} {scene.target.pool}/l"
            there = scene.target.out(f"{clone} && cat /mnt/l/burst; zfs destroy {scene.target.pool}/l")
            assert there == str(number) or scene.status()["last_sync"] < written
