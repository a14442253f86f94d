"""``state.db`` opened to read only: nothing is created, upgraded, moved or written."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from replicator.errors import ZsrError
from replicator.models import KnownSets, Synced
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW, fail, make_older, succeed


def format_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def test_what_was_recorded_is_there_also_while_a_daemon_has_the_file_open(state: State, path: Path) -> None:
    run = succeed(state, NOW)
    state.jobs.set_synced(JOB, Synced(NOW, int(NOW), KnownSets(int(NOW), ("a:b",), (int(NOW),))), run=run, now=NOW)

    with closing(State.read(path)) as reader:
        known = reader.jobs.get(JOB)
        assert known is not None
        assert known.synced == Synced(NOW, int(NOW), KnownSets(int(NOW), ("a:b",), (int(NOW),)))
        assert reader.runs.has_succeeded_last(JOB)
        fail(state, NOW + 60)
        assert not reader.runs.has_succeeded_last(JOB)


def test_nothing_can_be_written(state: State, path: Path) -> None:
    succeed(state, NOW)

    with closing(State.read(path)) as reader, pytest.raises(ZsrError, match="readonly"):
        reader.jobs.schedule_now(JOB)


def test_a_file_of_an_older_format_stays_in_it(path: Path) -> None:
    with closing(State.open(path)) as state:
        run = succeed(state, NOW)
        state.jobs.set_synced(JOB, Synced(NOW, int(NOW)), run=run, now=NOW)
    make_older(path, 3)
    before = path.read_bytes()

    with closing(State.read(path)) as reader:
        known = reader.jobs.get(JOB)
        assert known is not None
        assert known.sets == KnownSets(int(NOW), (), (int(NOW),), by_name=True)

    assert path.read_bytes() == before
    assert format_of(path) == 3


def test_a_file_of_a_newer_format_is_refused(path: Path) -> None:
    State.open(path).close()
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")

    with pytest.raises(ZsrError, match="newer zsr"):
        State.read(path)


def test_a_damaged_file_stays_where_it_is(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"no database at all " * 99)

    with pytest.raises(ZsrError, match="is damaged"):
        State.read(path)

    assert [each.name for each in path.parent.iterdir()] == ["state.db"]


def test_a_file_that_does_not_exist_is_not_created(path: Path) -> None:
    with pytest.raises(ZsrError, match="unable to open"):
        State.read(path)

    assert not path.parent.exists()


def test_nothing_is_left_next_to_a_file_that_nobody_has_open(path: Path) -> None:
    State.open(path).close()
    before = {each.name: each.stat().st_mtime_ns for each in path.parent.iterdir()}

    with closing(State.read(path)) as reader:
        assert reader.jobs.all() == {}
        assert reader.database.damage() is None

    assert {each.name: each.stat().st_mtime_ns for each in path.parent.iterdir()} == before
    assert list(before) == [path.name]


def test_damage_in_the_middle_is_found_by_a_search(path: Path) -> None:
    with closing(State.open(path)) as state:
        for number in range(300):
            fail(state, NOW + number)
    whole = bytearray(path.read_bytes())
    for at in range(4 * 4096, len(whole), 4096):
        whole[at : at + 64] = b"x" * 64
    path.write_bytes(whole)

    with closing(State.read(path)) as reader:
        assert reader.database.damage() is not None
