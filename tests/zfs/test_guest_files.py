"""What a guest needs besides its disks goes with each proven set, on a real ZFS."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replicator.common.kept_files import KeptFile
from replicator.replication.file_keeper import GuestFiles
from replicator.replication.progress import Step
from tests.support.command_line import Zsr
from tests.support.guest_with_file import WithFile
from tests.support.pools import Pools
from tests.support.recovered import RUN
from tests.support.replication_env import JOB, Killed, Meddled, ReplicationEnv


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> WithFile:
    return WithFile(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


class TestARun:
    def test_brings_the_file_with_the_set_and_what_no_set_needs_goes(self, site: WithFile) -> None:
        assert f"'{site.file}' is kept on beta" in site.run("one")
        [first] = site.versions
        assert [first] == site.sets
        assert "is kept on beta" not in site.run("one")
        site.run("two")
        second = site.sets[-1]
        assert site.versions == [first, second]
        site.run("two")
        assert site.versions == [second]

    def test_goes_on_without_a_file_and_names_it(self, site: WithFile) -> None:
        site.run("one")
        site.file.unlink()
        site.on("alpha").well(*RUN)
        assert f"'{site.file}' was not brought to beta: there is no such file." in site.zsr.well("log", "100-0").out
        assert len(site.versions) == 1

    def test_is_shown_by_plan_and_by_replicas(self, site: WithFile) -> None:
        zsr = site.on("alpha")
        assert f"Files on beta: {site.file} (none)." in zsr.well("plan", "100-0").out
        site.run("one")
        assert f"Files on beta: {site.file} (of 20" in zsr.well("plan", "100-0").out
        assert f"Files on beta: {site.file} (of 20" in zsr.well("guest", "replicas", "100").out
        [there] = zsr.well("guest", "replicas", "100", "--format", "json").json["replicas"]
        assert there["files"] == {str(site.file): site.read_times[-1]}


class TestTheMoment:
    """Which content of a file comes with which set, when it changes during a run, and when the run dies."""

    @pytest.fixture
    def env(self, pools: Pools, tmp_path: Path) -> ReplicationEnv:
        env = ReplicationEnv(pools)
        env.volume(0)
        env.guest_files = GuestFiles(str(tmp_path / "kept"))
        env.guest = replace(env.guest, files=(str(tmp_path / "web.xml"),))
        (tmp_path / "web.xml").write_text("as of the snapshot")
        return env

    def kept(self, tmp_path: Path) -> list[bytes]:
        folder = tmp_path / "kept" / str(JOB.id)
        return [KeptFile.decoded(each.read_bytes()).content for each in sorted(folder.glob("*/*"))]

    async def test_is_that_of_the_snapshot(self, env: ReplicationEnv, tmp_path: Path) -> None:
        await env.run(progress=Meddled(Step.TRANSFER, lambda: (tmp_path / "web.xml").write_text("later")))
        assert self.kept(tmp_path) == [b"as of the snapshot"]

    @pytest.mark.parametrize("step", [Step.PROVE, Step.REMEMBER])
    async def test_is_never_that_of_a_set_that_was_not_proven(
        self, env: ReplicationEnv, tmp_path: Path, step: Step
    ) -> None:
        with pytest.raises(Killed):
            await env.run(stop_before=step)
        assert self.kept(tmp_path) == []
        await env.run()
        assert self.kept(tmp_path) == [b"as of the snapshot"]


@pytest.mark.parametrize("stay", [False, True])
def test_a_removed_job_takes_its_versions_along_with_its_replicas(site: WithFile, *, stay: bool) -> None:
    site.run("one")
    zsr = site.on("alpha")
    zsr.well("delete", "100-0", *(["--keep"] if stay else []), "--yes")
    zsr.well("run")
    assert (site.there in site.names(site.target)) is stay
    assert (zsr.folder / "state" / "guest-files" / "100-0").exists() is stay
