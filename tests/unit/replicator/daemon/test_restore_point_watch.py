"""When a restore point that is gone from a replica counts as missing, and when it went by right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from replicator.api.held import HeldReplica
from replicator.cluster.model import Cluster
from replicator.daemon.held_replicas import replicas_in
from replicator.daemon.restore_point_watch import KnownPoints, RestorePointWatch, Sight, note_points, sights
from replicator.job_choices import Removal
from replicator.models import Guest, Job, JobId, Storage
from replicator.schedule.retention import RetentionPolicy
from replicator.zfs.model import Dataset, Inventory, Snapshot
from tests.support.statuses import FakeMemory

NOW = 1_800_000_000
HOUR, DAY = 3600, 86_400
JOB = JobId(100, 0)
PLACE = (100, "alpha", "tank")
GRID = "6h:1h,7d:1d"


def sight(*times: int, keep: str = GRID, whole: tuple[int, ...] | None = None) -> Sight:
    """A replica with these sets, all of them whole unless said otherwise."""
    found = frozenset(times)
    return Sight(PLACE, found, found if whole is None else frozenset(whole), RetentionPolicy.parse(keep))


def missing_after(*looks: Sight, pause: float = 60.0) -> list[int]:
    """The restore points that are missing after some looks, a minute apart."""
    known: KnownPoints | None = None
    for number, look in enumerate(looks):
        known = note_points(known, look, NOW + number * pause)
    assert known is not None
    return sorted(known.missing)


def test_one_that_keep_asks_for_and_that_is_gone_is_missing() -> None:
    one, two, three = NOW - 2 * DAY, NOW - DAY, NOW - HOUR
    assert missing_after(sight(one, two, three), sight(one, three)) == [two]


def test_one_that_keep_does_not_want_any_more_went_by_right() -> None:
    one, two, three = NOW - 120, NOW - 60, NOW
    assert missing_after(sight(one, keep="1"), sight(two, keep="1"), sight(three, keep="1")) == []
    old, new = NOW - 8 * DAY, NOW
    assert missing_after(sight(old), sight(new)) == []


def test_the_senders_clock_may_be_some_seconds_ahead() -> None:
    """Its newest set is then of the future here, and the one before it went by right all the same."""
    before, new = NOW - 900, NOW + 72
    assert missing_after(sight(before, keep="1"), sight(new, keep="1")) == []


def test_one_of_a_number_is_missing_although_no_time_is_promised() -> None:
    assert missing_after(sight(NOW - 30, NOW - 20, keep="2"), sight(NOW - 20, keep="2")) == [NOW - 30]


def test_a_lower_keep_ends_it() -> None:
    one, two = NOW - 2 * DAY, NOW - HOUR
    assert missing_after(sight(one, two), sight(two), sight(two, keep="1")) == []


def test_a_set_that_never_was_whole_is_none() -> None:
    one, part = NOW - HOUR, NOW
    assert missing_after(sight(one), sight(one, part, whole=(one,)), sight(one)) == []


def test_one_of_a_volume_that_another_one_joined_is_missing_all_the_same() -> None:
    one, two = NOW - 2 * DAY, NOW - HOUR
    assert missing_after(sight(one, two), sight(one, two, whole=(two,)), sight(two)) == [one]


def test_one_that_comes_back_is_not_missing() -> None:
    one, two = NOW - DAY, NOW - HOUR
    assert missing_after(sight(one, two), sight(two), sight(one, two)) == []


def test_it_is_reported_for_a_week() -> None:
    one, two = NOW - DAY, NOW - HOUR
    known = note_points(note_points(None, sight(one, two), NOW), sight(two), NOW + 60)
    assert sorted(note_points(known, sight(two), NOW + 60 + 7 * DAY).missing) == [one]
    late = note_points(replace(known, looked=NOW + 7 * DAY), sight(two), NOW + 120 + 7 * DAY)
    assert late.missing == {}


def test_after_more_than_a_day_without_a_look_nothing_is_said_of_what_went_meanwhile() -> None:
    one, two = NOW - DAY, NOW - HOUR
    assert missing_after(sight(one, two), sight(two), pause=DAY + 1) == []


def held() -> HeldReplica:
    return HeldReplica(*PLACE, last_sync=NOW - HOUR)


def lacking(watch: RestorePointWatch, found: dict[str, Sight]) -> list[int | None]:
    return [each.points_missing for each in watch.with_missing([held()], found)]


def test_a_restart_forgets_neither_a_point_nor_one_that_is_missing() -> None:
    store = FakeMemory()
    one, two, three = NOW - 2 * DAY, NOW - DAY, NOW - HOUR
    first = RestorePointWatch(store)
    assert lacking(first, {"t/a": sight(one)}) == [None]
    first.look({"t/a": sight(one, two, three)}, NOW, all_read=True)
    first.look({"t/a": sight(two, three)}, NOW + 60, all_read=True)
    assert lacking(first, {"t/a": sight(two, three)}) == [1]

    again, found = RestorePointWatch(store), {"t/a": sight(three)}
    again.look(found, NOW + 120, all_read=True)
    assert lacking(again, found) == [2]


def test_a_replica_of_a_storage_that_cannot_be_read_is_not_forgotten_and_one_that_is_gone_is() -> None:
    store = FakeMemory()
    watch = RestorePointWatch(store)
    one, two = NOW - DAY, NOW - HOUR
    watch.look({"t/a": sight(one, two)}, NOW, all_read=True)
    watch.look({}, NOW + 60, all_read=False)
    found = {"t/a": sight(two)}
    watch.look(found, NOW + 120, all_read=True)
    assert lacking(watch, found) == [1]
    watch.look({}, NOW + 180, all_read=True)
    assert store.notes == {}


def test_nothing_is_written_where_nothing_changed() -> None:
    store = FakeMemory()
    watch = RestorePointWatch(store)
    watch.look({"t/a": sight(NOW - HOUR)}, NOW, all_read=True)
    store.notes.clear()
    watch.look({"t/a": sight(NOW - HOUR)}, NOW + 60, all_read=True)
    assert store.notes == {}
    watch.look({"t/a": sight(NOW - HOUR)}, NOW + DAY, all_read=True)
    assert list(store.notes) == ["t/a"]


def replica(name: str, *times: int, job: str = "100-0", source: str = "alpha") -> Dataset:
    snapshots = tuple(Snapshot(f"__replicate_100-0_{time}__", time, time, time) for time in times)
    return Dataset(name, is_volume=True, guid=1, snapshots=snapshots, job=job, source=source)


def seen(job: Job, *datasets: Dataset) -> dict[str, Sight]:
    """The sights of node beta, of a job of guest 100, which is alpha's."""
    cluster = Cluster({}, {"tank": Storage("tank", "t")}, {100: Guest(100, "web", "alpha")}, {job.id: job})
    inventory = Inventory({dataset.name: dataset for dataset in datasets})
    return sights(cluster, "beta", replicas_in({"tank": inventory}))


def test_a_sight_has_what_all_replicas_have_and_what_was_set_aside() -> None:
    one, other, aside = replica("t/a", 1, 2, 3), replica("t/b", 2, 3), replica("t/zsr-diverged/b-90-points", 1)
    found = seen(Job(JOB, "beta", keep="3"), one, other, aside)
    assert {name: (sorted(each.times), sorted(each.whole)) for name, each in found.items()} == {
        "t/a": ([1, 2, 3], [2, 3]),
        "t/b": ([1, 2, 3], [2, 3]),
    }


@pytest.mark.parametrize(
    ("job", "source"),
    [
        (Job(JOB, "gamma"), "alpha"),
        (Job(JobId(100, 1), "beta"), "alpha"),
        (Job(JOB, "beta", removal=Removal.FULL), "alpha"),
        (Job(JOB, "beta"), "delta"),
    ],
    ids=["to another node", "gone", "being removed", "from another source"],
)
def test_what_no_job_sends_here_is_not_watched(job: Job, source: str) -> None:
    assert seen(job, replica("t/a", 1, source=source)) == {}
