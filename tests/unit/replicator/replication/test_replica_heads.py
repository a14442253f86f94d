"""Which set is whole, judged by the replicas alone."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from replicator.replication.replica_heads import replica_heads

replicas = st.dictionaries(st.sampled_from("abcd"), st.sets(st.integers(1, 6)), max_size=4)


def test_replicas_of_one_moment_are_whole() -> None:
    heads = replica_heads({"a": [1, 2], "b": [2]})

    assert (heads.whole, heads.ahead, heads.left) == (2, {}, {})


def test_a_run_that_died_between_two_volumes_leaves_one_ahead() -> None:
    heads = replica_heads({"a": [1, 2], "b": [1]})

    assert (heads.whole, heads.ahead, heads.left) == (1, {"a": 2}, {})


def test_a_replica_that_missed_two_sets_had_left_the_guest() -> None:
    heads = replica_heads({"a": [1, 2, 3], "b": [1]})

    assert (heads.whole, heads.ahead, heads.left) == (3, {}, {"b": 1})


def test_a_volume_that_the_source_still_has_did_not_leave() -> None:
    heads = replica_heads({"a": [1, 2, 3], "b": [1]}, frozenset("ab"))

    assert (heads.whole, heads.ahead, heads.left) == (1, {"a": 3}, {})


def test_where_no_set_is_whole_the_replica_with_the_newest_is_ahead() -> None:
    heads = replica_heads({"a": [1], "b": [2]})

    assert (heads.whole, heads.ahead) == (None, {"b": 2})


def test_no_set_is_whole_while_a_volume_has_no_copy() -> None:
    heads = replica_heads({"a": [1]}, frozenset("ab"))

    assert (heads.whole, heads.ahead) == (None, {})


@given(replicas, st.none() | st.frozensets(st.sampled_from("abcd")))
def test_every_current_replica_has_the_whole_set_and_none_is_ahead_unless_it_is_newer(
    sets: dict[str, set[int]], wanted: frozenset[str] | None
) -> None:
    heads = replica_heads(sets, wanted)

    if heads.whole is not None:
        assert heads.current
        assert all(heads.whole in sets[name] for name in heads.current)
        assert {name for name in heads.current if max(sets[name]) > heads.whole} == heads.ahead.keys()
    assert heads.left.keys().isdisjoint(heads.current)
