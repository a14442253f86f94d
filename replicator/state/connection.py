"""A SQLite connection that can repeat a transaction on another one: the bodies of transactions are plain SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any

_WORDS_OF_DAMAGE = (
    "Could not decode to UTF-8", "no such table", "no such column", "has no column named", "already exists",
    "duplicate column name", "malformed JSON",
)  # fmt: skip
"""What errors of statements that never change say of a file that is not as they expect it."""


def damaged(why: str) -> sqlite3.DatabaseError:
    """Return the error of SQLite for a damaged file."""
    error = sqlite3.DatabaseError(why)
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    return error


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error of SQLite says that the file is damaged: its pages, its text, or its tables."""
    if primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return True
    return isinstance(error, sqlite3.OperationalError) and any(words in str(error) for words in _WORDS_OF_DAMAGE)


def primary_code(error: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code."""
    code = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


class Connection(sqlite3.Connection):
    """Records the statements of a transaction between `record` and `recorded`.

    SQLite quotes what it found in a damaged file, which need not be text: that is an error of SQLite's here too.
    """

    _statements: list[tuple[str, Any, bool]] | None = None

    def record(self) -> None:
        """Begin to record."""
        self._statements = []

    def recorded(self) -> list[tuple[str, Any, bool]]:
        """Return what was recorded, and record no more."""
        statements, self._statements = self._statements or [], None
        return statements

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """See `sqlite3.Connection.execute`."""
        if self._statements is not None:
            self._statements.append((sql, parameters, False))
        try:
            return super().execute(sql, parameters)
        except UnicodeDecodeError as error:
            raise damaged(str(error)) from error

    def executemany(self, sql: str, parameters: Iterable[Any], /) -> sqlite3.Cursor:
        """See `sqlite3.Connection.executemany`."""
        every = list(parameters)
        if self._statements is not None:
            self._statements.append((sql, every, True))
        return super().executemany(sql, every)

    def repeat(self, statements: Iterable[tuple[str, Any, bool]]) -> None:
        """Do recorded statements once more, as one transaction."""
        self.execute("BEGIN IMMEDIATE")
        for sql, parameters, many in statements:
            (self.executemany if many else self.execute)(sql, parameters)
        self.execute("COMMIT")
