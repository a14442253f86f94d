"""What is to be put in place for a guest is remembered until it is, for the epoch with which it came."""

from __future__ import annotations

from pathlib import Path

from replicator.models import JobId
from replicator.state.pending_files import FilesOfSet
from replicator.state.stores import State

FILES = FilesOfSet(2, "100-0", 1000, "alpha")


def test_it_is_there_after_a_restart_until_it_is_done(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state.db")
    state.files.put(100, FILES)
    state.close()
    state = State.open(tmp_path / "state.db")
    assert state.files.get(100, 2) == FILES
    assert FILES.job_id == JobId(100, 0)
    state.files.put(100, None)
    assert state.files.get(100, 2) is None
    state.close()


def test_that_of_another_epoch_or_guest_does_not_count(tmp_path: Path) -> None:
    state = State.open(tmp_path / "state.db")
    state.files.put(100, FILES)
    assert (state.files.get(100, 3), state.files.get(101, 2)) == (None, None)
    state.close()
