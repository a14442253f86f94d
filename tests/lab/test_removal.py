"""The end of a job: its replicas go or stay, by force, disabled, or after its guest."""

from __future__ import annotations

import re

import pytest

from tests.lab.scenario import FS, MIB, A, Scenario

pytestmark = pytest.mark.sampled(9)


class TestRemoval:
    def test_with_keep_leaves_the_replicas(self, scene: Scenario) -> None:
        scene.zsr("delete", "100-0", "--keep")
        daemon = scene.daemon()
        scene.until(lambda: "100-0" not in scene.zsr("list"), "the job is gone")
        daemon.kill("TERM")
        daemon.wait()
        assert scene.exists(scene.target, A)
        assert scene.snapshots(scene.target, A) != []
        assert scene.ours(scene.source, A) == []

    def test_by_force_and_made_again(self, scene: Scenario) -> None:
        scene.zsr("delete", "100-0", "--force")
        assert "100-0" not in scene.zsr("list")
        scene.job()
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert scene.same_on_both()

    def test_of_a_disabled_job_waits_and_says_so(self, scene: Scenario) -> None:
        scene.zsr("disable", "100-0")
        scene.zsr("delete", "100-0", "--yes")
        scene.daemon()
        said = scene.source.run("sleep 4; zsr status").stdout
        assert re.search("REMOVING|DISABLED", said)
        assert re.search("enable|wait", said), said
        assert scene.exists(scene.target, A)
        scene.zsr("enable", "100-0")
        scene.until(lambda: "100-0" not in scene.zsr("list"), "the job is gone")
        assert scene.everything(scene.target).count(scene.target.path()) == 1

    def test_of_a_job_whose_guest_is_gone(self, scene: Scenario) -> None:
        scene.source.run(f"zfs snapshot tank/data/{A}@mine")
        scene.target.run(f"zfs clone {scene.target.path(A)}@{scene.ours(scene.target, A)[-1]} {scene.target.pool}/try")
        scene.cluster('[guests.100]\nname = "web"\nnode = "node1"\n', "")
        scene.source.run("zsr delete 100-0 --yes")
        scene.daemon()
        scene.until(lambda: not scene.exists(scene.target, FS), "what can be removed is removed")
        scene.target.run(f"zfs destroy {scene.target.pool}/try")
        scene.source.shift_clock(301)
        scene.until(lambda: "100-0" not in scene.zsr("list"), "the job is gone", timeout=90)
        assert scene.everything(scene.target).count(scene.target.path()) == 1
        assert scene.snapshots(scene.source, A) == ["mine"]

    def test_keeps_a_foreign_snapshot_on_the_replica(self, scene: Scenario) -> None:
        scene.target.run(f"zfs snapshot {scene.target.path(A)}@theirs")
        scene.write(A, 1)
        scene.well()
        scene.daemon()
        scene.zsr("delete", "100-0", "--yes")
        scene.until(lambda: "100-0" not in scene.zsr("list"), "the job is gone")
        assert "@theirs" in scene.everything(scene.target)
