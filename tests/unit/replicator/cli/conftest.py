"""A daemon on the control socket of the command line under test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.command_line import Zsr
from tests.support.fake_daemon import FakeDaemon


@pytest.fixture
def daemon(zsr: Zsr) -> Iterator[FakeDaemon]:
    """A daemon that answers what a test puts into ``answers``; ``zsr`` is the module's own."""
    daemon = FakeDaemon(zsr.folder / "run" / "c.sock")
    daemon.start()
    yield daemon
    daemon.stop()
