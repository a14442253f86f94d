"""No dataset in use is destroyed, renamed or written: replicas in use, guests that moved, those of other tools."""

from __future__ import annotations

import json
import re

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import KEEP, Holdings
from tests.lab.scenario import FS, MIB, A
from tests.lab.two_nodes import on_two_nodes

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Holdings:
    """A guest with a zvol and a filesystem, and a job that keeps ten restore points; it has run once."""
    return Holdings(lab, source, target).replicated_once()


def refused(node: Node) -> str:
    """Run the job on a node, where it must fail as ``target_active``; the words that the admin reads."""
    done = node.zsr("run", "--id", "100-0", check=False)
    said = json.loads(node.zsr("status", "--format", "json").stdout)[0]
    assert (done.returncode, said["error_class"]) == (1, "target_active"), f"{said['error']}{done.stderr}"
    return f"{said['error']} {said['advice']}"


class TestReplicaThatSomebodyLivesOn:
    def test_is_not_destroyed_by_a_removal_that_says_why(self, guest: Holdings) -> None:
        guest.activate(FS)
        why = guest.removed_or_failed()
        assert guest.target.run(f"cat /{guest.target.path(FS)}/live", check=False).stdout == "orders\n"
        assert why == "target_active"
        error = "{error} {advice}".format(**guest.status())
        assert guest.target.path(FS) in error
        assert re.search("zfs |zsr ", error), error
        assert "by itself" not in error

    def test_is_not_destroyed_by_a_removal_in_the_foreground(self, guest: Holdings) -> None:
        guest.activate(FS)
        guest.zsr("delete", "100-0", "--yes")
        guest.zsr("run", check=False)
        assert guest.target.run(f"cat /{guest.target.path(FS)}/live", check=False).stdout == "orders\n"

    @pytest.mark.parametrize(
        "act",
        [
            "zfs set readonly=off {0}",
            "zfs set readonly=off {0} && udevadm settle && "
            "echo mine | dd of=/dev/zvol/{0} conv=notrunc,fsync,sync status=none && zfs set readonly=on {0}",
        ],
        ids=["writable", "was written to"],
    )
    def test_is_not_destroyed_while_it_is_not_open(self, guest: Holdings, act: str) -> None:
        replica = guest.value(guest.target, A, "guid")
        guest.target.run(act.format(guest.target.path(A)))
        guest.removed_or_failed()
        assert replica in guest.guids(guest.target)

    def test_stops_the_job_with_words_that_do_no_harm(self, guest: Holdings) -> None:
        guest.activate(A)
        guest.write(A, 1)
        before = guest.everything(guest.target)
        error = refused(guest.source)
        assert guest.everything(guest.target) == before
        assert "by hand" not in error
        assert re.search(r"\bmoved?\b", error), error


@on_two_nodes
class TestNewOwner:
    def test_keeps_the_restore_points_that_it_held_as_a_target(self, guest: Holdings) -> None:
        held = guest.grow(A, 3) | guest.points(guest.target, FS)
        guest.move_by_hand()
        for name in (A, FS):
            guest.write(name, 1)
            guest.well(within=2)
        assert held <= guest.guids(guest.source)
        assert guest.same_on_both()

    def test_keeps_no_more_than_one_of_its_own_besides(self, guest: Holdings) -> None:
        held = guest.grow(A, 3)
        guest.move_by_hand()
        for _ in range(3):
            guest.write(A, 1)
            guest.well(within=2)
        now = guest.points(guest.source, A)
        assert held <= now
        assert len(now - held) == 1

    def test_goes_on_without_a_copy(self, guest: Holdings) -> None:
        guest.move_by_hand()
        for name in (A, FS):
            guest.write(name, 1)
        assert guest.well(within=2) < 3 * MIB
        assert guest.same_on_both()
        assert guest.aside() == []

    def test_and_the_old_one_that_gets_it_back_lose_none(self, guest: Holdings) -> None:
        first = guest.grow(A, 3)
        guest.move_by_hand()
        second = guest.grow(A, 3)
        guest.move_by_hand()
        for _ in range(2):
            guest.write(A, 1)
            assert guest.well(within=2) < 2 * MIB
        assert first <= guest.guids(guest.target)
        assert second <= guest.guids(guest.source)
        assert guest.same_on_both()


class TestUnmarkedDataset:
    """On the target of a node whose file is old, the guest's own live volume is one."""

    @on_two_nodes
    @pytest.mark.parametrize("written", [True, False], ids=["written since", "not written since"])
    def test_that_is_the_guests_live_volume_is_left_alone(self, guest: Holdings, *, written: bool) -> None:
        guest.source.run(f"zfs unmount tank/data/{FS}")
        guest.source.spawn(f"exec 9<>/dev/zvol/tank/data/{A}; sleep 600")
        if written:
            guest.write(A, 1)
        else:
            guest.activate(A)
        before = guest.everything(guest.source)
        guest.claim_on_target()
        done = guest.target.zsr("run", "--id", "100-0", check=False)
        assert guest.everything(guest.source) == before
        assert done.returncode == 1
        error = refused(guest.target)
        assert "by hand" not in error
        assert re.search(r"\bmoved?\b", error), error

    def test_that_another_tool_replicated_under_our_snapshots_name_is_asked_for(
        self, lab: Lab, source: Node, target: Node
    ) -> None:
        guest = Holdings(lab, source, target)
        guest.zvol(A, 8)
        snapshot = f"tank/data/{A}@__replicate_100-0_1700000000__"
        receive = f"{source.reach(target)}zfs receive -F {target.path(A)}"
        source.run(f"zfs snapshot {snapshot} && zfs send -Rp {snapshot} | {receive}")
        guest.job(*KEEP)
        before = guest.everything(target)
        guest.write(A, 1)
        source.zsr("run", "--id", "100-0", check=False)
        assert guest.everything(target) == before
        error = refused(source)
        assert "zsr adopt 100-0" in error
        assert "by hand" not in error

        replica = guest.value(target, A, "guid")
        guest.zsr("adopt", "100-0", "--yes")
        assert guest.well(within=2) < 2 * MIB
        assert guest.value(target, A, "guid") == replica
        assert guest.same_on_both()
