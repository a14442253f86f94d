"""Full pools, missing keys, hung hooks, odd names, wrong clocks, cancelled runs and power cuts."""

from __future__ import annotations

import pytest

from tests.lab.scenario import FS, MIB, A, B, Scenario
from tests.lab.two_nodes import on_two_nodes

pytestmark = pytest.mark.sampled(9)


class TestEncrypted:
    def test_mixed_guest_decrypted_needs_the_key_and_says_so(self, bare: Scenario) -> None:
        bare.source.write("/root/key", "12345678\n")
        key = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"
        bare.source.run(f"zfs create {key} -V 16M tank/data/{B} && udevadm settle")
        bare.volumes[B] = "zvol"
        bare.write(B, 8)
        bare.zvol(A, 16)
        bare.job("--encryption", "decrypted")
        bare.source.run(f"zfs unload-key tank/data/{B}")
        assert bare.fails() == "encryption"
        assert "key" in str(bare.status()["error"])
        bare.source.run(f"zfs load-key tank/data/{B}")
        bare.settle()
        bare.well()
        assert bare.value(bare.target, B, "encryption") == "off"
        assert bare.same_on_both()
        bare.zsr("update", "100-0", "--encryption", "raw")
        bare.write(B, 1)
        before = bare.everything(bare.target)
        assert bare.fails() == "encryption"
        assert bare.everything(bare.target) == before
        bare.target.run(f"zfs rename {bare.target.path(B)} {bare.target.pool}/readable")
        bare.well(within=2)
        assert bare.value(bare.target, B, "encryption") != "off"


class TestNoSpace:
    def test_by_a_quota_on_the_target_ends_by_itself_when_there_is_room_again(self, scene: Scenario) -> None:
        scene.write(A, 6)
        scene.leave_room()
        old = scene.snapshots(scene.target, A)
        assert scene.fails() == "no_space"
        assert scene.fails() == "no_space"
        assert set(old) <= set(scene.snapshots(scene.target, A))
        assert len(scene.ours(scene.source, A)) <= 3
        scene.target.run(f"zfs set quota=none {scene.target.path()}")
        assert scene.well() < 8 * MIB
        assert scene.same_on_both()
        assert [len(scene.ours(node, A)) for node in (scene.source, scene.target)] == [1, 1]


class TestHooks:
    def test_a_hung_freeze_is_ended_thawed_and_reported(self, scene: Scenario) -> None:
        hooks = 'freeze = "sleep 500"\nthaw = "date >> /root/thawed"\nhook_timeout = "2s"\n'
        scene.cluster('name = "web"\n', f'name = "web"\n{hooks}')
        scene.write(A, 1)
        assert scene.well() < 2 * MIB
        assert "freeze" in scene.log()
        assert scene.source.read("/root/thawed").count("\n") == 1
        assert scene.same_on_both()
        scene.cluster(hooks, f'{hooks}on_freeze_failure = "error"\n')
        before = scene.snapshots(scene.source, A)
        scene.write(A, 1)
        assert scene.fails() == "hook"
        assert scene.snapshots(scene.source, A) == before
        assert scene.source.read("/root/thawed").count("\n") == 2
        assert scene.source.run("pgrep -fx 'sleep 500'", check=False).returncode == 1
        scene.cluster('freeze = "sleep 500"', 'freeze = "true"')
        scene.well()
        assert scene.same_on_both()


class TestNames:
    def test_with_spaces_and_signs(self, bare: Scenario) -> None:
        bare.cluster('name = "web"', 'name = "my \\"web\\" "\nvolumes = ["tank:mail spool", "tank:it.is:a-b_c"]')
        bare.source.run("zfs create 'tank/data/mail spool'; zfs create -V 8M tank/data/it.is:a-b_c; udevadm settle")
        bare.source.run("echo 1 > '/tank/data/mail spool/a b'; zfs snapshot 'tank/data/mail spool@before all'")
        bare.job("--comment", 'it\'s a "test"')
        bare.well()
        bare.source.run("echo 2 > '/tank/data/mail spool/a b'; zpool sync")
        bare.source.run("zfs snapshot 'tank/data/mail spool@in between'")
        bare.well()
        bare.target.run(f"zfs snapshot '{bare.target.path('mail spool')}@their own'")
        bare.source.run("echo 3 > '/tank/data/mail spool/a b'; zpool sync")
        bare.well()
        assert bare.aside() == []
        assert "their own" in bare.snapshots(bare.target, "mail spool")
        newest = bare.ours(bare.target, "mail spool")[-1]
        clone = f"zfs clone -o mountpoint=/mnt/l '{bare.target.path('mail spool')}@{newest}' {bare.target.pool}/l"
        assert bare.target.out(f"{clone} && cat '/mnt/l/a b'; zfs destroy {bare.target.pool}/l") == "3"
        bare.daemon()
        bare.zsr("delete", "100-0", "--yes")
        bare.until(lambda: "100-0" not in bare.zsr("list"), "the job is gone")
        assert not bare.exists(bare.target, "mail spool")


@on_two_nodes
class TestTime:
    def test_a_clock_set_back_a_day_and_on_again(self, scene: Scenario) -> None:
        for seconds in (-86400, 86400):
            scene.source.shift_clock(seconds)
            for _ in range(2):
                scene.write(A, 1)
                assert scene.well() < 2 * MIB
                assert scene.same_on_both()
                assert abs(scene.status()["last_sync"] - scene.source.clock()) < 60
            assert [len(scene.ours(node, A)) for node in (scene.source, scene.target)] == [1, 1]


class TestTogether:
    def test_a_run_by_hand_while_the_daemon_runs_it_waits_for_its_end(self, bare: Scenario) -> None:
        bare.zvol(A, 64)
        bare.source.spawn(f"exec dd if=/dev/zvol/tank/data/{A} of=/dev/null bs=4k iflag=fullblock,direct; sleep 600")
        bare.source.spawn(f"exec 9<>/dev/zvol/tank/data/{A}; sleep 600")
        bare.job("--rate", "2")
        bare.daemon()
        bare.until(lambda: (bare.metric("zsr_job_transfer_bytes") or 0) > 1e6, "the transfer is under way")
        bare.zsr("run", "--id", "100-0")
        assert (bare.runs("success"), bare.runs("failure")) == (1, 0)
        assert bare.same_on_both()

    def test_a_cancelled_transfer_whose_snapshot_goes_starts_over(self, bare: Scenario) -> None:
        bare.zvol(A, 64)
        bare.job("--rate", "1")
        daemon = bare.daemon()
        bare.until(lambda: (bare.metric("zsr_job_transfer_bytes") or 0) > 3e6, "the transfer is under way")
        bare.zsr("cancel", "100-0")
        bare.until(lambda: bare.runs("cancelled") >= 1, "it is cancelled")
        assert bare.runs("failure") == 0
        assert bare.metric("zsr_job_resume_pending") == 1
        daemon.kill("TERM")
        daemon.wait()
        for snapshot in bare.ours(bare.source, A):
            bare.source.run(f"zfs destroy tank/data/{A}@{snapshot}")
        bare.zsr("update", "100-0", "--delete", "rate")
        bare.write(A, 1)
        bare.well()
        assert bare.same_on_both()
        assert len(bare.ours(bare.source, A)) == 1


@on_two_nodes
class TestPower:
    def test_of_the_source_right_after_a_run_loses_no_base(self, scene: Scenario) -> None:
        scene.write(A, 1)
        scene.well()
        kept = {name: scene.source.read(f"/etc/zsr/{name}") for name in ("zsr.toml", "cluster.toml")}
        scene.source.crash()
        scene.source.start()
        for name, text in kept.items():
            scene.source.write(f"/etc/zsr/{name}", text)
        assert scene.well() < MIB
        assert scene.same_on_both()
        assert scene.aside() == []
        assert [len(scene.ours(node, A)) for node in (scene.source, scene.target)] == [1, 1]

    def test_of_the_target_right_after_a_run_loses_nothing_of_it(self, scene: Scenario) -> None:
        scene.write(A, 1)
        scene.well()
        scene.target.crash()
        scene.target.start()
        assert scene.target.run(f"mountpoint /{scene.target.path(FS)}", check=False).returncode != 0
        assert scene.same_on_both()
        scene.write(A, 1)
        assert scene.well(within=2) < 3 * MIB
        assert scene.same_on_both()
