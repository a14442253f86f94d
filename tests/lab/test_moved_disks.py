"""Disks that move to another guest or storage go on with their replicas, killed anywhere, also when two are swapped."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import KEEP, Holdings
from tests.lab.scenario import MIB, A, B

pytestmark = pytest.mark.sampled(5)

OTHER, MOVED = "vm-200-disk-0", "vm-200-disk-1"
MORE = """\
[storages.more]
path = "tank/more"
paths = {{ node2 = "{}/more" }}
[guests.200]
name = "db"
node = "node1"
"""


class Guests(Holdings):
    """Guest 100 with two zvols and guest 200 with one, replicated with restore points."""

    def __init__(self, lab: Lab, source: Node, target: Node) -> None:
        super().__init__(lab, source, target)
        for node in (source, target):
            node.run(f"zfs create {node.pool}/more")
        self.source.write("/etc/zsr/cluster.toml", self.source.read("/etc/zsr/cluster.toml") + MORE.format(target.pool))
        for name in (A, B, OTHER):
            self.zvol(name, 8)
        for job in ("100-0", "200-0"):
            self.zsr("create-local-job", job, "node2", *KEEP)
        self.run(100)
        self.write(A, 1)
        self.run(100)
        self.run(200)

    def run(self, guest: int, *, within: int = 1) -> int:
        """Run a guest's job; the bytes that were sent."""
        for _ in range(within):
            done = self.source.zsr("run", "--id", f"{guest}-0", check=False)
            if done.returncode == 0:
                return int(max(self._runs(guest), key=lambda run: run["run"])["sent_bytes"] or 0)
        raise AssertionError(f"{done.stdout}{done.stderr}{self.zsr('log', f'{guest}-0', check=False)}")

    def _runs(self, guest: int) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.zsr("log", f"{guest}-0", "--runs", "--format", "json"))
        return found

    def sent(self, guest: int) -> int:
        """What all runs of a guest have sent."""
        return sum(run["sent_bytes"] or 0 for run in self._runs(guest))

    def move(self, old: str, new: str) -> None:
        """Give a disk of the source another name below ``tank``."""
        self.source.run(f"zfs rename tank/{old} tank/{new} && udevadm settle")

    def changed(self, name: str) -> None:
        """Write a megabyte over the beginning of a disk below ``tank``."""
        self.source.run(
            f"dd if=/dev/urandom of=/dev/zvol/tank/{name} bs=1M count=1 conv=fsync,notrunc status=none && zpool sync"
        )

    def is_same(self, name: str) -> bool:
        """Whether the replica's newest snapshot has what the source's has."""
        sums = []
        for node in (self.source, self.target):
            newest = node.out(f"zfs list -Ho name -t snapshot -s createtxg -d 1 {node.pool}/{name}").splitlines()[-1]
            clone = f"{node.pool}/look"
            look = f"udevadm settle; sha256sum </dev/zvol/{clone}; zfs destroy {clone}"
            sums.append((newest.partition("@")[2], node.out(f"zfs clone {newest} {clone} && {look}").split()[0]))
        return sums[0] == sums[1]

    def marks(self, name: str) -> list[str]:
        """Job, owner and epoch of a replica below the target's pool."""
        return self.target.out(f"zfs get -Hpo value zsr:job,zsr:owner,zsr:epoch {self.target.pool}/{name}").split()

    def vanished_now(self) -> list[object]:
        """The replicas that wait for their volume, by the targets and by the records."""
        listed = json.loads(self.zsr("vanished", "list", "--format", "json"))
        recorded = [job["vanished"] for job in json.loads(self.zsr("status", "--format", "json"))]
        return [*listed, *(each for some in recorded for each in some)]


@pytest.fixture
def guests(lab: Lab, source: Node, target: Node) -> Guests:
    return Guests(lab, source, target)


@pytest.mark.parametrize("first", [100, 200])
def test_a_disk_that_is_given_to_another_guest_is_not_sent_again(guests: Guests, first: int) -> None:
    if first == 100:  # whose epoch is later than that of the disk's new guest
        guests.cluster('name = "web"\n', 'name = "web"\nepoch = 3\n')
        guests.write(A, 1)
        guests.run(100)
    replica, points = guests.value(guests.target, A, "guid"), guests.points(guests.target, A)
    guests.move(f"data/{A}", f"data/{MOVED}")
    guests.changed(f"data/{MOVED}")
    plan = json.loads(guests.zsr("plan", "200-0", "--format", "json"))
    assert "continues the replica of job 100-0" in " ".join(plan["notes"])
    if first == 100:
        guests.run(100)
        assert guests.vanished_now()

    assert guests.run(200) < 2 * MIB
    assert guests.value(guests.target, MOVED, "guid") == replica
    assert points <= guests.points(guests.target, MOVED), "those of the old job"
    assert guests.is_same(f"data/{MOVED}")
    assert guests.marks(f"data/{MOVED}") == ["200-0", "node1", "1"]
    assert not guests.vanished_now()
    guests.run(100)
    assert not guests.vanished_now()
    assert "100-0" not in guests.source.out(f"zfs list -Ho name -t all -r tank/data/{MOVED}")


def test_a_disk_that_is_moved_to_another_storage_is_not_sent_again(guests: Guests) -> None:
    replica = guests.value(guests.target, A, "guid")
    guests.move(f"data/{A}", f"more/{A}")
    guests.changed(f"more/{A}")
    assert guests.run(100) < 2 * MIB
    assert guests.target.out(f"zfs get -Hpo value guid {guests.target.pool}/more/{A}") == replica
    assert guests.is_same(f"more/{A}")
    assert not guests.exists(guests.target, A)


def test_two_guests_swap_disks_while_the_daemon_runs_both_jobs_at_once(guests: Guests) -> None:
    settings = guests.source.read("/etc/zsr/zsr.toml")
    guests.source.write("/etc/zsr/zsr.toml", settings.replace("[exporter]", "max_parallel = 2\n[exporter]", 1))
    first, second = (guests.value(guests.target, name, "guid") for name in (A, OTHER))
    points = guests.points(guests.target, A) | guests.points(guests.target, OTHER)
    for old, new in ((A, "x"), (OTHER, A), ("x", OTHER)):
        guests.move(f"data/{old}", f"data/{new}")
    before = guests.sent(100) + guests.sent(200)
    for job in ("100-0", "200-0"):
        guests.zsr("update", job, "--schedule", "*:0/1")
    guests.daemon()

    def swapped() -> bool:
        replicas = [guests.target.path(name) for name in (A, OTHER)]
        now = [guests.target.run(f"zfs get -Hpo value guid {replica}", check=False) for replica in replicas]
        return [each.stdout.strip() for each in now] == [second, first]

    for _ in range(4):
        guests.source.set_clock((guests.source.clock() // 1800 + 1) * 1800 + 1)
        try:
            guests.until(swapped, "both disks have the replica of the other name", timeout=25)
            break
        except AssertionError:
            continue
    assert swapped(), guests.zsr("status")
    assert points <= guests.points(guests.target, A) | guests.points(guests.target, OTHER)
    assert guests.aside() == []
    assert guests.sent(100) + guests.sent(200) < before + MIB


def test_a_copy_of_a_disk_that_is_still_there_is_sent_in_full(guests: Guests) -> None:
    before = guests.everything(guests.target)
    newest = guests.snapshots(guests.source, A)[-1]
    guests.source.run(f"zfs send tank/data/{A}@{newest} | zfs receive tank/data/{MOVED} && udevadm settle")
    assert guests.run(200) > 3 * MIB
    assert guests.marks(f"data/{A}")[0] == "100-0"
    assert guests.marks(f"data/{MOVED}")[0] == "200-0"
    kept = [line for line in before.splitlines() if f"/{A}" in line]
    assert set(kept) <= set(guests.everything(guests.target).splitlines())
    guests.write(A, 1)
    assert guests.run(100) < 2 * MIB


@pytest.mark.parametrize("at", ["rename", "receive"])
def test_a_run_that_is_killed_after_the_marks_changed_is_gone_on_with(guests: Guests, at: str) -> None:
    replica = guests.value(guests.target, A, "guid")
    guests.move(f"data/{A}", f"data/{MOVED}")
    guests.changed(f"data/{MOVED}")
    hang = f'#!/bin/sh\n[ "$1" = {at} ] && {{ touch /run/lab/here; sleep 600; exit 1; }}\nexec /usr/sbin/zfs "$@"\n'
    guests.target.write("/usr/local/sbin/zfs", hang)
    guests.target.run("chmod +x /usr/local/sbin/zfs; rm -f /run/lab/here")
    run = guests.source.spawn(["zsr", "run", "--id", "200-0"])
    guests.until(lambda: guests.target.run("test -e /run/lab/here", check=False).returncode == 0, f"zfs {at} began")
    run.kill("KILL")
    guests.target.run("rm -f /usr/local/sbin/zfs; kill $(pgrep -x sleep)", check=False)
    place = A if at == "rename" else MOVED
    assert guests.marks(f"data/{place}")[0] == "200-0"
    guests.run(100)

    assert guests.run(200, within=2) < 2 * MIB
    assert guests.value(guests.target, MOVED, "guid") == replica
    assert guests.is_same(f"data/{MOVED}")
    assert guests.run(100) < MIB
    assert not guests.vanished_now()
