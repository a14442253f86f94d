"""A node loses its power after its guest was spoilt: the guest goes on from an older set, and nothing newer is gone."""

from __future__ import annotations

import json
from typing import Self

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.moving import loses_power
from tests.lab.moving_steps import RETURNING, WHEN, Step, stands_still
from tests.lab.node_files import kept_files, put_back, share_files
from tests.lab.scenario import FS, A

pytestmark = pytest.mark.sampled(9)

CHILD = f"{FS}/child"
ALL = (A, FS, CHILD)


class Spoilt(Holdings):
    """A guest with a good set, two sets after that which are spoilt, and writes that no other node has."""

    def begin(self, *, shared: bool) -> Self:
        """Replicate the three sets. With a ``shared`` snapshot of the user's, the old node has something that old."""
        old, new = self.source, self.target
        self.replicated_once()
        self.filesystem(CHILD, 1)
        for name in ALL:
            self.write(name, 1)
            if shared:
                old.run(f"zfs snapshot tank/data/{name}@daily")
        self.well()
        self.good, self.promised = self.newest_set(), self.checksums(new)
        for _ in range(2):
            for name in ALL:
                self.write(name, 1)
            self.well()
        self.spoilt = self.checksums(new)
        share_files(old, new)
        old.run(f"echo last | tee /tank/data/{FS}/last /tank/data/{CHILD}/last | dd of=/dev/zvol/tank/data/{A} "
                "conv=notrunc,fsync,sync status=none && zpool sync")  # fmt: skip
        return self

    def newest_set(self) -> int:
        """The time of the newest set on the target."""
        found: list[dict[str, int]] = json.loads(self.zsr("restore-points", "100-0", "--format", "json"))
        return found[0]["time"]

    def recover(self) -> list[str]:
        """The order by which the guest goes on from the good set."""
        return ["guest", "recover", "100", "--force", "--yes", "--restore-point", str(self.good)]

    def went_back(self, before: set[str]) -> None:
        """Check that the guest on the new node is as of the good set, and that all that is newer is aside, readable."""
        new = self.target
        assert self.checksums(new) == self.promised
        taken = {name: self.content(new, name, f"{new.path(name)}@zsr-recovered-2") for name in ALL}
        assert taken == {name: words.split()[1] for name, words in self.promised.items()}
        assert {self.value(new, name, "readonly") for name in ALL} == {"off"}
        assert {self.value(new, name, "origin") for name in ALL} == {"-"}
        assert before <= self.guids(new)
        self.kept_on(new, self.spoilt)

    def kept_on(self, node: Node, expected: dict[str, str]) -> None:
        """Check that what is kept aside on a node has these snapshots, with this content."""
        found = {}
        for aside in self.asides_on(node):
            name = next(name for name in (CHILD, FS, A) if name.replace("/", "_") in aside)
            newest = node.out(f"zfs list -Ho name -t snapshot -s createtxg {aside} | grep @__replicate_ | tail -n 1")
            found[name] = f"{newest.partition('@')[2]} {self.content(node, name, newest)}"
        assert found == expected

    def asides_on(self, node: Node) -> list[str]:
        """What is kept aside on a node, as any node lists it; it says so too while the other one does not answer."""
        listed = json.loads(self.zsr("diverged", "list", "--format", "json", check=False))
        return [each["dataset"] for each in listed if each["node"] == node.name]

    def returns(self, kept: list[str]) -> None:
        """Let the old node come back with its files, and swap source and target."""
        self.source, self.target = self.target, self.source
        self.target.start()
        put_back(self.target, kept)

    def words_on(self, aside: str) -> str:
        """What the old node wrote last, in what it kept aside."""
        old = self.target
        if old.out(f"zfs get -Ho value type {aside}") == "volume":
            return old.out(f"udevadm settle; head -c 4 /dev/zvol/{aside}")
        old.run(f"zfs set mountpoint=/mnt/look {aside} && zfs mount {aside}")
        words = old.read("/mnt/look/last").strip()
        old.run(f"zfs unmount {aside}")
        return words

    def nothing_of_the_old_node_is_gone(self, before: set[str]) -> None:
        """Check that each dataset and snapshot that it came back with is there, and what it wrote last is readable."""
        assert before <= self.guids(self.target)
        asides = self.asides_on(self.target)
        assert len(asides) == len(ALL)
        assert {self.words_on(aside) for aside in asides} == {"last"}


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node) -> Spoilt:
    return Spoilt(lab, node1, node2)


def test_the_guest_goes_on_from_it_and_the_old_node_becomes_its_target(guest: Spoilt) -> None:
    old, new = guest.begin(shared=True).source, guest.target
    kept, before = kept_files(old), guest.guids(new)
    old.crash()
    said = new.zsr(*guest.recover()).stdout
    assert "full copy" not in said
    guest.source = new
    guest.went_back(before)
    guest.source, guest.target = old, new
    for name in ALL:
        new.run(f"echo new >/tank/data/{name}/new" if name != A else f"echo new >/dev/zvol/tank/data/{A}")

    guest.returns(kept)
    there = guest.guids(old)
    old.zsr("run", "--id", "100-0", check=False)
    assert json.loads(old.zsr("status", "--format", "json").stdout)[0]["error_class"] == "superseded"
    new.zsr("cluster", "push", "--yes", "--force")
    old.zsr("guest", "release", "100")
    new.zsr("adopt", "100-0", "--yes")
    guest.well(within=2)

    assert guest.same_on_both()
    assert ": full" not in guest.log()
    guest.nothing_of_the_old_node_is_gone(there)
    guest.kept_on(new, guest.spoilt)
    for name in ALL:
        guest.write(name, 1)
    guest.well()
    assert guest.same_on_both()
    assert ": full" not in guest.log()


def test_an_old_node_that_has_nothing_as_old_gets_a_full_copy_that_was_announced(guest: Spoilt) -> None:
    old, new = guest.begin(shared=False).source, guest.target
    kept, before = kept_files(old), guest.guids(new)
    old.crash()
    said = new.zsr(*guest.recover()).stdout
    assert "begins with a full copy" in said
    guest.source = new
    guest.went_back(before)
    guest.source, guest.target = old, new

    guest.returns(kept)
    there = guest.guids(old)
    guest.daemon()
    old.spawn(["zsr", "daemon"])
    guest.until(lambda: old.zsr("schedule-now", "100-0", check=False).returncode == 0, "the old node's daemon answers")

    def is_a_target() -> bool:
        new.zsr("schedule-now", "100-0", check=False)
        return bool(guest.status()["last_sync"]) and guest.same_on_both()

    guest.until(is_a_target, "the guest is replicated to its old node", timeout=300)
    guest.nothing_of_the_old_node_is_gone(there)
    guest.kept_on(new, guest.spoilt)


@pytest.mark.sampled(24)
@pytest.mark.parametrize("when", WHEN)
@pytest.mark.parametrize("step", RETURNING, ids=str)
def test_the_new_node_loses_its_power_on_the_way(guest: Spoilt, step: Step, when: str) -> None:
    old, new = guest.begin(shared=True).source, guest.target
    before = guest.guids(new)
    old.crash()
    stands_still(new, when, step, *guest.recover())

    loses_power(new)
    new.zsr(*guest.recover())

    guest.source = new
    guest.went_back(before)
    assert "nothing is left to do" in new.zsr(*guest.recover()).stdout
