"""The core and the certificates that tests of the exporter's server share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.exporter_server import Certificates
from tests.support.statuses import FakeCore


@pytest.fixture
def core() -> FakeCore:
    return FakeCore()


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)
