"""A replica that is open is not destroyed, and loses none of its restore points."""

from __future__ import annotations

import re

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import KEEP, Holdings
from tests.lab.scenario import FS, A, B

pytestmark = pytest.mark.sampled(5)


class Gone(Holdings):
    """A guest whose second zvol and filesystem vanished; their replicas wait on the target, with restore points."""

    def __init__(self, lab: Lab, source: Node, target: Node) -> None:
        super().__init__(lab, source, target)
        self.zvol(A, 8)
        self.zvol(B, 8)
        self.filesystem(FS, 1)
        self.job(*KEEP)
        self.grow(B, 2)
        self.destroy_on_source(B)
        self.destroy_on_source(FS)
        self.well()

    def open(self, name: str) -> str:
        """Have a replica open on the target, for reading; the process that does."""
        place = f"/dev/zvol/{self.target.path(name)}" if name == B else f"/{self.target.path(name)}/file"
        self.target.run("udevadm settle")
        self.target.run(f"sleep 600 <{place} >/dev/null 2>&1 & echo $! >/root/reader")
        return self.target.out("cat /root/reader").strip()


@pytest.fixture
def gone(lab: Lab, source: Node, target: Node) -> Gone:
    return Gone(lab, source, target)


@pytest.mark.parametrize("name", [B, FS])
@pytest.mark.parametrize("way", ["by hand", "at the end of its grace", "with its job"])
def test_a_replica_that_is_open_keeps_its_restore_points(gone: Gone, name: str, way: str) -> None:
    if name == FS:
        gone.target.run(f"zfs mount {gone.target.path(FS)}")
    reader, before = gone.open(name), gone.points(gone.target, name)
    if way == "by hand":
        gone.zsr("vanished", "destroy", "100-0", gone.target.path(name), "--yes", check=False)
    elif way == "with its job":
        gone.removed_or_failed()
    else:
        gone.zsr("update", "100-0", "--grace", "0")
        gone.write(A, 1)
        gone.well()
    assert gone.points(gone.target, name) == before

    gone.target.run(f"kill {reader}")
    if way == "by hand":
        gone.zsr("vanished", "destroy", "100-0", gone.target.path(name), "--yes")
        assert not gone.exists(gone.target, name)


@pytest.mark.parametrize("need", ["hold", "clone"])
def test_a_replica_of_which_a_snapshot_is_needed_goes_whole_or_not_at_all(gone: Gone, need: str) -> None:
    first = f"{gone.target.path(B)}@{gone.ours(gone.target, B)[0]}"
    do, undo = {
        "hold": (f"zfs hold mine {first}", f"zfs release mine {first}"),
        "clone": (f"zfs clone {first} pond/mine", "zfs destroy pond/mine"),
    }[need]
    before = gone.points(gone.target, B)
    gone.target.run(do)
    said = gone.source.zsr("vanished", "destroy", "100-0", gone.target.path(B), "--yes", check=False)
    assert gone.points(gone.target, B) == before
    assert "is held, or has a clone" in said.stderr

    gone.target.run(undo)
    gone.zsr("vanished", "destroy", "100-0", gone.target.path(B), "--yes")
    assert not gone.exists(gone.target, B)


def test_a_raw_replica_and_an_aside_are_destroyed_in_one_transaction(lab: Lab, source: Node, target: Node) -> None:
    guest = Holdings(lab, source, target)
    guest.zvol(A, 8)
    source.run(
        f"echo secret99 | zfs create -V 8M -o encryption=on -o keyformat=passphrase tank/data/{B}; udevadm settle"
    )
    guest.volumes[B] = "zvol"
    guest.job(*KEEP)
    guest.grow(B, 2)
    disk = target.path(A)
    target.run(f"zfs set readonly=off {disk}; udevadm settle; echo x | dd of=/dev/zvol/{disk} conv=fsync")
    target.run(f"zpool sync; zfs set readonly=on {disk}")
    guest.grow(A, 1)
    [aside] = guest.aside()
    guest.zsr("diverged", "destroy", "node2", f"{target.path('zsr-diverged')}/{aside.rpartition('/')[2]}", "--yes")
    assert guest.aside() == []

    guest.destroy_on_source(B)
    guest.zsr("vanished", "destroy", "100-0", target.path(B), "--yes")
    assert not guest.exists(target, B)
    history = target.out(["zpool", "history", "-i", target.pool])
    assert f"zfs destroy -r {target.pool}" not in history, "what a program had begun was finished by a command"
    destroyed = re.findall(rf"\[(txg:[0-9]+)\] destroy {target.path(B)}(?:@\S+)? ", history)
    assert len(destroyed) == 4
    assert len(set(destroyed)) == 1
