"""The Debian package of this checkout, and a machine whose PID 1 is a real systemd, new for each test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.debian_trees import cache, locked
from tests.support.systemd_machine import NoSystemdError, SystemdMachine, booted
from tools.debian_package import build, kept_wheels

SHARED = tuple(sorted({Path(__file__).parents[2], Path(sys.prefix), Path(sys.base_prefix)}))


@pytest.fixture
def machine() -> Iterator[SystemdMachine]:
    """A running systemd without any unit. Where none can be had the tests skip and say why; in CI they fail."""
    try:
        with booted(SHARED) as running:
            yield running
    except NoSystemdError as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no real systemd: {error}")


@pytest.fixture(scope="session")
def package() -> Path:
    """The package of this checkout; not compressed, which takes most of the time."""
    folder = cache().parent / "package"
    with locked(folder):
        return build(folder, "amd64", kept_wheels(), "none")
