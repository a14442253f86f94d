"""The open file ``state.db``: one connection for all threads, its transactions, and its errors.

A file that breaks while it is open is moved aside and replaced at once. While the file cannot be written, since its
disk is full or read-only, all goes on in memory, and returns to the file as soon as that can be written again.
"""

from __future__ import annotations

import errno
import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from replicator.common.files import file_error
from replicator.errors import ConfigError, NoSpaceError, ZsrError
from replicator.state.connection import Connection, damaged, is_damage, primary_code
from replicator.state.salvage import carry_frozen, copy_to_memory
from replicator.state.schema import connect, connect_to_read, continue_numbers, last_numbers, move_aside

_log = logging.getLogger("zsr.state")

_DAMAGED = "The daemon moves it aside when it starts (systemctl restart zsr); only history is lost."

_CHECK = "Check state_dir: owner, rights, free space, and whether its file system is read-only (dmesg says why)."

RETURN_INTERVAL_SECONDS = 5.0
"""Seconds between two tries to write what is in memory into the file."""

MEMORY_BYTES = 64 * 1024 * 1024
"""What is kept in memory beyond what the file has: months of runs, but not the log of one that prints without end."""

_UNWRITABLE_ERRNO = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)
_UNWRITABLE = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN)


class Database:
    """A connection that several threads share; other processes may have the file open too.

    Args:
        connection: the open file.
        path: its path, where it may be replaced, or left for memory; None for readers.
        moved_aside: the new name of a damaged file that was replaced; None if the file was sound.

    Attributes:
        lock: held by every use of the connection; taken again by the thread that holds it without waiting.
        moved_aside: as above, also after a file broke while it was open.
        unwritable_since: since when all goes on in memory (unix time); None: the file is written.
    """

    def __init__(self, connection: Connection, *, path: Path | None = None, moved_aside: Path | None = None) -> None:
        self.lock = threading.RLock()
        self.moved_aside = moved_aside
        self.unwritable_since: float | None = None
        self._path = path
        self._connection = connection
        self._generation = 0
        self._return_at = 0.0
        self._had_wrong_row = False
        self._numbers = last_numbers(connection) if path is not None else {}

    @classmethod
    def open(cls, path: Path, *, repair: bool = True) -> Database:
        """Open or create the file. A damaged one is moved aside (`moved_aside` then names it) and a new one created.

        With ``repair`` False, for readers while a daemon may have the file open, the file is not searched for damage,
        and a damaged file stays where it is. One that cannot be written can be read all the same.

        Raises:
            ZsrError: the file cannot be opened or created, is of a newer zsr, or is damaged and may not be replaced.
        """
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return cls(connect(path, search=repair), path=path if repair else None)
        except OSError as error:
            if error.errno in _UNWRITABLE_ERRNO and path.exists():
                return cls._unwritable(path, error, repair=repair)
            raise file_error(error, f"open '{path}'") from error
        except sqlite3.Error as error:
            if repair and is_damage(error):
                return cls._instead_of_damaged(path, error)
            if primary_code(error) in _UNWRITABLE and path.exists():
                return cls._unwritable(path, error, repair=repair)
            raise _not_opened(error, path) from error

    @classmethod
    def _instead_of_damaged(cls, path: Path, error: sqlite3.Error) -> Database:
        """Move a damaged file aside; return a new one, in memory if there is no room for it."""
        try:
            aside = move_aside(path)
        except OSError as worse:
            raise file_error(worse, f"move '{path}' aside, which is damaged ({error})") from worse
        try:
            made = cls(connect(path), path=path, moved_aside=aside)
        except (OSError, sqlite3.Error) as worse:
            made = cls(connect(":memory:"), path=path, moved_aside=aside)
            made._stay_in_memory(worse)
        carry_frozen(aside, made._connection)
        return made

    @classmethod
    def _unwritable(cls, path: Path, error: Exception, *, repair: bool) -> Database:
        """Return what a file has that cannot be written: in memory, or for others than daemons to be read only.

        Raises:
            ZsrError: it cannot be read either.
        """
        try:
            if not repair:
                return cls(connect_to_read(path))
            made = cls(copy_to_memory(path), path=path)
        except sqlite3.Error as worse:
            raise _not_opened(worse, path) from error
        made._stay_in_memory(error)
        return made

    def _stay_in_memory(self, error: Exception) -> None:
        """Note that the connection is one in memory, since the file cannot be written; `return_to_file` tries again."""
        memory = self._connection
        pages, size = (memory.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "page_size"))
        memory.execute(f"PRAGMA max_page_count = {pages + MEMORY_BYTES // size}")
        self.unwritable_since, self._return_at = time.time(), time.monotonic() + RETURN_INTERVAL_SECONDS
        _log.error("state.db cannot be written (%s); all goes on in memory, and nothing is destroyed.", error)

    @classmethod
    def read(cls, path: Path) -> Database:
        """Open an existing file without changing it, not even to the present format; a daemon may have it open too.

        Raises:
            ZsrError: the file cannot be opened, is of a newer zsr, or is damaged.
        """
        try:
            return cls(connect_to_read(path))
        except sqlite3.Error as error:
            raise _not_opened(error, path) from error

    def damage(self) -> str | None:
        """Search the whole file for damage; return what was found, None: nothing."""
        try:
            found = str(self.rows("PRAGMA quick_check(1)")[0][0])
        except ZsrError as error:
            return error.what
        return None if found == "ok" else found

    def close(self) -> None:
        """Close the file."""
        with self.lock:
            self.return_to_file(at_once=True)
            self._connection.close()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run the body as one transaction: all of it or nothing; in memory while the file cannot be written.

        Raises:
            ZsrError: it was not done. What broke is replaced then, or left for memory: the next one will be.
        """
        with self.lock:
            self.return_to_file()
            try:
                self._begin()
                self._connection.record()
                try:
                    yield self._connection
                    statements = self._connection.recorded()
                    self._commit(statements)
                except BaseException:
                    self._connection.recorded()
                    if self._connection.in_transaction:  # SQLite has rolled back by itself where the disk is full
                        self._connection.execute("ROLLBACK")
                    raise
                if self._path is not None and any(sql.startswith("INSERT INTO") for sql, _, _ in statements):
                    self._numbers = last_numbers(self._connection)
            except sqlite3.Error as error:
                self._recover(error)
                raise as_zsr_error(error, None) from error

    def _begin(self) -> None:
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            if not self._recover(error):
                raise
            self._connection.execute("BEGIN IMMEDIATE")

    def _commit(self, statements: Sequence[tuple[str, Any, bool]]) -> None:
        """Commit; what cannot be written to the file is done in memory."""
        try:
            self._connection.execute("COMMIT")
        except sqlite3.Error as error:
            if not self._leave_for_memory(error):
                raise
            self._connection.repeat(statements)

    def _recover(self, error: sqlite3.Error) -> bool:
        """Replace a file that broke, or leave one that cannot be written; return whether all can go on now."""
        return self._replace_damaged(error) or self._leave_for_memory(error)

    def _replace_damaged(self, error: sqlite3.Error) -> bool:
        with self.lock:  # no other thread may use the connection that is closed
            return self._replaced(error)

    def _replaced(self, error: sqlite3.Error) -> bool:
        if self._path is None or self.unwritable_since is not None or not is_damage(error):
            return False
        self._connection.close()
        try:
            aside = move_aside(self._path) if self._path.exists() else None
            self.moved_aside = aside or self.moved_aside
            self._connection = connect(self._path)
            continue_numbers(self._connection, self._numbers)
            if aside is not None:
                carry_frozen(aside, self._connection)
        except (OSError, sqlite3.Error) as worse:
            self._connection.close()
            self._connection = connect(":memory:")
            self.unwritable_since = time.time()
            _log.error("state.db broke (%s) and cannot be replaced, so all goes on in memory: %s", error, worse)
            continue_numbers(self._connection, self._numbers)
        else:
            _log.error("state.db broke (%s); it was moved to %s and replaced.", error, self.moved_aside)
        self._generation += 1
        return True

    def _leave_for_memory(self, error: sqlite3.Error) -> bool:
        """Go on in memory with all that the file has; an open transaction is rolled back."""
        with self.lock:
            return self._left_for_memory(error)

    def _left_for_memory(self, error: sqlite3.Error) -> bool:
        if self._path is None or self.unwritable_since is not None or primary_code(error) not in _UNWRITABLE:
            return False
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
        memory = connect(":memory:", empty=True)
        try:
            self._connection.backup(memory)
        except sqlite3.Error:
            memory.close()
            return False
        self._connection.close()
        self._connection = memory
        self._generation += 1
        self._stay_in_memory(error)
        return True

    def return_to_file(self, *, at_once: bool = False) -> None:
        """Write what is in memory into the file if that can be written again; tried every few seconds."""
        with self.lock:
            if self.unwritable_since is None or self._path is None:
                return
            if not at_once and time.monotonic() < self._return_at:
                return
            self._return_at = time.monotonic() + RETURN_INTERVAL_SECONDS
            try:
                file = self._written_anew(self._path)
            except sqlite3.Error as error:
                if is_damage(error):
                    with suppress(OSError):
                        self.moved_aside = move_aside(self._path)
                return
            except (OSError, ZsrError):
                return
            self._connection.close()
            self._connection, self.unwritable_since = file, None
            self._generation += 1
            _log.warning("state.db can be written again; what was in memory is in it.")

    def _written_anew(self, path: Path) -> Connection:
        """Return the file, opened again, with all that is in memory: the disk may be another one than before."""
        file = connect(path, search=False)
        try:
            self._connection.backup(file)
            file.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except BaseException:
            file.close()
            raise
        return file

    def rows(self, query: str, *values: object) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self.lock:
            return list(self.each_row(query, *values))

    def each_row(self, query: str, *values: object) -> Iterator[sqlite3.Row]:
        """Yield the rows of a query one by one, for a caller that holds `lock`."""
        try:
            yield from self._connection.execute(query, values)
        except sqlite3.Error as error:
            self._recover(error)
            raise as_zsr_error(error, None) from error

    @contextmanager
    def decoding(self) -> Iterator[None]:
        """Understand rows in the body. A row that says what cannot be is damage, like a page that is none.

        Raises:
            ZsrError: there is one; the file was replaced, where this may do so.
        """
        try:
            yield
        except (ValueError, TypeError, LookupError, ConfigError) as error:
            damage = damaged(f"a row cannot be understood: {type(error).__name__}: {error}")
            with self.lock:
                if not self._had_wrong_row:  # once: the second time it is an error of zsr, and not of a disk
                    self._had_wrong_row = self._recover(damage)
            raise as_zsr_error(damage, None) from error

    def version(self) -> tuple[int, int, int]:
        """Return a value that differs after any write, by another connection or by this one."""
        with self.lock:
            version = int(self.rows("PRAGMA data_version")[0][0])
            return self._generation, version, self._connection.total_changes


def _not_opened(error: sqlite3.Error, path: Path) -> ZsrError:
    if isinstance(error, sqlite3.OperationalError) and not is_damage(error):
        return as_zsr_error(error, path)
    return ZsrError(f"'{path}' is damaged: {error}.", advice=_DAMAGED)


def as_zsr_error(error: sqlite3.Error, path: Path | None) -> ZsrError:
    """Return the zsr error that stands for an error of SQLite."""
    where = f"'{path}'" if path else "state.db"
    if path is not None and path.is_dir():
        return ZsrError(f"Could not use {where}: it is a folder.", advice="Move it away, or name another state_dir.")
    if "full" in str(error):
        return NoSpaceError(f"Could not write {where}: the disk is full.", advice="Free space below state_dir.")
    return ZsrError(f"Could not use {where}: {error}.", advice=_CHECK)
