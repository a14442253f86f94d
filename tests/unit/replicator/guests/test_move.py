"""The decisions of a planned move."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import ConfigError
from replicator.guests.move import MOST_SYNCS, is_small, job_to, written_since
from replicator.job_choices import Removal
from replicator.models import Guest, Job, JobId
from replicator.zfs.model import Dataset, Snapshot

GUEST = Guest(100, "web", "alpha")
JOB = JobId(100, 0)
SET = "__replicate_100-0_1000__"


@given(st.lists(st.floats(0.1, 1000), min_size=MOST_SYNCS, max_size=20), st.floats(0, 10))
def test_syncing_ends_whatever_the_guest_writes(durations: list[float], until: float) -> None:
    assert is_small(durations, until)


@pytest.mark.parametrize(
    ("durations", "small"),
    [([], False), ([9.9], True), ([10.1], False), ([100, 60], False), ([100, 90], True), ([100, 60, 8], True)],
)
def test_the_guest_stops_when_a_sync_was_short_or_they_get_no_shorter(durations: list[float], small: bool) -> None:
    assert is_small(durations, 10) is small


class TestTheJob:
    def test_is_the_one_to_the_node(self) -> None:
        jobs = [Job(JobId(100, 0), "beta"), Job(JobId(100, 1), "gamma"), Job(JobId(101, 0), "gamma")]
        assert job_to(jobs, GUEST, "gamma").id == JobId(100, 1)

    def test_that_is_missing_is_named_with_how_to_create_it(self) -> None:
        with pytest.raises(ConfigError) as caught:
            job_to([Job(JobId(100, 0), "beta")], GUEST, "gamma")
        assert "zsr create-local-job 100-1 gamma" in caught.value.advice

    def test_that_is_being_removed_does_not_count(self) -> None:
        with pytest.raises(ConfigError, match="is being removed"):
            job_to([Job(JobId(100, 0), "beta", removal=Removal.FULL)], GUEST, "beta")


class TestWhatIsHandedOver:
    def volume(self, *snapshots: Snapshot, written: int | None = 0) -> Dataset:
        return Dataset("tank/vm-100-disk-0", True, 1, snapshots=snapshots, written=written)

    def test_is_all_that_was_written(self) -> None:
        whole = self.volume(Snapshot(SET, 7, 10, 1000, written=5))
        assert written_since(JOB, 1000, [whole]) == []

    def test_may_have_an_empty_snapshot_of_another_after_it(self) -> None:
        later = self.volume(Snapshot(SET, 7, 10, 1000, written=5), Snapshot("other", 8, 11, 1001, written=0))
        assert written_since(JOB, 1000, [later]) == []

    @pytest.mark.parametrize(
        ("snapshots", "written"),
        [
            ((Snapshot(SET, 7, 10, 1000, written=5),), 1),
            ((Snapshot(SET, 7, 10, 1000, written=5),), None),
            ((Snapshot(SET, 7, 10, 1000, written=5), Snapshot("other", 8, 11, 1001, written=3)), 0),
            ((Snapshot("__replicate_100-0_900__", 7, 10, 900, written=5),), 0),
        ],
        ids=["written since", "not known", "in another's snapshot", "not in the set"],
    )
    def test_is_never_less(self, snapshots: tuple[Snapshot, ...], written: int | None) -> None:
        assert written_since(JOB, 1000, [self.volume(*snapshots, written=written)]) == ["tank/vm-100-disk-0"]
