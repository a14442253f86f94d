"""What looks as if nobody needed it any more is not gone: removals, disks and numbers that change hands, claims."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import KEEP, Holdings
from tests.lab.mailbox import mailbox
from tests.lab.scenario import A, B

DAY = 86400

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A cluster of two nodes, a guest with a zvol of 4 MiB content, and a job that keeps ten restore points."""
    return Holdings(lab, source, target).with_zvol()


class TestRemoval:
    def test_waits_for_a_pool_that_is_not_imported(self, guest: Holdings) -> None:
        guest.well()
        guest.target.run("zpool export pond")
        why = guest.removed_or_failed()
        guest.target.run("zpool import -d /dev pond")
        left = guest.target.out("zfs list -Ho name -r pond/data")
        assert why is not None, f"the job is gone, and nobody knows of {left}"

    def test_of_a_job_without_a_guest_is_left_to_the_node_that_has_its_snapshots(self, guest: Holdings) -> None:
        """The other one has the same cluster file, as on a cluster's own file system."""
        guest.well()
        other, here = "/etc/zsr/gamma/zsr.toml", guest.source
        here.run("zfs create tank/gamma")
        here.write(
            other,
            'node = "gamma"\nstate_dir = "/var/lib/zsr/gamma"\ncontrol = "/run/zsr/gamma.sock"\n'
            '[cluster]\npath = "/etc/zsr/cluster.toml"\n',
        )
        guest.cluster("paths = {", 'paths = { gamma = "tank/gamma",')
        guest.cluster('[guests.100]\nname = "web"\nnode = "node1"\n', '[nodes.gamma]\naddress = "node1"\n')
        guest.zsr("delete", "100-0", "--yes")
        here.zsr("--config", other, "run", check=False)
        here.zsr("run", check=False)
        assert guest.ours(here, A) == []
        assert not guest.exists(guest.target, A)
        assert "100-0" not in guest.zsr("list")


class TestKeptAside:
    def test_is_not_destroyed_while_it_is_the_only_copy(self, guest: Holdings) -> None:
        before = guest.grow(A, 2)
        guest.destroy_on_source(A)
        guest.zvol(A, 32)
        guest.zsr("update", "100-0", "--rate", "1")
        run = guest.source.spawn(["zsr", "run", "--id", "100-0"])
        used = f"zfs get -Hpo value used {guest.target.path(A)} 2>/dev/null || echo 0"
        guest.until(lambda: len(guest.aside()) == 1 and int(guest.target.out(used)) > 2e6, "the new one is on its way")
        guest.source.zsr("diverged", "destroy", "node2", guest.aside()[0], "--yes", check=False)
        assert run.status() is None
        run.kill("TERM")
        run.wait()
        assert before <= guest.guids(guest.target)


class TestVolumesThatChangeHands:
    def test_a_disk_that_is_given_to_another_guest_keeps_its_replica(self, guest: Holdings) -> None:
        guest.zvol(B, 8)
        before = guest.grow(B, 2)
        guest.source.run(f"zfs rename tank/data/{B} tank/data/vm-200-disk-0")
        guest.settle()
        guest.cluster("[guests.100]", '[guests.200]\nname = "db"\nnode = "node1"\n[guests.100]')
        guest.zsr("create-local-job", "200-0", "node2")
        del guest.volumes[B]
        for _ in range(2):
            guest.write(A, 1)
            guest.well()
            guest.zsr("run", "--id", "200-0")
        assert before <= guest.guids(guest.target)

    def test_a_volume_that_is_left_out_keeps_no_snapshot_once_its_replica_is_gone(self, guest: Holdings) -> None:
        guest.zvol(B, 8)
        guest.grow(B, 2)
        guest.source.run(f"zfs snapshot tank/data/{B}@mine")
        guest.cluster('name = "web"\n', f'name = "web"\nvolumes = [{{ volume = "tank:{B}", replicate = false }}]\n')
        del guest.volumes[B]
        for _ in range(10):
            guest.write(A, 1)
            guest.well()
            if not guest.exists(guest.target, B):
                break
            guest.source.shift_clock(DAY)
        assert not guest.exists(guest.target, B)
        assert guest.snapshots(guest.source, B) == ["mine"]
        assert "#" not in guest.source.out(f"zfs list -Ho name -t bookmark tank/data/{B}")

    @pytest.mark.parametrize("again", ["of two, one", "of one, the same"])
    def test_a_number_that_is_used_again_costs_no_copy_and_is_reported_at_once(
        self, lab: Lab, source: Node, target: Node, again: str
    ) -> None:
        """Or its volumes are being restored: as long as the new ones are not whole, the old copy is the one to use."""
        with mailbox(lab) as mail:
            url = f"mailto://{lab.host_ip}:{mail.port}?from=zsr@node1.test&to=admin@site.test"
            guest = Holdings(lab, source, target, settings=f'[[notify]]\nname = "admin"\nurl = "{url}"\n')
            guest.zvol(A, 8)
            if again == "of two, one":
                guest.zvol(B, 8)
            guest.job(*KEEP)
            guest.daemon()
            guest.well()
            before = guest.guids(target)
            for name in list(guest.volumes):
                guest.destroy_on_source(name)
            guest.zvol(A, 8)
            guest.well()
            guest.write(A, 1)
            guest.well()
            assert before <= guest.guids(target)
            guest.until(
                lambda: any("replaced" in one.message["subject"] for one in mail.received), "it is reported", timeout=30
            )


class TestClaims:
    def test_of_a_target_that_was_edited_away_are_not_made_for_the_new_one(self, guest: Holdings) -> None:
        guest.well()
        guest.store_in(f"{guest.target.pool}/other")  # nothing is there
        assert "unconfirmed" in guest.zsr("status")
        guest.fails()
        assert "unconfirmed" in guest.zsr("status")

    def test_of_a_guest_that_stands_still_say_when_its_newest_set_was_taken(self, guest: Holdings) -> None:
        guest.well()
        taken = int(guest.ours(guest.target, A)[-1].split("_")[-3])
        guest.source.shift_clock(3600)
        guest.daemon()
        assert guest.well() == 0
        assert guest.status()["last_sync"] > taken + 3000
        said = [line.split()[-1] for line in guest.get("/metrics").splitlines() if "zsr_job" in line and line[0] != "#"]
        assert [value for value in said if float(value) == taken], "nothing tells it from a guest that is written to"
