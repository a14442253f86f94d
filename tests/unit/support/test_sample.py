"""The sample of slow tests: a fixed share for each commit, and every test in some of them."""

from __future__ import annotations

import pytest

from tests.support.sample import in_sample

THIRDS = {f"tests/lab/test_x.py::test_{number}": 3 for number in range(7)}


@pytest.mark.parametrize("seed", [0, 1, 2, 4711])
def test_a_third_is_tried(seed: int) -> None:
    assert len(in_sample(THIRDS, seed)) in (2, 3)


def test_three_seeds_that_follow_each_other_try_all_and_each_once() -> None:
    tried = [in_sample(THIRDS, seed) for seed in (100, 101, 102)]
    assert set().union(*tried) == set(THIRDS)
    assert sum(map(len, tried)) == len(THIRDS)


def test_each_share_is_taken_of_its_own_tests() -> None:
    halves = {"a": 2, "b": 2}
    assert len(in_sample(THIRDS | halves, 0) & set(halves)) == 1


def test_the_order_of_the_tests_does_not_matter() -> None:
    assert in_sample(dict(reversed(THIRDS.items())), 5) == in_sample(THIRDS, 5)
