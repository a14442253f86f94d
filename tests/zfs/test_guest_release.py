"""``zsr guest release``, as typed on the node that a guest has left: its volumes become replicas of the new owner."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from replicator.guests import release
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.recovered import RUN, Recovered
from tests.support.verbs_env import NAME

RELEASE = ("guest", "release", "100")


class Returned(Recovered):
    """Alpha was dead, beta recovered its guest, and alpha is back with the cluster file of beta."""

    def give_back(self) -> Zsr:
        """Return ``zsr`` as typed on alpha, which has beta's file by now."""
        self.revive()
        cluster = self.on("beta").cluster_path.read_text()
        zsr = self.on("alpha")
        zsr.cluster_path.write_text(cluster)
        return zsr

    @property
    def here(self) -> str:
        """The volume that the guest left."""
        return f"{self.source}/{NAME}"

    def marks(self) -> dict[str, str]:
        """What says whose the volume is, and whether it is used."""
        keys = ("readonly", "mounted", "zsr:job", "zsr:source", "zsr:owner", "zsr:epoch")
        return {key: self.property(self.here, key).split("\t")[0] for key in keys}


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Returned:
    return Returned(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_the_volumes_become_replicas_and_what_is_newer_is_set_aside_by_the_next_run(site: Returned) -> None:
    site.change()
    assert site.recover().exit == 0

    said = site.give_back()(*RELEASE)

    assert said.exit == 0, said
    assert site.marks() == {
        "readonly": "on",
        "mounted": "no",
        "zsr:job": "100-0",
        "zsr:source": "beta",
        "zsr:owner": "beta",
        "zsr:epoch": "2",
    }
    site.on("beta").well(*RUN)
    assert ": full" not in site.zsr.well("log", "100-0").out
    assert site.snapshots(site.here)[-1] == site.snapshots(site.there)[-1]
    assert len([name for name in site.names(site.source) if "/zsr-diverged/" in name]) == 1


def test_a_disk_that_was_never_replicated_stays_what_it_is(site: Returned) -> None:
    """The new node has never seen it: as a replica of that node it would be one whose volume vanished."""
    alone = f"{site.source}/subvol-100-disk-1"
    site.zfs("create", alone)
    assert site.recover().exit == 0

    said = site.give_back()(*RELEASE)

    assert said.exit == 0
    assert f"'{alone}' of guest 100 shares no snapshot with the guest's new node" in said.err
    assert site.marks()["zsr:job"] == "100-0"
    assert site.property(alone, "zsr:job").startswith("-")
    site.on("beta").well(*RUN)
    site.zsr.well(*RUN)
    assert alone in site.names(site.source)


def test_a_volume_that_the_guest_got_since_does_not_keep_those_that_are_there(site: Returned) -> None:
    """It is listed, and no run can bring it before the others are replicas."""
    assert site.recover().exit == 0
    site.zfs("create", f"{site.target}/new")
    listed = f'name = "web"\nvolumes = ["data:{NAME}", "data:new"]'
    site.zsr.cluster_path.write_text(site.zsr.cluster_path.read_text().replace('name = "web"', listed))

    said = site.give_back()(*RELEASE)

    assert said.exit == 0, said
    assert site.marks()["zsr:job"] == "100-0"
    site.on("beta").well(*RUN)
    assert site.snapshots(f"{site.source}/new") == site.snapshots(f"{site.target}/new")


def test_it_may_be_done_again(site: Returned) -> None:
    assert site.recover().exit == 0
    site.give_back().well(*RELEASE)
    assert "Nothing of guest 100 on alpha is left to release." in site.zsr.well(*RELEASE).out


class TestNothingChanges:
    def refused(self, site: Returned) -> str:
        before = site.marks()
        said = site.zsr(*RELEASE)
        assert said.exit != 0
        assert site.marks() == before
        return said.err

    def test_if_the_new_node_has_not_taken_the_guest(self, site: Returned) -> None:
        zsr = site.on("alpha")
        text = zsr.cluster_path.read_text().replace('node = "alpha"', 'node = "beta"')
        zsr.cluster_path.write_text(text.replace('target = "beta"', 'target = "beta"\nsource = "alpha"'))
        assert "beta has not taken it" in self.refused(site)

    def test_on_the_node_that_owns_it(self, site: Returned) -> None:
        site.on("alpha")
        assert "does not belong to another node" in self.refused(site)

    def test_while_a_program_works_in_a_filesystem(self, site: Returned, pools: Pools) -> None:
        assert site.recover().exit == 0
        site.give_back()
        place = pools.sandbox.mountpoint(site.here)
        with subprocess.Popen(["sleep", "60"], cwd=place) as user:
            said = site.zsr(*RELEASE)
            user.kill()
        assert said.exit == 1
        assert site.marks()["zsr:job"] == "-"


def test_what_a_recovery_claimed_and_did_not_take_is_given_back(site: Returned) -> None:
    """It died before it had changed the cluster file."""
    site.zfs("set", "zsr:epoch=2-claimed", site.there)
    site.revive()
    assert "A recovery of guest 100 was begun on beta" in site.on("alpha")(*RUN).err

    said = site.on("beta").well(*RELEASE)

    assert f"the claim of a recovery on '{site.there}' was taken back" in said.out
    assert site.property(site.there, "zsr:epoch") == "1\tlocal"
    site.on("alpha").well(*RUN)


class Spoilt(Returned):
    """Beta went back to a set of which alpha has nothing any more; alpha's newest write is on no other node."""

    CHILD = f"{NAME}/child"

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        self.digest = pools.sandbox.digest
        zsr.well("update", "100-0", "--keep", "9")
        self.zfs("create", f"{self.source}/{self.CHILD}")
        zsr.well(*RUN)
        older = self.snapshots(self.there)[-1].split("_")[-3]
        for name in (NAME, self.CHILD):
            self.change_in(name)
        zsr.well(*RUN)
        self.newest = {}
        for name in (NAME, self.CHILD):
            here = f"{self.source}/{name}"
            self.change_in(name)
            self.zfs("snapshot", f"{here}@last")
            self.newest[name] = (self.snapshots(here), self.digest(f"{here}@last"))
        assert self.recover("--restore-point", older).exit == 0

    def kept(self) -> dict[str, str]:
        """What is kept aside on alpha, by the volume."""
        asides = [name for name in self.names(self.source) if "/zsr-diverged/" in name]
        return {self.CHILD if "_child" in name else NAME: name for name in asides}


@pytest.fixture
def spoilt(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Spoilt:
    return Spoilt(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


class DiedError(BaseException):
    """Stands for a death: nothing cleans up after it."""


@pytest.mark.parametrize("dies_before", ["nothing", "keep_aside", "replica_properties"])
def test_volumes_that_are_newer_than_what_the_guest_goes_on_from_are_kept_aside_whole(
    spoilt: Spoilt, monkeypatch: pytest.MonkeyPatch, dies_before: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise DiedError

    alpha = spoilt.give_back()
    if dies_before != "nothing":
        with monkeypatch.context() as patched:
            patched.setattr(release, dies_before, die)
            with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
                alpha(*RELEASE)

    end = time.monotonic() + 20
    while (said := alpha(*RELEASE)).exit == 1 and "busy" in said.err and time.monotonic() < end:
        time.sleep(0.2)  # zfs-fuse lets go of an unmounted filesystem a moment later

    assert said.exit == 0, said
    assert spoilt.here not in spoilt.names(spoilt.source)
    for name, (snapshots, digest) in spoilt.newest.items():
        aside = spoilt.kept()[name]
        assert spoilt.snapshots(aside) == snapshots
        assert spoilt.digest(f"{aside}@last") == digest
    listed = spoilt.on("beta").well("diverged", "list").out
    assert all(aside in listed for aside in spoilt.kept().values())
    spoilt.zsr.well(*RUN)
    assert spoilt.snapshots(spoilt.here)[-1] == spoilt.snapshots(spoilt.there)[-1]
