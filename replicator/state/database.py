"""The open file ``state.db``: one connection for all threads, its transactions, and its errors."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replicator.common.files import file_error
from replicator.errors import NoSpaceError, ZsrError
from replicator.state.schema import connect, connect_to_read, move_aside

_DAMAGED = "The daemon moves it aside when it starts (systemctl restart zsr); only history is lost."


class Database:
    """A connection that several threads share; other processes may have the file open too.

    Attributes:
        lock: held by every use of the connection; taken again by the thread that holds it without waiting.
        moved_aside: the new name of a damaged file that was replaced; None if the file was sound.
    """

    def __init__(self, connection: sqlite3.Connection, *, moved_aside: Path | None) -> None:
        self.lock = threading.RLock()
        self.moved_aside = moved_aside
        self._connection = connection

    @classmethod
    def open(cls, path: Path, *, repair: bool = True) -> Database:
        """Open or create the file. A damaged one is moved aside (`moved_aside` then names it) and a new one created.

        With ``repair`` False, for readers while a daemon may have the file open, the file is not searched for damage,
        and a damaged file stays where it is.

        Raises:
            ZsrError: the file cannot be opened or created, is of a newer zsr, or is damaged and may not be replaced.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                return cls(connect(path, search=repair), moved_aside=None)
            except sqlite3.OperationalError as error:
                raise as_zsr_error(error, path) from error
            except sqlite3.DatabaseError as error:
                if not repair:
                    raise ZsrError(f"'{path}' is damaged: {error}.", advice=_DAMAGED) from error
                aside = move_aside(path)
                return cls(connect(path), moved_aside=aside)
        except OSError as error:
            raise file_error(error, f"open '{path}'") from error

    @classmethod
    def read(cls, path: Path) -> Database:
        """Open an existing file without changing it, not even to the present format; a daemon may have it open too.

        Raises:
            ZsrError: the file cannot be opened, is of a newer zsr, or is damaged.
        """
        try:
            return cls(connect_to_read(path), moved_aside=None)
        except sqlite3.OperationalError as error:
            raise as_zsr_error(error, path) from error
        except sqlite3.DatabaseError as error:
            raise ZsrError(f"'{path}' is damaged: {error}.", advice=_DAMAGED) from error

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction: all of it or nothing."""
        with self.lock:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:  # SQLite has rolled back by itself where the disk is full
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise as_zsr_error(error, None) from error

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self.lock:
            return list(self.each_row(query, *values))

    def each_row(self, query: str, *values: object) -> Iterator[sqlite3.Row]:
        """Yield the rows of a query one by one, for a caller that holds `lock`."""
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            raise as_zsr_error(error, None) from error

    def version(self) -> tuple[int, int]:
        """Return a value that differs after any write, by another connection or by this one."""
        with self.lock:
            return int(self.rows("PRAGMA data_version")[0][0]), self._connection.total_changes


def as_zsr_error(error: sqlite3.Error, path: Path | None) -> ZsrError:
    """Return an error of ours for one of SQLite."""
    where = f"'{path}'" if path else "state.db"
    if "full" in str(error):
        return NoSpaceError(f"Could not write {where}: the disk is full.", advice="Free space below state_dir.")
    return ZsrError(f"Could not use {where}: {error}.", advice="Check state_dir: owner, rights, free space.")
