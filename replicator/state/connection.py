"""A SQLite connection that can repeat a transaction on another one: the bodies of transactions are plain SQL."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Any


class Connection(sqlite3.Connection):
    """Records the statements of a transaction between `record` and `recorded`."""

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
        return super().execute(sql, parameters)

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
