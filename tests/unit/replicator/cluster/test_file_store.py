"""The cluster in one file: comments and order stay, and no change is ever half made, lost, or made in silence."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import threading
from collections.abc import Callable
from dataclasses import replace
from math import inf
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replicator.cluster import file_store as file_module
from replicator.cluster.file_history import read_history, versions
from replicator.cluster.file_store import FileStore
from replicator.cluster.model import ChangedError
from replicator.cluster.store import ClusterStore
from replicator.common.files import digest_of
from replicator.common.snapshot_patterns import Travelling
from replicator.errors import BusyError, ConfigError, DamagedStoreError, NoSpaceError
from replicator.job_choices import Encryption, Removal
from replicator.models import Job, JobId
from tests.support.cluster_files import HAND_WRITTEN, JOB, LAYOUTS, NODES, NOW


@pytest.fixture(params=list(LAYOUTS.values()), ids=list(LAYOUTS))
def laid_out(request: pytest.FixtureRequest, path: Path) -> Path:
    path.write_bytes(str(request.param).encode())
    return path


class TestAChange:
    def test_creates_a_job(self, store: ClusterStore) -> None:
        store.create_job(Job(JobId(100, 1), "gamma", rate=10.0, rpo=5400.0))

        assert store.read().jobs[JobId(100, 1)] == Job(JobId(100, 1), "gamma", rate=10.0, rpo=5400.0, source="alpha")

    def test_is_written_as_people_would(self, store: ClusterStore, path: Path) -> None:
        store.create_job(Job(JobId(100, 1), "gamma", schedule="*/5", rate=10.0, rpo=5400.0, comment='say "hi"'))

        added = path.read_text().removeprefix(HAND_WRITTEN)
        assert added.strip().splitlines() == [
            "[jobs.100-1]",
            'target = "gamma"',
            'source = "alpha"',
            'schedule = "*/5"',
            "rate = 10",
            'comment = "say \\"hi\\""',
            'rpo = "1h30m"',
        ]

    def test_writes_a_number_as_a_number_and_leaves_out_defaults(self, store: ClusterStore, path: Path) -> None:
        store.create_job(Job(JobId(100, 1), "gamma", keep="5", snapshots=Travelling.OWN, encryption=Encryption.RAW))

        added = path.read_text().removeprefix(HAND_WRITTEN)
        assert added.strip().splitlines() == [
            "[jobs.100-1]",
            'target = "gamma"',
            'source = "alpha"',
            "keep = 5",
            'snapshots = "own"',
        ]

    def test_leaves_the_words_that_were_chosen_for_a_grid(self, store: ClusterStore, path: Path) -> None:
        path.write_text(HAND_WRITTEN + 'keep = "6h:15m, 1w:1h"\n')
        job = store.read().job(JOB)
        assert job.keep == "6h:15m,7d:1h"

        store.update_job(replace(job, disabled=True))

        assert 'keep = "6h:15m, 1w:1h"\n' in path.read_text()

    def test_leaves_every_comment_and_every_other_line_alone(self, store: ClusterStore, path: Path) -> None:
        store.update_job(replace(store.read().job(JOB), disabled=True))

        assert path.read_text() == HAND_WRITTEN + "disabled = true\n"

    def test_taken_back_leaves_the_file_as_it_was(self, store: ClusterStore, path: Path) -> None:
        job = store.read().job(JOB)
        store.update_job(replace(job, disabled=True, rate=3.5))
        store.update_job(job)

        assert path.read_text() == HAND_WRITTEN

    def test_that_changes_nothing_does_not_touch_the_file(self, store: ClusterStore, path: Path) -> None:
        def written() -> tuple[int, int, int]:
            found = path.stat()  # without the time of the last read, which the store's own look changes
            return found.st_ino, found.st_mtime_ns, found.st_ctime_ns

        before = written()

        store.update_job(store.read().job(JOB))
        store.delete_job(JobId(999, 9))

        assert written() == before

    def test_changes_the_digest_and_the_stamp(self, store: ClusterStore) -> None:
        digest, stamp = store.read().digest, store.stamp()

        store.update_job(replace(store.read().job(JOB), removal=Removal.FULL))

        assert store.read().digest != digest
        assert store.stamp() != stamp

    def test_of_a_job_that_is_gone_is_refused(self, store: ClusterStore) -> None:
        with pytest.raises(ConfigError, match=r"There is no job 100-7\. Known jobs: 100-0\."):
            store.update_job(Job(JobId(100, 7), "beta"))

    def test_to_an_id_that_is_taken_is_refused(self, store: ClusterStore) -> None:
        with pytest.raises(ConfigError, match="Job 100-0 exists already"):
            store.create_job(Job(JOB, "gamma"))


class TestInEveryLayoutOfTheFile:
    def test_a_job_can_be_created(self, laid_out: Path) -> None:
        store = ClusterStore(FileStore(laid_out), ZoneInfo("UTC"), clock=lambda: NOW)
        before = store.read()

        store.create_job(Job(JobId(100, 1), "gamma", comment="#1"))

        after = store.read()
        assert after.jobs == {**before.jobs, JobId(100, 1): Job(JobId(100, 1), "gamma", comment="#1", source="alpha")}

    def test_a_job_can_be_changed(self, laid_out: Path) -> None:
        store = ClusterStore(FileStore(laid_out), ZoneInfo("UTC"), clock=lambda: NOW)

        store.update_job(replace(store.read().job(JOB), disabled=True, rate=7.0, rpo=None))

        job = store.read().job(JOB)
        assert (job.disabled, job.rate, job.rpo) == (True, 7.0, None)

    def test_a_job_can_be_deleted(self, laid_out: Path) -> None:
        store = ClusterStore(FileStore(laid_out), ZoneInfo("UTC"), clock=lambda: NOW)
        others = store.read().jobs.keys() - {JOB}

        store.delete_job(JOB)

        assert store.read().jobs.keys() == others

    def test_a_job_that_is_wanted_again_while_it_is_removed_stays(self, laid_out: Path) -> None:
        store = ClusterStore(FileStore(laid_out), ZoneInfo("UTC"), clock=lambda: NOW)

        store.delete_job(JOB, only_if_removing=True)
        assert JOB in store.read().jobs

        store.update_job(replace(store.read().job(JOB), removal=Removal.FULL))
        store.delete_job(JOB, only_if_removing=True)
        assert JOB not in store.read().jobs

    def test_an_epoch_can_be_raised(self, laid_out: Path) -> None:
        store = ClusterStore(FileStore(laid_out), ZoneInfo("UTC"), clock=lambda: NOW)
        before = store.read()
        assert before.guests[100].epoch == 1

        store.raise_epoch(100, "alpha", 2)

        after = store.read()
        assert after.guests[100] == replace(before.guests[100], epoch=2)
        assert (after.jobs, after.nodes, after.storages) == (before.jobs, before.nodes, before.storages)

    def test_comments_stay(self, laid_out: Path) -> None:
        store = ClusterStore(FileStore(laid_out), ZoneInfo("UTC"), clock=lambda: NOW)
        store.create_job(Job(JobId(100, 1), "gamma"))
        store.delete_job(JobId(100, 1))

        text = laid_out.read_text()
        assert "# Our two nodes." in text
        assert "# the left one" in text

    def test_the_first_job_can_be_created(self, path: Path) -> None:
        path.write_text(NODES)
        store = ClusterStore(FileStore(path), ZoneInfo("UTC"), clock=lambda: NOW)

        store.create_job(Job(JOB, "beta"))

        assert list(store.read().jobs) == [JOB]
        assert "[jobs]" not in path.read_text()


class TestADamagedFile:
    @pytest.mark.parametrize("text", [b"[nodes.alpha\n", b"\x00\x01", b"a = '\xff'", b"x = 1\nx = 2"])
    def test_is_reported_and_never_overwritten(self, store: ClusterStore, path: Path, text: bytes) -> None:
        path.write_bytes(text)

        for attempt in (
            store.read,
            lambda: store.create_job(Job(JobId(100, 1), "gamma")),
            lambda: store.delete_job(JOB),
        ):
            with pytest.raises(DamagedStoreError):
                attempt()
        assert path.read_bytes() == text

    def test_is_reported_with_its_line(self, store: ClusterStore, path: Path) -> None:
        path.write_text('[nodes.alpha]\naddress "x"\n')

        with pytest.raises(DamagedStoreError, match="line 2"):
            store.read()

    def test_that_is_missing_says_how_to_begin(self, store: ClusterStore, path: Path) -> None:
        path.unlink()

        for attempt in (store.read, lambda: store.create_job(Job(JobId(100, 1), "gamma"))):
            with pytest.raises(ConfigError, match=r"There is no cluster file .*Begin with a \[nodes.NAME\]"):
                attempt()
        assert store.stamp() is None
        assert not path.exists()


class TestWriting:
    def test_keeps_mode_and_owner(self, store: ClusterStore, path: Path) -> None:
        path.chmod(0o640)
        if os.geteuid() == 0:
            os.chown(path, 1234, 1235)
        before = path.stat()

        store.delete_job(JOB)

        after = path.stat()
        assert stat.S_IMODE(after.st_mode) == 0o640
        assert (after.st_uid, after.st_gid) == (before.st_uid, before.st_gid)

    def test_keeps_a_link_a_link(self, store: ClusterStore, path: Path, tmp_path: Path) -> None:
        (tmp_path / "git").mkdir()
        real = path.rename(tmp_path / "git" / "cluster.toml")
        path.symlink_to(real)

        store.delete_job(JOB)

        assert path.is_symlink()
        assert "jobs" not in real.read_text()

    def test_leaves_nothing_behind_but_the_lock_and_what_the_file_came_from(
        self, store: ClusterStore, path: Path
    ) -> None:
        before = digest_of(path.read_text())

        store.delete_job(JOB)

        left = sorted(entry.name for entry in path.parent.iterdir())
        assert left == ["cluster.toml", "cluster.toml.history", "cluster.toml.lock"]
        assert versions(read_history(path)) == [before, digest_of(path.read_text())]

    def test_goes_over_what_a_killed_writer_left(self, store: ClusterStore, path: Path) -> None:
        path.with_name(".cluster.toml.new").write_text("half a fi")

        store.delete_job(JOB)

        assert store.read().jobs == {}

    def test_that_fails_leaves_the_file_as_it_was(
        self, store: ClusterStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(_: int) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)

        with pytest.raises(NoSpaceError, match="No space left on device"):
            store.delete_job(JOB)
        assert path.read_text() == HAND_WRITTEN
        assert not path.with_name(".cluster.toml.new").exists()

    def test_where_writing_is_not_allowed_is_reported(self, store: ClusterStore, path: Path) -> None:
        shutil.move(path, path.with_name("elsewhere"))
        path.mkdir()

        with pytest.raises(ConfigError, match="Could not read the cluster file"):
            store.delete_job(JOB)


class TestTwoAtOnce:
    def test_a_change_against_an_old_digest_is_refused(self, store: ClusterStore) -> None:
        old = store.read()
        store.update_job(replace(old.job(JOB), rate=5.0))

        with pytest.raises(ChangedError, match="changed by another program"):
            store.update_job(replace(old.job(JOB), disabled=True), digest=old.digest)
        assert not store.read().job(JOB).disabled

    def test_a_change_against_the_right_digest_is_made(self, store: ClusterStore) -> None:
        cluster = store.read()

        store.update_job(replace(cluster.job(JOB), disabled=True), digest=cluster.digest)

        assert store.read().job(JOB).disabled

    def test_an_editor_that_saves_in_between_does_not_lose_its_words(
        self, store: ClusterStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        check: Callable[..., None] = FileStore._check

        def save_meanwhile(self: FileStore, *rest: object) -> None:
            check(self, *rest)
            path.write_text(HAND_WRITTEN + "rate = 5\n")

        monkeypatch.setattr(FileStore, "_check", save_meanwhile)

        with pytest.raises(ChangedError):
            store.delete_job(JOB)
        assert path.read_text() == HAND_WRITTEN + "rate = 5\n"

    def test_a_writer_that_does_not_get_the_lock_fails_after_a_while(
        self, store: ClusterStore, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(file_module, "LOCK_TIMEOUT_SECONDS", 0.0)
        with path.with_name("cluster.toml.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)

            with pytest.raises(BusyError, match="locked by another program"):
                store.delete_job(JOB)

    def test_many_at_once_lose_nothing(self, store: ClusterStore, path: Path) -> None:
        path.write_text(NODES + "".join(f'[guests.{guest}]\nnode = "alpha"\n' for guest in range(101, 109)))

        def create(guest: int) -> None:
            ClusterStore(FileStore(path), ZoneInfo("UTC")).create_job(Job(JobId(guest, 0), "beta"))

        threads = [threading.Thread(target=create, args=(guest,)) for guest in range(101, 109)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

        assert sorted(store.read().jobs) == [JobId(guest, 0) for guest in range(101, 109)]


jobs = st.builds(
    Job,
    id=st.just(JobId(100, 1)),
    target=st.just("gamma"),
    schedule=st.sampled_from(["*/15", "*/5", "mon..fri 22:30", "daily UTC"]),
    rate=st.none() | st.floats(1, 1e9),
    comment=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
    disabled=st.booleans(),
    rpo=st.none() | st.floats(0.001, 1e8),
    timezone=st.sampled_from([None, "UTC", "Europe/Vienna"]),
    removal=st.sampled_from([None, *Removal]),
    keep=st.sampled_from(["1", "5", "6h:15m", "6h:15m,7d:1h,30d:1d"]),
    snapshots=st.sampled_from(Travelling),
    encryption=st.sampled_from(Encryption),
    grace=st.just(inf) | st.floats(0, 1e8),
    source=st.just("alpha"),
)


@settings(deadline=None, max_examples=60)
@given(first=jobs, second=jobs)
def test_whatever_is_written_is_read_again(tmp_path_factory: pytest.TempPathFactory, first: Job, second: Job) -> None:
    path = tmp_path_factory.mktemp("store") / "cluster.toml"
    path.write_text(HAND_WRITTEN)
    store = ClusterStore(FileStore(path), ZoneInfo("UTC"), clock=lambda: NOW)

    store.create_job(first)
    assert store.read().job(first.id) == first
    store.update_job(second)
    assert store.read().job(first.id) == second
    store.delete_job(first.id)
    assert path.read_text().rstrip() == HAND_WRITTEN.rstrip()
