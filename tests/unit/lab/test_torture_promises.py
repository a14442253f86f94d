"""The checks of the crash matrix notice every loss, on either node, by name and GUID."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.lab.torture.promises import (
    FILES,
    VOLUMES,
    ZVOL,
    Both,
    BrokenError,
    Entry,
    Fulls,
    Holding,
    avoidable,
    bases,
    left_after_removal,
    lost,
    users,
    whole_set,
)

SET = "__replicate_100-0_1795427104__"
OTHER = "__replicate_100-0_1795427000__"


def entry(name: str, guid: str = "", *, token: str = "-", origin: str = "-") -> Entry:
    return Entry(name, guid or f"guid of {name}", token, "-", origin)


def node(*more: Entry, precious: str) -> Holding:
    """A node with the guest's two volumes at one set, and something of the user's own."""
    volumes = [
        made
        for volume in VOLUMES
        for made in (
            entry(volume, f"{precious} {volume}"),
            entry(f"{volume}@user", f"user {volume}"),
            entry(f"{volume}@{SET}", f"set {volume}"),
        )
    ]
    own = (
        entry("tank/data", precious),
        entry("tank/data/precious", precious),
        entry("tank/data/precious@mine", precious),
    )
    return Holding((*own, *volumes, *more))


@pytest.fixture
def both() -> Both:
    return node(entry(f"{ZVOL}#{SET}", f"set {ZVOL}"), precious="here"), node(precious="there")


def without(holding: Holding, name: str) -> Holding:
    return Holding(tuple(entry for entry in holding.entries if entry.name != name))


def test_when_nothing_was_touched_nothing_is_lost_and_the_set_is_whole(both: Both) -> None:
    assert lost(users(both, removal=False), both) == []
    assert whole_set(both) == SET


@pytest.mark.parametrize(
    ("side", "name"),
    [
        (0, f"{ZVOL}@user"),
        (1, f"{ZVOL}@user"),
        (0, "tank/data/precious@mine"),
        (1, "tank/data/precious@mine"),
        (0, "tank/data/precious"),
        (1, "tank/data/precious"),
        (0, FILES),
    ],
)
def test_what_is_gone_from_one_node_is_lost_though_the_other_has_one_of_the_same_name(
    both: Both, side: int, name: str
) -> None:
    after = [*both]
    after[side] = without(both[side], name)
    assert len(lost(users(both, removal=False), (after[0], after[1]))) == 1


def test_one_that_was_recreated_under_the_same_name_is_lost(both: Both) -> None:
    here, there = both
    anew = Holding(tuple(replace(e, guid="new") if e.name == "tank/data/precious@mine" else e for e in there.entries))
    assert len(lost(users(both, removal=False), (here, anew))) == 1


def test_a_replicas_snapshot_may_be_kept_aside_under_another_name(both: Both) -> None:
    here, there = both
    touched = Holding((*there.entries, entry(f"{ZVOL}@theirs", "7")))
    kept = Holding((*there.entries, entry("tank/data/zsr-diverged/vm-100-disk-0-1@theirs", "7")))
    assert lost(users((here, touched), removal=False), (here, kept)) == []
    assert len(lost(users((here, touched), removal=False), both)) == 1


def test_a_removal_takes_what_travelled_but_nothing_made_on_the_replica(both: Both) -> None:
    here, there = both
    touched = Holding((*there.entries, entry(f"{ZVOL}@theirs", "7")))
    gone = Holding(tuple(e for e in there.entries if e.dataset not in VOLUMES))
    assert lost(users(both, removal=True), (here, gone)) == []
    assert len(lost(users((here, touched), removal=True), (here, gone))) == 1


def test_a_removal_leaves_nothing_of_zsr_and_no_replica(both: Both) -> None:
    assert set(left_after_removal(both)) >= {f"{ZVOL}@{SET}", f"{ZVOL}#{SET}", ZVOL, FILES}
    aside = entry(f"tank/data/zsr-diverged/vm-100-disk-0-1@{SET}")
    clean = Holding((entry("tank/data"),))
    assert left_after_removal((clean, Holding((entry("tank/data"), aside)))) == []


def test_a_removal_leaves_the_replica_that_a_person_took_from_it() -> None:
    clean, taken = Holding((entry("tank/data"),)), Holding((entry("tank/data"), entry(ZVOL), entry(f"{ZVOL}@user")))
    assert left_after_removal((clean, taken)) == [ZVOL, f"{ZVOL}@user"]
    assert left_after_removal((clean, taken), [ZVOL]) == []
    assert left_after_removal((clean, clean), [ZVOL]) == [f"{ZVOL} is gone"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda here, there: (Holding((*here.entries, entry(f"{ZVOL}@{OTHER}"))), there),
        lambda here, there: (here, Holding((*there.entries, entry(f"{ZVOL}@{OTHER}")))),
        lambda here, there: (here, without(there, f"{FILES}@{SET}")),
        lambda here, there: (here, Holding(tuple(replace(e, guid=e.guid + "!") for e in there.entries))),
        lambda here, there: (here, Holding((*there.entries, entry("tank/data/x", token="1-abc")))),
        lambda here, there: (Holding((*here.entries, *(entry(f"{ZVOL}#{OTHER}{n}") for n in range(40)))), there),
    ],
    ids=["two sets here", "two sets there", "none there", "another guid", "half received", "bookmarks pile up"],
)
def test_a_set_that_is_not_whole_and_alone_is_broken(both: Both, spoil: object) -> None:
    assert callable(spoil)
    with pytest.raises(BrokenError):
        whole_set(spoil(*both))


def test_the_target_may_have_as_many_sets_as_are_kept_and_no_more(both: Both) -> None:
    here, there = both
    older = Holding((entry(f"{ZVOL}@{OTHER}"), *there.entries))
    assert whole_set((here, older), most=2) == SET
    with pytest.raises(BrokenError, match="left over on the target"):
        whole_set((here, Holding((entry(f"{ZVOL}@__replicate_100-0_1795426000__"), *older.entries))), most=2)


def test_a_base_is_a_snapshot_that_the_source_knows_if_only_by_a_bookmark(both: Both) -> None:
    here, there = both
    assert bases(both) == set(VOLUMES)
    only_marked = without(without(here, f"{ZVOL}@{SET}"), f"{ZVOL}@user")
    assert ZVOL in bases((only_marked, there))
    assert ZVOL not in bases((without(only_marked, f"{ZVOL}#{SET}"), there))


def test_a_base_is_also_what_was_kept_aside_and_what_is_half_received(both: Both) -> None:
    here, _ = both
    aside = Holding((entry(f"tank/data/zsr-diverged/vm-100-disk-0-1795427104@{SET}", f"set {ZVOL}"),))
    assert bases((here, aside)) == {ZVOL}
    half = Holding((entry(FILES, token="1-abc"),))
    assert bases((here, half)) == {FILES}
    assert bases((here, half), tokens=False) == set()


FULL = f"tank:{ZVOL.rpartition('/')[2]}: full, 2 MiB expected"


def test_the_first_run_may_send_each_volume_in_full_once() -> None:
    assert avoidable(Fulls([FULL], []), first=True, had=(), had_after={ZVOL}) == []
    assert len(avoidable(Fulls([FULL, FULL], []), first=True, had=(), had_after={ZVOL})) == 1


def test_a_full_transfer_after_the_fault_is_avoidable_where_a_base_was_left() -> None:
    assert len(avoidable(Fulls([FULL], [FULL]), first=True, had=(), had_after={ZVOL})) == 1
    assert avoidable(Fulls([FULL], [FULL]), first=True, had=(), had_after=()) == []


def test_a_full_transfer_within_the_run_with_the_fault_is_avoidable_where_a_base_was_left() -> None:
    assert len(avoidable(Fulls([FULL], []), first=False, had={ZVOL}, had_after={ZVOL})) == 1
    assert avoidable(Fulls([FULL], []), first=False, had=(), had_after={ZVOL}) == []
