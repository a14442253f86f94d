"""Nothing that may be the only copy is destroyed: overlapping names, vanished volumes, rollbacks, new volumes."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import KEEP, Holdings, Stranger
from tests.lab.mailbox import mailbox
from tests.lab.node import ZSR_FORKED
from tests.lab.scenario import FS, MIB, A, B

JOINED = "vm-100-disk-5"

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A cluster of two nodes, a guest with a zvol of 4 MiB content, and a job that keeps ten restore points."""
    return Holdings(lab, source, target).with_zvol()


class TestAnotherSourceOfTheSameNumber:
    @pytest.fixture
    def stranger(self, guest: Holdings) -> Stranger:
        """A source that replicates its own guest 100 to the same place; the first source has two restore points."""
        guest.zvol(B, 8)
        guest.grow(A, 2)
        return Stranger(guest.source, guest.target)

    def test_with_a_volume_of_the_same_name_is_a_conflict_that_changes_nothing(
        self, guest: Holdings, stranger: Stranger
    ) -> None:
        stranger.zvol(A)
        before = guest.everything(guest.target)
        status = stranger.zsr("run", "--id", "100-0")
        assert guest.everything(guest.target) == before
        assert (status, stranger.error_class()) == (1, "target_active")

    def test_with_other_volumes_leaves_the_firsts_alone(self, guest: Holdings, stranger: Stranger) -> None:
        stranger.zvol("vm-100-disk-7")
        before = guest.guids(guest.target)
        for _ in range(2):
            stranger.write("vm-100-disk-7")
            stranger.zsr("run", "--id", "100-0")
        assert before <= guest.guids(guest.target)
        guest.write(A, 1)
        assert guest.well() < 2 * MIB
        assert guest.same_on_both()

    def test_that_deletes_its_job_does_not_take_the_firsts_replicas_along(
        self, guest: Holdings, stranger: Stranger
    ) -> None:
        stranger.zvol(A)
        before = guest.everything(guest.target)
        stranger.zsr("delete", "100-0", "--yes")
        stranger.zsr("run")
        assert guest.everything(guest.target) == before
        assert "100-0" not in stranger.jobs()


class TestStoragesThatOverlap:
    OUTER = (("outer", "tank", "pond"), ("inner", "tank/data", "pond/data"))
    ONE_PLACE = (("tank", "tank/data", "pond/both"), ("more", "tank/more", "pond/both"))
    INSIDE_THERE = (("tank", "tank/data", "pond/data"), ("more", "tank/more", "pond/data/more"))
    TWO_NAMES = (("thin", "tank/data", "pond/data"), ("thick", "tank/data", "pond/data"))
    """Storages by name, path, and path on the target."""

    def lay(self, guest: Holdings, storages: Sequence[tuple[str, str, str]]) -> None:
        """Edit the cluster file: these are the storages."""
        text = guest.source.read("/etc/zsr/cluster.toml")
        new = "".join(
            f'[storages.{name}]\npath = "{path}"\npaths = {{ node2 = "{there}" }}\n' for name, path, there in storages
        )
        text, number = re.subn(r"\[storages\.tank\]\n(?:paths? = .*\n)+", new, text)
        assert number == 1
        guest.source.write("/etc/zsr/cluster.toml", text)

    def replicated(self, guest: Holdings, dataset: str, run: int) -> None:
        """That so many restore points of a volume are on the target."""
        found = guest.target.run(f"zfs list -Ho name -t snapshot {dataset}", check=False)
        assert found.stdout.count("@__replicate_100-0_") == run, f"after run {run}: {found.stdout}{found.stderr}"

    def test_one_inside_the_other_keep_the_replica(self, guest: Holdings) -> None:
        self.lay(guest, self.OUTER)
        sent = []
        for run in range(1, 5):
            guest.write(A, 1)
            sent.append(guest.well())
            self.replicated(guest, guest.target.path(A), run)
        assert max(sent[1:]) < 2 * MIB
        assert guest.same_on_both()

    @pytest.mark.parametrize(("storages", "other"), [(ONE_PLACE, "pond/both"), (INSIDE_THERE, "pond/data/more")])
    def test_whose_places_on_the_target_overlap_keep_each_others_replicas(
        self, guest: Holdings, storages: Sequence[tuple[str, str, str]], other: str
    ) -> None:
        guest.source.run(f"zfs create tank/more && zfs create -V 8M tank/more/{B} && udevadm settle")
        guest.target.run(f"zfs create {other}")
        self.lay(guest, storages)
        first = "pond/both" if storages == self.ONE_PLACE else "pond/data"
        for run in range(1, 4):
            guest.write(A, 1)
            guest.source.run(f"dd if=/dev/urandom of=/dev/zvol/tank/more/{B} bs=1M count=1 conv=fsync status=none")
            guest.well()
            self.replicated(guest, f"{first}/{A}", run)
            self.replicated(guest, f"{other}/{B}", run)

    def test_one_place_under_two_names_has_each_volume_once(self, guest: Holdings) -> None:
        self.lay(guest, self.TWO_NAMES)
        for run in range(1, 4):
            guest.write(A, 1)
            guest.well()
            self.replicated(guest, guest.target.path(A), run)
        newest = json.loads(guest.zsr("restore-points", "100-0", "--format", "json"))[0]
        assert (newest["volumes"], newest["of"]) == (1, 1)
        assert guest.same_on_both()


class TestRollbackOfTheSource:
    @pytest.fixture
    def before(self, guest: Holdings) -> set[str]:
        """The restore points, all but the first newer than the user's snapshot ``@before``."""
        guest.grow(A, 1)
        guest.source.run(f"zfs snapshot tank/data/{A}@before")
        return guest.grow(A, 3)

    def test_keeps_the_newer_restore_points_aside_and_goes_on_without_a_copy(
        self, guest: Holdings, before: set[str]
    ) -> None:
        guest.roll_back(A, "before")
        guest.write(A, 1)
        assert guest.well() < 2 * MIB
        assert before <= guest.guids(guest.target)
        assert len(guest.aside()) == 1
        guest.write(A, 1)
        assert guest.well() < 2 * MIB
        assert before <= guest.guids(guest.target)
        assert guest.same_on_both()

    def test_keeps_them_also_when_nothing_newer_arrives(self, guest: Holdings, before: set[str]) -> None:
        guest.roll_back(A, "before")
        guest.write(A, 6)
        guest.leave_room()
        assert guest.fails() == "no_space"
        assert before <= guest.guids(guest.target)


class TestVolumeThatJoins:
    @pytest.fixture
    def before(self, guest: Holdings) -> set[str]:
        """The restore points of a guest with hooks; a disk of another guest is older than they are."""
        guest.source.run("zfs create -V 8M tank/data/vm-200-disk-0 && udevadm settle && sleep 2")
        guest.source.run("dd if=/dev/urandom of=/dev/zvol/tank/data/vm-200-disk-0 bs=1M count=4 conv=fsync status=none")
        seen = f"{ZSR_FORKED} status --format json >/tmp/seen; true"
        guest.hooks(freeze=seen, thaw="true")
        return guest.grow(A, 3)

    def join(self, guest: Holdings) -> None:
        """Give the other guest's disk to this one."""
        guest.source.run(f"zfs rename tank/data/vm-200-disk-0 tank/data/{JOINED}")
        guest.volumes[JOINED] = "zvol"
        guest.settle()
        guest.write(A, 1)

    def test_leaves_the_restore_points_of_the_others(self, guest: Holdings, before: set[str]) -> None:
        self.join(guest)
        guest.well()
        assert before <= guest.points(guest.target, A)
        assert guest.same_on_both()

    def test_leaves_them_also_when_it_cannot_be_sent(self, guest: Holdings, before: set[str]) -> None:
        self.join(guest)
        guest.leave_room()
        for _ in range(2):
            assert guest.fails() == "no_space"
        assert before <= guest.points(guest.target, A)

    def test_does_not_let_the_run_say_that_there_is_no_copy(self, guest: Holdings, before: set[str]) -> None:
        last_sync = guest.status()["last_sync"]
        self.join(guest)
        guest.well()
        during = json.loads(guest.source.read("/tmp/seen"))[0]["last_sync"]
        assert during == last_sync, f"{len(before)} restore points were there"

    def test_that_was_left_out_until_now_leaves_them_too(self, guest: Holdings) -> None:
        guest.zvol(B, 8)
        left_out = f'volumes = [{{ volume = "tank:{B}", replicate = false }}]\n'
        guest.cluster('name = "web"\n', f'name = "web"\n{left_out}')
        guest.hooks(freeze="true", thaw="true")
        del guest.volumes[B]
        guest.source.run("sleep 2")
        before = guest.grow(A, 3)
        guest.cluster(left_out, "")
        guest.write(A, 1)
        guest.well()
        assert before <= guest.points(guest.target, A)


class TestVanishedVolume:
    @pytest.fixture
    def before(self, guest: Holdings) -> set[str]:
        """What is on the target when a second volume has three restore points."""
        guest.zvol(B, 8)
        guest.grow(B, 3)
        return guest.guids(guest.target)

    def runs_go_well(self, guest: Holdings) -> None:
        """Three times, with something to send and without."""
        for size in (1, 0, 1):
            guest.write(A, size)
            guest.well()

    def test_keeps_its_replica_with_all_restore_points(self, guest: Holdings, before: set[str]) -> None:
        guest.destroy_on_source(B)
        self.runs_go_well(guest)
        assert before <= guest.guids(guest.target)
        assert guest.same_on_both()

    def test_keeps_it_also_when_it_is_left_out_by_the_settings_and_goes_on_when_it_is_back(
        self, guest: Holdings, before: set[str]
    ) -> None:
        left_out = f'volumes = ["tank:{A}"]\n'
        guest.cluster('name = "web"\n', f'name = "web"\n{left_out}')
        self.runs_go_well(guest)
        assert before <= guest.guids(guest.target)
        guest.cluster(left_out, "")
        guest.write(B, 1)
        assert guest.well(within=2) < 3 * MIB
        assert guest.same_on_both()

    def test_keeps_it_when_it_is_in_use(self, guest: Holdings) -> None:
        guest.filesystem(FS, 1)
        guest.well()
        guest.activate(FS)
        guest.destroy_on_source(FS)
        self.runs_go_well(guest)
        assert guest.target.run(f"cat /{guest.target.path(FS)}/live", check=False).stdout == "orders\n"

    @pytest.mark.usefixtures("before")
    def test_is_reported_by_log_and_status(self, guest: Holdings) -> None:
        guest.destroy_on_source(B)
        guest.write(A, 1)
        guest.well()
        assert [line for line in guest.lines() if line["l"] == "warning" and B in line["m"]], guest.log()
        assert B in guest.zsr("status") + guest.zsr("status", "--format", "json")

    @pytest.mark.usefixtures("before")
    def test_is_counted_by_a_metric(self, guest: Holdings) -> None:
        guest.destroy_on_source(B)
        guest.daemon()
        assert guest.metric("zsr_job_volumes_vanished") == 0
        guest.write(A, 1)
        guest.well()
        guest.until(lambda: guest.metric("zsr_job_volumes_vanished") == 1, "it is counted", timeout=20)

    def test_is_reported_by_mail(self, lab: Lab, source: Node, target: Node) -> None:
        with mailbox(lab) as mail:
            url = f"mailto://{lab.host_ip}:{mail.port}?from=zsr@node1.test&to=admin@site.test"
            guest = Holdings(lab, source, target, settings=f'[[notify]]\nname = "admin"\nurl = "{url}"\n')
            guest.zvol(A, 8)
            guest.zvol(B, 8)
            guest.job(*KEEP)
            guest.daemon()
            guest.well()
            guest.destroy_on_source(B)
            guest.write(A, 1)
            guest.well()
            guest.until(lambda: any(B in one.text for one in mail.received), "a mail names the volume", timeout=30)

    def test_goes_with_the_job_that_is_deleted(self, guest: Holdings, before: set[str]) -> None:
        guest.destroy_on_source(B)
        self.runs_go_well(guest)
        assert before <= guest.guids(guest.target)
        assert guest.removed_or_failed() is None
        assert guest.everything(guest.target).count(guest.target.path()) == 1
