"""Every store refuses the same: what breaks a rule changes nothing."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC
from pathlib import Path
from typing import get_args

import pytest

from replicator.cluster.file_store import FileStore
from replicator.cluster.model import ChangedError, Cluster, Decide
from replicator.cluster.store import ClusterStore, open_store
from replicator.config.problems import SettingsError
from replicator.config.settings import ClusterSettings, _Cluster
from replicator.errors import ConfigError
from replicator.job_choices import Removal
from replicator.models import Job, JobId
from tests.support.cluster_files import HAND_WRITTEN, JOB, NOW


class TestARefusal:
    @pytest.mark.parametrize(
        "job",
        [
            Job(JobId(100, 1), "alpha"),
            Job(JobId(100, 1), "beta"),
            Job(JobId(100, 1), "delta"),
            Job(JobId(100, 1), "gamma", rate=0.5),
            Job(JobId(100, 1), "gamma", rate=float("inf")),
            Job(JobId(100, 1), "gamma", schedule="*/0"),
            Job(JobId(100, 1), "gamma", schedule="*" * 129),
            Job(JobId(100, 1), "gamma", comment="x" * 4097),
            Job(JobId(100, 1), "gamma", timezone="Mars"),
            Job(JobId(100, 1), "gamma", keep="never"),
        ],
    )
    def test_says_what_and_changes_nothing(self, store: ClusterStore, path: Path, job: Job) -> None:
        with pytest.raises(
            SettingsError, match=rf"Job {job.id} cannot be created; nothing was changed:\n  jobs.{job.id}"
        ):
            store.create_job(job)

        assert path.read_text() == HAND_WRITTEN

    def test_meets_a_job_for_a_guest_that_does_not_exist(self, store: ClusterStore, path: Path) -> None:
        with pytest.raises(ConfigError, match="Job 101-0 cannot be created: there is no such guest; known guests: 100"):
            store.create_job(Job(JobId(101, 0), "beta"))

        assert path.read_text() == HAND_WRITTEN

    def test_is_not_met_by_a_job_whose_guest_was_taken_out_later(self, store: ClusterStore, path: Path) -> None:
        """One forgotten job must not stop all others; it can be deleted."""
        path.write_text(HAND_WRITTEN + '\n[jobs.999-0]\ntarget = "beta"\n')
        assert JobId(999, 0) in {job.id for job in store.read().jobs_of("alpha")}
        store.delete_job(JobId(999, 0))
        assert JobId(999, 0) not in store.read().jobs

    @pytest.mark.parametrize("schedule", ["2020-1-1", "*-2-30", "2026-12-31 0:0"])
    def test_meets_a_schedule_that_never_fires_again(self, store: ClusterStore, path: Path, schedule: str) -> None:
        with pytest.raises(ConfigError, match=re.escape(f"The schedule '{schedule}' of job 100-1 never")):
            store.create_job(Job(JobId(100, 1), "gamma", schedule=schedule))

        assert path.read_text() == HAND_WRITTEN

    @pytest.mark.parametrize(
        ("length", "sentence"),
        [(225, "has 1 characters too many"), (194, "as which it is kept if it diverges, has")],
    )
    def test_meets_names_that_would_grow_too_long(
        self, store: ClusterStore, path: Path, length: int, sentence: str
    ) -> None:
        listed = f'node = "alpha"\nvolumes = ["local-zfs:{"x" * (length - len("rpool/data/"))}"]'
        path.write_text(HAND_WRITTEN.replace('node = "alpha"', listed))
        before = path.read_text()
        with pytest.raises(ConfigError, match=re.escape(sentence)):
            store.create_job(Job(JobId(100, 1), "gamma"))
        assert path.read_text() == before

    def test_does_not_meet_names_that_just_fit(self, store: ClusterStore, path: Path) -> None:
        listed = f'node = "alpha"\nvolumes = ["local-zfs:{"x" * (193 - len("rpool/data/"))}"]'
        path.write_text(HAND_WRITTEN.replace('node = "alpha"', listed))
        store.create_job(Job(JobId(100, 1), "gamma"))

    def test_does_not_meet_a_schedule_that_fired_last_long_ago(self, store: ClusterStore, path: Path) -> None:
        path.write_text(HAND_WRITTEN + 'schedule = "2020-1-1"\n')

        store.update_job(replace(store.read().job(JOB), disabled=True))

        assert store.read().job(JOB).disabled

    def test_meets_a_file_that_is_wrong_already(self, store: ClusterStore, path: Path) -> None:
        path.write_text(HAND_WRITTEN + "rate = 0\n")

        with pytest.raises(SettingsError, match=r"jobs\.100-0\.rate"):
            store.create_job(Job(JobId(100, 1), "gamma"))


class MemoryBackend:
    """A cluster in memory: a backend that checks nothing itself."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.name = "memory"

    def read(self) -> Cluster:
        """Return the cluster."""
        return self.cluster

    def stamp(self) -> object:
        """Return the cluster, which is replaced by each change."""
        return self.cluster

    def change(self, decide: Decide, digest: str | None) -> None:
        """Replace the cluster."""
        if digest not in (None, self.cluster.digest):
            raise ChangedError("memory was changed by another program in the meantime.")
        self.cluster = replace(decide(self.cluster), digest=f"{self.cluster.digest}+")


class TestAnEpoch:
    def test_stands_in_the_guests_table(self, store: ClusterStore, path: Path) -> None:
        store.raise_epoch(100, "alpha", 2)
        assert [line for line in path.read_text().splitlines() if "epoch" in line] == ["epoch = 2"]

    @pytest.mark.parametrize(
        ("guest", "owner", "epoch"),
        [(100, "beta", 2), (100, "alpha", 1), (999, "alpha", 2)],
        ids=["of another node's guest", "that is not higher", "of no guest"],
    )
    def test_is_not_set(self, store: ClusterStore, path: Path, guest: int, owner: str, epoch: int) -> None:
        before = path.read_text()
        with pytest.raises(ChangedError):
            store.raise_epoch(guest, owner, epoch)
        assert path.read_text() == before

    @pytest.mark.parametrize("wrong", ["0", "-1", '"2"', "1.5", "true", "1000000000"])
    def test_that_is_none_is_a_wrong_setting(self, store: ClusterStore, path: Path, wrong: str) -> None:
        path.write_text(path.read_text().replace('node = "alpha"', f'node = "alpha"\nepoch = {wrong}'))
        with pytest.raises(SettingsError, match=r"guests\.100\.epoch"):
            store.read()


class TestAnyBackend:
    @pytest.fixture
    def memory(self, path: Path) -> MemoryBackend:
        return MemoryBackend(FileStore(path).read())

    @pytest.fixture
    def any_store(self, memory: MemoryBackend) -> ClusterStore:
        return ClusterStore(memory, UTC, clock=lambda: NOW)

    @pytest.mark.parametrize(
        "job",
        [
            Job(JobId(100, 1), "beta"),
            Job(JobId(100, 1), "delta"),
            Job(JobId(100, 1), "gamma", timezone="Mars"),
            Job(JobId(100, 1), "gamma", comment="x" * 4097),
            Job(JobId(100, 1), "gamma", schedule="2020-1-1"),
            Job(JobId(101, 0), "beta"),
            Job(JOB, "gamma"),
        ],
    )
    def test_gets_no_job_that_breaks_a_rule(self, any_store: ClusterStore, memory: MemoryBackend, job: Job) -> None:
        before = memory.cluster

        with pytest.raises(ConfigError, match=str(job.id)):
            any_store.create_job(job)
        assert memory.cluster is before

    def test_gets_no_change_that_breaks_a_rule(self, any_store: ClusterStore, memory: MemoryBackend) -> None:
        before = memory.cluster

        with pytest.raises(
            SettingsError, match=r"Job 100-0 cannot be changed like this; nothing was changed:\n  jobs\.100-0"
        ):
            any_store.update_job(replace(before.job(JOB), rate=0.5))
        assert memory.cluster is before

    def test_keeps_a_job_whose_removal_was_taken_back(self, any_store: ClusterStore) -> None:
        any_store.delete_job(JOB, only_if_removing=True)
        assert list(any_store.read().jobs) == [JOB]

        any_store.update_job(replace(any_store.read().job(JOB), removal=Removal.LOCAL))
        any_store.delete_job(JOB, only_if_removing=True)
        assert list(any_store.read().jobs) == []

    def test_takes_what_is_right(self, any_store: ClusterStore) -> None:
        any_store.create_job(Job(JobId(100, 1), "gamma", rate=5.0))

        assert any_store.read().job(JobId(100, 1)).rate == 5.0


def test_every_store_that_the_settings_allow_can_be_opened(path: Path) -> None:
    for store in get_args(_Cluster.model_fields["store"].annotation):
        assert open_store(ClusterSettings(store, path)).read().nodes
