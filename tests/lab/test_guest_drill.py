"""``zsr guest drill`` on a modern ZFS, over SSH: disks with partitions, journals, faults and keys."""

from __future__ import annotations

import time

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.two_nodes import TwoNodeCluster

pytestmark = pytest.mark.sampled(3)

CONTAINER, DISK = "subvol-100-disk-0", "vm-100-disk-1"
PLACE = f"/dev/zvol/tank/data/{DISK}"
DRILL = ("guest", "drill", "100")


@pytest.fixture
def duo(lab: Lab, node1: Node, node2: Node) -> TwoNodeCluster:
    """Two nodes with a container, and a disk that has an ext4 filesystem in its second partition."""
    duo = TwoNodeCluster(lab, node1, node2)
    duo.filesystem(CONTAINER, 1)
    duo.source.run(
        f"zfs create -V 64M tank/data/{DISK} && udevadm settle && "
        f"printf 'label: gpt\\nsize=8M\\nsize=40M\\n' | sfdisk -q {PLACE} && "
        f"losetup -P /dev/loop7 {PLACE} && udevadm settle && mkfs.ext4 -q /dev/loop7p2 && "
        "mkdir -p /mnt/guest && mount /dev/loop7p2 /mnt/guest && echo one > /mnt/guest/file && sync"
    )
    duo.job()
    return duo


def stop_guest(duo: TwoNodeCluster) -> None:
    """Unmount the disk's filesystem and let go of the disk."""
    duo.source.run("umount /mnt/guest; losetup -d /dev/loop7; sync; udevadm settle")


def clean(duo: TwoNodeCluster) -> bool:
    """Whether no clone, no loop device and no mount of a drill is on the target."""
    there = duo.target.out("zfs list -Ho name -r tank; losetup -a; mount; ps ax")
    return not any(word in there for word in ("-drill", "/dev/loop", "/run/zsr/drills", "zsr-drill"))


def test_partitions_are_found_a_dirty_journal_is_no_fault_and_a_fault_is_one(duo: TwoNodeCluster) -> None:
    duo.source.run("echo two > /mnt/guest/file; sync -f /mnt/guest/file")
    duo.zsr("run", "--id", "100-0")
    said = duo.zsr(*DRILL)
    assert f"tank:{CONTAINER}: mounted read-only, 1 files read to their end" in said
    assert f"tank:{DISK}: partition 1 (no filesystem is known): 8.0 MiB read to the end" in said
    assert f"tank:{DISK}: partition 2 (ext4): " in said
    assert "passed after" in said
    assert clean(duo)

    stop_guest(duo)
    duo.zsr("run", "--id", "100-0")
    assert f"tank:{DISK}: partition 2 (ext4): e2fsck found no fault" in duo.zsr(*DRILL)
    assert clean(duo)

    duo.source.run(
        f"losetup -P /dev/loop7 {PLACE} && udevadm settle && "
        "debugfs -w -R 'clri <2>' /dev/loop7p2; sync; losetup -d /dev/loop7; udevadm settle"
    )
    duo.zsr("run", "--id", "100-0")
    failed = duo.source.zsr(*DRILL, check=False)
    assert failed.returncode == 1
    assert f"tank:{DISK}: partition 2 (ext4): e2fsck found faults: " in failed.stdout
    assert clean(duo)


def test_a_disk_without_partitions_is_read_and_a_locked_one_cannot_be(duo: TwoNodeCluster) -> None:
    stop_guest(duo)
    duo.zvol("vm-100-disk-2", 8)
    duo.zsr("run", "--id", "100-0")
    assert "tank:vm-100-disk-2: no filesystem is known: 8.0 MiB read to the end" in duo.zsr(*DRILL)

    key = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"
    duo.source.write("/root/key", "12345678\n")
    duo.source.run(f"zfs create {key} -V 16M tank/data/vm-100-disk-3 && udevadm settle")
    duo.zsr("run", "--id", "100-0")
    undone = duo.source.zsr(*DRILL, check=False)
    assert undone.returncode == 1
    assert "The key of 'tank/data/vm-100-disk-3' on node2 is not loaded" in undone.stderr
    assert "undone after" in undone.stdout
    duo.target.run("echo 12345678 | zfs load-key -L prompt tank/data/vm-100-disk-3 && udevadm settle")
    assert "tank:vm-100-disk-3: no filesystem is known: 16.0 MiB read" in duo.zsr(*DRILL)
    assert clean(duo)


def test_a_drill_that_is_killed_during_its_check_leaves_nothing_after_the_next(duo: TwoNodeCluster) -> None:
    stop_guest(duo)
    duo.zsr("run", "--id", "100-0")
    cluster = duo.source.out("cat /etc/zsr/cluster.toml")
    hangs = "check = 'exec 8<$ZSR_DRILL_PLACE_2; cd $ZSR_DRILL_PLACE_1; touch /run/begun; sleep 500'\n"
    duo.source.write("/etc/zsr/cluster.toml", cluster.replace('name = "web"\n', f'name = "web"\n{hangs}') + "\n")
    drill = duo.source.spawn(["zsr", *DRILL])
    deadline = time.monotonic() + 60
    while duo.target.run("test -e /run/begun", check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.2)
    drill.kill("KILL")
    drill.wait()
    duo.source.run("echo more > /tank/data/subvol-100-disk-0/file")
    duo.zsr("run", "--id", "100-0")
    assert not clean(duo)

    duo.source.write("/etc/zsr/cluster.toml", cluster + "\n")
    assert "was left by an earlier drill, and is destroyed" in duo.zsr(*DRILL)
    assert clean(duo)
