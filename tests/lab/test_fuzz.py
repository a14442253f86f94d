"""A sample of the fuzz (docs/reliability.md), another one for each commit; `make proof` plays thousands of steps."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.lab.fuzz.campaign import Driver, described, smaller
from tests.lab.fuzz.configuration import Configuration, GuestPlan, JobPlan, VolumePlan
from tests.lab.fuzz.steps import Step
from tests.lab.lab import Node

SECONDS = 75.0
STEPS = 24
CLEAN = 24
"""Cases of the first seeds, which broke no law when all were played: a defect that an unknown seed finds is older than
the commit that would be refused for it. `make proof` and `make fuzz` play unknown ones.
"""


@pytest.fixture
def fuzz(node1: Node) -> Iterator[Driver]:
    """The process in the node that plays cases."""
    driver = Driver.on(node1)
    yield driver
    driver.end()


def test_no_drawn_configuration_and_steps_break_a_law(fuzz: Driver, request: pytest.FixtureRequest) -> None:
    first = int(request.config.getoption("--sample-seed") or 0)
    end, number = time.monotonic() + SECONDS, 0
    while time.monotonic() < end:
        seed = 1 + (first + number) % CLEAN
        outcome = fuzz.draw(seed, STEPS)
        if outcome.violations:
            pytest.fail(f"SEED={seed}\n{described(smaller(fuzz, outcome, SECONDS))}")
        number += 1
    assert number >= 1


def test_a_new_child_of_a_raw_replica_is_raw_in_a_job_that_sends_readable(fuzz: Driver) -> None:
    """Found by the fuzz: the target cannot encrypt it, since nobody has loaded the key there."""
    disk = VolumePlan(storage="data", name="subvol-100-disk-1", encrypted=True, child=True)
    configuration = Configuration(
        guests=(GuestPlan(id=100, volumes=(disk,)),),
        jobs=(JobPlan(guest=100, number=0, target="beta", encryption="decrypted", adopted="pvesr"),),
    )
    steps = [
        Step(act="by tool", at="alpha:100-0", to="pvesr"),
        Step(act="adopt", at="alpha:100-0"),
        Step(act="run", at="alpha:100-0"),
    ]
    assert fuzz.play(configuration, steps).violations == []
