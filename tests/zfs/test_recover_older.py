"""``zsr guest recover --restore-point``: the guest goes on from an older set, and what is newer is kept aside."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import pytest

from replicator.cli import recovery_order
from replicator.cluster.store import ClusterStore
from replicator.guests import activation, older_set, recovery
from replicator.guests.epoch_claims import claim_epoch
from replicator.replication.progress import Log
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import Dataset
from tests.model.steps import STEP_NAMES
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.recovered import RUN, Recovered
from tests.support.verbs_env import NAME

pytestmark = pytest.mark.sampled(6)

SECOND, CHILD = "subvol-100-disk-1", f"{NAME}/child"
ALL = (NAME, SECOND, CHILD)


class DiedError(BaseException):
    """Stands for a death: nothing cleans up after it."""


def die(*_: object, **__: object) -> NoReturn:
    """Die."""
    raise DiedError


@dataclass(frozen=True)
class Death:
    """A step of the model, and the call of a function after ``nth`` others at which a recovery dies there."""

    task: str
    name: str
    where: object
    function: str
    nth: int = 0

    def __str__(self) -> str:
        return f"{self.task}: {self.name} ({self.function} {self.nth})"


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


CLAIMING = [
    Death("recover", "claim", recovery_order, "claim_epoch"),
    Death("recover", "end receives", ZfsClient, "end_stale_receives"),
    Death("recover", "look", recovery_order, "plan_recovery", 2),
    Death("recover", "commit", ClusterStore, "hand_over"),
]
TAKING = [
    Death("take", "stamp", recovery, "begin_activation"),
    Death("take", "stamp", ZfsClient, "set_together", 2),
    Death("take", "stamp", ZfsClient, "set_together", 3),
    Death("take", "end receives", ZfsClient, "end_stale_receives", 1),
    Death("take", "choose", recovery, "go_back"),
    Death("take", "set aside", older_set, "keep_aside"),
    Death("take", "set aside", older_set, "keep_aside", 2),
    Death("take", "clone", older_set, "clone_unmounted"),
    Death("take", "clone", older_set, "clone_unmounted", 1),
    Death("take", "promote", ZfsClient, "promote"),
    Death("take", "promote", ZfsClient, "promote", 2),
    Death("take", "promote", older_set, "bring_back"),
    Death("take", "promote", older_set, "properties_for_clone", 1),
    Death("take", "writable", recovery, "open_volumes"),
    Death("take", "writable", activation, "_let_mount"),
    Death("take", "writable", activation, "_mounted"),
    Death("take", "write", activation, "_write", 1),
    Death("take", "compare", recovery, "is_behind"),
    Death("take", "fork", recovery, "activate"),
    Death("take", "fork", activation, "_restore_limits"),
]


def test_every_step_is_one_of_the_model() -> None:
    """The others are of a command that has an answer of its store, and of a guest that is started."""
    steps = {(each.task, each.name) for each in (*CLAIMING, *TAKING)}
    theirs = {each for each in STEP_NAMES if each[0] in ("recover", "take")}
    assert theirs - steps == {
        *(("recover", name) for name in ("refused", "unknown", "done")),
        *(("take", name) for name in ("settle", "refused", "unknown", "done")),
    }
    assert steps <= theirs


def recovery_dies(site: Attacked, monkeypatch: pytest.MonkeyPatch, death: Death) -> None:
    """Begin to recover as of the good set, and die."""
    real, calls = getattr(death.where, death.function), [0]

    def dying(*args: object, **more: object) -> object:
        calls[0] += 1
        return die() if calls[0] > death.nth else real(*args, **more)

    with monkeypatch.context() as patched:
        patched.setattr(death.where, death.function, dying)
        with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
            site.recover("--restore-point", str(site.good))
    assert calls[0] > death.nth


@pytest.mark.parametrize("death", TAKING, ids=str)
@pytest.mark.parametrize("again", ["with the time", "without"])
def test_killed_between_any_two_steps_the_same_command_does_the_rest(
    site: Attacked, monkeypatch: pytest.MonkeyPatch, death: Death, again: str
) -> None:
    recovery_dies(site, monkeypatch, death)
    assert site.zsr.cluster.guests[100].node == "beta"

    said = site.recover(*(("--restore-point", str(site.good)) if again == "with the time" else ()))

    assert said.exit == 0, said
    site.is_as_of_the_good_set()
    assert "nothing is left to do" in site.recover().out


@pytest.mark.parametrize("death", CLAIMING, ids=str)
def test_killed_before_the_record_is_changed_the_same_command_does_all(
    site: Attacked, monkeypatch: pytest.MonkeyPatch, death: Death
) -> None:
    recovery_dies(site, monkeypatch, death)
    assert site.zsr.cluster.guests[100].node == "alpha"
    assert site.asides == []

    assert site.recover("--restore-point", str(site.good)).exit == 0

    site.is_as_of_the_good_set()


def test_a_former_owner_that_lives_is_refused_until_the_claim_is_taken_back(
    site: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(ClusterStore, "hand_over", die)
        with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
            site.recover("--restore-point", str(site.good))
    assert site.zsr.cluster.guests[100].node == "alpha"
    before = site.everything()
    site.zsr.well("update", "100-0", "--keep", "1")

    refused = site.on("alpha")(*RUN)

    assert "A recovery of guest 100 was begun on beta and has not ended" in refused.err
    assert site.everything() == before
    site.revive()
    said = site.recover("--restore-point", str(site.good))
    assert "it is not dead" in said.err
    assert said.err.count("was taken back") == len(ALL)
    site.on("alpha").well(*RUN)


def test_nothing_is_committed_when_the_chosen_set_goes_before_it_is_claimed(
    site: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def late(node: ZfsClient, replicas: tuple[Dataset, ...], epoch: int) -> None:
        site.zfs("destroy", f"{site.there}@{site.name(site.good)}")
        await claim_epoch(node, replicas, epoch)

    with monkeypatch.context() as patched:
        patched.setattr(recovery_order, "claim_epoch", late)
        said = site.recover("--restore-point", str(site.good))

    assert "The replicas changed meanwhile; nothing was changed." in said.err
    assert site.zsr.cluster.guests[100].node == "alpha"
    assert {site.property(f"{site.target}/{name}", "zsr:epoch") for name in ALL} == {"1\tlocal"}
    assert site.asides == []


def test_a_set_that_arrives_after_the_return_is_kept_aside_by_the_same_command(
    site: Attacked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner was not dead, and a receive had begun a moment before the stamps; here a snapshot stands for it."""
    newer = site.name(site.bad + 60)

    async def late(client: ZfsClient, replicas: Sequence[Dataset], fork: str, log: Log) -> None:
        site.zfs("snapshot", f"{site.there}@{newer}")
        await activation.open_volumes(client, replicas, fork, log)

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "open_volumes", late)
        said = site.recover("--restore-point", str(site.good))
    assert "got a newer set while the guest was recovered" in said.err
    assert not any("zsr-recovered" in each for name in ALL for each in site.snapshots(f"{site.target}/{name}"))

    assert site.recover().exit == 0

    assert {site.sets(name)[-1] for name in ALL} == {site.good}
    assert newer in [snapshot for aside in site.asides for snapshot in site.snapshots(aside)]


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
