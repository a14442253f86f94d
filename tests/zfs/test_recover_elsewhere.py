"""``zsr guest recover --on`` and ``--all-of``, typed on a third node: the zsr of the node with the replicas does it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.pages import ROOT
from tests.support.pools import Pools
from tests.support.recovered import Recovered

pytestmark = pytest.mark.sampled(4)

ON = ("guest", "recover", "100", "--on", "beta")
ALL = ("guest", "recover", "--all-of", "alpha")
OTHER = '[guests.101]\nname = "mail"\nnode = "alpha"\n'


class Third(Recovered):
    """Alpha is dead, beta has the replica and a ``zsr`` of its own; what is typed is typed on gamma."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        self.on("beta")
        folder = zsr.folder
        self.beta_cluster = folder / "beta-cluster.toml"
        text = zsr.cluster_path.read_text().replace(
            "[nodes.beta]\n", '[nodes.gamma]\naddress = "local"\n[nodes.beta]\n'
        )
        text = text.replace("[storages.data]", '[storages.data]\nnodes = ["alpha", "beta"]') + OTHER
        settings = zsr.settings_path.read_text()
        self.beta_cluster.write_text(text)
        (folder / "beta.toml").write_text(settings.replace(str(zsr.cluster_path), str(self.beta_cluster)))
        zsr.cluster_path.write_text(text)
        zsr.settings_path.write_text(settings.replace('node = "beta"', 'node = "gamma"').replace("/beta", "/gamma"))
        program = folder / "bin" / "zsr"
        program.parent.mkdir()
        own = f"{sys.executable} -m replicator.cli.main --config {folder}/beta.toml"
        program.write_text(f'#!/bin/sh\ncd {ROOT}\nexec {own} "$@"\n')
        program.chmod(0o755)
        zsr.monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")

    @property
    def is_recovered(self) -> bool:
        """Whether beta has made the replica the guest."""
        return 'node = "beta"' in self.beta_cluster.read_text() and self.property(self.there, "readonly")[:3] == "off"


@pytest.fixture
def site(pools: Pools, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Third:
    return Third(pools, Zsr.on_alpha(tmp_path, capsys, monkeypatch))


def test_another_node_is_ordered_to_recover_and_its_output_is_relayed(site: Third) -> None:
    said = site.zsr(*ON, "--force", "--yes")
    assert said.exit == 0, said
    assert "beta: as of" in said.out
    assert f"beta: guest 100: node beta, epoch 2 in {site.beta_cluster}" in said.out
    assert site.is_recovered
    again = site.zsr(*ON, "--force", "--yes")
    assert (again.exit, again.out) == (
        0,
        "beta: Guest 100 is on this node already, and nothing is left to do.\n",
    )


def test_what_that_node_shows_comes_before_the_question(site: Third) -> None:
    said = site.zsr(*ON, "--force")
    assert "beta: as of" in said.out
    assert "Recover guest 100 on beta, as it says?" in said.err
    assert not site.is_recovered
    assert "zsr cannot stop a guest there" in site.zsr(*ON, "--yes").err


def test_what_that_node_refuses_is_relayed_and_nothing_is_asked(site: Third) -> None:
    site.zfs("set", "readonly=off", site.there)
    said = site.zsr(*ON, "--force", "--yes")
    assert said.exit == 1
    assert "beta: zsr: The replica" in said.err
    assert "Guest 100 was not recovered on beta." in said.err


def test_what_changed_since_it_was_shown_is_refused(site: Third) -> None:
    said = site.zsr(*ON, "--force", "--yes", "--restore-point", "2020-01-01")
    assert "whole over all volumes of guest 100. There are:" in said.err
    beta = ("--config", str(site.zsr.folder / "beta.toml"), "guest", "recover", "100", "--force", "--yes")
    assert "The replicas changed meanwhile" in site.zsr.bare(*beta, "--as-shown", "1").err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("[nodes.beta]", "[nodes.beta]\nzsr = false"), "Node beta has zsr = false"),
        (('target = "beta"', 'target = "gamma"'), "No job replicates guest 100 to 'beta'."),
    ],
)
def test_a_node_that_cannot_is_refused_here(site: Third, change: tuple[str, str], says: str) -> None:
    site.zsr.cluster_path.write_text(site.zsr.cluster_path.read_text().replace(*change))
    said = site.zsr(*ON, "--force", "--yes")
    assert (said.exit, said.out) == (2, "")
    assert says in said.err


def test_all_guests_of_a_dead_node_are_recovered_and_one_that_cannot_be_is_named(site: Third) -> None:
    said = site.zsr(*ALL, "--force", "--yes")

    assert said.exit == 1
    rows = {row[0]: row for row in said.rows if row and row[0] in ("100", "101")}
    assert rows["100"][1:3] == ["web", "beta"]
    assert "no job replicates it" in " ".join(rows["101"])
    assert said.out.index("no job replicates it") < said.out.index("beta: guest 100: node beta, epoch 2")
    assert "Guest 101 (mail) was not recovered: no job replicates it" in said.err
    assert site.is_recovered

    again = site.zsr(*ALL, "--force", "--yes")
    assert again.exit == 1
    assert "web" not in again.out
    path = site.zsr.cluster_path
    path.write_text(path.read_text().replace(OTHER, ""))
    done = site.zsr(*ALL, "--force", "--yes")
    assert (done.exit, done.out) == (0, "No guest is on alpha, and nothing is left to do for those that were.\n")


def test_one_that_was_begun_is_finished(site: Third) -> None:
    assert site.zsr(*ALL, "--force", "--yes").exit == 1
    site.zfs("unmount", site.there)
    site.zfs("set", "readonly=on", site.there)

    said = site.zsr(*ALL, "--force", "--yes")

    assert "begun" in said.out
    assert site.is_recovered


def test_the_table_comes_before_the_question(site: Third) -> None:
    said = site.zsr(*ALL, "--force")
    assert "Would be lost" in said.out
    assert "Recover guest 100 as the table says" in said.err
    assert "zsr cannot stop a guest there" in site.zsr(*ALL, "--yes").err
    assert not site.is_recovered


def test_a_node_that_answers_is_not_dead(site: Third) -> None:
    path = site.zsr.cluster_path
    path.write_text(path.read_text().replace('address = "127.0.0.1"\nport = 1', 'address = "local"'))
    said = site.zsr(*ALL, "--force", "--yes")
    assert (said.exit, said.out) == (1, "")
    assert "The guests are on alpha, which answers gamma: it is not dead." in said.err
    path.write_text(path.read_text().replace("[nodes.alpha]", "[nodes.delta]").replace('"alpha"', '"delta"'))
    assert "There is no other node 'alpha'." in site.zsr(*ALL, "--force", "--yes").err


@pytest.mark.parametrize("more", [("100",), ("--on", "beta"), ("--without", "tank"), ("--restore-point", "0")])
def test_all_of_takes_nothing_that_concerns_one_guest(site: Third, more: tuple[str, ...]) -> None:
    assert site.zsr(*ALL, *more).exit == 2
    assert site.zsr("guest", "recover").exit == 2
