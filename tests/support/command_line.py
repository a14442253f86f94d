"""A node with settings, a cluster of two nodes and a state of its own, and ``zsr`` as one would type it there."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from replicator.cli.main import main
from replicator.cluster.model import Cluster
from replicator.cluster.store import open_store
from replicator.config.settings import load_settings
from replicator.state.stores import State

CLUSTER = """\
[nodes.alpha]
address = "local"

[nodes.beta]
address = "10.0.0.12"   # the other one

[nodes.gamma]
address = "10.0.0.13"

[storages.local-zfs]
path = "rpool/data"

[guests.100]
name = "web"
node = "alpha"

[guests.101]
name = "mail"
node = "alpha"

[guests.200]
name = "db"
node = "beta"
"""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit status."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def rows(self) -> list[list[str]]:
        """The words of each line, as awk sees them."""
        return [line.split() for line in self.out.splitlines()]


@dataclass(frozen=True)
class Zsr:
    """A node's ``zsr``."""

    folder: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @classmethod
    def on_alpha(cls, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
        zsr = cls(folder, capsys, monkeypatch)
        zsr.settings_path.write_text(
            f'node = "alpha"\ntimezone = "UTC"\nstate_dir = "{folder}/state"\ncontrol = "{folder}/run/c.sock"\n'
            f'[cluster]\npath = "{zsr.cluster_path}"\n'
        )
        zsr.cluster_path.write_text(CLUSTER)
        return zsr

    @classmethod
    def with_job(cls, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
        """As `on_alpha`, with job 100-0 to beta."""
        zsr = cls.on_alpha(folder, capsys, monkeypatch)
        zsr.well("create-local-job", "100-0", "beta")
        return zsr

    @property
    def settings_path(self) -> Path:
        return self.folder / "zsr.toml"

    @property
    def cluster_path(self) -> Path:
        return self.folder / "cluster.toml"

    def __call__(self, *arguments: str) -> Said:
        """Run ``zsr`` with this node's settings."""
        return self.bare("--config", str(self.settings_path), *arguments)

    def bare(self, *arguments: str) -> Said:
        """Run ``zsr`` with nothing but these arguments."""
        self.monkeypatch.setattr(sys, "argv", ["zsr", *arguments])
        self.capsys.readouterr()
        status: object = 0
        try:
            main()
        except SystemExit as end:
            status = end.code
        printed = self.capsys.readouterr()
        return Said(int(str(status or 0)), printed.out, printed.err)

    def well(self, *arguments: str) -> Said:
        """Run ``zsr``; it must succeed."""
        said = self(*arguments)
        assert said.exit == 0, said
        return said

    @property
    def cluster(self) -> Cluster:
        settings = load_settings(self.settings_path)
        return open_store(settings.cluster, settings.timezone).read()

    def state(self) -> State:
        return State.open(self.folder / "state" / "state.db")
