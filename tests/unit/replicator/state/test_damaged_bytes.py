"""A state.db whose bytes changed on the disk: it is used as it is, or moved aside and replaced; nothing ends for it."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

import pytest

from replicator.errors import ZsrError
from replicator.ids import GroupName
from replicator.models import Guest, JobId, KnownSets, Synced
from replicator.state import journal, schema
from replicator.state.stores import State
from tests.support.state_records import JOB, NOW, fail, gone, make_older, records_of_run, succeed

GUEST = Guest(100, "web", "alpha", freeze="freeze", thaw="thaw")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The content of a closed file with something in each table that a daemon reads all the time."""
    path = tmp_path_factory.mktemp("made") / "whole.db"
    with closing(State.open(path)) as state:
        for number in range(8):
            state.logs.append(succeed(state, NOW + number), [(NOW, "info", "words")])
        fail(state, NOW + 30)
        state.jobs.set_synced(JOB, Synced(NOW, int(NOW), KnownSets(sent=frozenset({7, 8}))), run=1, now=NOW)
        state.hooks.record_freeze(GUEST, "thaw", job=JOB, run=3, now=NOW)
        state.vanished.set(JOB, gone("tank/a"), ends={}, run=1, now=NOW)
    return path.read_bytes()


@pytest.fixture
def whole(made: bytes, tmp_path: Path) -> Path:
    """Such a file."""
    path = tmp_path / "whole.db"
    path.write_bytes(made)
    return path


def read_all(state: State) -> None:
    """Read what the daemon and its plugins read."""
    state.jobs.all()
    state.jobs.get(JOB)
    state.jobs.with_sent(JOB, KnownSets())
    for run in state.runs.newest(JOB, limit=-1):
        state.logs.lines(run.id)
    state.runs.unfinished()
    state.runs.histories(0, 2 * NOW)
    state.journal.events(0, limit=1000)
    state.hooks.frozen()
    state.hooks.failures()
    state.drills.all()
    state.marks.all()
    state.moves.all()
    assert state.created >= 0


def is_aside(path: Path) -> bool:
    return any(schema.DAMAGED in each.name for each in path.parent.iterdir())


def works(path: Path) -> None:
    """The file can be used: at most the use that meets the damage fails, and by a sentence."""
    with closing(State.open(path)) as state:
        for _ in range(3):
            with suppress(ZsrError):
                read_all(state)
        read_all(state)
        assert succeed(state, NOW + 99) > 0
        known = state.jobs.get(JOB)
        assert known is not None
        assert known.last_sync == NOW + 100


@pytest.mark.parametrize("size", [1, 100])
def test_random_bytes_end_nothing(whole: Path, tmp_path: Path, size: int) -> None:
    content, moved = whole.read_bytes(), 0
    used = [at for at, byte in enumerate(content[:-size]) if byte and at > 100]
    for seed in range(6):
        chance = random.Random(f"{size} {seed}")
        changed, at = bytearray(content), chance.choice(used)
        changed[at : at + size] = chance.randbytes(size)
        path = tmp_path / str(seed) / "state.db"
        path.parent.mkdir()
        path.write_bytes(changed)
        works(path)
        moved += is_aside(path)
    assert moved, "none of the bytes mattered: the test shows nothing"


def edited(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        for each in statements:
            db.execute(each)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE journal SET body = CAST(x'7b80' AS TEXT) WHERE number = 1",
        "UPDATE journal SET body = '{' WHERE number = 1",
        """UPDATE job_state SET sets = '{"proven": 3}'""",
        "UPDATE job_state SET job = '100#0'",
        "UPDATE job_state SET last_sync = x'00'",
        "UPDATE job_state SET last_sync = 1e200",
        "UPDATE runs SET outcome = 'sucess' WHERE id = 1",
        "UPDATE sent_snapshots SET guid = '7x' WHERE guid = '7'",
        "UPDATE vanished_replicas SET waited = 9e8",
        "UPDATE sqlite_master SET sql = replace(sql, 'went_back', 'went_bahk') WHERE name = 'job_state'",
        "UPDATE sqlite_master SET name = 'rens', tbl_name = 'rens', sql = replace(sql, 'runs', 'rens') "
        "WHERE name = 'runs'",
        "PRAGMA user_version = 12",
        "PRAGMA user_version = 0",
    ],
)
def test_what_cannot_be_is_damage(whole: Path, statement: str) -> None:
    edited(whole, statement)
    works(whole)
    assert is_aside(whole)


def test_the_guests_that_may_be_frozen_are_still_known_after_damage(whole: Path) -> None:
    edited(whole, "UPDATE job_state SET last_sync = x'00'")
    with closing(State.open(whole)) as state:
        assert is_aside(whole)
        [frozen] = state.hooks.frozen()
        assert (frozen.guest, frozen.since, frozen.thaw, frozen.job) == (100, NOW, "thaw", JOB)
        assert state.jobs.all() == {}


def test_so_are_groups_that_have_a_name(whole: Path) -> None:
    with closing(State.open(whole)) as state:
        home = Guest(GroupName("home"), "home", "alpha", freeze="freeze", thaw="thaw")
        state.hooks.record_freeze(home, "thaw", job=JobId(GroupName("home"), 0), run=4, now=NOW)
    edited(whole, "UPDATE job_state SET last_sync = x'00'")
    with closing(State.open(whole)) as state:
        assert {frozen.guest for frozen in state.hooks.frozen()} == {100, "home"}


def test_the_guests_that_may_be_frozen_are_still_known_after_damage_in_mid_use(whole: Path) -> None:
    with closing(State.open(whole)) as state:
        edited(whole, "UPDATE journal SET body = '{' WHERE number = 1")
        with pytest.raises(ZsrError, match="cannot be understood"):
            state.journal.events(0)
        assert is_aside(whole)
        assert [frozen.guest for frozen in state.hooks.frozen()] == [100]


def test_a_reader_moves_nothing_and_says_what_it_found(whole: Path) -> None:
    edited(whole, "UPDATE journal SET body = '{' WHERE number = 1")
    with closing(State.open(whole, repair=False)) as state, pytest.raises(ZsrError, match="cannot be understood"):
        state.journal.events(0)
    assert not is_aside(whole)


def test_rows_that_cannot_be_understood_again_and_again_are_no_damage(
    whole: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("an error of zsr")

    with closing(State.open(whole)) as state:
        monkeypatch.setattr(journal, "from_json", broken)
        for _ in range(3):
            with pytest.raises(ZsrError):
                state.journal.events(0)
            succeed(state, NOW + 200)
        names = [each.name for each in whole.parent.iterdir() if schema.DAMAGED in each.name]
        assert len([name for name in names if not name.endswith(("-wal", "-shm"))]) == 1


@pytest.mark.parametrize("make", [lambda _: None, lambda path: make_older(path, 1)], ids=["newest", "format 1"])
def test_a_file_that_is_whole_is_no_damage(whole: Path, make: Callable[[Path], None]) -> None:
    make(whole)
    State.open(whole).close()
    assert not is_aside(whole)


def test_a_log_shows_what_is_left_of_its_words(whole: Path) -> None:
    edited(whole, "UPDATE run_log SET text = CAST(x'61ff62' AS TEXT) WHERE run = 1")
    with closing(State.open(whole)) as state:
        assert [line.text for line in state.logs.lines(1)] == ["a\N{REPLACEMENT CHARACTER}b"]


def test_records_of_a_run_are_no_damage(whole: Path) -> None:
    with closing(State.open(whole)) as state:
        records = records_of_run(state, at=NOW + 3 * 86400)
        assert [each.dataset for each in records.vanished] == ["tank/a"]
        assert not is_aside(whole)
        assert JobId(100, 0) in state.jobs.all()
