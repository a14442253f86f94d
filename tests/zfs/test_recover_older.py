"""``zsr guest recover --restore-point``: the guest goes on from an older set, and what is newer is kept aside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import pytest

from replicator.guests import activation, older_set, recovery
from replicator.replication.progress import Log
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.recovered import RUN, Recovered
from tests.support.verbs_env import NAME

pytestmark = pytest.mark.sampled(3)

SECOND, CHILD = "subvol-100-disk-1", f"{NAME}/child"
ALL = (NAME, SECOND, CHILD)


class DiedError(BaseException):
    """Stands for a death: nothing cleans up after it."""


def die(*_: object, **__: object) -> NoReturn:
    """Die."""
    raise DiedError


class Attacked(Recovered):
    """A guest with two volumes and a child: a good set, and two sets after that, which are spoilt."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        self.digest = pools.sandbox.digest
        self.mountpoint = pools.sandbox.mountpoint
        zsr.well("update", "100-0", "--keep", "9")
        for name in (SECOND, CHILD):
            self.zfs("create", f"{self.source}/{name}")
        self.zfs("set", "recordsize=64K", self.there)
        self.zfs("set", "zsr:quota=52428800", self.there)
        self._round()
        for name in ALL:
            self.zfs("snapshot", f"{self.source}/{name}@daily")
        self._round()
        self.good = self.sets(NAME)[-1]
        self.content = {name: self.digest(f"{self.source}/{name}@{self.name(self.good)}") for name in ALL}
        self._round()
        self._round()
        self.bad = self.sets(NAME)[-1]

    def _round(self) -> None:
        for name in ALL:
            self.change_in(name)
        self.zsr.well(*RUN)

    def sets(self, name: str) -> list[int]:
        """The sets of a replica, oldest first."""
        return [int(each.split("_")[-3]) for each in self.snapshots(f"{self.target}/{name}") if "__repl" in each]

    def name(self, at: int) -> str:
        """The name of a set's snapshots."""
        return f"__replicate_100-0_{at}__"

    @property
    def asides(self) -> list[str]:
        """What is kept aside on beta."""
        return [each for each in self.names(self.target) if each.startswith(f"{self.target}/zsr-diverged/")]

    def is_as_of_the_good_set(self) -> None:
        """The guest is on beta as of the good set, and all that is newer is aside, and listed."""
        for name in ALL:
            there = f"{self.target}/{name}"
            assert self.digest(f"{there}@zsr-recovered-2") == self.content[name]
            assert self.snapshots(there)[-1] == "zsr-recovered-2"
            assert self.sets(name)[-1] == self.good
            for key, value in {"readonly": "off", "zsr:owner": "beta", "zsr:epoch": "2"}.items():
                assert self.property(there, key) == f"{value}\tlocal"
            assert self.property(there, "zsr:activating").split("\t")[1] != "local"
            assert self.property(there, "origin").startswith("-")
        assert len(self.asides) == len(ALL)
        listed = self.zsr.well("diverged", "list", "--node", "beta").out
        for aside in self.asides:
            assert self.snapshots(aside)[-1] == self.name(self.bad)
            assert self.property(aside, "readonly") == "on\tlocal"
            assert self.property(aside, "zsr:activating") == "-\t-"
            assert aside in listed


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Attacked:
    return Attacked(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_the_guest_goes_on_from_the_older_set_and_what_is_newer_is_kept_aside(site: Attacked) -> None:
    said = site.recover("--restore-point", str(site.good))

    assert said.exit == 0, said
    assert "What is newer here, up to" in said.out
    assert said.out.index("as of") < said.out.index("guest 100: node beta, epoch 2")
    site.is_as_of_the_good_set()
    assert site.property(site.there, "recordsize") == "64K\tlocal"
    assert (site.property(site.there, "quota"), site.property(site.there, "zsr:quota")) == ("50M\tlocal", "-\t-")
    assert site.property(site.there, "mounted").startswith("yes")
    (Path(site.mountpoint(site.there)) / "new").write_text("written by the guest")
    assert "nothing is left to do" in site.recover("--restore-point", str(site.good)).out


def test_the_job_goes_on_without_a_full_copy_when_the_old_node_is_back(site: Attacked) -> None:
    assert site.recover("--restore-point", str(site.good)).exit == 0
    site.revive()
    for name in (CHILD, NAME, SECOND):
        site.zfs("unmount", f"{site.source}/{name}")

    site.zsr.well("adopt", "100-0", "--yes")
    site.zsr.well(*RUN)

    assert ": full" not in site.zsr.well("log", "100-0").out
    for name in ALL:
        there = f"{site.target}/{name}"
        last = site.snapshots(there)[-1]
        assert site.digest(f"{site.source}/{name}@{last}") == site.digest(f"{there}@{last}")


@pytest.mark.parametrize(
    ("where", "step", "nth"),
    [
        (recovery, "begin_activation", 0),
        (ZfsClient, "set_together", 1),
        (ZfsClient, "set_together", 3),
        (recovery, "go_back", 0),
        (older_set, "keep_aside", 0),
        (older_set, "keep_aside", 2),
        (older_set, "clone_unmounted", 0),
        (older_set, "clone_unmounted", 1),
        (ZfsClient, "promote", 0),
        (ZfsClient, "promote", 2),
        (older_set, "bring_back", 0),
        (older_set, "properties_for_clone", 1),
        (recovery, "activate", 0),
        (activation, "_let_mount", 0),
        (activation, "_mounted", 0),
        (activation, "_write", 1),
        (activation, "_restore_limits", 0),
    ],
)
@pytest.mark.parametrize("again", ["with the time", "without"])
def test_killed_between_any_two_steps_the_same_command_does_the_rest(
    site: Attacked, monkeypatch: pytest.MonkeyPatch, where: object, step: str, nth: int, again: str
) -> None:
    real, calls = getattr(where, step), [0]

    def dying(*args: object, **more: object) -> object:
        calls[0] += 1
        return die() if calls[0] > nth else real(*args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(where, step, dying)
        with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
            site.recover("--restore-point", str(site.good))
    assert site.zsr.cluster.guests[100].node == "beta"

    said = site.recover(*(("--restore-point", str(site.good)) if again == "with the time" else ()))

    assert said.exit == 0, said
    site.is_as_of_the_good_set()
    assert "nothing is left to do" in site.recover().out


def test_a_recovery_that_began_as_of_one_set_does_not_go_on_as_of_an_earlier_one(
    site: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(recovery, "activate", die)
        with pytest.raises(BaseException):  # noqa: B017
            site.recover("--restore-point", str(site.good))
    assert "was begun as of" in site.recover("--restore-point", str(site.good - 1)).err


def test_a_recovery_that_began_from_the_newest_set_does_not_go_on_from_an_older_one(
    site: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def dying(client: ZfsClient, replicas: Sequence[Dataset], fork: str, log: Log) -> None:
        """Activate one of them, as on an old ZFS, or in two pools."""
        await activation.activate(client, replicas[:1], fork, log)
        die()

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "activate", dying)
        with pytest.raises(BaseException):  # noqa: B017
            site.recover()
    said = site.recover("--restore-point", str(site.good))
    assert "was begun from its newest set" in said.err
    assert site.asides == []


def test_volumes_of_different_moments_go_back_to_the_newest_set_of_all(site: Attacked) -> None:
    newer = site.name(site.bad + 60)
    site.zfs("snapshot", f"{site.there}@{newer}")

    assert site.recover().exit == 1
    assert site.recover("--restore-point", str(site.bad)).exit == 0

    assert site.sets(NAME)[-1] == site.bad
    [aside] = [each for each in site.asides if "/child" not in each]
    assert site.snapshots(aside) == [newer]


def test_a_time_before_all_whole_sets_lists_those_that_there_are(site: Attacked) -> None:
    before = site.everything()
    said = site.recover("--restore-point", "2020-01-01_00:00:00")
    assert said.exit == 2
    assert "of 2020-01-01_00:00:00 or before, and whole over all volumes of guest 100. There are:" in said.err
    assert said.err.count("\n  20") == len(site.sets(SECOND)) == 4
    assert site.everything() == before


def test_a_volume_that_left_after_that_set_is_the_guests_again(site: Attacked) -> None:
    zsr = site.on("alpha")
    zsr.well("update", "100-0", "--grace", "7d")
    site.zfs("destroy", "-r", f"{site.source}/{SECOND}")
    for _ in range(2):
        site.change()
        zsr.well(*RUN)

    assert site.recover("--restore-point", str(site.good)).exit == 0

    there = f"{site.target}/{SECOND}"
    assert site.property(there, "readonly").startswith("off")
    assert site.digest(f"{there}@zsr-recovered-2") == site.content[SECOND]


def test_a_node_that_is_back_while_its_volume_has_no_place_is_refused_and_a_take_does_the_rest(
    pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recovery died when its only replica was set aside, and no clone had its name yet."""
    site = Recovered(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))
    site.zsr.well("update", "100-0", "--keep", "9")
    good = site.snapshots(site.there)[-1].split("_")[-3]
    site.change()
    site.on("alpha").well(*RUN)
    with monkeypatch.context() as patched:
        patched.setattr(older_set, "clone_unmounted", die)
        with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
            site.recover("--restore-point", good)
    assert site.there not in site.names(site.target)

    refused = site.on("alpha")(*RUN)

    assert "belongs to beta since epoch 2" in refused.err
    assert site.there not in site.names(site.target)
    site.revive()
    assert "it is not dead" in site.recover().err
    site.zfs("unmount", f"{site.source}/{NAME}")
    site.zfs("set", "readonly=on", f"{site.source}/{NAME}")
    assert site.zsr("guest", "take", "100").exit == 0
    assert [each.split("_")[-3] for each in site.snapshots(site.there) if "__repl" in each] == [good]
    assert site.snapshots(site.there)[-1] == "zsr-recovered-2"
