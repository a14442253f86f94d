"""What users and accidents do to jobs, keys, pools, hooks, clocks and machines, as peers get it wrong."""

from __future__ import annotations

import json
import re

from tests.lab.scenario import FS, MIB, OURS, A, B, Scenario


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
        scene.source.fresh_pool("pond", disk=2)
        scene.source.run("zfs create pond/data")
        scene.cluster("[storages.tank]", '[nodes.vault]\naddress = "local"\n[storages.tank]')
        scene.cluster('path = "tank/data"', 'path = "tank/data"\npaths = { vault = "pond/data" }')
        scene.zsr("create-local-job", "100-1", "vault")
        for _ in range(5):
            scene.write(A, 1)
            scene.zsr("run", "--id", "100-1")
            assert scene.well() < 3 * MIB
        assert scene.same_on_both()
        ours = [name for name in scene.snapshots(scene.target, A) if not name.startswith(OURS)]
        assert len(ours) <= 2, ours
        there = scene.source.out(f"zfs list -Ho name -t snapshot pond/data/{A}").split()
        assert len(there) <= 4, there
        scene.daemon()
        scene.zsr("delete", "100-1")
        scene.until(lambda: "100-1" not in scene.zsr("list"), "the other job is gone", timeout=180)
        assert scene.source.out("zfs list -Ho name -r pond/data") == "pond/data"
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
            receive = f"ssh node2 zfs receive -F tank/data/{name}"
            bare.source.run(f"zfs snapshot {snapshot} && zfs send -Rp {snapshot} | {receive}", timeout=120)
        bare.target.run(f"zfs unmount tank/data/{FS}")
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
            clone = f"zfs clone -o mountpoint=/mnt/l tank/data/{FS}@{newest} tank/l"
            look = "(cd /mnt/l && find . -type f | sort | xargs sha256sum | sha256sum)"
            assert scene.target.out(f"{clone} && {look}; zfs destroy tank/l") == here, f"burst {number}"

    def test_last_sync_is_no_later_than_what_reached_the_target(self, scene: Scenario) -> None:
        """Writes that no fsync followed, right before the run."""
        for number in range(6):
            scene.source.run(f"echo {number} > /tank/data/{FS}/burst; date +%s.%N > /tmp/done; zsr run --id 100-0")
            written = float(scene.source.read("/tmp/done"))
            newest = scene.ours(scene.target, FS)[-1]
            clone = f"zfs clone -o mountpoint=/mnt/l tank/data/{FS}@{newest} tank/l"
            there = scene.target.out(f"{clone} && cat /mnt/l/burst; zfs destroy tank/l")
            assert there == str(number) or scene.status()["last_sync"] < written


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
        bare.target.run(f"zfs rename tank/data/{B} tank/readable")
        bare.well(within=2)
        assert bare.value(bare.target, B, "encryption") != "off"


class TestNoSpace:
    def test_by_a_quota_on_the_target_ends_by_itself_when_there_is_room_again(self, scene: Scenario) -> None:
        scene.write(A, 6)
        scene.target.run("zfs set quota=$(($(zfs get -Hpo value used tank/data) + 2000000)) tank/data")
        old = scene.snapshots(scene.target, A)
        assert scene.fails() == "no_space"
        assert scene.fails() == "no_space"
        assert set(old) <= set(scene.snapshots(scene.target, A))
        assert len(scene.ours(scene.source, A)) <= 3
        scene.target.run("zfs set quota=none tank/data")
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
        bare.target.run("zfs snapshot 'tank/data/mail spool@their own'")
        bare.source.run("echo 3 > '/tank/data/mail spool/a b'; zpool sync")
        bare.well()
        assert bare.aside() == []
        assert "their own" in bare.snapshots(bare.target, "mail spool")
        newest = bare.ours(bare.target, "mail spool")[-1]
        clone = f"zfs clone -o mountpoint=/mnt/l 'tank/data/mail spool@{newest}' tank/l"
        assert bare.target.out(f"{clone} && cat '/mnt/l/a b'; zfs destroy tank/l") == "3"
        bare.daemon()
        bare.zsr("delete", "100-0")
        bare.until(lambda: "100-0" not in bare.zsr("list"), "the job is gone")
        assert not bare.exists(bare.target, "mail spool")


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
        scene.zsr("delete", "100-0")
        scene.daemon()
        said = scene.source.run("sleep 4; zsr status").stdout
        assert re.search("REMOVING|DISABLED", said)
        assert re.search("enable|wait", said), said
        assert scene.exists(scene.target, A)
        scene.zsr("enable", "100-0")
        scene.until(lambda: "100-0" not in scene.zsr("list"), "the job is gone")
        assert scene.everything(scene.target).count("tank/data") == 1

    def test_of_a_job_whose_guest_is_gone(self, scene: Scenario) -> None:
        scene.source.run(f"zfs snapshot tank/data/{A}@mine")
        scene.target.run(f"zfs clone tank/data/{A}@{scene.ours(scene.target, A)[-1]} tank/try")
        scene.cluster('[guests.100]\nname = "web"\nnode = "node1"\n', "")
        scene.source.run("zsr delete 100-0")
        scene.daemon()
        scene.until(lambda: not scene.exists(scene.target, FS), "what can be removed is removed")
        scene.target.run("zfs destroy tank/try")
        scene.source.shift_clock(301)
        scene.until(lambda: "100-0" not in scene.zsr("list"), "the job is gone", timeout=90)
        assert scene.everything(scene.target).count("tank/data") == 1
        assert scene.snapshots(scene.source, A) == ["mine"]

    def test_keeps_a_foreign_snapshot_on_the_replica(self, scene: Scenario) -> None:
        scene.target.run(f"zfs snapshot tank/data/{A}@theirs")
        scene.write(A, 1)
        scene.well()
        scene.daemon()
        scene.zsr("delete", "100-0")
        scene.until(lambda: "100-0" not in scene.zsr("list"), "the job is gone")
        assert "@theirs" in scene.everything(scene.target)


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
        bare.until(lambda: bare.runs("cancelled") == 1, "it is cancelled")
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
        assert scene.target.run(f"mountpoint /tank/data/{FS}", check=False).returncode != 0
        assert scene.same_on_both()
        scene.write(A, 1)
        assert scene.well(within=2) < 3 * MIB
        assert scene.same_on_both()
