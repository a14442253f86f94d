"""``zsr guest recover``, as typed on the target: the replicas become the guest, and its old node is refused."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from replicator.guests import recovery
from replicator.guests.activation import begin_activation
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.recovered import RECOVER, RUN, Recovered
from tests.support.verbs_env import NAME

SECOND = "subvol-100-disk-1"


class DiedError(BaseException):
    """Stands for a death: nothing cleans up after it."""


def die(*_: object) -> None:
    """Die."""
    raise DiedError


@pytest.fixture
def site(
    pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Recovered:
    return Recovered(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_the_replica_becomes_the_guest_with_the_next_epoch(site: Recovered, pools: Pools) -> None:
    before = pools.sandbox.digest(f"{site.there}@{site.snapshots(site.there)[-1]}")

    said = site.recover()

    assert said.exit == 0, said
    assert "What alpha wrote after that, until it died, is not here:" in said.out
    assert f"guest 100: node beta, epoch 2 in {site.zsr.cluster_path}" in said.out
    assert "zsr adopt 100-0    # alpha: when alpha is back and the guest is off there" in said.out
    cluster = site.zsr.cluster
    assert (cluster.guests[100].node, cluster.guests[100].epoch) == ("beta", 2)
    assert [(job.source, job.target) for job in cluster.jobs.values()] == [("beta", "alpha")]
    for key, value in {
        "zsr:owner": "beta",
        "zsr:epoch": "2",
        "readonly": "off",
        "canmount": "on",
        "mounted": "yes",
    }.items():
        assert site.property(site.there, key).split("\t")[0] == value
    assert site.property(site.there, "zsr:activating") == "-\t-"
    assert site.snapshots(site.there)[-1] == "zsr-recovered-2"
    assert pools.sandbox.digest(f"{site.there}@zsr-recovered-2") == before
    (pools.sandbox.mountpoint(site.there) / "new").write_text("written by the guest")


def test_the_old_node_is_refused_and_what_it_wrote_is_kept_when_it_is_back(site: Recovered) -> None:
    site.change()
    assert site.recover().exit == 0

    refused = site.on("alpha")(*RUN)
    status = site.zsr.well("status", "--format", "json").json[0]
    assert (refused.exit, status["error_class"]) == (1, "superseded")

    site.revive()
    site.zfs("unmount", f"{site.source}/{NAME}")
    site.zsr.well("adopt", "100-0", "--yes")
    site.zsr.well(*RUN)
    assert ": full" not in site.zsr.well("log", "100-0").out
    assert site.snapshots(f"{site.source}/{NAME}")[-1] == site.snapshots(site.there)[-1]
    [aside] = [name for name in site.names(site.source) if "/zsr-diverged/" in name]
    assert site.property(f"{site.source}/{NAME}", "readonly").startswith("on")
    assert aside in site.zsr.well("diverged", "list").out


class TestARefusal:
    def refused(self, site: Recovered, *command: str) -> str:
        """What a refused command says; it must change nothing."""
        zsr = site.on("beta")
        before, cluster = site.everything(), zsr.cluster_path.read_text()
        said = zsr(*command)
        assert said.exit != 0
        assert (site.everything(), zsr.cluster_path.read_text()) == (before, cluster)
        return said.err

    def test_comes_without_force(self, site: Recovered) -> None:
        assert "zsr cannot stop a guest there" in self.refused(site, "guest", "recover", "100", "--yes")

    def test_comes_without_a_yes(self, site: Recovered) -> None:
        assert "Confirm with --yes." in self.refused(site, "guest", "recover", "100", "--force")

    def test_comes_while_the_owner_answers(self, site: Recovered) -> None:
        site.revive()
        said = self.refused(site, *RECOVER)
        assert "was on alpha, which answers beta: it is not dead" in said
        assert "zsr guest move, typed on alpha" in said

    def test_comes_where_no_job_replicates_to_this_node(self, site: Recovered) -> None:
        zsr = site.on("beta")
        zsr.cluster_path.write_text(zsr.cluster_path.read_text().partition("[jobs")[0])
        assert "No job replicates guest 100 to beta" in self.refused(site, *RECOVER)

    def test_comes_for_a_replica_that_is_used_already(self, site: Recovered) -> None:
        site.zfs("set", "readonly=off", site.there)
        assert "is writable: it is used already" in self.refused(site, *RECOVER)

    def test_comes_for_volumes_of_different_moments(self, site: Recovered) -> None:
        site.on("alpha")
        site.zfs("create", f"{site.source}/{SECOND}")
        site.zsr.well(*RUN)
        name = site.snapshots(site.there)[-1]
        newer = name.replace(name.split("_")[-3], str(int(name.split("_")[-3]) + 60))
        site.zfs("snapshot", f"{site.there}@{newer}")

        said = self.refused(site, *RECOVER)

        assert f"'{site.there}' on beta has a newer set than the other volumes" in said
        assert f"zsr guest recover 100 --restore-point {name.split('_')[-3]}" in said

    def test_comes_for_a_pool_that_is_absent(self, site: Recovered) -> None:
        zsr = site.on("beta")
        zsr.cluster_path.write_text(
            f'{zsr.cluster_path.read_text()}\n[storages.fast]\npath = "slow/data"\npaths = {{ beta = "fast/data" }}\n'
        )
        assert "Pool 'fast' is absent on beta: volumes of guest 100 may be there." in self.refused(site, *RECOVER)
        assert zsr(*RECOVER, "--without", "fast").exit == 0

    def test_comes_for_a_later_epoch_on_a_replica_only_as_a_higher_one(self, site: Recovered) -> None:
        site.zfs("set", "zsr:epoch=6", site.there)
        assert site.recover().exit == 0
        assert site.zsr.cluster.guests[100].epoch == 7


def test_the_rest_is_refused_too_while_the_old_node_answers(site: Recovered, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may have come back since, and run the guest."""
    with monkeypatch.context() as patched:
        patched.setattr(recovery, "refuse_superseded", die)
        with pytest.raises(DiedError):
            site.recover()
    assert "zsr cannot stop a guest there" in site.on("beta")("guest", "recover", "100", "--yes").err
    site.revive()

    said = site.recover()

    assert said.exit == 1
    assert "was on alpha, which answers beta: it is not dead" in said.err
    assert site.property(site.there, "readonly").startswith("on")


def test_what_arrives_at_the_last_moment_makes_nothing_writable(
    site: Recovered, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The owner was not dead: one volume gets a newer set after the record was changed, and before the stamps."""
    site.on("alpha")
    site.zfs("create", f"{site.source}/{SECOND}")
    site.zsr.well(*RUN)
    newer = f"{site.there}@__replicate_100-0_1999999999__"

    async def late(client: ZfsClient, fence: Fence, names: Sequence[str], claims: Mapping[str, str]) -> None:
        if newer.partition("@")[2] not in site.snapshots(site.there):
            site.zfs("snapshot", newer)
        await begin_activation(client, fence, names, claims)

    with monkeypatch.context() as patched:
        patched.setattr(recovery, "begin_activation", late)
        for said in (site.recover(), site.recover()):
            assert said.exit == 1
            assert "has a newer set than the other volumes" in said.err
            assert site.property(site.there, "readonly").startswith("on")
    site.zfs("destroy", newer)
    assert site.recover().exit == 0


def test_a_clone_that_remembers_whether_it_is_mounted_is_so_for_its_own_fork_only(site: Recovered) -> None:
    site.zfs("set", "zsr:canmount=off@zsr-recovered-2", site.there)
    assert site.recover().exit == 0
    assert site.property(site.there, "canmount") == "off\tlocal"


@pytest.mark.parametrize("step", ["begin_activation", "refuse_superseded", "activate"])
def test_killed_anywhere_the_same_command_does_the_rest(
    site: Recovered, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class KilledError(BaseException):
        """Stands for a death: nothing below cleans up after it."""

    def die(*_: object) -> None:
        raise KilledError

    with monkeypatch.context() as patched:
        patched.setattr(recovery, step, die)
        with pytest.raises(BaseException):  # noqa: B017 - whatever a death looks like after task groups
            site.recover()
    assert site.zsr.cluster.guests[100].node == "beta"

    said = site.recover()

    assert said.exit == 0, said
    assert site.property(site.there, "readonly").startswith("off")
    assert site.property(site.there, "zsr:epoch").startswith("2")
    assert site.snapshots(site.there)[-1] == "zsr-recovered-2"
    assert "nothing is left to do" in site.recover().out
