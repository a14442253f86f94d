"""The fence: owner and epoch on every volume. A node that was superseded sends nothing and changes nothing."""

from __future__ import annotations

import json

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.scenario import FS, A
from tests.lab.two_nodes import on_two_nodes

pytestmark = pytest.mark.sampled(9)


class Fenced(Holdings):
    """A guest of which the owner and epoch on each volume are looked at."""

    def stamp(self, node: Node, name: str) -> tuple[str, str]:
        """A volume's own owner and epoch on a node."""
        asked = ["zfs", "get", "-Hpo", "value", "-s", "local", "zsr:owner,zsr:epoch", node.path(name)]
        owner, epoch = node.out(asked).split() or ("", "")
        return owner, epoch

    def stamps(self) -> dict[str, set[tuple[str, str]]]:
        """All volumes' stamps, by node."""
        return {node.name: {self.stamp(node, name) for name in self.volumes} for node in (self.source, self.target)}

    def unstamp(self) -> None:
        """Take all stamps off, as a cluster of an older zsr has none."""
        for node in (self.source, self.target):
            for name in self.volumes:
                node.run(f"zfs inherit zsr:owner {node.path(name)}; zfs inherit zsr:epoch {node.path(name)}")

    def whole(self, node: Node) -> str:
        """All that a node has in its pool, with every local property of zsr."""
        keys = "zsr:owner,zsr:epoch,zsr:job,zsr:source"
        marks = node.out(f"zfs get -Hpo name,property,value,source {keys} -r {node.pool}")
        return self.everything(node) + marks

    def refused(self, node: Node) -> str:
        """Run the job on a node, where it must fail as ``superseded`` and change nothing; the words that one reads."""
        before = self.whole(self.source), self.whole(self.target)
        done = node.zsr("run", "--id", "100-0", check=False)
        said = json.loads(node.zsr("status", "--format", "json").stdout)[0]
        assert (done.returncode, said["error_class"]) == (1, "superseded"), f"{said['error']}{done.stderr}"
        assert (self.whole(self.source), self.whole(self.target)) == before
        return f"{said['error']} {said['advice']}"


@pytest.fixture
def guest(lab: Lab, source: Node, target: Node) -> Fenced:
    """A guest with a zvol and a filesystem, and a job that keeps ten restore points; it has run once."""
    return Fenced(lab, source, target).replicated_once()


class TestStamps:
    def test_are_on_both_sides_after_the_first_run(self, guest: Fenced) -> None:
        assert guest.stamps() == {"node1": {("node1", "1")}, "node2": {("node1", "1")}}

    @pytest.mark.parametrize("written", [True, False], ids=["written since", "idle"])
    def test_come_silently_to_volumes_of_an_older_zsr(self, guest: Fenced, *, written: bool) -> None:
        guest.unstamp()
        if written:
            guest.write(A, 1)
        guest.well()
        assert guest.stamps() == {"node1": {("node1", "1")}, "node2": {("node1", "1")}}
        assert "stamp" not in guest.log()

    def test_follow_the_epoch_of_the_cluster_file(self, guest: Fenced) -> None:
        guest.cluster('name = "web"\n', 'name = "web"\nepoch = 7\n')
        guest.well()
        assert guest.stamps() == {"node1": {("node1", "7")}, "node2": {("node1", "7")}}

    def test_that_a_stream_brought_count_for_nothing(self, guest: Fenced) -> None:
        for name in guest.volumes:
            guest.source.run(f"zfs set zsr:owner=node9 zsr:epoch=9 tank/data/{name}")
            guest.source.run(f"zfs snapshot tank/data/{name}@old")
            guest.source.run(f"zfs send -p tank/data/{name}@old | zfs receive -u tank/data/x-{name}")
            guest.source.run(f"zfs destroy -r tank/data/{name} && zfs rename tank/data/x-{name} tank/data/{name}")
            assert guest.value(guest.source, name, "zsr:epoch") == "9"
            assert guest.stamp(guest.source, name) == ("", "")
        guest.settle()
        guest.well()
        assert guest.stamps()["node1"] == {("node1", "1")}


class TestFormerOwner:
    @on_two_nodes
    def test_with_its_old_file_is_refused_and_changes_nothing(self, guest: Fenced) -> None:
        old = guest.source.read("/etc/zsr/cluster.toml")
        guest.move_by_hand()
        guest.write(A, 1)
        guest.well(within=2)
        former = guest.target
        for name in guest.volumes:  # the former owner lives on, and the new one's volumes look like its replicas
            former.run(f"zfs set readonly=off tank/data/{name}")
            guest.source.run(f"zfs set readonly=on tank/data/{name}")
        former.write("/etc/zsr/cluster.toml", old)
        words = guest.refused(former)
        assert "belongs to node2 since epoch 2" in words
        assert "Copy the cluster file of node2 to node1" in words
        plan = former.zsr("plan", "100-0", check=False)
        assert plan.returncode == 1
        assert "superseded" in plan.stdout

    def test_that_was_dead_when_it_was_superseded_is_refused_too(self, guest: Fenced) -> None:
        for name in guest.volumes:
            guest.target.run(f"zfs set zsr:owner=node2 zsr:epoch=2 {guest.target.path(name)}")
        guest.write(A, 1)
        for _ in range(2):  # at first it takes its snapshot while it looks at the target, then it looks first
            assert "belongs to node2 since epoch 2" in guest.refused(guest.source)

    def test_that_pushes_a_volume_which_the_new_one_has_no_more_is_refused(self, guest: Fenced) -> None:
        guest.target.run(f"zfs destroy -r {guest.target.path(A)} && zfs destroy -r {guest.target.path(FS)}")
        other = guest.target.path("vm-100-disk-7")
        guest.target.run(f"zfs create -V 8M -o zsr:owner=node2 -o zsr:epoch=2 {other}")
        assert f"'{other}' on node node2" in guest.refused(guest.source)

    @on_two_nodes
    def test_does_not_remove_what_the_new_one_has(self, guest: Fenced) -> None:
        old = guest.source.read("/etc/zsr/cluster.toml")
        guest.move_by_hand()
        guest.well(within=2)
        for name in guest.volumes:
            guest.source.run(f"zfs set readonly=on tank/data/{name}")
        former, before = guest.target, guest.whole(guest.source)
        former.write("/etc/zsr/cluster.toml", old)
        former.zsr("delete", "100-0", "--yes")
        former.zsr("run", check=False)
        assert guest.whole(guest.source) == before
        assert json.loads(former.zsr("status", "--format", "json").stdout)[0]["error_class"] == "superseded"


@on_two_nodes
class TestGuestMovedByHand:
    def test_is_taken_over_with_the_next_epoch(self, guest: Fenced) -> None:
        guest.move_by_hand()
        assert guest.stamps() == {"node1": {("node2", "2")}, "node2": {("node2", "2")}}
        assert "epoch = 2" in guest.source.read("/etc/zsr/cluster.toml")
        guest.write(A, 1)
        guest.well(within=2)
        assert guest.same_on_both()

    def test_waits_for_that_where_its_old_volumes_are_gone(self, guest: Fenced) -> None:
        guest.claim_on_target()
        for name in guest.volumes:
            guest.source.run(f"zfs destroy -r tank/data/{name}")
        words = guest.refused(guest.target)
        assert "zsr adopt 100-0" in words
        guest.target.zsr("adopt", "100-0", "--yes")
        guest.target.zsr("run", "--id", "100-0")
        assert guest.stamps() == {"node1": {("node2", "2")}, "node2": {("node2", "2")}}


class TestUnreadableEpoch:
    @pytest.mark.parametrize("side", ["source", "target"])
    def test_is_as_good_as_a_later_one(self, guest: Fenced, side: str) -> None:
        node: Node = getattr(guest, side)
        node.run(f"zfs set zsr:epoch=many {node.path(A)}")
        guest.write(A, 1)
        words = guest.refused(guest.source)
        assert f"'{node.path(A)}' on node {node.name} has zsr:epoch 'many'" in words
        node.run(f"zfs inherit zsr:epoch {node.path(A)}")
        guest.well()
        assert guest.stamps() == {"node1": {("node1", "1")}, "node2": {("node1", "1")}}


class TestClaim:
    """What a recovery writes on the replicas before it commits its epoch."""

    @staticmethod
    def command(guest: Fenced) -> str:
        return " && ".join(f"zfs set zsr:epoch=2-claimed {guest.target.path(name)}" for name in guest.volumes)

    def test_is_as_good_as_a_later_epoch_until_it_is_taken_back(self, guest: Fenced) -> None:
        guest.write(A, 1)
        guest.target.run(self.command(guest))

        assert "A recovery of guest 100 was begun on node2 and has not ended" in guest.refused(guest.source)

        for name in guest.volumes:
            guest.target.run(f"zfs set zsr:epoch=1 {guest.target.path(name)}")
        guest.well()

    def test_that_comes_during_a_run_keeps_the_sets_that_the_run_would_destroy(self, guest: Fenced) -> None:
        guest.zsr("update", "100-0", "--keep", "1")
        before = {name: guest.points(guest.target, name) for name in guest.volumes}
        guest.write(A, 1)
        guest.hooks("true", self.command(guest))  # thawed after the look at the stamps, and before the first byte

        assert guest.fails() == "superseded"

        assert all(points <= guest.points(guest.target, name) for name, points in before.items())
