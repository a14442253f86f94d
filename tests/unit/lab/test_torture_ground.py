"""The drawn configurations of the crash matrix: zsr accepts them, and the matrix knows where the volumes lie."""

from __future__ import annotations

import tomli
from hypothesis import given
from hypothesis import strategies as st

from replicator.cluster.toml_schema import read_cluster
from replicator.models import JobId
from tests.lab.torture.ground import CASES_OF_A_GROUND, Ground
from tests.lab.torture.promises import VOLUMES

SEEDS = st.integers(0, 2**40)


@given(SEEDS)
def test_cases_that_follow_each_other_have_the_same_one(seed: int) -> None:
    first = seed // CASES_OF_A_GROUND * CASES_OF_A_GROUND

    assert {Ground.of_case(first + number) for number in range(CASES_OF_A_GROUND)} == {Ground.of_case(seed)}


def test_layouts_settings_hooks_and_bookmarks_vary() -> None:
    drawn = [Ground.of_case(number * CASES_OF_A_GROUND) for number in range(60)]

    assert {each.here == each.there for each in drawn} == {True, False}
    assert {each.hooks for each in drawn} == {"", "well", "freeze fails"}
    assert {each.bookmarks for each in drawn} == {each.listed for each in drawn} == {True, False}
    assert {key for each in drawn for key, _ in each.settings} == {"keep", "snapshots", "grace", "foreign"}


@given(SEEDS, st.sampled_from(["auto", "openssh"]))
def test_zsr_accepts_its_cluster_file_with_and_without_the_job(seed: int, stream: str) -> None:
    ground = Ground.of_case(seed)
    for lines, jobs in (((), []), (['schedule = "2099-1-1"', "rate = 1"], [JobId(100, 0)])):
        cluster, problems = read_cluster(tomli.loads(ground.cluster(2222, stream, lines)), "")
        assert problems == []
        assert list(cluster.jobs) == jobs
        assert cluster.storages["fast"].path_on("node2") == ground.there


@given(SEEDS, st.booleans())
def test_a_node_s_datasets_have_the_names_that_the_matrix_knows(seed: int, there: bool) -> None:
    ground = Ground.of_case(seed)
    lines = [f"{name}@user\tguid {name}\t-\t-\t-" for name in ground.names(there=there)]

    entries = ground.holding("\n".join(lines), there=there).entries

    assert [entry.dataset for entry in entries] == list(VOLUMES)
    assert [ground.volume(name, there=there) for name in ground.names(there=there)] == list(VOLUMES)


@given(SEEDS, st.booleans())
def test_everything_is_listed_once_and_made_parent_first(seed: int, there: bool) -> None:
    ground = Ground.of_case(seed)
    roots = ground.listing(there=there).partition(" -r ")[2].split()
    paths = ground.paths(there=there)

    assert not any(one.startswith(f"{other}/") for one in roots for other in roots)
    assert all(any(f"{path}/".startswith(f"{root}/") for root in roots) for path in paths)
    assert paths == sorted(paths)
