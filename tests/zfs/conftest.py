"""Two fresh pools of a real ZFS for each test, as `pools`; the ZFS itself is got once a session (`demo.sandbox`)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from demo.engine import why_no_zfs
from demo.sandbox import Sandbox
from tests.support.pools import Pools

_HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything in this folder is marked ``zfs``."""
    for item in items:
        if item.path.is_relative_to(_HERE):
            item.add_marker(pytest.mark.zfs)


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A real ZFS for the session. Where none can be had the tests skip and say why; in CI they fail."""
    reason = why_no_zfs()
    if reason is not None:
        if os.environ.get("CI") == "true":
            pytest.fail(f"no real ZFS: {reason}", pytrace=False)
        pytest.skip(f"no real ZFS: {reason}")
    with Sandbox("tests") as opened:
        yield opened


@pytest.fixture
def pools(sandbox: Sandbox) -> Iterator[Pools]:
    """Two fresh and empty pools, destroyed after the test whatever it did to them."""
    source = sandbox.pool("source")
    try:
        target = sandbox.pool("target")
        try:
            yield Pools(source, target, sandbox)
        finally:
            sandbox.destroy(target)
    finally:
        sandbox.destroy(source)
