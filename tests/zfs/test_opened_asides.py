"""``zsr diverged open`` and ``close``, as typed, after a node came back whose guest had gone on elsewhere."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from demo.engine import SandboxError, run_patiently
from replicator.errors import ZfsError
from tests.support.command_line import Said, Zsr
from tests.support.pools import Pools
from tests.support.recovered import RUN, Recovered
from tests.support.verbs_env import NAME

CHILD = f"{NAME}/var lib"


class Back(Recovered):
    """Alpha is back; what its guest wrote last, in a filesystem and one below it, is kept aside there."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        self.zfs("create", f"{self.source}/{CHILD}")
        zsr.well(*RUN)
        self.place = pools.sandbox.mountpoint
        for name in (NAME, CHILD):
            (self.place(f"{self.source}/{name}") / "last").write_text(f"written last in {name}")
        assert self.recover().exit == 0
        self.revive()
        for name in (CHILD, NAME):
            self.zfs("unmount", f"{self.source}/{name}")
        zsr.well("adopt", "100-0", "--yes")
        zsr.well(*RUN)

    @property
    def aside(self) -> str:
        """What is kept aside of the filesystem."""
        return self.asides()[0]

    def asides(self) -> list[str]:
        """What is kept aside on alpha, the filesystem before the one below it."""
        named = [name for name in self.names(self.source) if "/zsr-diverged/" in name and not name.endswith("-open")]
        return sorted(named, key=lambda name: "var lib" in name)

    def open(self, aside: str, *more: str) -> Path:
        """Open what is kept aside; return where it is."""
        said = self.zsr.well("diverged", "open", "alpha", aside, *more)
        return Path(said.out.splitlines()[1].strip().strip("'"))

    def close(self, aside: str) -> Said:
        """Close it; zfs-fuse lets go of an unmounted filesystem only a moment later."""
        deadline = time.monotonic() + 20
        while "is busy" in (said := self.zsr("diverged", "close", "alpha", aside)).err and time.monotonic() < deadline:
            time.sleep(0.1)
        return said

    def refused(self, *command: str) -> Said:
        """What a refused command says; it must change nothing."""
        before = self.state()
        said = self.zsr(*command)
        assert said.exit != 0
        assert self.state() == before
        return said

    def state(self) -> str:
        """All datasets and snapshots of alpha, with what is in them."""
        keys = "guid,readonly,origin,zsr:job,zsr:source,mountpoint"
        return self.zfs("get", "-Hp", "-r", "-o", "name,property,value", keys, self.source)


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Back:
    monkeypatch.setattr("replicator.replication.opened.MOUNTED_BELOW", str(tmp_path / "opened"))
    return Back(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_what_was_written_last_is_read_and_what_is_kept_aside_is_afterwards_as_before(site: Back) -> None:
    before = site.state()
    for aside, name in zip(site.asides(), (NAME, CHILD), strict=True):
        assert (site.open(aside) / "last").read_text() == f"written last in {name}"
    for aside in site.asides():
        assert site.close(aside).out == f"closed {aside} on alpha\n"
    assert site.state() == before


def test_nothing_can_write_to_it(site: Back) -> None:
    place = site.open(site.aside)
    with pytest.raises(OSError, match="Read-only"):
        (place / "last").write_text("changed")
    for key, value in {"exec": "off", "setuid": "off", "devices": "off"}.items():
        assert site.property(f"{site.aside}-open", key).split("\t")[0] == value


def test_it_is_listed_with_its_place_and_the_node_that_opened_it_until_it_is_closed(site: Back) -> None:
    place = str(site.open(site.aside))
    closing = f"Close it: zsr diverged close alpha {site.aside}"
    for command in (("list",), ("show", "alpha", site.aside)):
        said = site.zsr.well("diverged", *command).out
        assert ", from beta: " in said
        assert place in said
        assert closing in said
    listed = {each["dataset"]: each["opened"] for each in site.zsr.well("diverged", "list", "--format", "json").json}
    assert listed == {site.asides()[0]: place, site.asides()[1]: None}
    assert "job 100-0 is open" in site.zsr.well("restore-points", "close", "100-0").out
    assert site.close(site.aside).exit == 0
    assert "Open on" not in site.zsr.well("diverged", "list").out


def test_neither_a_person_nor_a_run_nor_zfs_destroys_it_meanwhile(site: Back) -> None:
    site.open(site.aside)
    said = site.refused("diverged", "destroy", "alpha", site.aside, "--yes", "--only-copy")
    assert (said.exit, "Close it first: zsr diverged close" in said.err) == (2, True)
    with pytest.raises(SandboxError, match="has dependent clones"):
        site.zfs("destroy", "-r", site.aside)
    (site.place(site.there) / "more").write_text("the guest goes on")
    site.zsr.well(*RUN)
    assert site.aside in site.names(site.source)

    assert site.close(site.aside).exit == 0
    aside = site.aside
    site.zsr.well("diverged", "destroy", "alpha", aside, "--yes")
    assert aside not in site.names(site.source)


def test_it_may_be_opened_and_closed_again(site: Back) -> None:
    place = site.open(site.aside)
    opened = site.state()
    assert site.open(site.aside) == place
    assert site.state() == opened
    assert site.close(site.aside).exit == 0
    said = site.zsr.well("diverged", "close", "alpha", site.aside)
    assert said.out == f"'{site.aside}' is not open on alpha.\n"
    assert (site.open(site.aside) / "last").exists()


def test_what_was_unmounted_meanwhile_is_mounted_again(site: Back) -> None:
    place = site.open(site.aside)
    site.zfs("unmount", str(place))
    assert not (place / "last").exists()
    site.open(site.aside)
    assert (place / "last").exists()


def test_a_snapshot_of_it_is_opened_too_one_at_a_time(site: Back) -> None:
    site.zfs("snapshot", f"{site.aside}@mine")
    place = site.open(site.aside, "--snapshot", "mine")
    assert (place / "last").exists()
    assert site.property(f"{site.aside}-open", "origin").startswith(f"{site.aside}@mine")
    assert site.open(site.aside, "--snapshot", "mine") == place
    site.zfs("snapshot", f"{site.aside}@another")
    said = site.refused("diverged", "open", "alpha", site.aside, "--snapshot", "another")
    assert (said.exit, "already, as of mine" in said.err) == (2, True)
    assert site.close(site.aside).exit == 0
    assert site.snapshots(site.aside) == ["mine", "another"]


def test_one_that_died_after_its_snapshot_is_finished_by_the_next_or_taken_back(
    site: Back, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = site.state()

    async def die(*_: object) -> None:
        raise ZfsError("the node died")

    with monkeypatch.context() as patched:
        patched.setattr("replicator.replication.opened_asides.open_clone", die)
        assert site.zsr("diverged", "open", "alpha", site.aside).exit == 1
    [left] = site.snapshots(site.aside)
    assert left.startswith("zsr-opened-")
    site.open(site.aside)
    assert left in site.snapshots(site.aside)
    assert site.close(site.aside).exit == 0
    assert site.state() == before


def test_a_snapshot_of_the_name_that_zsr_did_not_take_stays(site: Back) -> None:
    site.zfs("snapshot", f"{site.aside}@zsr-opened-1")
    site.open(site.aside)
    assert site.close(site.aside).exit == 0
    assert site.snapshots(site.aside) == ["zsr-opened-1"]


def test_one_in_which_somebody_works_or_of_which_somebody_took_a_snapshot_stays_open(site: Back) -> None:
    place = site.open(site.aside)
    with subprocess.Popen(["sleep", "60"], cwd=place) as user:
        said = site.refused("diverged", "close", "alpha", site.aside)
        user.kill()
    assert said.exit == 1
    assert "is open there" in said.err
    site.zfs("snapshot", f"{site.aside}-open@mine")
    assert "has a new snapshot (mine)" in site.refused("diverged", "close", "alpha", site.aside).err


def test_one_that_was_renamed_is_open_still(site: Back) -> None:
    site.open(site.aside)
    renamed = f"{site.aside.rpartition('-')[0]}-7"
    site.zfs("unmount", f"{site.aside}-open")
    run_patiently("zfs", "rename", site.aside, renamed)
    assert f"Close it: zsr diverged close alpha {renamed}" in site.zsr.well("diverged", "list").out
    assert site.close(renamed).out == f"closed {renamed} on alpha\n"


def test_the_clone_itself_may_be_named(site: Back) -> None:
    site.open(site.aside)
    assert site.close(f"{site.aside}-open").exit == 0
    assert not [name for name in site.names(site.source) if name.endswith("-open")]


@pytest.mark.parametrize("verb", ["open", "close"])
def test_what_is_not_kept_aside_there_is_refused(site: Back, verb: str) -> None:
    for node, dataset, sentence in (
        ("alpha", f"{site.source}/{NAME}", "is not directly below"),
        ("alpha", f"{site.aside}/below", "is not directly below"),
        ("alpha", f"{site.source}/zsr-diverged/other-7", "does not exist"),
        ("beta", site.aside, "is not directly below"),
        ("delta", site.aside, "There is no node 'delta'"),
    ):
        said = site.refused("diverged", verb, node, dataset)
        assert (said.exit, sentence in said.err) == (2, True), said


def test_a_snapshot_that_does_not_exist_is_refused(site: Back) -> None:
    said = site.refused("diverged", "open", "alpha", site.aside, "--snapshot", "other")
    assert (said.exit, "has no snapshot 'other'" in said.err) == (2, True)


def test_a_new_replica_in_the_making_is_refused(site: Back) -> None:
    reseed = f"{site.source}/zsr-diverged/{NAME}-reseed"
    site.zfs("create", "-o", "zsr:job=100-0", reseed)
    assert "new replica in the making" in site.refused("diverged", "open", "alpha", reseed).err


def test_a_node_that_does_not_answer_is_named(site: Back) -> None:
    text = site.zsr.cluster_path.read_text()
    site.zsr.cluster_path.write_text(
        text.replace('[nodes.alpha]\naddress = "local"', '[nodes.alpha]\naddress = "127.0.0.1"\nport = 1')
    )
    said = site.refused("diverged", "open", "alpha", site.aside)
    assert (said.exit, "Could not connect to node alpha" in said.err) == (1, True)
