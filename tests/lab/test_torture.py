"""A sample of the crash matrix (docs/reliability.md), another one for each commit; `make proof` tries many more."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.torture.attempt import try_case
from tests.lab.torture.cases import Place, draw, forgotten, places
from tests.lab.torture.env import TortureEnv
from tests.lab.torture.ground import Ground
from tests.lab.torture.steps import passed_steps

CASES = 8
TRIES = 4


@pytest.fixture(scope="module")
def first(request: pytest.FixtureRequest) -> int:
    """The seed of the first case: `make test` gives one for each commit."""
    return int(request.config.getoption("--sample-seed") or 0)


@pytest.fixture(scope="module")
def env(two_nodes: Lab, first: int) -> Iterator[TortureEnv]:
    """The session's nodes with the guest and the job of the crash matrix, in the configuration of the first case."""
    env = TortureEnv(two_nodes, Ground.of_case(first))
    env.begin()
    yield env
    for node in two_nodes.nodes:
        Node.fresh(node)


@pytest.fixture(scope="module")
def matrix(env: TortureEnv) -> list[Place]:
    """All places, as dry runs find them."""
    passed = passed_steps(env)
    assert forgotten(passed) == set(), "no kind of run passes these steps"
    return places(passed)


@pytest.mark.parametrize("number", range(CASES))
def test_after_a_fault_the_job_is_well_within_two_runs_and_nothing_is_lost(
    env: TortureEnv, matrix: list[Place], first: int, number: int
) -> None:
    for another in range(TRIES):  # a fault that did not come where it was to come is replaced, as in a long run
        case = draw(first + number + another * CASES, matrix)
        result = try_case(env, case)
        assert not result.broken, f"{case}\n{result.broken}\n{result.evidence}"
        if not result.missed:
            return
    pytest.fail(f"{case}\n{result.missed}")
