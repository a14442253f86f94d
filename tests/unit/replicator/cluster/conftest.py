"""A store on a cluster file that a person wrote."""

from __future__ import annotations

from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from replicator.cluster.file_store import FileStore
from replicator.cluster.store import ClusterStore
from tests.support.cluster_files import HAND_WRITTEN, NOW


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The cluster file."""
    path = tmp_path / "cluster.toml"
    path.write_text(HAND_WRITTEN)
    return path


@pytest.fixture
def store(path: Path) -> ClusterStore:
    """The store, on a clock that stands still."""
    return ClusterStore(FileStore(path), ZoneInfo("UTC"), clock=lambda: NOW)
