"""A group of datasets with a name instead of a number, between two pools of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NODES, VerbsEnv

CLUSTER = (
    NODES
    + """\
[groups.home]
node = "alpha"
volumes = ["data:users", "data:subvol-100-disk-0", {{ volume = "data:scratch", replicate = false }}]
"""
)


class GroupEnv(VerbsEnv):
    """Two listed filesystems, of which one has a child and one the name of a guest's volume; and others."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        for name in ("users", "users/anna", "scratch", "vm-home-disk-0"):
            self.zfs("create", f"{self.source}/{name}")
            self.change_in(name)
        zsr.cluster_path.write_text(CLUSTER.format(source=self.source, target=self.target))
        zsr.well("create-local-job", "home-0", "beta")

    def sets(self, path: str) -> dict[str, list[str]]:
        """The snapshots of each dataset below a path."""
        return {name[len(path) + 1 :]: self.snapshots(name) for name in self.names(path) if name != path}


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> GroupEnv:
    return GroupEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_its_listed_volumes_and_their_children_travel_in_one_set_and_nothing_else(site: GroupEnv) -> None:
    site.zsr.well("run", "--id", "home-0")
    there = site.sets(site.target)
    assert sorted(there) == ["subvol-100-disk-0", "users", "users/anna"]
    (newest,) = {snapshots[-1] for snapshots in there.values()}
    assert newest.startswith("__replicate_home-0_")
    assert {name for name, snapshots in site.sets(site.source).items() if snapshots} == set(there)
    for name in there:
        assert site.property(f"{site.target}/{name}", "zsr:job") == "home-0\tlocal"


def test_the_next_run_is_an_increment_and_tidies_the_set_before(site: GroupEnv) -> None:
    site.zsr.well("run", "--id", "home-0")
    before = site.snapshots(f"{site.target}/users/anna")
    guid = site.property(f"{site.target}/users/anna", "guid")
    site.change_in("users/anna")
    site.zsr.well("run", "--id", "home-0")
    after = site.snapshots(f"{site.target}/users/anna")
    assert len(after) == 1
    assert after != before
    assert site.property(f"{site.target}/users/anna", "guid") == guid


def test_the_verbs_know_it_by_its_name(site: GroupEnv) -> None:
    site.zsr.well("run", "--id", "home-0")
    assert "home-0" in site.zsr.well("status", "--guest", "home").out
    assert "home" in site.zsr.well("guest", "list").out
    replicas = site.zsr.well("guest", "replicas", "home").out
    assert "beta" in replicas
    assert "3 of 3" in site.zsr.well("restore-points", "home-0").out
    plan = site.zsr.well("plan", "home-0").out
    assert "data:users/anna" in plan
    assert [each["dataset"] for each in site.zsr("coverage", "--format", "json").json[0]["uncovered"]] == [
        f"{site.source}/scratch"
    ]


def test_its_replicas_are_drilled(site: GroupEnv) -> None:
    site.zsr.well("run", "--id", "home-0")
    site.zsr.well("guest", "drill", "home", "--on", "beta")
    (drill,) = site.zsr.well("guest", "drills", "--format", "json").json
    assert (drill["guest"], drill["result"]) == ("home", "passed")


def test_its_removal_takes_the_replicas_and_leaves_the_source(site: GroupEnv) -> None:
    site.zsr.well("run", "--id", "home-0")
    site.zsr.well("delete", "home-0", "--yes")
    site.zsr.well("run", "--id", "home-0")
    assert site.sets(site.target) == {}
    assert not any(site.sets(site.source)[name] for name in ("users", "users/anna", "subvol-100-disk-0"))


class TestTaking:
    """Beta's cluster file says that the group is there; its name is on no dataset, only in the list of its volumes."""

    @pytest.fixture
    def beta(self, site: GroupEnv) -> Zsr:
        zsr = site.zsr
        zsr.well("run", "--id", "home-0")
        zsr.cluster_path.write_text(zsr.cluster_path.read_text().replace('node = "alpha"', 'node = "beta"\nepoch = 2'))
        zsr.settings_path.write_text(zsr.settings_path.read_text().replace('node = "alpha"', 'node = "beta"'))
        return zsr

    def test_it_is_not_taken_while_its_former_node_may_write(self, site: GroupEnv, beta: Zsr) -> None:
        said = beta("guest", "take", "home")

        assert said.exit == 1
        assert f"'{site.source}/" in said.err
        assert "on alpha is writable: guest home may run there." in said.err
        assert site.property(f"{site.target}/users", "readonly") == "on\tlocal"

    def test_it_is_taken_when_that_node_has_made_its_volumes_read_only(self, site: GroupEnv, beta: Zsr) -> None:
        """A volume that is not replicated stays there, and says nothing, also if it was replicated before."""
        for stamp in ("zsr:owner=alpha", "zsr:epoch=1"):
            site.zfs("set", stamp, f"{site.source}/scratch")
        for name in ("users/anna", "users", "subvol-100-disk-0"):
            site.zfs("unmount", f"{site.source}/{name}")
            site.zfs("set", "readonly=on", f"{site.source}/{name}")

        beta.well("guest", "take", "home")

        assert site.property(f"{site.target}/users/anna", "readonly").startswith("off")
        assert site.property(f"{site.source}/scratch", "readonly").startswith("off")


def test_a_claim_is_taken_back_also_from_the_replica_of_a_volume_that_is_not_listed_any_more(site: GroupEnv) -> None:
    """A recovery as of an older set wants it, and died before it had changed the cluster file."""
    zsr = site.zsr
    zsr.well("run", "--id", "home-0")
    zsr.cluster_path.write_text(zsr.cluster_path.read_text().replace('"data:users", ', ""))
    zsr.settings_path.write_text(zsr.settings_path.read_text().replace('node = "alpha"', 'node = "beta"'))
    for name in ("users", "subvol-100-disk-0"):
        site.zfs("set", "zsr:epoch=2-claimed", f"{site.target}/{name}")

    zsr("guest", "release", "home")

    for name in ("users", "subvol-100-disk-0"):
        assert site.property(f"{site.target}/{name}", "zsr:epoch") == "1\tlocal"
