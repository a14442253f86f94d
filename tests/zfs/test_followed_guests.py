"""A guest that is moved by hand: only its node is edited, and its job replicates back, without a full copy."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.verbs_env import NAME, VerbsEnv

RUN = ("run", "--id", "100-0")


class Moves(VerbsEnv):
    """A guest that lives on alpha or beta; ``zsr`` is that of the node on which it lives."""

    def know_the_source(self) -> None:
        """Let the job name its source, so that it follows the guest."""
        cluster = self.zsr.cluster_path
        cluster.write_text(cluster.read_text().replace('target = "beta"', 'target = "beta"\nsource = "alpha"'))

    def move(self, former: str, now: str) -> None:
        """Do as the documentation says, up to the adoption."""
        old, new = self.source, self.target
        self.zfs("unmount", f"{old}/{NAME}")
        self.zfs("set", "readonly=on", f"{old}/{NAME}")
        for change in ("readonly=off", "canmount=on"):
            self.zfs("set", change, f"{new}/{NAME}")
        self.zfs("mount", f"{new}/{NAME}")
        cluster = self.zsr.cluster_path
        cluster.write_text(cluster.read_text().replace(f'node = "{former}"', f'node = "{now}"'))
        settings = self.zsr.settings_path
        text = settings.read_text().replace(f'node = "{former}"', f'node = "{now}"')
        settings.write_text(text.replace("/state", f"/state-{now}"))
        self.source, self.target = new, old


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Moves:
    return Moves(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_its_job_follows_it_there_and_back(site: Moves) -> None:
    site.know_the_source()
    site.zsr.well(*RUN)

    for former, now in (("alpha", "beta"), ("beta", "alpha")):
        site.change()
        site.zsr.well(*RUN)
        site.move(former, now)
        [row] = site.zsr.well("list").rows[1:]
        assert row[:2] == ["100-0", former]
        site.zsr.well("adopt", "100-0", "--yes")

        site.change()
        site.zsr.well(*RUN)

        assert ": full" not in site.zsr.well("log", "100-0").out
        assert site.snapshots(f"{site.source}/{NAME}")[-1] == site.snapshots(f"{site.target}/{NAME}")[-1]
        assert site.property(f"{site.target}/{NAME}", "zsr:source") == f"{now}\tlocal"


def test_a_job_that_was_refused_before_the_adoption_does_not_wait_for_its_next_try(site: Moves) -> None:
    site.know_the_source()
    site.zsr.well(*RUN)
    site.move("alpha", "beta")
    assert site.zsr(*RUN).exit == 1
    assert site.zsr.well("status", "--format", "json").json[0]["next_sync"] > time.time()

    site.zsr.well("adopt", "100-0", "--yes")

    assert site.zsr.well("status", "--format", "json").json[0]["next_sync"] <= time.time()


def test_a_job_that_does_not_know_its_source_is_refused_with_what_to_add(site: Moves) -> None:
    site.zsr.well(*RUN)
    site.move("alpha", "beta")

    said = site.zsr("list")

    assert said.exit == 2
    assert 'add its former node (source = "...")' in said.err
