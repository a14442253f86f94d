"""A state.db on a disk that became read-only, by the kernel after an error of an ext4: all goes on in memory."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from replicator.common.files import lock_file
from replicator.errors import BusyError, ZsrError
from replicator.models import JobId
from replicator.state import database
from replicator.state.guest_locks import guest_lock
from replicator.state.stores import State
from tests.support.small_disk import Disk, mounted_disk
from tests.support.state_records import JOB, NOW, succeed


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(database, "RETURN_INTERVAL_SECONDS", 0.0)
    with mounted_disk(tmp_path / "disk") as disk:
        yield disk


def test_an_open_file_is_left_for_memory_and_all_returns_to_a_disk_that_was_repaired(
    disk: Disk, caplog: pytest.LogCaptureFixture
) -> None:
    with closing(State.open(disk.folder / "state.db")) as state:
        succeed(state, NOW)
        disk.fail()
        succeed(state, NOW + 60)
        assert state.database.unwritable_since is not None
        assert "all goes on in memory, and nothing is destroyed" in caplog.text
        disk.replace()
        state.database.return_to_file()
        assert "state.db can be written again" in caplog.text
    with closing(State.open(disk.folder / "state.db")) as again:
        assert [run.start for run in again.runs.newest(JOB)] == [NOW + 60, NOW]


@pytest.mark.parametrize("killed", [True, False], ids=["after a kill", "after an end in order"])
def test_a_start_goes_on_with_what_the_file_has(disk: Disk, killed: bool) -> None:
    first = State.open(disk.folder / "state.db")
    succeed(first, NOW)
    if not killed:
        first.close()
    disk.fail()
    with closing(State.open(disk.folder / "state.db")) as state:
        assert not state.is_writable
        assert [run.start for run in state.runs.newest(JOB)] == [NOW]
        succeed(state, NOW + 60)
        assert len(state.runs.newest(JOB)) == 2
    if killed:
        first.close()


def test_a_file_that_is_not_there_is_a_sentence(disk: Disk) -> None:
    disk.fail()
    with pytest.raises(ZsrError, match=r"Could not open .*state.db.: Read-only file system\. .*see dmesg"):
        State.open(disk.folder / "state.db")


def test_readers_read_it(disk: Disk) -> None:
    with closing(State.open(disk.folder / "state.db")) as state:
        succeed(state, NOW)
    disk.fail()
    with closing(State.open(disk.folder / "state.db", repair=False)) as reader:
        assert JobId(100, 0) in reader.jobs.all()


def test_a_guest_that_ran_before_can_still_be_locked_by_one(disk: Disk) -> None:
    with guest_lock(disk.folder / "locks", 100):
        pass
    disk.fail()
    with guest_lock(disk.folder / "locks", 100), pytest.raises(BusyError), guest_lock(disk.folder / "locks", 100):
        pass
    with pytest.raises(ZsrError, match=r"guest-101.lock': Read-only file system\. Its file system is read-only"):
        guest_lock(disk.folder / "locks", 101).__enter__()


def test_a_lock_needs_no_room(disk: Disk) -> None:
    path = disk.folder / "lock"
    path.touch()
    disk.fill()
    assert lock_file(path) > 0


def test_a_start_on_a_full_disk_goes_on_with_what_the_file_has(disk: Disk) -> None:
    with closing(State.open(disk.folder / "state.db")) as state:
        succeed(state, NOW)
    disk.fill()
    code = (
        "import sys; from pathlib import Path; from replicator.state.stores import State\n"
        "from tests.support.state_records import JOB, NOW, succeed\n"
        "state = State.open(Path(sys.argv[1])); succeed(state, NOW + 60)\n"
        "assert len(state.runs.newest(JOB)) == 2 and not state.is_writable\n"
    )
    argv = [sys.executable, "-c", code, str(disk.folder / "state.db")]
    assert subprocess.run(argv, check=False).returncode == 0, "a process of its own: SIGBUS would kill this one"
    disk.make_room()
    with closing(State.open(disk.folder / "state.db")) as state:
        assert state.is_writable
