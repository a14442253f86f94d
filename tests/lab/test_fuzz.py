"""A sample of the fuzz (docs/reliability.md), another one for each commit; `make proof` plays thousands of steps."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab.fuzz.campaign import Driver, described, smaller
from tests.lab.lab import Node

SECONDS = 75.0
STEPS = 24


@pytest.fixture
def fuzz(node1: Node) -> Iterator[Driver]:
    """The process in the node that plays cases."""
    driver = Driver.on(node1)
    yield driver
    driver.end()


def test_no_drawn_configuration_and_steps_break_a_law(fuzz: Driver, request: pytest.FixtureRequest) -> None:
    first = int(request.config.getoption("--sample-seed") or 0) * 1000
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        outcome = fuzz.draw(first + number, STEPS)
        if outcome.violations:
            pytest.fail(f"SEED={first + number}\n{described(smaller(fuzz, outcome, SECONDS))}")
        number += 1
    assert number >= 1
