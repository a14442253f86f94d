"""Takes over what a file has that cannot be used: all of one that cannot be written, little of a damaged one."""

from __future__ import annotations

import sqlite3
from contextlib import closing, suppress
from pathlib import Path

from replicator.errors import ZsrError
from replicator.models import JobId
from replicator.state.connection import Connection
from replicator.state.schema import address_to_read, connect, connect_to_read, upgrade

_FROZEN = "SELECT guest, since, thaw, time_limit, job, run, reported FROM frozen_guests"


def copy_to_memory(path: Path) -> Connection:
    """Return a database in memory with all that a file has.

    Raises:
        sqlite3.Error: the file cannot be read. ZsrError: it was written by a newer zsr.
    """
    memory = connect(":memory:", empty=True)
    with closing(connect_to_read(path)) as file:
        file.backup(memory)
    upgrade(memory, path)
    return memory


def carry_frozen(damaged: Path, db: sqlite3.Connection) -> None:
    """Take over from a damaged file which guests may be frozen, as far as it can be read: nothing else knows them."""
    with suppress(sqlite3.Error, ValueError, ZsrError):
        with closing(sqlite3.connect(address_to_read(damaged), uri=True)) as old:
            rows = [row for row in old.execute(_FROZEN) if _is_sound(row)]
        db.executemany("INSERT OR IGNORE INTO frozen_guests VALUES (?, ?, ?, ?, ?, ?, ?)", rows)


def _is_sound(row: tuple[object, ...]) -> bool:
    guest, since, thaw, limit, job, run, reported = row
    JobId.from_text(str(job))
    numbers = (since, limit, run, reported)  # a guest is a number, or the name of a group
    is_known = isinstance(thaw, str) and isinstance(guest, int | str)
    return is_known and all(isinstance(each, int | float) for each in numbers)
