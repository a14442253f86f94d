"""What a recovery chose counts only for that recovery, if it changed the owner: not for a later way to the node."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import pytest

from replicator.cluster.store import ClusterStore
from replicator.guests import recovery
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.recovered import RUN, Recovered
from tests.support.verbs_env import NAME


class DiedError(BaseException):
    """Stands for a death: nothing cleans up after it."""


def die(*_: object, **__: object) -> NoReturn:
    """Die."""
    raise DiedError


class TwoSets(Recovered):
    """A guest with two sets on beta, as of which it can be recovered."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        zsr.well("update", "100-0", "--keep", "9")
        self.older = self.snapshots(self.there)[-1].split("_")[-3]
        self.change()
        self.on("alpha").well(*RUN)

    def recovery_dies(self, monkeypatch: pytest.MonkeyPatch, where: object, function: str, *options: str) -> None:
        """Type a recovery on beta, which dies in a function."""
        with monkeypatch.context() as patched:
            patched.setattr(where, function, die)
            with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
                self.recover(*options)

    def hand_over(self) -> None:
        """Do what a move does on alpha: its last sync, and its volume read-only; then beta's file has the guest."""
        alpha = self.on("alpha")
        self.change()
        alpha.well(*RUN)
        self.zfs("unmount", f"{self.source}/{NAME}")
        self.zfs("set", "readonly=on", f"{self.source}/{NAME}")
        beta = self.on("beta")
        text = beta.cluster_path.read_text().replace('node = "alpha"', 'node = "beta"\nepoch = 2')
        beta.cluster_path.write_text(text.replace('target = "beta"', 'target = "beta"\nsource = "alpha"'))


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> TwoSets:
    return TwoSets(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_a_later_move_loses_no_write_to_the_older_set_of_a_recovery_that_was_never_committed(
    site: TwoSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.recovery_dies(monkeypatch, ClusterStore, "hand_over", "--restore-point", site.older)
    site.revive()
    site.on("beta").well("guest", "release", "100")
    assert site.property(site.there, "zsr:epoch") == "1\tlocal"
    site.hand_over()
    last = site.snapshots(f"{site.source}/{NAME}")[-1]

    site.zsr.well("guest", "take", "100")

    assert site.snapshots(site.there)[-2:] == [last, "zsr-recovered-2"]
    assert not [name for name in site.names(site.target) if "/zsr-diverged/" in name]


def test_a_recovery_without_a_time_does_not_go_on_from_the_one_that_an_earlier_command_chose(
    site: TwoSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = site.snapshots(site.there)[-1]
    site.recovery_dies(monkeypatch, ClusterStore, "hand_over", "--restore-point", site.older)
    site.recovery_dies(monkeypatch, recovery, "begin_activation")
    assert site.zsr.cluster.guests[100].node == "beta"

    said = site.recover()

    assert said.exit == 0, said
    assert site.snapshots(site.there)[-2:] == [newest, "zsr-recovered-2"]


def test_a_recovery_that_was_committed_keeps_its_choice_also_where_a_take_finishes_it(
    site: TwoSets, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.recovery_dies(monkeypatch, recovery, "begin_activation", "--restore-point", site.older)
    site.revive()
    site.zfs("unmount", f"{site.source}/{NAME}")
    site.zfs("set", "readonly=on", f"{site.source}/{NAME}")

    site.on("beta").well("guest", "take", "100")

    assert site.snapshots(site.there)[-2:] == [f"__replicate_100-0_{site.older}__", "zsr-recovered-2"]


def test_a_volume_that_was_left_out_of_replication_does_not_keep_the_guest_from_being_taken(site: TwoSets) -> None:
    """It has the stamps of its time as a replicated one, stays writable where it is, and does not move."""
    left_out = f"{site.source}/subvol-100-disk-1"
    alpha = site.on("alpha")
    site.zfs("create", left_out)
    alpha.well(*RUN)
    for node in ("alpha", "beta"):
        text = site.on(node).cluster_path.read_text()
        excluded = 'name = "web"\nvolumes = [{ volume = "data:subvol-100-disk-1", replicate = false }]'
        site.zsr.cluster_path.write_text(text.replace('name = "web"', excluded))
    site.zfs("destroy", "-r", f"{site.target}/subvol-100-disk-1")
    site.revive()
    site.hand_over()

    site.zsr.well("guest", "take", "100")

    assert site.property(site.there, "readonly").startswith("off")
    assert site.property(left_out, "readonly").startswith("off")
