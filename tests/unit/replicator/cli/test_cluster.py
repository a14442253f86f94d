"""``zsr cluster``: the nodes' copies of the cluster file. Other machines are folders here, a fake of the network."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from replicator.config.settings import Settings
from replicator.errors import NetworkError
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.models import Node
from tests.support.command_line import CLUSTER, Zsr

SHARED = CLUSTER.replace('address = "local"', 'address = "10.0.0.11"')


@dataclass
class Machines:
    """The copies of the other nodes; ``dead`` ones do not answer."""

    zsr: Zsr
    folder: Path
    dead: set[str] = field(default_factory=set)

    def copy(self, node: str) -> Path:
        """Return where a node has its copy."""
        return self.folder / node / self.zsr.cluster_path.name

    def history(self, node: str) -> Path:
        """Return where a node has its history."""
        return self.copy(node).with_name(f"{self.copy(node).name}.history")

    def edit(self, line: str, node: str = "") -> None:
        """Add a line to a node's file; without a name, to this node's."""
        path = self.copy(node) if node else self.zsr.cluster_path
        path.write_text(f"{path.read_text()}{line}\n")

    @asynccontextmanager
    async def connected(self, node: Settings, _: Iterable[Node]) -> AsyncIterator[Any]:
        """Stand for the connections to all nodes."""
        yield SimpleNamespace(client=lambda name: SimpleNamespace(host=_Machine(name, self)))

    def be(self, node: str) -> None:
        """Let the next commands be typed on another node, to which alpha is a folder."""
        here, there = self.zsr.cluster_path, self.copy("alpha")
        there.parent.mkdir(exist_ok=True)
        for own, other, name in ((here, self.copy(node), ""), (here, self.history(node), ".history")):
            mine = own.with_name(f"{own.name}{name}")
            if mine.exists():
                mine.rename(there.with_name(f"{there.name}{name}"))
            if other.exists():
                mine.write_bytes(other.read_bytes())
        settings = self.zsr.settings_path
        settings.write_text(settings.read_text().replace('node = "alpha"', f'node = "{node}"'))


class _Machine(LocalHost):
    """A node: this machine, with the node's folder in the place of that of the cluster file."""

    def __init__(self, name: str, machines: Machines) -> None:
        super().__init__(name)
        self._machines = machines

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Run a command there."""
        if self.name in self._machines.dead:
            raise NetworkError(f"Node {self.name} does not answer.", node=self.name)
        here, there = str(self._machines.zsr.cluster_path), str(self._machines.copy(self.name))
        return await super().run([each.replace(here, there) for each in argv], limit=limit, stdin=stdin)


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
    zsr.cluster_path.write_text(SHARED)
    return zsr


@pytest.fixture
def machines(zsr: Zsr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machines:
    """Two other nodes with the same file."""
    machines = Machines(zsr, tmp_path / "machines")
    for node in ("beta", "gamma"):
        machines.copy(node).parent.mkdir(parents=True)
        machines.copy(node).write_text(SHARED)
    monkeypatch.setattr("replicator.cli.cluster_copies.connected", machines.connected)
    return machines


class TestDiff:
    def test_is_well_when_all_are_the_same(self, zsr: Zsr, machines: Machines) -> None:
        assert zsr.well("cluster", "diff").out == "beta: the same\ngamma: the same\n"

    def test_shows_what_a_push_would_change(self, zsr: Zsr, machines: Machines) -> None:
        machines.edit("# new")

        said = zsr("cluster", "diff", "beta")

        assert said.exit == 1
        assert "beta: differs" in said.out
        assert "\n+# new\n" in said.out
        assert f"--- beta:{zsr.cluster_path}" in said.out

    def test_names_a_node_that_does_not_answer(self, zsr: Zsr, machines: Machines) -> None:
        machines.dead.add("gamma")

        said = zsr("cluster", "diff")

        assert said.exit == 1
        assert said.out == "beta: the same\n"
        assert "gamma: Node gamma does not answer." in said.err

    def test_refuses_a_node_that_it_does_not_know(self, zsr: Zsr, machines: Machines) -> None:
        said = zsr("cluster", "diff", "betta")

        assert said.exit == 2
        assert "No other node 'betta' runs zsr. Known: beta, gamma." in said.err

    def test_refuses_a_file_that_means_another_machine_elsewhere(self, zsr: Zsr, machines: Machines) -> None:
        zsr.cluster_path.write_text(CLUSTER)

        assert "nodes.alpha.address is 'local'" in zsr("cluster", "diff").err

    def test_has_nothing_to_do_where_no_other_node_runs_zsr(self, zsr: Zsr, machines: Machines) -> None:
        for address in ("10.0.0.12", "10.0.0.13"):
            zsr.cluster_path.write_text(
                zsr.cluster_path.read_text().replace(f'"{address}"', f'"{address}"\nzsr = false')
            )

        assert zsr.well("cluster", "diff").out == "No other node runs zsr.\n"


class TestPush:
    def test_writes_the_file_to_all_once_they_have_been_the_same(self, zsr: Zsr, machines: Machines) -> None:
        zsr.well("cluster", "push", "--yes")
        machines.edit("# new")

        said = zsr.well("cluster", "push", "--yes")

        assert "beta: older: this node's file was changed since" in said.out
        assert "beta: written\ngamma: written\n" in said.out
        assert {machines.copy(node).read_text() for node in ("beta", "gamma")} == {zsr.cluster_path.read_text()}

    def test_does_not_replace_what_was_edited_there(self, zsr: Zsr, machines: Machines) -> None:
        zsr.well("cluster", "push", "--yes")
        machines.edit("# new")
        machines.edit("# theirs", "beta")

        said = zsr("cluster", "push", "--yes")

        assert said.exit == 1
        assert "beta: not written: take over into this file what is new there" in said.err
        assert "gamma: written" in said.out
        assert machines.copy("beta").read_text() == f"{SHARED}# theirs\n"

    def test_replaces_it_by_force_and_knows_it_elsewhere_from_then_on(self, zsr: Zsr, machines: Machines) -> None:
        machines.edit("# theirs", "beta")
        machines.copy("gamma").write_text(machines.copy("beta").read_text())
        machines.edit("# new")

        zsr.well("cluster", "push", "beta", "--yes", "--force")
        assert "gamma: older" in zsr.well("cluster", "push", "gamma", "--yes").out

    def test_never_replaces_one_that_knows_a_later_epoch(self, zsr: Zsr, machines: Machines) -> None:
        zsr.well("cluster", "push", "--yes")
        later = SHARED.replace('name = "web"', 'name = "web"\nepoch = 2')
        machines.copy("beta").write_text(later)

        said = zsr("cluster", "push", "--yes", "--force")

        assert said.exit == 1
        assert "beta: knows more than this node\n  guest 100 has epoch 2 there, on alpha, and 1 here\n" in said.out
        assert "beta: not written: bring this file up to date first." in said.err
        assert machines.copy("beta").read_text() == later

    def test_goes_on_with_the_others_when_a_node_is_dead(self, zsr: Zsr, machines: Machines) -> None:
        zsr.well("cluster", "push", "--yes")
        machines.edit("# new")
        machines.dead.add("beta")

        assert zsr("cluster", "push", "--yes").exit == 1
        assert machines.copy("gamma").read_text() == zsr.cluster_path.read_text()

        machines.edit("# newer")
        machines.dead.clear()
        zsr.well("cluster", "push", "--yes")
        assert machines.copy("beta").read_text() == zsr.cluster_path.read_text()

    def test_makes_a_file_where_there_is_none(self, zsr: Zsr, machines: Machines) -> None:
        machines.copy("beta").unlink()

        assert "beta: has no cluster file" in zsr.well("cluster", "push", "--yes").out
        assert machines.copy("beta").read_text() == SHARED

    def test_asks_first(self, zsr: Zsr, machines: Machines) -> None:
        machines.edit("# new")

        said = zsr("cluster", "push", "--force")

        assert said.exit == 2
        assert "Write this node's cluster file to beta, gamma? There is no terminal to ask at." in said.err
        assert machines.copy("beta").read_text() == SHARED

    def test_of_a_file_that_is_wrong_changes_nothing(self, zsr: Zsr, machines: Machines) -> None:
        machines.edit("[jobs.100-0]")

        assert zsr("cluster", "push", "--yes", "--force").exit == 2
        assert machines.copy("beta").read_text() == SHARED

    def test_goes_the_other_way_after_an_edit_there(self, zsr: Zsr, machines: Machines) -> None:
        """What a copy came from travels with it, so that each node may push."""
        zsr.well("cluster", "push", "--yes")
        machines.edit("# from beta", "beta")
        machines.be("beta")

        said = zsr.well("cluster", "push", "--yes")

        assert "alpha: written\ngamma: written\n" in said.out
        assert machines.copy("alpha").read_text() == f"{SHARED}# from beta\n"
