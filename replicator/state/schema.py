"""The tables of ``state.db``: the schema, its upgrades, and the check of a file that is opened."""

from __future__ import annotations

import logging
import os
import re
import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing, suppress
from itertools import chain, count
from pathlib import Path

from replicator.errors import ZsrError
from replicator.state.connection import Connection, damaged, primary_code
from replicator.state.content import check_content, columns_of

_log = logging.getLogger("zsr.state")

_SCHEMA = """
CREATE TABLE job_state (
    job TEXT PRIMARY KEY,
    created REAL NOT NULL,
    last_try REAL NOT NULL DEFAULT 0,
    last_start REAL NOT NULL DEFAULT 0,
    last_sync REAL,
    last_set REAL,
    last_duration REAL,
    last_sent_bytes INTEGER,
    consecutive_failures INTEGER NOT NULL DEFAULT 0,
    failing_since REAL,
    error_class TEXT,
    message TEXT,
    advice TEXT,
    runs_succeeded INTEGER NOT NULL DEFAULT 0,
    runs_failed INTEGER NOT NULL DEFAULT 0,
    runs_cancelled INTEGER NOT NULL DEFAULT 0,
    missed_runs INTEGER NOT NULL DEFAULT 0,
    sent_bytes_total INTEGER NOT NULL DEFAULT 0,
    unreplicated_bytes INTEGER,
    resume_pending INTEGER NOT NULL DEFAULT 0,
    slots_from REAL NOT NULL DEFAULT 0,
    slots_of TEXT,
    sets TEXT,
    place TEXT,
    replaced TEXT,
    went_back TEXT,
    disabled_since REAL,
    removal_since REAL
);
CREATE TABLE job_errors (job TEXT, class TEXT, count INTEGER NOT NULL, PRIMARY KEY (job, class));
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    job TEXT NOT NULL,
    start REAL NOT NULL,
    finish REAL,
    owner TEXT NOT NULL,
    outcome TEXT,
    error_class TEXT,
    message TEXT,
    sent_bytes INTEGER NOT NULL DEFAULT 0,
    last_sync REAL
);
CREATE INDEX runs_by_job ON runs (job, id);
CREATE TABLE run_log (run INTEGER NOT NULL, number INTEGER NOT NULL, time REAL NOT NULL, level TEXT NOT NULL,
    text TEXT NOT NULL, PRIMARY KEY (run, number)) WITHOUT ROWID;
CREATE TABLE journal (number INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL, kind TEXT NOT NULL,
    body TEXT NOT NULL);
CREATE TABLE sent_snapshots (job TEXT NOT NULL, guid TEXT NOT NULL, carried INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job, guid)) WITHOUT ROWID;
CREATE TABLE memory (plugin TEXT, key TEXT, value TEXT NOT NULL, PRIMARY KEY (plugin, key));
"""
_HOOKS = """
CREATE TABLE frozen_guests (guest NOT NULL PRIMARY KEY, since REAL NOT NULL, thaw TEXT NOT NULL,
    time_limit REAL NOT NULL, job TEXT NOT NULL, run INTEGER NOT NULL, reported INTEGER NOT NULL);
CREATE TABLE hook_failures (guest INTEGER, hook TEXT, count INTEGER NOT NULL, PRIMARY KEY (guest, hook));
"""
_FREEZES = """
CREATE TABLE freezes (number INTEGER PRIMARY KEY AUTOINCREMENT, guest INTEGER NOT NULL, time REAL NOT NULL,
    failed INTEGER NOT NULL);
"""
_VANISHED = """
CREATE TABLE vanished_replicas (job TEXT NOT NULL, dataset TEXT NOT NULL, guid TEXT NOT NULL, since REAL NOT NULL,
    seen REAL NOT NULL, waited REAL NOT NULL, announced REAL, ending INTEGER NOT NULL, kept TEXT NOT NULL,
    PRIMARY KEY (job, dataset)) WITHOUT ROWID;
"""
_VANISHED_NAMES = """
INSERT INTO vanished_replicas
    SELECT job, value, '0', 0, 0, 0, NULL, 0, '' FROM job_state, json_each(vanished);
ALTER TABLE job_state DROP COLUMN vanished;
ALTER TABLE job_state ADD COLUMN replaced TEXT
"""
_MARKS = """
CREATE TABLE IF NOT EXISTS job_marks (job TEXT NOT NULL, mark TEXT NOT NULL, time REAL NOT NULL,
    PRIMARY KEY (job, mark)) WITHOUT ROWID
"""
_DRILLS = """
CREATE TABLE drills (guest INTEGER NOT NULL, node TEXT NOT NULL, job TEXT NOT NULL, since REAL NOT NULL,
    last_try REAL NOT NULL DEFAULT 0, schedule TEXT, scheduled REAL, result TEXT, message TEXT NOT NULL DEFAULT '',
    time REAL, duration REAL, set_time INTEGER, last_pass REAL, obstacle TEXT, passed INTEGER NOT NULL DEFAULT 0,
    failed INTEGER NOT NULL DEFAULT 0, undone INTEGER NOT NULL DEFAULT 0, open INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (guest, node)) WITHOUT ROWID
"""
_NAMED_GUESTS = """
ALTER TABLE frozen_guests RENAME TO numbered_guests;
CREATE TABLE frozen_guests (guest NOT NULL PRIMARY KEY, since REAL NOT NULL, thaw TEXT NOT NULL,
    time_limit REAL NOT NULL, job TEXT NOT NULL, run INTEGER NOT NULL, reported INTEGER NOT NULL);
INSERT INTO frozen_guests SELECT * FROM numbered_guests;
DROP TABLE numbered_guests
"""
CREATED = ("zsr.state", "created")
"""The plugin, which is none, and the key under which `memory` has the unix time at which the file was made."""

_VERSION = 14

DAMAGED = ".damaged-"
"""Is in the name of a damaged file that was moved aside, before the time."""
FORMER = ".format-"
"""Is in the name of the copy of a file as it was before an upgrade, before the number of its format."""

_ROOM_BYTES = 128 * 1024
"""Room on the disk for what SQLite needs next to the file."""

_UPGRADES = {
    1: "ALTER TABLE job_state ADD COLUMN last_set REAL",
    2: "ALTER TABLE job_state ADD COLUMN vanished TEXT",
    3: "ALTER TABLE job_state ADD COLUMN sets TEXT",
    4: "CREATE TABLE sent_snapshots (job TEXT NOT NULL, guid TEXT NOT NULL, carried INTEGER NOT NULL DEFAULT 0, "
    "PRIMARY KEY (job, guid)) WITHOUT ROWID",
    5: "ALTER TABLE job_state ADD COLUMN place TEXT",
    6: _HOOKS,
    7: _VANISHED + _VANISHED_NAMES,
    8: "ALTER TABLE job_state ADD COLUMN went_back TEXT",
    9: _MARKS,
    10: "ALTER TABLE job_state ADD COLUMN disabled_since REAL;\nALTER TABLE job_state ADD COLUMN removal_since REAL",
    11: _FREEZES,
    12: _DRILLS,
    13: _NAMED_GUESTS,
}
"""The statements that bring a file of a version to the next one."""


def connect(path: Path | str, *, search: bool = True, empty: bool = False) -> Connection:
    """Open or create the database with its tables; ``search`` the whole file for damage.

    ``path`` may be SQLite's ``:memory:``; ``empty``: without any table, to copy another database into it.

    Raises:
        sqlite3.DatabaseError: the file is damaged (OperationalError: it cannot be used at all).
        ZsrError: it was written by a newer zsr. OSError: it cannot be written, or there is no room for its companions.
    """
    if isinstance(path, Path):
        _refuse_without_room(path)
    db = sqlite3.connect(path, timeout=10, isolation_level=None, check_same_thread=False, factory=Connection)
    try:
        if isinstance(path, Path):
            path.chmod(0o600)
        db.row_factory = sqlite3.Row
        if empty:
            return db
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_spill = OFF")  # a full disk is met by the commit, which can be repeated in memory
        if search:
            _check(db)
        upgrade(db, path, keep=path if isinstance(path, Path) else None)
        if search:
            check_content(db, wanted_columns())
    except BaseException:
        db.close()
        raise
    return db


def _refuse_without_room(path: Path) -> None:
    """Raise OSError where a file's companions cannot be made.

    SQLite maps one of them into memory. A process that writes there without room on the disk is killed (SIGBUS).
    """
    if path.with_name(f"{path.name}-shm").exists():
        return
    trial = path.with_name(f".{path.name}.room")
    try:
        with trial.open("wb") as file:
            file.write(bytes(_ROOM_BYTES))
            file.flush()
            os.fsync(file.fileno())
    finally:
        with suppress(OSError):
            trial.unlink(missing_ok=True)


def wanted_columns() -> dict[str, dict[str, str]]:
    """Return the columns of a file as it is made today, as `columns_of`."""
    with closing(connect(":memory:", search=False)) as fresh:
        return columns_of(fresh)


def _execute(db: sqlite3.Connection, statements: str) -> None:
    """Execute statements inside the open transaction, which `executescript` would commit."""
    for statement in statements.split(";\n"):
        db.execute(statement)


def connect_to_read(path: Path) -> Connection:
    """Open an existing database without changing it; one of an older format is copied to memory and upgraded there.

    Raises:
        sqlite3.DatabaseError, ZsrError: as `connect`.
    """
    try:
        return _connected_to_read(path, address_to_read(path))
    except sqlite3.OperationalError as error:
        if primary_code(error) not in (sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR):
            raise
    # On a read-only disk the companions of the log cannot be made: what the file itself has can be read.
    return _connected_to_read(path, _address_alone(path))


def _connected_to_read(path: Path, address: str) -> Connection:
    db = sqlite3.connect(
        address,
        uri=True,
        timeout=10,
        isolation_level=None,
        check_same_thread=False,
        factory=Connection,
    )
    try:
        version = _version(db)
        _refuse_newer(path, version)
        if version != _VERSION:
            copy = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False, factory=Connection)
            db.backup(copy)
            db.close()
            db = copy
            upgrade(db, path)
        db.row_factory = sqlite3.Row
    except BaseException:
        db.close()
        raise
    return db


def address_to_read(path: Path) -> str:
    """Return the address at which SQLite opens a file to read it only.

    Without a write-ahead log nobody has it open, and SQLite is not to make one: a reader could not remove it again.
    """
    has_log = path.with_name(f"{path.name}-wal").exists()
    return f"{path.absolute().as_uri()}?mode=ro" if has_log else _address_alone(path)


def _address_alone(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=ro&immutable=1"


def last_numbers(db: sqlite3.Connection) -> dict[str, int]:
    """Return the highest number that was given in each table that counts."""
    return {str(row[0]): int(row[1]) for row in db.execute("SELECT name, seq FROM sqlite_sequence")}


def continue_numbers(db: sqlite3.Connection, numbers: Mapping[str, int]) -> None:
    """Let the tables of a new file count on: what refers to a number of the old one must not find another's."""
    db.executemany("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", list(numbers.items()))


def upgrade(db: sqlite3.Connection, path: Path | str, *, keep: Path | None = None) -> None:
    """Bring the tables to the present format, in one transaction.

    ``keep``: the file, of which a copy in its older format is kept next to it, so that one can go back to that version.
    """
    db.execute("BEGIN IMMEDIATE")
    version = _version(db)
    _refuse_newer(path, version)
    if keep is not None and 0 < version < _VERSION:
        copy = _keep_copy(keep, version)
        _log.info("'%s' is brought from format %d to %d; as it was it is kept in '%s'.", keep, version, _VERSION, copy)
    if version == 0:
        _execute(db, _SCHEMA + _HOOKS + _FREEZES + _VANISHED + _MARKS + ";\n" + _DRILLS)
    else:
        for earlier in range(version, _VERSION):
            _execute(db, _UPGRADES[earlier])
    if version != _VERSION:
        db.execute(f"PRAGMA user_version = {_VERSION}")
    # A file of before this was recorded is as old as what it knows.
    db.execute(
        "INSERT OR IGNORE INTO memory SELECT ?, ?, coalesce(min(created), ?) FROM job_state", (*CREATED, time.time())
    )
    db.execute("COMMIT")


def _version(db: sqlite3.Connection) -> int:
    return int(db.execute("PRAGMA user_version").fetchone()[0])


def _check(db: sqlite3.Connection) -> None:
    """Search pages and indexes for damage; a table whose index lacks a row would get it a second time."""
    found = str(db.execute("PRAGMA integrity_check(1)").fetchone()[0])
    if found != "ok":
        raise damaged(found)


def _keep_copy(path: Path, version: int) -> Path:
    """Copy a file of an older format, durably; nothing is overwritten. Its caller lets nobody write meanwhile."""
    stem = f"{path.name}{FORMER}{version}"
    names = chain([stem], (f"{stem}-{number}" for number in count(1)))
    copy = next(place for place in map(path.with_name, names) if not place.exists())
    partial = copy.with_name(f"{copy.name}.partial")
    partial.unlink(missing_ok=True)
    partial.touch(mode=0o600)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(partial)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
    with partial.open("rb") as written:
        os.fsync(written.fileno())
    partial.rename(copy)
    return copy


def _refuse_newer(path: Path | str, version: int) -> None:
    if version > _VERSION:
        copy = _newest_copy(path) if isinstance(path, Path) else None
        back = "" if copy is None else f", put '{copy}' in its place (what happened since is not in it)"
        raise ZsrError(
            f"'{path}' was written by a newer zsr (format {version}, this one knows {_VERSION}).",
            advice=f"Install that version again{back}, or move the file away: only history is lost.",
        )


def _newest_copy(path: Path) -> Path | None:
    """Return the copy of a file, kept before an upgrade, that has the highest format known here."""
    found = []
    for copy in path.parent.glob(f"{path.name}{FORMER}*"):
        number = re.fullmatch(r"([0-9]+)(?:-([0-9]+))?", copy.name.removeprefix(path.name + FORMER), re.ASCII)
        if number is not None and int(number[1]) <= _VERSION:
            found.append((int(number[1]), int(number[2] or 0), copy))
    return max(found)[-1] if found else None


def move_aside(path: Path) -> Path:
    """Rename a damaged file and its companions, so that an admin can examine them; nothing is overwritten."""
    stem = f"{path.name}{DAMAGED}{int(time.time())}"
    names = chain([stem], (f"{stem}-{number}" for number in count(1)))
    aside = next(place for place in map(path.with_name, names) if not place.exists())
    path.rename(aside)
    for companion in ("-wal", "-shm"):
        with suppress(FileNotFoundError):
            path.with_name(path.name + companion).rename(aside.with_name(aside.name + companion))
    return aside
