"""`make proof`: rounds with seeds of their own until the time is over."""

from __future__ import annotations

from pathlib import Path

from tools.proof import Part, parts, property_tests, rounds


class Clock:
    """A clock that the parts move."""

    def __init__(self) -> None:
        self.now = 100.0
        self.run_parts: list[Part] = []

    def run(self, part: Part) -> int:
        self.run_parts.append(part)
        self.now += 600
        return 0

    def read(self) -> float:
        return self.now


def test_rounds_go_on_until_the_time_is_over() -> None:
    clock = Clock()
    once = [part.name for part in parts(7, [])]
    ended = rounds(7, len(once) * 600 + 600, ["tests/unit/test_x.py"], clock.run, clock.read)
    assert [done.part for done in ended] == [*once, once[0]]
    assert [done.seconds for done in ended] == [600] * (len(once) + 1)


def test_the_first_round_is_run_whole_however_little_time_there_is() -> None:
    clock = Clock()
    assert len(rounds(7, 0, [], clock.run, clock.read)) == len(parts(7, []))


def test_each_round_has_a_seed_of_its_own_which_repeats_it() -> None:
    clock = Clock()
    once = len(parts(7, []))
    ended = rounds(7, 1200 * once, [], clock.run, clock.read)
    first, second = ended[0], ended[once]
    assert first.seed == 7
    assert second.seed != 7
    assert clock.run_parts[once:] == parts(second.seed, [])


def test_a_part_that_fails_is_reported_and_the_others_are_run() -> None:
    clock = Clock()
    ended = rounds(7, 0, [], lambda part: clock.run(part) + (part.name == "properties"), clock.read)
    assert [done.status for done in ended] == [1] + [0] * (len(parts(7, [])) - 1)
    assert "FAILED (status 1)" in str(ended[0])


def test_the_files_with_property_tests_are_found() -> None:
    found = property_tests()
    assert "tests/unit/lab/test_torture_cases.py" in found
    assert str(Path(__file__).relative_to(Path(__file__).parents[3])) not in found
