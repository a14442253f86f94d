"""Changes of volumes and replicas between two runs, by users and accidents: each one breaks some other tool."""

from __future__ import annotations

import pytest

from tests.lab.scenario import FS, MIB, A, B, Scenario

pytestmark = pytest.mark.sampled(9)


class TestFirstRun:
    def test_that_fails_half_way_is_followed_by_one_that_sends_only_the_rest(self, bare: Scenario) -> None:
        bare.zvol(A, 16)
        bare.zvol(B, 64)
        bare.target.run(f"zfs set quota=28M {bare.target.path()}")
        bare.job()
        assert bare.fails() == "no_space"
        first = bare.value(bare.target, A, "guid")
        bare.target.run(f"zfs set quota=none {bare.target.path()}")
        sent = bare.well()
        assert sent < 35 * MIB
        assert bare.value(bare.target, A, "guid") == first
        assert bare.same_on_both()
        assert bare.aside() == []

    def test_a_foreign_dataset_under_a_volumes_name_prevents_any_change(self, bare: Scenario) -> None:
        bare.zvol(A, 16)
        bare.zvol(B, 16)
        bare.target.run(f"zfs create -V 8M {bare.target.path(B)} && zfs snapshot {bare.target.path(B)}@theirs")
        before = bare.everything(bare.target)
        bare.job()
        assert bare.fails() == "target_active"
        assert bare.everything(bare.target) == before
        assert bare.snapshots(bare.source, A) == []
        bare.target.run(f"zfs rename {bare.target.path(B)} {bare.target.pool}/theirs")
        bare.well()
        assert bare.same_on_both()
        bare.target.run(f"zfs list {bare.target.pool}/theirs@theirs")


class TestVolumesComeAndGo:
    def test_added_and_removed(self, scene: Scenario) -> None:
        old = scene.value(scene.target, A, "guid")
        scene.zvol(B, 8)
        assert 4 * MIB <= scene.well() < 5 * MIB
        assert scene.same_on_both()

        gone = scene.value(scene.target, B, "guid")
        scene.source.run(f"zfs destroy -r tank/data/{B}")
        del scene.volumes[B]
        assert scene.well() < MIB
        assert scene.value(scene.target, B, "guid") == gone
        assert scene.value(scene.target, A, "guid") == old
        assert scene.same_on_both()

    def test_left_out_with_somebodys_snapshot_on_its_replica(self, scene: Scenario) -> None:
        scene.target.run(f"zfs snapshot {scene.target.path(A)}@theirs")
        left_out = f'name = "web"\nvolumes = [{{ volume = "tank:{A}", replicate = false }}]'
        scene.cluster('name = "web"', left_out)
        del scene.volumes[A]
        scene.well()
        assert "theirs" in scene.snapshots(scene.target, A)
        assert scene.exists(scene.source, A)
        scene.cluster(left_out, 'name = "web"')
        scene.volumes[A] = "zvol"
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert scene.same_on_both()
        assert "@theirs" in scene.everything(scene.target)

    def test_recreated_under_the_same_name_and_as_another_type(self, scene: Scenario) -> None:
        scene.source.run(f"zfs destroy -r tank/data/{A}")
        scene.zvol(A, 8)
        assert scene.well() < 6 * MIB
        assert scene.same_on_both()
        assert len(scene.aside()) == 1

        scene.source.run(f"zfs destroy -r tank/data/{A}")
        scene.filesystem(A, 2)
        assert scene.well() < 4 * MIB
        assert scene.same_on_both()
        assert len(scene.aside()) == 2

    def test_renamed_also_to_swap_names(self, scene: Scenario) -> None:
        replica = scene.value(scene.target, A, "guid")
        scene.source.run(f"zfs rename tank/data/{A} tank/data/vm-100-disk-7")
        scene.volumes["vm-100-disk-7"] = scene.volumes.pop(A)
        scene.settle()
        scene.write("vm-100-disk-7", 1)
        assert scene.well() < 2 * MIB
        assert scene.value(scene.target, "vm-100-disk-7", "guid") == replica
        assert not scene.exists(scene.target, A)
        assert scene.same_on_both()

        scene.zvol(B, 16)
        scene.well()
        scene.source.run(
            f"cd /; zfs rename tank/data/{B} tank/data/x && zfs rename tank/data/vm-100-disk-7 tank/data/{B} && "
            "zfs rename tank/data/x tank/data/vm-100-disk-7"
        )
        scene.settle()
        assert scene.well(within=2) < 2 * MIB
        assert scene.same_on_both()
        assert scene.value(scene.target, B, "guid") == replica

    def test_grown_shrunk_and_given_other_settings(self, scene: Scenario) -> None:
        scene.source.run(f"zfs set volsize=32M tank/data/{A}; zfs set refquota=100M tank/data/{FS}")
        scene.source.run(f"zfs set compression=zstd com.me:note='a b' mountpoint=/srv tank/data/{FS}")
        scene.settle()
        scene.source.run("cp /srv/file /srv/more && dd if=/dev/urandom of=/srv/x bs=64k count=1 && zpool sync")
        scene.write(A, 1)
        assert scene.well() < 6 * MIB
        assert scene.value(scene.target, A, "volsize") == str(32 * MIB)
        assert scene.value(scene.target, FS, "refquota") == str(100 * MIB)
        assert scene.value(scene.target, FS, "com.me:note") == "a b"
        assert scene.value(scene.target, FS, "mounted") == "no"
        assert scene.value(scene.target, FS, "mountpoint") != "/srv"
        assert scene.same_on_both()
        scene.source.run(f"zfs set volsize=16M tank/data/{A}")
        scene.settle()
        scene.write(A, 1)
        scene.well()
        assert scene.value(scene.target, A, "volsize") == str(16 * MIB)
        assert scene.same_on_both()


class TestRollback:
    def test_to_a_snapshot_that_the_target_has_goes_on_from_there(self, scene: Scenario) -> None:
        scene.source.run(f"zfs snapshot tank/data/{A}@mine")
        for _ in range(2):
            scene.write(A, 2)
            scene.well()
        replica = scene.value(scene.target, A, "guid")
        scene.source.run(f"zfs rollback -r tank/data/{A}@mine")
        scene.settle()
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert scene.same_on_both()
        assert "mine" in scene.snapshots(scene.target, A)
        if not scene.aside():
            assert scene.value(scene.target, A, "guid") == replica

    def test_also_drops_a_snapshot_of_the_users_that_the_target_keeps(self, scene: Scenario) -> None:
        scene.source.run(f"zfs snapshot tank/data/{A}@old")
        scene.write(A, 1)
        scene.source.run(f"zfs snapshot tank/data/{A}@young")
        scene.write(A, 1)
        scene.well()
        scene.source.run(f"zfs rollback -r tank/data/{A}@old")
        scene.settle()
        assert scene.well() < MIB
        assert scene.same_on_both()
        [kept] = scene.aside()
        scene.target.run(f"zfs list {kept}@young")
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert scene.same_on_both()

    def test_to_before_the_first_run(self, bare: Scenario) -> None:
        bare.zvol(A, 16)
        bare.source.run(f"zfs snapshot tank/data/{A}@before")
        bare.write(A, 1)
        bare.job("--snapshots", "own")
        bare.well()
        bare.source.run(f"zfs rollback -r tank/data/{A}@before")
        bare.settle()
        bare.well()
        assert bare.same_on_both()


class TestSnapshotsGo:
    def test_ours_on_the_source_and_the_bookmark_is_the_base(self, scene: Scenario) -> None:
        for name in (A, FS):
            for snapshot in scene.ours(scene.source, name):
                scene.source.run(f"zfs destroy tank/data/{name}@{snapshot}")
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert scene.same_on_both()
        assert scene.aside() == []

    def test_ours_on_the_target_and_somebodys_is_the_base(self, scene: Scenario) -> None:
        scene.source.run(f"zfs snapshot tank/data/{A}@hourly")
        scene.write(A, 1)
        scene.well()
        for snapshot in scene.ours(scene.target, A):
            scene.target.run(f"zfs destroy {scene.target.path(A)}@{snapshot}")
        scene.write(A, 1)
        assert scene.well() < 5 * MIB  # two incrementals of 2: ZFS itself refuses the first try; in full it would be 8
        assert scene.same_on_both()
        assert "hourly" in scene.snapshots(scene.target, A)

    def test_the_only_one_on_the_target(self, scene: Scenario) -> None:
        [snapshot] = scene.ours(scene.target, A)
        scene.target.run(f"zfs destroy {scene.target.path(A)}@{snapshot}")
        scene.well(within=2)
        assert scene.same_on_both()
        assert len(scene.ours(scene.source, A)) == 1

    def test_ours_are_held_or_cloned_by_an_admin_who_tests_a_restore(self, scene: Scenario) -> None:
        [held] = scene.ours(scene.source, A)
        scene.source.run(f"zfs hold look tank/data/{A}@{held}")
        scene.target.run(f"zfs clone -o mountpoint=/mnt/try {scene.target.path(FS)}@{held} {scene.target.pool}/try")
        for _ in range(2):
            scene.write(A, 1)
            scene.write(FS, 1)
            assert scene.well() < 3 * MIB
        assert scene.same_on_both()
        origin = scene.target.out(f"zfs get -Ho value origin {scene.target.pool}/try")
        assert origin.startswith(f"{scene.target.path()}/")
        scene.source.run(f"zfs release look tank/data/{A}@{held}")
        scene.target.run(f"zfs destroy {scene.target.pool}/try")
        scene.write(A, 1)
        scene.well()
        assert [len(scene.ours(node, A)) for node in (scene.source, scene.target)] == [1, 1]
        assert len(scene.ours(scene.target, FS)) == 1


class TestReplicaIsTouched:
    def test_by_a_snapshot_that_stays_and_by_a_write_before_one(self, scene: Scenario) -> None:
        scene.target.run(f"zfs snapshot {scene.target.path(A)}@theirs {scene.target.path(FS)}@theirs")
        for _ in range(2):
            scene.write(A, 1)
            assert scene.well() < 2 * MIB
        assert scene.same_on_both()
        assert scene.aside() == []
        assert all("theirs" in scene.snapshots(scene.target, name) for name in (A, FS))

        replica = scene.target.path(A)
        scene.target.run(
            f"zfs set readonly=off {replica} && udevadm settle && "
            f"dd if=/dev/urandom of=/dev/zvol/{replica} bs=4k count=1 conv=fsync status=none && "
            f"zfs set readonly=on {replica} && zfs snapshot {replica}@written"
        )
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert scene.same_on_both()
        [kept] = scene.aside()
        scene.target.run(f"zfs list {kept}@written")
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert scene.aside() == [kept]

    def test_by_writes_while_it_was_writable_and_then_left_so(self, scene: Scenario) -> None:
        name = scene.target.path(FS)
        scene.target.run(
            f"zfs set readonly=off {name} && zfs mount {name} && echo theirs > /{name}/theirs && zpool sync && "
            f"zfs unmount {name} && zfs set readonly=on {name}"
        )
        scene.write(FS, 1)
        assert scene.well() < 3 * MIB  # ZFS itself refuses the first try; in full it would be 4
        [kept] = scene.aside()
        clone = f"{scene.target.pool}/k"
        scene.target.run(f"zfs clone -o mountpoint=/mnt/kept {kept}@x {clone} 2>/dev/null || zfs snapshot {kept}@x")
        scene.target.run(f"zfs clone -o mountpoint=/mnt/kept {kept}@x {clone} && grep theirs /mnt/kept/theirs")
        assert scene.same_on_both()

        scene.target.run(f"zfs set readonly=off {name}")
        scene.target.run(f"zfs destroy {clone}")
        before = scene.everything(scene.target)
        scene.write(FS, 1)
        assert scene.fails() == "target_active"
        assert scene.everything(scene.target) == before
        scene.target.run(f"zfs set readonly=on {name}")
        assert scene.well() < 2 * MIB
        assert scene.same_on_both()
