"""The metrics of replicas and of what a run found on either side, of a status of the core."""

from __future__ import annotations

from dataclasses import replace

from replicator.api.held import AsideKind, HeldReplica, KeptAside
from replicator.models import JobId, KnownSets
from tests.support.scraped import scrape, value
from tests.support.statuses import NOW, healthy, held_replica, never_ran, status


def test_a_replicas_restore_points_are_absent_where_they_are_not_known() -> None:
    known = replace(held_replica(300, "gamma", NOW - 100), points_missing=3)
    found = scrape(replace(status(), replicas=(known, HeldReplica(301, "gamma", "local-zfs", NOW - 100))))
    names = [f"zsr_replica_{name}" for name in ("volumes", "restore_points", "oldest_restore_point_timestamp_seconds",
                                                "restore_points_missing")]  # fmt: skip

    def of(guest: str) -> list[float | None]:
        return [value(found, name, guest=guest, source="gamma", storage="local-zfs") for name in names]

    assert of("300") == [1, 2, NOW - 100 - 86_400, 3]
    assert of("301") == [1, 1, None, None]


def test_the_volumes_of_a_job_are_those_of_its_newest_proven_set() -> None:
    job = healthy("101-0")
    sets = KnownSets(proven=1, volumes=("t:one", "t:two"))
    found = scrape(status(never_ran("100-0"), replace(job, state=replace(job.state, sets=sets))))
    assert value(found, "zsr_job_volumes", zsr_job="100-0") is None
    assert value(found, "zsr_job_volumes", zsr_job="101-0") == 2


def test_when_a_guest_was_replaced_or_went_back_is_absent_until_a_run_found_it() -> None:
    job = healthy("101-0")
    changed = replace(job, state=replace(job.state, replaced_at=NOW - 60, went_back_at=NOW - 30))
    found = scrape(status(healthy("100-0"), changed))
    names = ("zsr_job_guest_replaced_timestamp_seconds", "zsr_job_source_went_back_timestamp_seconds")
    assert [value(found, name, zsr_job="100-0") for name in names] == [None, None]
    assert [value(found, name, zsr_job="101-0") for name in names] == [NOW - 60, NOW - 30]


def test_a_storage_has_what_it_may_still_take() -> None:
    found = scrape(status())
    labels = {"storage": "local-zfs", "pool": "rpool", "role": "source"}
    assert value(found, "zsr_storage_available_bytes", **labels) == 4 * 10**11
    assert value(found, "zsr_storage_size_bytes", **labels) == 10**12


def test_what_is_kept_aside_has_its_size_and_time_where_they_are_known() -> None:
    asides = (KeptAside(300, AsideKind.LEFT, 1, None, None), KeptAside(301, AsideKind.DIVERGED, 2, NOW - 60, 7))
    found = scrape(replace(status(), asides=asides))

    def of(guest: str, kind: str) -> list[float | None]:
        names = ("zsr_asides", "zsr_asides_oldest_timestamp_seconds", "zsr_asides_bytes")
        return [value(found, name, guest=guest, kind=kind) for name in names]

    assert of("300", "left") == [1, None, None]
    assert of("301", "diverged") == [2, NOW - 60, 7]
    assert of("300", "diverged") == [None, None, None]


def test_snapshots_of_others_are_absent_where_they_are_not_known() -> None:
    jobs = (healthy("100-0"), healthy("101-0"))
    found = scrape(replace(status(*jobs), foreign_snapshots={JobId(100, 0): 4, JobId(101, 0): None}))
    counts = [value(found, "zsr_source_foreign_snapshots", zsr_job=job) for job in ("100-0", "101-0")]
    assert counts == [4, None]
    labels = {"guest": "300", "source": "gamma", "storage": "local-zfs"}
    assert value(found, "zsr_replica_foreign_snapshots", **labels) == 0
