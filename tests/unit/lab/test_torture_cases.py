"""The crash matrix itself: no step and no fault may be forgotten by it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.replication.progress import Step
from tests.lab.torture.cases import AT_A_BYTE, Case, Fault, Kind, Place, draw, faults, forgotten, places, table

PASSED = {
    Kind.INCREMENTAL: [Step.LOOK, Step.SNAPSHOT, Step.PLAN, Step.TRANSFER, Step.TRANSFER, Step.PROVE],
    Kind.RESUME: [Step.LOOK, Step.RESUME],
}


def test_every_beginning_of_a_step_is_a_place_and_transfers_are_places_at_a_byte_too() -> None:
    matrix = places(PASSED)
    assert Place(Kind.INCREMENTAL, Step.TRANSFER, 2) in matrix
    assert Place(Kind.INCREMENTAL, Step.TRANSFER, 1, at_byte=True) in matrix
    assert Place(Kind.RESUME, Step.RESUME, 1, at_byte=True) in matrix
    assert len(matrix) == 8 + 3


def test_a_step_that_no_kind_of_run_passes_is_a_hole() -> None:
    assert Step.TIDY in forgotten(PASSED)
    assert forgotten({Kind.FULL: list(Step)}) == set()


def test_every_fault_has_a_place() -> None:
    everywhere = places({kind: list(Step) for kind in Kind})
    assert {fault for place in everywhere for fault in faults(place)} == set(Fault)


@settings(deadline=None)  # a busy machine must not fail it
@given(st.integers(0, 2**40))
def test_a_seed_always_draws_the_same_case(seed: int) -> None:
    matrix = places(PASSED)
    case = draw(seed, matrix)
    assert case == draw(seed, matrix)
    assert case.fault in faults(case.place)


@settings(deadline=None)  # a busy machine must not fail it
@given(st.integers(0, 2**40))
def test_five_hundred_seeds_that_follow_each_other_try_every_fault_at_every_step_and_byte(first: int) -> None:
    everywhere = places({kind: list(Step) for kind in Kind})
    drawn = {(case.place.step, case.place.at_byte, case.fault) for case in seeds(first, everywhere)}
    possible = {(place.step, False, fault) for place in everywhere if not place.at_byte for fault in faults(place)}
    assert {cell for cell in drawn if not cell[1]} == possible
    assert {fault for _, at_byte, fault in drawn if at_byte} == set(AT_A_BYTE)


def seeds(first: int, matrix: list[Place]) -> list[Case]:
    """Five hundred cases."""
    return [draw(seed, matrix) for seed in range(first, first + 500)]


@settings(deadline=None)  # a busy machine must not fail it
@given(st.integers(0, 2**40))
def test_a_case_is_found_again_from_its_line_whatever_has_become_of_the_steps(seed: int) -> None:
    case = draw(seed, places(PASSED))
    assert Case.parse(str(case)) == case


def test_the_table_counts_each_case_once() -> None:
    cases = [Case(n, place, faults(place)[0]) for n, place in enumerate(places(PASSED))]
    assert table(cases).splitlines()[-1].endswith(f"| {len(cases)} |")
