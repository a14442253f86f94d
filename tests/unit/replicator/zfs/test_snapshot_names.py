"""Names of snapshots: what is made can be parsed, and a name of another tool belongs to no job."""

from __future__ import annotations

import pytest

from replicator.models import JobId
from replicator.zfs.snapshot_names import SnapshotName, job_of, job_prefix, parse_snapshot_name, snapshot_name

JOB = JobId(100, 1)


def test_a_name_has_the_format_of_the_peer() -> None:
    assert snapshot_name(JOB, 1700000000) == "__replicate_100-1_1700000000__"


def test_a_name_is_parsed_into_what_it_was_made_from() -> None:
    assert parse_snapshot_name(snapshot_name(JOB, 1700000000)) == SnapshotName(JOB, 1700000000)


@pytest.mark.parametrize("name", ["daily", "__replicate_99-1_5__", "__replicate_100-1_5__x", "__replicate_100-1_x__"])
def test_a_name_of_another_format_belongs_to_no_job(name: str) -> None:
    assert job_of(name) is None


def test_the_beginning_of_a_jobs_names_is_not_that_of_a_longer_job_number() -> None:
    assert snapshot_name(JOB, 5).startswith(job_prefix(JOB))
    assert not snapshot_name(JobId(100, 10), 5).startswith(job_prefix(JOB))
