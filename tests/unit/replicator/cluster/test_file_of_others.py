"""A cluster file that another program writes now, or that others may write: no half of it, and no hooks, are taken."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from replicator.cluster.file_store import FileStore
from replicator.common.files import is_open_for_writing
from replicator.errors import ConfigError
from tests.support.cluster_files import HAND_WRITTEN, JOB


class TestAFileThatIsBeingWritten:
    def test_is_read_when_its_writer_has_closed_it(self, path: Path) -> None:
        def finish() -> None:
            time.sleep(0.5)
            writer.write('\n[jobs.100-1]\ntarget = "gamma"\n')
            writer.close()

        writer = path.open("a")
        thread = threading.Thread(target=finish)
        thread.start()
        jobs = FileStore(path).read().jobs
        thread.join()
        assert sorted(map(str, jobs)) == ["100-0", "100-1"]

    def test_is_not_read_while_it_is_open(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("replicator.cluster.file_store.WRITER_TIMEOUT_SECONDS", 0.2)
        with path.open("a"), pytest.raises(ConfigError, match="has been open for writing"):
            FileStore(path).read()

    def test_ends_no_process_that_looks_at_it(self, path: Path) -> None:
        """A lease announces a writer by a signal, which by default ends the process that has the lease."""
        ended = threading.Event()

        def write() -> None:
            while not ended.is_set():
                with path.open("r+") as file:
                    file.write("#")

        thread = threading.Thread(target=write)
        thread.start()
        for _ in range(300):
            with path.open("rb") as file:
                is_open_for_writing(file.fileno())
        ended.set()
        thread.join()


class TestHooksInAFileThatOthersMayWrite:
    @pytest.fixture(autouse=True)
    def with_hooks(self, path: Path) -> None:
        hooks = 'node = "alpha"\nfreeze = "f"\nthaw = "t"\n[guests.101]\nnode = "alpha"\n'
        path.write_text(HAND_WRITTEN.replace('node = "alpha"\n', hooks))
        path.chmod(0o644)

    def test_are_refused_and_the_jobs_are_not(self, path: Path) -> None:
        path.chmod(0o664)
        cluster = FileStore(path).read()
        assert "may be written by others (mode 0664)" in cluster.guests[100].hooks_refused
        assert cluster.guests[101].hooks_refused == ""
        assert JOB in cluster.jobs

    def test_are_refused_for_its_folder_too(self, path: Path) -> None:
        path.parent.chmod(0o775)
        assert f"'{path.parent}' may be written by others" in FileStore(path).read().guests[100].hooks_refused

    def test_are_refused_for_another_owner(self, path: Path) -> None:
        os.chown(path, 4711, 0)
        assert "belongs to user 4711" in FileStore(path).read().guests[100].hooks_refused

    def test_are_not_refused_in_a_file_of_root_alone(self, path: Path) -> None:
        path.parent.chmod(0o755)
        assert FileStore(path).read().guests[100].hooks_refused == ""
