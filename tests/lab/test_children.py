"""What lies below a guest's volumes travels with them, on a real OpenZFS."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.scenario import FS, MIB, A, Scenario

pytestmark = pytest.mark.sampled(9)

CHILD, DEEP, ZVOL = f"{FS}/var", f"{FS}/var/lib", f"{FS}/swap"
KEY = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"


@pytest.fixture
def tree(lab: Lab, source: Node, target: Node) -> Scenario:
    """A guest with a zvol, and a filesystem below which are two filesystems and a zvol; replicated once."""
    scene = Scenario(lab, source, target)
    scene.zvol(A, 8)
    for name in (FS, CHILD, DEEP):
        scene.filesystem(name, 1)
    scene.zvol(ZVOL, 8)
    scene.job()
    scene.well()
    return scene


def guids(scene: Scenario) -> dict[str, str]:
    return {name: scene.value(scene.target, name, "guid") for name in scene.volumes}


class TestATree:
    def test_is_in_one_set_and_a_new_child_joins_at_any_depth(self, tree: Scenario) -> None:
        assert tree.same_on_both()
        before = guids(tree)
        for depth in range(1, 9):
            tree.filesystem("/".join([DEEP, *"abcdefgh"[:depth]]), 1)
        tree.write(A, 1)
        assert tree.well() < 16 * MIB
        assert tree.same_on_both()
        newest = [f"{name}@{tree.ours(tree.source, name)[-1]}" for name in tree.volumes]
        assert len({tree.value(tree.source, snapshot, "createtxg") for snapshot in newest}) == 1
        assert {name: guid for name, guid in guids(tree).items() if name in before} == before

    def test_is_not_sent_when_nothing_was_written(self, tree: Scenario) -> None:
        assert tree.well() == 0
        assert "nothing was written" in tree.log()

    def test_whose_top_was_written_to_on_the_target_is_put_aside_and_nothing_else_is_sent(self, tree: Scenario) -> None:
        top, before = tree.target.path(FS), guids(tree)
        tree.target.run(
            f"zfs set readonly=off {top} && zfs mount {top} && echo mine >/{top}/mine && zfs unmount {top} && "
            f"zfs snapshot {top}@theirs && zfs set readonly=on {top}"
        )
        for name in (FS, CHILD, ZVOL):
            tree.write(name, 1)
        assert tree.well() < 6 * MIB
        assert tree.same_on_both()
        assert [name for name, guid in guids(tree).items() if guid != before[name]] == [FS]
        assert len(tree.aside()) == 1

    def test_that_is_renamed_is_renamed_on_the_target(self, tree: Scenario) -> None:
        before = list(guids(tree).values())
        new = FS.replace("disk-", "disk-1")
        tree.source.run(f"zfs rename tank/data/{FS} tank/data/{new}")
        tree.volumes = {name.replace(FS, new): kind for name, kind in tree.volumes.items()}
        tree.write(A, 1)
        assert tree.well() < 3 * MIB
        assert tree.same_on_both()
        assert list(guids(tree).values()) == before

    def test_leaves_out_what_the_settings_say_in_the_program_too(self, tree: Scenario) -> None:
        out = f'name = "web"\nvolumes = [{{ volume = "tank:{CHILD}", replicate = false }}]'
        tree.cluster('name = "web"', out)
        tree.write(FS, 1)
        tree.well()
        newest = {name: tree.ours(tree.source, name)[-1] for name in (A, FS, ZVOL, CHILD, DEEP)}
        assert newest[A] == newest[FS] == newest[ZVOL] != newest[CHILD]
        assert newest[DEEP] == newest[CHILD]


class TestKeys:
    def test_children_with_a_key_of_their_own_or_their_parents_travel_raw_and_idle_ones_are_not_sent_again(
        self, lab: Lab, source: Node, target: Node
    ) -> None:
        scene = Scenario(lab, source, target)
        scene.source.write("/root/key", "12345678\n")
        scene.filesystem(FS, 1)
        scene.source.run(f"zfs create {KEY} tank/data/{CHILD} && zfs create tank/data/{DEEP}")
        for name in (CHILD, DEEP):
            scene.volumes[name] = "filesystem"
            scene.write(name, 1)
        scene.job()
        scene.well()
        assert [scene.value(scene.target, name, "encryptionroot") for name in (CHILD, DEEP)] == [
            scene.target.path(name) for name in (CHILD, DEEP)
        ]
        assert scene.value(scene.target, FS, "encryption") == "off"
        assert scene.well() == 0
        scene.write(DEEP, 1)
        assert scene.well() < 2 * MIB
        assert scene.value(scene.target, f"{DEEP}@{scene.ours(scene.source, DEEP)[-1]}", "guid") == scene.value(
            scene.source, f"{DEEP}@{scene.ours(scene.source, DEEP)[-1]}", "guid"
        )

    @pytest.mark.parametrize("vault", [False, True], ids=["plain-storage", "encrypted-storage"])
    def test_a_plain_child_below_an_encrypted_parent_stays_plain_or_is_refused(
        self, lab: Lab, source: Node, target: Node, vault: bool
    ) -> None:
        scene = Scenario(lab, source, target)
        for node in (scene.source, scene.target):
            node.write("/root/key", "12345678\n")
        if vault:
            scene.target.run(f"zfs destroy -r {scene.target.path()} && zfs create {KEY} {scene.target.path()}")
        scene.source.run(f"zfs create {KEY} tank/data/{FS} && zfs create -o encryption=off tank/data/{CHILD}")
        for name in (FS, CHILD):
            scene.volumes[name] = "filesystem"
            scene.write(name, 1)
        scene.job()
        if vault:
            assert scene.fails() == "encryption"
            assert not scene.exists(scene.target, FS)
            return
        scene.well()
        assert scene.value(scene.target, CHILD, "encryption") == "off"
        assert scene.value(scene.target, FS, "keystatus") == "unavailable"
        scene.write(CHILD, 1)
        assert scene.well() < 2 * MIB
