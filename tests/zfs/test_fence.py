"""Owner and epoch on real volumes, with ``zsr`` as typed: who is refused, and that nothing is changed then."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv


class FenceEnv(VerbsEnv):
    """The guest's volume and its replica, with their stamps."""

    @property
    def here(self) -> str:
        """The volume."""
        return f"{self.source}/{NAME}"

    @property
    def there(self) -> str:
        """Its replica."""
        return f"{self.target}/{NAME}"

    def stamp(self, dataset: str, owner: str, epoch: str) -> None:
        """Stamp a dataset."""
        self.zfs("set", f"zsr:owner={owner}", dataset)
        self.zfs("set", f"zsr:epoch={epoch}", dataset)

    def stamps(self) -> set[tuple[str, str]]:
        """The stamps of both sides, each with its source."""
        return {
            (self.property(name, "zsr:owner"), self.property(name, "zsr:epoch")) for name in (self.here, self.there)
        }

    def everything(self) -> list[str]:
        """All datasets and snapshots with what zsr sets on them."""
        keys = "guid,readonly,zsr:job,zsr:source,zsr:owner,zsr:epoch"
        lines = self.zfs("get", "-Hp", "-r", "-o", "name,property,value", keys, self.source, self.target)
        return sorted(lines.splitlines())

    def refused(self, *command: str) -> str:
        """Do a command, which must be refused and change nothing; the job's error with its advice."""
        before = self.everything()
        said = self.zsr(*command)
        assert said.exit == 1
        assert self.everything() == before
        status = self.zsr.well("status", "--format", "json").json[0]
        assert status["error_class"] == "superseded"
        return f"{status['error']} {status['advice']}"


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> FenceEnv:
    return FenceEnv(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


RUN = ("run", "--id", "100-0")


class TestStamps:
    def test_are_on_both_sides_after_the_first_run(self, site: FenceEnv) -> None:
        site.zsr.well(*RUN)
        assert site.stamps() == {("alpha\tlocal", "1\tlocal")}

    @pytest.mark.parametrize("written", [True, False], ids=["written since", "idle"])
    def test_come_to_volumes_of_an_older_zsr(self, site: FenceEnv, *, written: bool) -> None:
        site.zsr.well(*RUN)
        for name in (site.here, site.there):
            site.zfs("inherit", "zsr:owner", name)
            site.zfs("inherit", "zsr:epoch", name)
        if written:
            site.change()
        site.zsr.well(*RUN)
        assert site.stamps() == {("alpha\tlocal", "1\tlocal")}

    def test_follow_the_cluster_file(self, site: FenceEnv) -> None:
        site.zsr.well(*RUN)
        text = site.zsr.cluster_path.read_text()
        site.zsr.cluster_path.write_text(text.replace('name = "web"', 'name = "web"\nepoch = 5'))
        site.zsr.well(*RUN)
        assert site.stamps() == {("alpha\tlocal", "5\tlocal")}

    def test_that_are_inherited_refuse_nothing(self, site: FenceEnv) -> None:
        for path in site.paths:
            site.stamp(path, "beta", "9")
        site.zsr.well(*RUN)
        assert site.stamps() == {("alpha\tlocal", "1\tlocal")}


class TestASupersededNode:
    @pytest.mark.parametrize("side", ["here", "there"])
    def test_is_refused(self, site: FenceEnv, side: str) -> None:
        site.zsr.well(*RUN)
        site.stamp(getattr(site, side), "beta", "2")
        site.change()
        for _ in range(2):
            assert "belongs to beta since epoch 2" in site.refused(*RUN)

    def test_sees_it_in_its_plan(self, site: FenceEnv) -> None:
        site.zsr.well(*RUN)
        site.stamp(site.there, "beta", "2")
        said = site.zsr("plan", "100-0", "--format", "json")
        assert said.exit == 1
        [volume] = said.json["volumes"]
        assert volume["action"] == "conflict"
        assert volume["conflict"]["error_class"] == "superseded"
        assert not [each for each in said.json["destructions"] if each["permitted"]]

    def test_removes_nothing(self, site: FenceEnv) -> None:
        site.zsr.well(*RUN)
        site.stamp(site.there, "beta", "2")
        site.zsr.well("delete", "100-0")
        assert "belongs to beta" in site.refused("run")

    def test_does_not_take_over_by_adopting(self, site: FenceEnv) -> None:
        site.zsr.well(*RUN)
        site.stamp(site.there, "beta", "2")
        before = site.everything()
        said = site.zsr("adopt", "100-0", "--yes")
        assert said.exit == 1
        assert "belongs to beta since epoch 2" in said.err
        assert site.everything() == before
        assert "epoch" not in site.zsr.cluster_path.read_text()


class TestAnEpochThatIsNone:
    @pytest.mark.parametrize("epoch", ["many", "0", "-1", "2.0"])
    def test_refuses_until_it_is_taken_off(self, site: FenceEnv, epoch: str) -> None:
        site.zsr.well(*RUN)
        site.stamp(site.there, "alpha", epoch)
        site.change()
        assert f"'{site.there}' on node beta has zsr:epoch '{epoch}'" in site.refused(*RUN)
        site.zfs("inherit", "zsr:epoch", site.there)
        site.zsr.well(*RUN)
        assert site.stamps() == {("alpha\tlocal", "1\tlocal")}


class TestAGuestThatWasMovedByHand:
    def test_goes_on_with_the_next_epoch_once_it_is_adopted(self, site: FenceEnv) -> None:
        site.zsr.well(*RUN)
        for name in (site.here, site.there):
            site.stamp(name, "gamma", "1")
        assert "zsr adopt 100-0" in site.refused(*RUN)

        said = site.zsr.well("adopt", "100-0", "--yes")

        assert f"guest 100: epoch 2 in {site.zsr.cluster_path}" in said.out
        assert "epoch = 2" in site.zsr.cluster_path.read_text()
        assert site.stamps() == {("alpha\tlocal", "2\tlocal")}
        site.change()
        site.zsr.well(*RUN)

    def test_is_not_adopted_without_a_yes(self, site: FenceEnv) -> None:
        site.zsr.well(*RUN)
        site.stamp(site.here, "gamma", "1")
        before = site.everything()
        said = site.zsr("adopt", "100-0")
        assert said.exit == 2
        assert "alpha takes it over with epoch 2" in said.err
        assert site.everything() == before
        assert "epoch" not in site.zsr.cluster_path.read_text()
