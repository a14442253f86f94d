"""Replicas that are kept aside on a node: of which kind, since when, and how much they hold."""

from __future__ import annotations

import pytest

from replicator.api.held import AsideKind, KeptAside
from replicator.daemon.kept_aside import kept_aside
from replicator.models import Job, JobId
from replicator.zfs.model import Dataset, Inventory, Snapshot

JOB = JobId(100, 0)
POINTS = "t/zsr-diverged/a-90-points"


def aside(name: str, *, written: int | None = 0, job: str = "100-0") -> Dataset:
    snapshots = (Snapshot("__replicate_100-0_50__", 50, 50, 50, written=7),)
    return Dataset(
        name, is_volume=True, guid=1, snapshots=snapshots, job=job, source="alpha", readonly=True, written=written,
        origin="t/a@x",
    )  # fmt: skip


def on_beta(*datasets: Dataset, jobs: tuple[Job, ...] = (Job(JOB, "beta"),)) -> tuple[KeptAside, ...]:
    inventory = Inventory({dataset.name: dataset for dataset in datasets})
    return kept_aside({"t": inventory}, {job.id: job for job in jobs}, "beta")


def test_they_are_counted_by_guest_and_kind_with_the_first_time_and_all_bytes() -> None:
    found = on_beta(
        aside("t/zsr-diverged/a-90", written=5),
        aside("t/zsr-diverged/b-80", written=6),
        aside(POINTS),
        aside("t/zsr-diverged/c-70", written=5, job="101-0"),
        Dataset("t/a", is_volume=True, guid=2, job="100-0", source="alpha"),
    )

    assert found == (
        KeptAside(100, AsideKind.AGING, 1, 90, 7),
        KeptAside(100, AsideKind.DIVERGED, 2, 80, 25),
        KeptAside(101, AsideKind.DIVERGED, 1, 70, 12),
    )


@pytest.mark.parametrize("jobs", [(), (Job(JOB, "gamma"),)], ids=["job gone", "another target"])
def test_what_no_run_destroys_any_more_is_left(jobs: tuple[Job, ...]) -> None:
    assert [each.kind for each in on_beta(aside(POINTS), jobs=jobs)] == [AsideKind.LEFT]


def test_a_new_replica_in_the_making_is_not_aside() -> None:
    assert on_beta(aside("t/zsr-diverged/a-reseed")) == ()


def test_what_a_name_or_this_zfs_does_not_say_is_not_known() -> None:
    [found] = on_beta(aside("t/zsr-diverged/by-hand", written=None))
    assert (found.oldest, found.size) == (None, None)
