"""``zsr diverged open`` and ``close`` on a modern ZFS: what was written last is read byte for byte, and stays."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.losses import Holdings
from tests.lab.node_files import kept_files, put_back, share_files
from tests.lab.scenario import FS, A, Scenario
from tests.lab.two_nodes import on_two_nodes

pytestmark = pytest.mark.sampled(5)

CHILD = f"{FS}/var lib"
SPACED = "vm-100-old disk"


def asides(scene: Scenario) -> list[dict[str, Any]]:
    """What is kept aside, as ``zsr diverged list`` shows it."""
    found: list[dict[str, Any]] = json.loads(scene.zsr("diverged", "list", "--format", "json"))
    return found


def opened(scene: Scenario, aside: str, *more: str) -> str:
    """Open what is kept aside on the target; return where it is, as a shell takes it."""
    said = scene.zsr("diverged", "open", "node2" if scene.target.name != "node1" else "node1", aside, *more)
    return said.splitlines()[1].strip()


def device(dataset: str) -> str:
    """The device of a zvol."""
    return f"/dev/zvol/{dataset.replace(' ', '+')}"


def checksum(node: Node, place: str) -> str:
    """The checksum of a file or a device."""
    return node.out(f"sha256sum < {place}").split()[0]


@pytest.fixture
def guest(lab: Lab, node1: Node, node2: Node) -> Holdings:
    """A zvol, a filesystem and one below it that nothing mounts at boot, replicated; the same cluster file on both."""
    guest = Holdings(lab, node1, node2)
    guest.zvol(A, 8)
    guest.filesystem(FS, 1)
    node1.run(f"zfs create -o canmount=noauto 'tank/data/{CHILD}' && zfs mount 'tank/data/{CHILD}'")
    guest.job("--keep", "10")
    guest.well()
    share_files(node1, node2)
    return guest


def read_from_asides(guest: Holdings) -> dict[str, str]:
    """Open all that is kept aside, and try to destroy it; the checksums of what was written last, by volume."""
    found: dict[str, str] = {}
    for aside in (each["dataset"] for each in asides(guest)):
        name = CHILD if "var lib" in aside else FS if FS in aside else A
        place = opened(guest, aside)
        assert name not in found
        found[name] = checksum(guest.target, place if name == A else f"{place}/last")
        assert guest.source.zsr("diverged", "destroy", "node1", aside, "--yes", check=False).returncode == 2
    return found


def mount_by_hand(node: Node) -> None:
    """Give the child a legacy mount point, and mount it at its place."""
    name, place = f"'tank/data/{CHILD}'", f"'/tank/data/{CHILD}'"
    node.run(
        f"zfs unmount {name} && zfs set mountpoint=legacy {name} && mkdir -p {place} && mount -t zfs {name} {place}"
    )


@on_two_nodes
@pytest.mark.parametrize(
    ("only", "legacy"),
    [(False, False), (True, False), (True, True)],
    ids=["after what was written before", "which is all", "which is all, where the mount point is legacy"],
)
def test_what_a_node_wrote_last_before_its_power_was_cut_is_read_when_it_is_back(
    guest: Holdings, only: bool, legacy: bool
) -> None:
    old, new = guest.source, guest.target
    if legacy:
        mount_by_hand(old)
    places = {A: device(f"tank/data/{A}"), FS: f"/tank/data/{FS}/last", CHILD: f"'/tank/data/{CHILD}/last'"}
    write = "dd if=/dev/urandom of={} bs=64k count=1 conv=notrunc,fsync oflag=sync status=none"
    old.run("; ".join(write.format(place) for place in places.values()))  # from now on each has an intent log
    if only:
        guest.well()
    old.run("echo 600 >/sys/module/zfs/parameters/zfs_txg_timeout; zpool sync")
    old.run("; ".join(write.format(place) for place in places.values()))  # this is in that alone
    written = {name: checksum(old, place) for name, place in places.items()}
    kept = kept_files(old)
    old.crash()

    new.zsr("guest", "recover", "100", "--force", "--yes")
    new.run(f"echo new >/tank/data/{FS}/new")
    old.start()
    put_back(old, kept)
    new.zsr("cluster", "push", "--yes", "--force")
    old.zsr("guest", "release", "100")
    new.zsr("adopt", "100-0", "--yes")
    guest.source, guest.target = new, old
    guest.well(within=2)

    assert read_from_asides(guest) == written

    guest.well()
    for aside in (each["dataset"] for each in asides(guest)):
        guest.zsr("diverged", "close", "node1", aside)
        guest.zsr("diverged", "destroy", "node1", aside, "--yes")
    assert asides(guest) == []
    assert guest.same_on_both()


@pytest.fixture
def duo(lab: Lab, source: Node, target: Node) -> Scenario:
    """A guest whose replicas, a zvol's and a filesystem's, were written to, and are kept aside by the next run."""
    duo = Scenario(lab, source, target)
    duo.filesystem(FS, 1)
    source.run(f"zfs create -V 8M '{source.path(SPACED)}' && udevadm settle")
    source.run(f"dd if=/dev/urandom of={device(source.path(SPACED))} bs=1M count=4 conv=fsync status=none")
    duo.job()
    duo.well()
    for name in (FS, SPACED):
        target.run(f"zfs set readonly=off '{target.path(name)}' && udevadm settle")
    target.run(
        f"zfs mount {target.path(FS)} && echo written there >/{target.path(FS)}/last && zfs unmount {target.path(FS)}"
    )
    target.run(f"echo written there | dd of={device(target.path(SPACED))} conv=notrunc,fsync status=none")
    for name in (FS, SPACED):
        target.run(f"zfs set readonly=on '{target.path(name)}' && udevadm settle && zpool sync")
    duo.well(within=2)
    return duo


def test_what_is_open_cannot_be_written_nor_destroyed_and_is_as_before_when_it_is_closed(duo: Scenario) -> None:
    before = duo.everything(duo.target)
    filesystem, zvol = sorted((each["dataset"] for each in asides(duo)), key=lambda name: "old disk" in name)
    places = {name: opened(duo, name) for name in (filesystem, zvol)}
    assert duo.target.out(f"cat {places[filesystem]}/last") == "written there"
    assert duo.target.out(f"head -c 13 {places[zvol]}") == "written there"
    assert duo.target.run(f"touch {places[filesystem]}/x", check=False).returncode != 0
    assert duo.target.run(f"echo x | dd of={places[zvol]} conv=notrunc,fsync", check=False).returncode != 0
    for aside, place in places.items():
        assert duo.target.run(["zfs", "destroy", "-r", aside], check=False).returncode != 0
        assert duo.source.zsr("diverged", "destroy", "node2", aside, "--yes", check=False).returncode == 2
        assert shlex.split(opened(duo, aside)) == shlex.split(place)
    listed = {each["dataset"]: each["opened"] for each in asides(duo)}
    assert listed == {name: shlex.split(place)[0] for name, place in places.items()}
    duo.source.run(f"echo more >/{duo.source.path(FS)}/more")
    duo.well()

    duo.target.run(f"exec 7<{places[zvol]}; setsid sleep 600 <&7 >/dev/null 2>&1 & echo $! >/run/reader")
    refused = duo.source.zsr("diverged", "close", "node2", zvol, check=False)
    assert (refused.returncode, "busy" in refused.stderr) == (1, True)
    duo.target.run("kill $(cat /run/reader)")
    for aside in places:
        duo.zsr("diverged", "close", "node2", aside)
    kept = [line for line in before.splitlines() if "/zsr-diverged/" in line]
    assert [line for line in duo.everything(duo.target).splitlines() if "/zsr-diverged/" in line] == kept


def test_one_that_nothing_was_written_to_since_its_snapshot_is_opened_without_another(duo: Scenario) -> None:
    aside = next(each["dataset"] for each in asides(duo) if "old disk" in each["dataset"])
    duo.target.run(f"zfs snapshot '{aside}@mine' && zpool sync")
    place = opened(duo, aside)
    assert duo.target.out(f"head -c 13 {place}") == "written there"
    assert duo.target.out(f"zfs list -Ho name -t snapshot '{aside}'") == f"{aside}@mine"
    assert opened(duo, aside, "--snapshot", "mine") == place
    duo.zsr("diverged", "close", "node2", aside)
    assert duo.target.out(f"zfs list -Ho name -t snapshot '{aside}'") == f"{aside}@mine"


def test_one_whose_key_is_not_loaded_is_opened_once_it_is(lab: Lab, source: Node, target: Node) -> None:
    duo = Scenario(lab, source, target)
    key = "-o encryption=on -o keyformat=passphrase -o keylocation=file:///root/key"
    for node in {source.number: source, target.number: target}.values():
        node.write("/root/key", "12345678\n")
    source.run(f"zfs create {key} {source.path(FS)}")
    duo.volumes[FS] = "filesystem"
    duo.write(FS, 1)
    duo.job()
    duo.well()
    replica = target.path(FS)
    target.run(f"zfs load-key -L file:///root/key {replica} && zfs set readonly=off {replica} && zfs mount {replica}")
    target.run(f"echo written there >/{replica}/last && zfs unmount {replica} && zfs unload-key {replica}")
    target.run(f"zfs set readonly=on {replica} && zpool sync")
    duo.write(FS, 1)
    duo.well(within=2)
    [aside] = [each["dataset"] for each in asides(duo)]
    before = duo.everything(target)
    said = source.zsr("diverged", "open", "node2", aside, check=False)
    assert (said.returncode, "is not loaded" in said.stderr) == (1, True)
    assert duo.everything(target) == before
    root = target.out(["zfs", "get", "-Ho", "value", "encryptionroot", aside])
    assert f"zfs load-key {root}" in said.stderr
    target.run(f"zfs load-key -L file:///root/key {root}")
    assert target.out(f"cat {opened(duo, aside)}/last") == "written there"
    duo.zsr("diverged", "close", "node2", aside)
