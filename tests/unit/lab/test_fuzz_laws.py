"""Each law of the fuzz notices what it is there for, and is quiet where all is well."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.lab.fuzz.calm import expected, left_over, stuck
from tests.lab.fuzz.configuration import Configuration, GuestPlan, JobPlan, VolumePlan
from tests.lab.fuzz.laws import all_laws
from tests.lab.fuzz.ledger import Ledger, Point, Ran, Said, Written
from tests.lab.fuzz.listing import Entry, World

SOURCE, REPLICA = "alpha/data/subvol-100-disk-0", "beta/data/subvol-100-disk-0"
OLD, NEW = "__replicate_100-0_100__", "__replicate_100-0_200__"
JOB = JobPlan(100, 0, "beta")
CONFIGURATION = Configuration(
    guests=(GuestPlan(100, (VolumePlan("data", "subvol-100-disk-0"),)),),
    jobs=(JOB,),
)
CONTENT = "what the volume holds"


def source(guid: str = "1") -> Entry:
    return Entry(SOURCE, "filesystem", guid, 1)


def replica(guid: str = "2") -> Entry:
    return Entry(REPLICA, "filesystem", guid, 1, readonly=True, job="100-0", source="alpha")


def snapshot(dataset: str, name: str, guid: str, txg: int = 5) -> Entry:
    return Entry(f"{dataset}@{name}", "snapshot", guid, txg)


def both(name: str, guid: str, txg: int = 5) -> tuple[Entry, Entry]:
    return snapshot(SOURCE, name, guid, txg), snapshot(REPLICA, name, guid, txg)


BEFORE = World.of([source(), replica(), *both(OLD, "11"), *both("daily", "9", 2)])
AFTER = World.of([source(), replica(), *both(NEW, "12", 7), *both("daily", "9", 2)])


def ledger() -> Ledger:
    """After a first proven set, ``OLD``, and before the run that brings ``NEW``."""
    known = Ledger(live={SOURCE: CONTENT}, contents={"11": "older", "12": CONTENT, "9": "oldest"})
    for entry in BEFORE.entries:
        if entry.place == "alpha" and not entry.short.startswith("__"):
            known.theirs[entry.identity] = entry.name
        else:
            known.brought[entry.identity] = "alpha"
    known.points["alpha", "beta", "1"] = [Point("11")]
    known.newest["alpha:100-0"] = frozenset({"11"})
    return known


def ran(after: World = AFTER, *, said: Said | None = None, order: str = "run", job: JobPlan = JOB) -> Ran:
    well = Said(0, "", last_sync=200.0, began=199.0, ended=201.0)
    return Ran("alpha", job, order, replace(CONFIGURATION, jobs=(job,)), BEFORE, after, said or well)


def broken(what: Ran, known: Ledger | None = None, *, there: str = CONTENT) -> set[str]:
    return {violation.law for violation in all_laws(what, known or ledger(), lambda _: there)}


def without(world: World, *names: str) -> World:
    return World.of(entry for entry in world.entries if entry.name not in names)


def with_more(world: World, *more: Entry) -> World:
    return World.of([*world.entries, *more])


FAILED = Said(1, "zsr: no", "zfs", "Something failed.", "Do this.", began=199.0, ended=201.0)


def test_a_run_that_proves_a_newer_set_and_prunes_the_older_one_breaks_no_law() -> None:
    assert broken(ran()) == set()


def test_a_snapshot_of_others_on_the_source_may_not_go() -> None:
    assert "ours" in broken(ran(without(AFTER, f"{SOURCE}@daily")))


def test_what_another_zsr_brought_may_not_go() -> None:
    known = ledger()
    known.brought["beta", "", "11"] = "omega"
    assert "ours" in broken(ran(), known)


def test_a_snapshot_that_travelled_may_not_go_while_the_source_has_it() -> None:
    assert "snapshots of others" in broken(ran(without(AFTER, f"{REPLICA}@daily")))
    assert broken(ran(without(AFTER, f"{REPLICA}@daily", f"{SOURCE}@daily"))) == {"ours"}


def test_a_proven_set_may_not_go_in_a_run_that_fails() -> None:
    assert "proven stays" in broken(ran(without(BEFORE, f"{REPLICA}@{OLD}"), said=FAILED))


def test_the_base_on_the_source_may_not_go_in_a_run_that_fails() -> None:
    assert "proven stays" in broken(ran(without(BEFORE, f"{SOURCE}@{OLD}"), said=FAILED))


def test_as_many_restore_points_stay_as_keep_says() -> None:
    assert "proven stays" in broken(ran(job=replace(JOB, keep="2")))


def test_a_replica_of_a_vanished_volume_may_not_go_before_its_grace_is_over() -> None:
    job = replace(JOB, grace="1h")
    gone = World.of([source()])
    known = ledger()
    known.gone_since["alpha:100-0", "2"] = 200.0
    assert "only copy" in broken(ran(gone, said=FAILED, job=job), known)
    late = replace(FAILED, began=4000.0, ended=4001.0)
    assert "only copy" not in broken(ran(gone, said=late, job=job), known)


def test_the_order_to_delete_a_job_destroys_its_replica() -> None:
    gone = World.of([source(), snapshot(SOURCE, "daily", "9", 2)])
    assert broken(ran(gone, order="delete")) == set()


def test_a_replica_that_was_written_to_may_not_go_nor_be_rolled_back() -> None:
    known = ledger()
    known.written["beta", "2"] = Written(REPLICA, frozenset({"9", "11"}))
    assert "written stays" in broken(ran(World.of([source()]), order="delete"), known)
    assert "written stays" in broken(ran(), known)
    aside = replace(replica(), name="beta/data/zsr-diverged/subvol-100-disk-0-7", written=99)
    kept = World.of([source(), aside, replica("3"), *both(NEW, "12", 7), *both("daily", "9", 2)])
    assert broken(ran(kept), known) == set()


def test_a_success_without_the_volume_on_the_target_is_none() -> None:
    assert "success is true" in broken(ran(without(AFTER, f"{REPLICA}@{NEW}")))


def test_a_success_with_other_bytes_on_the_target_is_none() -> None:
    assert broken(ran(), there="other bytes") == {"success is true"}


def test_last_sync_may_not_claim_what_is_not_there() -> None:
    known = ledger()
    claimed = replace(FAILED, last_sync=200.0)
    assert "last sync is true" in broken(ran(BEFORE, said=claimed), known)


@pytest.mark.parametrize(
    "said",
    [
        Said(1, ""),
        Said(1, "zsr: no", "zfs", "Something failed.", ""),
        Said(1, "zsr: no", "internal", "An unexpected error.", "Report it."),
        Said(1, "Traceback (most recent call last):"),
    ],
)
def test_a_failure_says_what_happened_and_what_to_do(said: Said) -> None:
    assert "sentence" in broken(ran(BEFORE, said=said))
    assert "sentence" not in broken(ran(BEFORE, said=FAILED))


def test_a_volume_with_a_common_snapshot_may_not_be_sent_in_full() -> None:
    said = Said(0, "", last_sync=200.0, fulls=("data:subvol-100-disk-0",), began=199.0, ended=201.0)
    assert broken(ran(said=said)) == {"no avoidable full"}


def test_a_job_that_fails_without_an_expected_reason_is_stuck() -> None:
    assert list(stuck(ran(BEFORE, said=FAILED)))
    active = World.of(replace(entry, readonly=False) for entry in BEFORE.entries)
    refused = replace(ran(BEFORE, said=replace(FAILED, error_class="target_active")), before=active)
    assert expected(refused) == {"target_active"}
    assert not list(stuck(refused))


def test_more_than_one_snapshot_of_the_job_on_the_source_is_left_over() -> None:
    assert not list(left_over(ran()))
    assert list(left_over(ran(with_more(AFTER, snapshot(SOURCE, OLD, "11")))))
    half: Iterable[Entry] = (replace(e, token="1-x") if e.name == REPLICA else e for e in AFTER.entries)
    assert list(left_over(ran(World.of(half))))
