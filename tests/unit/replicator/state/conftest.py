"""An open ``state.db`` in a folder of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.state.stores import State


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """The file of the database."""
    return tmp_path / "var" / "state.db"


@pytest.fixture
def state(path: Path) -> Iterator[State]:
    """The open database."""
    opened = State.open(path)
    yield opened
    opened.close()
