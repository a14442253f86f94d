"""A node with its files, whose runs are played."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon_env import DaemonEnv, RunScript, play


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> RunScript:
    """The runs of every worker, played."""
    return play(monkeypatch)


@pytest.fixture
def stage(tmp_path: Path, script: RunScript) -> Iterator[DaemonEnv]:
    """The node's files, and the daemon on them."""
    made = DaemonEnv(tmp_path, script)
    yield made
    made.state.close()
