"""Damaged files ``state.db``: seen from the daemon's start until a person removes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.daemon.damaged_states import DamagedStates
from replicator.state.stores import State
from tests.support.daemon_env import DaemonEnv, until


def test_a_damaged_state_is_shown_until_a_person_removes_it(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    path.write_bytes(b"no database" * 100)
    state = State.open(path)
    try:
        seen = DamagedStates(tmp_path)
        seen.look()
        (name,) = seen.names
        assert name == getattr(state.database.moved_aside, "name", None)
        (tmp_path / f"{name}-wal").touch()
        seen.look()
        assert list(seen.names) == [name]
        (tmp_path / name).unlink()
        seen.look()
        assert list(seen.names) == []
    finally:
        state.close()


def test_a_folder_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    seen = DamagedStates(tmp_path / "gone", ("state.db.damaged-1",))
    seen.look()
    assert seen.names == ("state.db.damaged-1",)


async def test_a_daemon_shows_it_from_its_start_and_sees_its_end(
    stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replicator.daemon.damaged_states.LOOK_SECONDS", 0.01)
    damaged = stage.folder / "state.db.damaged-1"
    damaged.touch()
    async with stage.running() as daemon:
        assert daemon.status().damaged_states == (damaged.name,)
        damaged.unlink()
        await until(lambda: daemon.status().damaged_states == ())
