"""Two plain hosts on which nothing is set up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.setup_env import SetupEnv, setup_env


@pytest.fixture
def env(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[SetupEnv]:
    with setup_env(tmp_path, capsys, monkeypatch) as running:
        yield running
