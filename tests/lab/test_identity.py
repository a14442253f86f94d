"""Whose a replica is, on a real ZFS: borrowed marks do not count, and what others make meanwhile is known as theirs."""

from __future__ import annotations

import json

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import remove_pvesrs_job
from tests.lab.scenario import FS, Scenario

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def scene(lab: Lab, source: Node, target: Node) -> Scenario:
    scene = Scenario(lab, source, target)
    scene.filesystem(FS, 1)
    return scene


def test_a_copy_of_a_replica_in_its_place_is_left_alone_until_it_is_adopted(scene: Scenario) -> None:
    scene.job()
    scene.well()
    there = scene.target
    [ours] = scene.ours(there, FS)
    replica, backup = there.path(FS), there.path("backup")
    there.run(f"zfs send -p {replica}@{ours} | zfs receive -u {backup}", timeout=60)
    there.run(f"zfs destroy -r {replica} && zfs rename {backup} {replica}")
    assert there.out(f"zfs get -Ho source zsr:job {replica}") == "received"

    scene.write(FS, 1)
    assert scene.fails() == "target_active"
    assert "its zsr:job was received or inherited" in scene.log()
    scene.zsr("adopt", "100-0", "--yes")
    sent = scene.well()
    assert 0 < sent < 3 << 20
    assert scene.same_on_both()


def test_a_volume_that_was_restored_from_a_replica_keeps_the_restore_points_that_came_with_it(scene: Scenario) -> None:
    """Its marks are received. They permit nothing, and still say that it was a replica, where state.db is lost."""
    scene.job("--keep", "5")
    scene.well()
    scene.write(FS, 1)
    scene.well()
    points = scene.ours(scene.target, FS)
    assert len(points) == 2
    scene.source.run(f"zfs destroy -r tank/data/{FS}")
    replica = scene.target.path(FS)
    receive = f"{scene.target.reach(scene.source)}zfs receive -u tank/data/{FS}"
    for flags in (f"-p {replica}@{points[0]}", f"-p -i @{points[0]} {replica}@{points[1]}"):
        scene.target.run(f"zfs send {flags} | {receive}", timeout=60)
    scene.source.run(
        f"zfs inherit readonly tank/data/{FS}; zfs set readonly=off tank/data/{FS}; zfs mount tank/data/{FS}"
    )
    scene.source.run("rm -rf /var/lib/zsr")  # nothing remembers who took them
    for _ in range(2):
        scene.write(FS, 1)
        scene.well(within=2)
    assert set(points) <= set(scene.ours(scene.source, FS))


def test_a_snapshot_that_is_made_on_the_replica_between_the_look_and_the_receive_is_known_as_made_there(
    scene: Scenario,
) -> None:
    scene.job()
    scene.well()
    scene.write(FS, 1)
    meanwhile = f"{scene.target.path(FS)}@meanwhile"
    scene.target.write(
        "/usr/local/sbin/zfs",
        f'#!/bin/sh\n[ "$1" = receive ] && /usr/sbin/zfs snapshot {meanwhile}\nexec /usr/sbin/zfs "$@"\n',
    )
    scene.target.run("chmod +x /usr/local/sbin/zfs")
    try:
        scene.well()
    finally:
        scene.target.run("rm /usr/local/sbin/zfs")
    assert scene.value(scene.target, f"{FS}@meanwhile", "zsr:job") == "nobody"
    assert "was created on the replica itself" in scene.log()
    for _ in range(2):
        scene.write(FS, 1)
        scene.well()
    assert "meanwhile" in scene.snapshots(scene.target, FS)


def test_an_adopted_replica_survives_the_removal_of_the_job_of_proxmox_ve(scene: Scenario) -> None:
    pvesr = "__replicate_100-0_1795427104__"
    here, there = scene.source, scene.target
    here.run(f"zfs snapshot tank/data/{FS}@{pvesr}")
    for name in (FS, "subvol-101-disk-0"):
        receive = f"{here.reach(there)}zfs receive -u {there.path(name)}"
        here.run(f"zfs send tank/data/{FS}@{pvesr} | {receive}", timeout=60)
    here.run("mkdir -p /etc/pve && touch /etc/pve/.version")
    here.write("/etc/pve/replication.cfg", "local: 100-0\n\ttarget node2\n")
    try:
        refused = here.zsr("create-local-job", "100-0", "node2", check=False)
        assert refused.returncode == 2
        assert "zsr create-local-job 100-1 node2" in refused.stderr
        scene.zsr("create-local-job", "100-1", "node2")
        said = scene.zsr("adopt", "100-1", "--yes")
        assert f"renamed {there.path(FS)}@{pvesr}" in said
        assert "Proxmox VE still has its replication job 100-0" in here.zsr("check", check=False).stdout
        scene.write(FS, 1)
        scene.zsr("run", "--id", "100-1")

        assert remove_pvesrs_job(there, "100-0") == [there.path("subvol-101-disk-0")], "the recipe works where it can"
        here.run(f"zfs destroy tank/data/{FS}@{pvesr}; rm /etc/pve/replication.cfg")
        scene.write(FS, 1)
        scene.zsr("run", "--id", "100-1")
        [run, *_] = json.loads(scene.zsr("log", "100-1", "--runs", "--format", "json"))
        assert run["outcome"] == "success"
        assert run["sent_bytes"] < 3 << 20
        assert "Proxmox VE still has" not in here.zsr("check", check=False).stdout
        assert not any(name.startswith("zsr-adopted") for name in scene.snapshots(there, FS))
    finally:
        here.run("rm -rf /etc/pve")
