"""The pure parts of the fuzz: a case is drawn again from its seed, shrinks, and is printed as a test."""

from __future__ import annotations

import random
import tomllib
from collections.abc import Sequence
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from tests.lab.fuzz.configuration import (
    NODES,
    SETTINGS,
    Configuration,
    GuestPlan,
    JobPlan,
    VolumePlan,
    cluster_toml,
    draw,
)
from tests.lab.fuzz.listing import FIELDS, Entry, World, place_of
from tests.lab.fuzz.printed import as_test, constructed
from tests.lab.fuzz.shrink import shrink
from tests.lab.fuzz.steps import Scene, Step, draw_step, resolved, steps_from_json, steps_to_json, symbol

SMALL = Configuration(
    guests=(GuestPlan(100, (VolumePlan("data", "subvol-100-disk-0"),)),), jobs=(JobPlan(100, 0, "beta"),)
)
SEEDS = st.integers(0, 2**32)


def dataset(name: str, kind: str = "filesystem") -> Entry:
    return Entry(name, kind, f"guid of {name}", 1, job="100-0", source="alpha")


@given(SEEDS)
def test_a_seed_draws_the_same_configuration_again(seed: int) -> None:
    assert draw(random.Random(seed), SETTINGS) == draw(random.Random(seed), SETTINGS)


@given(SEEDS)
def test_a_configuration_is_the_same_after_it_was_json(seed: int) -> None:
    configuration = draw(random.Random(seed), SETTINGS)
    assert Configuration.from_json(configuration.to_json()) == configuration


@given(SEEDS)
def test_no_guest_has_two_jobs_to_one_target(seed: int) -> None:
    configuration = draw(random.Random(seed), SETTINGS)
    for node in configuration.sources():
        ways = [(job.guest, job.target) for job in configuration.of(node)[1]]
        assert len(ways) == len(set(ways))


@given(SEEDS)
def test_the_cluster_file_has_all_guests_and_jobs(seed: int) -> None:
    configuration = draw(random.Random(seed), ())
    for node in configuration.sources():
        raw = tomllib.loads(cluster_toml(configuration, node))
        guests, jobs = configuration.of(node)
        assert set(raw["guests"]) == {str(guest.id) for guest in guests}
        assert set(raw["jobs"]) == {job.id for job in jobs}
        assert set(raw["nodes"]) == {node, *NODES[1:]}


@given(SEEDS)
def test_settings_that_zsr_does_not_know_are_not_drawn(seed: int) -> None:
    assert all(job.foreign == "" for job in draw(random.Random(seed), ("keep",)).jobs)


@given(SEEDS)
def test_a_step_names_what_is_there(seed: int) -> None:
    world = World.of([dataset("alpha/data/subvol-100-disk-0"), dataset("beta/data/subvol-100-disk-0")])
    step = draw_step(Scene(random.Random(seed), world, SMALL))
    if step.act in ("write", "destroy", "activate", "scribble", "settle", "snapshot", "child"):
        assert step.at in world.names


@given(st.lists(st.builds(Step, st.text(), st.text(), st.text(), st.integers())))
def test_steps_are_the_same_after_they_were_json(steps: list[Step]) -> None:
    assert steps_from_json(steps_to_json(steps)) == steps


def test_a_name_with_a_time_in_it_means_the_same_at_another_time() -> None:
    def at(time: int) -> tuple[World, str]:
        aside = f"beta/data/zsr-diverged/x-{time}"
        names = [f"{aside}@__replicate_100-0_{time + more}__" for more in (0, 60)]
        sets = [Entry(name, "snapshot", name, number) for number, name in enumerate(names)]
        return World.of([dataset(aside), *sets]), names[0]

    (then, before), (now, after) = at(1000), at(2000)
    assert symbol(then, before) == "beta/data/zsr-diverged/~1@~2"
    assert resolved(now, symbol(then, before)) == after
    assert resolved(now, "beta/data/y@daily") == symbol(now, "beta/data/y@daily") == "beta/data/y@daily"


def test_a_case_shrinks_to_the_steps_and_the_parts_that_it_needs() -> None:
    needed = [Step("write", "a"), Step("run", "alpha:100-0")]
    steps = [Step("clock", number=n) for n in range(9)]
    large = draw(random.Random(3), SETTINGS)
    guest = GuestPlan(100, (VolumePlan("data", "vm-100-disk-0"), VolumePlan("data", "vm-100-disk-1")), True, "well")
    large = replace(large, guests=(guest,), jobs=(JobPlan(100, 0, "beta", "3"), JobPlan(100, 1, "gamma")))

    def fails(configuration: Configuration, some: Sequence[Step]) -> bool:
        return all(step in some for step in needed) and any(job.target == "beta" for job in configuration.jobs)

    small, left = shrink(large, [*steps[:4], needed[0], *steps[4:], needed[1]], fails)
    assert left == needed
    assert small.jobs == (JobPlan(100, 0, "beta"),)
    assert len(small.guests[0].volumes) == 1
    assert (small.guests[0].hooks, small.guests[0].listed, small.second, small.layout) == ("", False, (), "one")


@given(SEEDS)
def test_a_printed_configuration_is_python_that_makes_it(seed: int) -> None:
    configuration = draw(random.Random(seed), SETTINGS)
    known = {each.__name__: each for each in (Configuration, GuestPlan, JobPlan, VolumePlan)}
    assert eval(constructed(configuration), known) == configuration


def test_a_printed_case_is_a_test() -> None:
    text = as_test(SMALL, [Step("run", "alpha:100-0")], "a_run_goes_well")
    assert text.startswith("def test_a_run_goes_well(fuzz: Driver) -> None:\n")
    assert '        Step(act="run", at="alpha:100-0"),\n' in text
    compile(text, "case", "exec")


def test_a_listing_is_read_line_by_line() -> None:
    values = ["beta/data/x", "volume", "17", "5", "8192", "on", "-", "-", "-", "100-0", "alpha", "-", "-"]
    assert len(values) == len(FIELDS)
    world = World.read(
        "\t".join(values) + "\n" + "\t".join(["beta/data/x@s", "snapshot", "18", "6", *values[4:]]) + "\n"
    )
    assert world.names["beta/data/x"].readonly
    assert [each.short for each in world.snapshots("beta/data/x")] == ["s"]
    assert world.has("beta", "18")


def test_parts_of_a_pool_play_nodes_of_their_own() -> None:
    assert [place_of(name) for name in ("gamma", "gamma/data/x@s", "gamma/delta/data", "gamma/omega/x#b")] == [
        "gamma",
        "gamma",
        "delta",
        "omega",
    ]
