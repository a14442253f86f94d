"""A state.db that breaks, or that cannot be written, while it is open: replaced at once, or left for memory."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from replicator.errors import NoSpaceError, ZsrError
from replicator.events import RunSucceeded
from replicator.models import JobId
from replicator.state import database
from replicator.state.stores import State

JOB = JobId(100, 0)
NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """The return to the file is tried with every transaction."""
    monkeypatch.setattr(database, "RETURN_INTERVAL_SECONDS", 0.0)


def begin(state: State, job: JobId = JOB) -> int:
    return state.runs.begin(job, NOW, owner="x", missed=0)


def finish(state: State, run: int, job: JobId = JOB) -> None:
    event = RunSucceeded(NOW + 9, job, run, NOW, 9.0, 1, 0, None)
    state.runs.finish(event, start=NOW, sent_bytes=1)


def damage(path: Path) -> None:
    """Overwrite all pages, as a bad disk may; the log of SQLite too."""
    for part in (path, path.with_name(f"{path.name}-wal")):
        if part.exists():
            part.write_bytes(b"\xff" * max(8192, part.stat().st_size))


class TestDamage:
    @pytest.fixture
    def state(self, tmp_path: Path) -> Iterator[State]:
        opened = State.open(tmp_path / "state.db")
        yield opened
        opened.close()

    def test_a_file_that_breaks_is_moved_aside_and_replaced_without_a_restart(
        self, state: State, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        run = begin(state)
        finish(state, run)
        state.database._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        damage(tmp_path / "state.db")
        state.database._connection.execute("PRAGMA cache_size = 0")
        with suppress(ZsrError):  # the use that meets the damage may fail; the next one does not
            state.jobs.get(JOB)
        assert state.jobs.get(JOB) is None
        later = begin(state)
        assert later > run, "the number of a run of the lost file is not given again"
        finish(state, later)
        [found] = state.runs.newest(JOB)
        assert found.id == later
        assert state.database.moved_aside is not None
        assert state.database.moved_aside.exists()
        assert state.is_writable
        assert "moved to" in caplog.text

    def test_a_run_of_the_lost_file_ends_no_other(self, state: State, tmp_path: Path) -> None:
        old = begin(state)
        state.database._replace_damaged(_error(sqlite3.SQLITE_CORRUPT))
        new = begin(state, JobId(101, 0))
        finish(state, old)
        assert [run.id for run in state.runs.unfinished()] == [new]

    def test_events_go_on_with_higher_numbers(self, state: State) -> None:
        finish(state, begin(state))
        last = state.journal.last_event()
        state.database._replace_damaged(_error(sqlite3.SQLITE_NOTADB))
        begin(state)
        assert state.journal.last_event() == last + 1

    def test_readers_move_nothing(self, state: State, tmp_path: Path) -> None:
        begin(state)
        reader = State.open(tmp_path / "state.db", repair=False)
        assert not reader.database._replace_damaged(_error(sqlite3.SQLITE_CORRUPT))
        assert not reader.database._leave_for_memory(_error(sqlite3.SQLITE_FULL))
        reader.close()


def _error(code: int) -> sqlite3.Error:
    error = sqlite3.DatabaseError("database disk image is malformed")
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MB of its own."""
    folder = tmp_path / "small"
    folder.mkdir()
    argv = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if subprocess.run(argv, capture_output=True, check=False).returncode != 0:
        pytest.skip("needs the right to mount")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> Path:
    """Take all the room."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        for _ in range(1000):
            file.write(b"x" * 4096)
    return ballast


class TestFullDisk:
    def test_all_goes_on_in_memory_and_returns_when_there_is_room(
        self, small_disk: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        state = State.open(small_disk / "state.db")
        finish(state, begin(state))
        ballast = fill(small_disk)
        for _ in range(50):
            finish(state, begin(state))
        assert not state.is_writable
        assert len(state.runs.newest(JOB, limit=-1)) == 51
        assert "all goes on in memory, and nothing is destroyed" in caplog.text
        ballast.unlink()
        state.database.return_to_file()
        assert state.database.unwritable_since is None
        finish(state, begin(state))
        state.close()
        again = State.open(small_disk / "state.db")
        assert len(again.runs.newest(JOB, limit=-1)) == 52
        again.close()

    def test_a_restart_with_a_disk_that_is_still_full_has_what_was_durable(self, small_disk: Path) -> None:
        state = State.open(small_disk / "state.db")
        finish(state, begin(state))
        fill(small_disk)
        while state.is_writable:
            finish(state, begin(state))
        state.close()
        assert (small_disk / "state.db").exists()
        reader = State.open(small_disk / "state.db", repair=False)
        assert reader.runs.newest(JOB)
        reader.close()

    def test_a_transaction_whose_body_met_the_full_disk_is_reported_and_the_next_goes_on(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(database, "RETURN_INTERVAL_SECONDS", 60.0)
        state = State.open(tmp_path / "state.db")
        connection = state.database._connection
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")
        run = begin(state)
        with pytest.raises(NoSpaceError):
            state.logs.append(run, [(NOW, "info", "x" * 100_000)])
        assert not state.is_writable
        state.logs.append(run, [(NOW, "info", "y" * 100_000)])
        state.database.return_to_file(at_once=True)
        assert [line.text[0] for line in state.logs.lines(run)] == ["y"]
        assert state.database.unwritable_since is None
        state.close()
