"""The place of a proof: a target, an address or a path is edited in the cluster file, or the target's pool is new."""

from __future__ import annotations

import pytest

from tests.lab.scenario import MIB, A, Scenario
from tests.lab.two_nodes import on_two_nodes

pytestmark = pytest.mark.sampled(9)


def other(scene: Scenario) -> str:
    """Another place for the replicas."""
    return f"{scene.target.pool}/other"


def below(scene: Scenario, path: str) -> list[str]:
    """The datasets and snapshots below a path of the target, with their GUIDs and what was written."""
    return [line for line in scene.everything(scene.target).splitlines() if line.startswith(f"{path}/")]


class TestAPathThatWasEdited:
    def test_leaves_the_last_sync_unconfirmed_and_the_old_replica_untouched(self, scene: Scenario) -> None:
        before, old = scene.status(), below(scene, scene.target.path())
        scene.target.run(["zfs", "create", other(scene)])
        scene.store_in(other(scene))

        edited = scene.status()
        assert (edited["unconfirmed"], edited["lost"], edited["rpo_kept"]) == (True, False, True)
        assert edited["last_sync"] == before["last_sync"]
        assert "OK (last sync unconfirmed)" in scene.zsr("status")

        assert scene.well() > 8 * MIB
        assert below(scene, scene.target.path()) == old
        assert len([line for line in below(scene, other(scene)) if "@" in line]) == 2
        after = scene.status()
        assert (after["unconfirmed"], after["rpo_kept"], after["vanished"]) == (False, True, [])
        assert after["last_sync"] > before["last_sync"]
        assert f"the job's target is {other(scene)} on node2" in scene.log()

    def test_and_edited_back_goes_on_from_what_the_old_replica_holds(self, scene: Scenario) -> None:
        scene.target.run(["zfs", "create", other(scene)])
        scene.store_in(other(scene))
        scene.well()
        there = below(scene, other(scene))
        scene.store_in(scene.target.path())
        scene.write(A, 1)

        assert scene.well() < 3 * MIB
        assert scene.same_on_both()
        assert below(scene, other(scene)) == there
        assert not scene.status()["unconfirmed"]


@on_two_nodes
class TestAnAddressThatWasEdited:
    def test_is_the_same_target_and_nothing_is_sent_again(self, scene: Scenario) -> None:
        before, old = scene.status(), below(scene, scene.target.path())
        scene.cluster('address = "node2"', f'address = "{scene.target.ip}"')
        assert scene.status()["unconfirmed"]

        assert scene.well() == 0
        assert below(scene, scene.target.path()) == old
        after = scene.status()
        assert (after["unconfirmed"], after["lost"]) == (False, False)
        assert after["last_sync"] > before["last_sync"]


class TestAPoolThatWasReplaced:
    def test_is_said_in_a_sentence_and_gets_everything_again(self, scene: Scenario) -> None:
        scene.target.fresh_pool()
        scene.target.run(["zfs", "create", scene.target.path()])
        assert not scene.status()["unconfirmed"]

        assert scene.well() > 8 * MIB
        assert f"'{scene.target.path()}' on node2 is not the dataset in which the last set was proven" in scene.log()
        assert scene.same_on_both()
