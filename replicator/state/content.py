"""Searches ``state.db`` for what SQLite does not call damage: tables that are not ours, and values that cannot be.

A byte that changed inside a row leaves pages and indexes as they should be. What is found here is damage like that of a
page, and so is a row that cannot be understood when it is read (`Database.decoding`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping

from replicator.state.connection import damaged

_LARGEST = 1e11
"""No time (unix seconds) or duration is larger: the year 5138."""

_NUMBERS, _TEXT = ("INTEGER", "REAL"), "TEXT"


def columns_of(db: sqlite3.Connection) -> dict[str, dict[str, str]]:
    """Return the declared type of each column, by table."""
    names = [str(row[0]) for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    tables = [name for name in names if not name.startswith("sqlite_")]
    return {
        table: {
            str(name): str(kind) for name, kind in db.execute("SELECT name, type FROM pragma_table_info(?)", (table,))
        }
        for table in tables
    }


def check_content(db: sqlite3.Connection, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Search for tables that are not ``wanted``, and for values that their column cannot have.

    Raises:
        sqlite3.DatabaseError: there is one.
    """
    found = columns_of(db)
    for table, columns in wanted.items():
        if found.get(table) != columns:
            raise damaged(f"table {table} is not as it was made")
        wrong = " OR ".join(_wrong(name, kind) for name, kind in columns.items())
        if db.execute(f"SELECT 1 FROM {table} WHERE {wrong} LIMIT 1").fetchone() is not None:  # noqa: S608 - ours
            raise damaged(f"table {table} has a value that cannot be")


def _wrong(name: str, kind: str) -> str:
    """Return the condition that a column has a value which it cannot have."""
    if name == "guest":  # a number, or the name of a group, whatever the column was declared for
        return f"typeof({name}) NOT IN ('integer', 'text')"
    if kind == _TEXT:
        return f"typeof({name}) NOT IN ('text', 'null')"
    other = f"typeof({name}) NOT IN ('integer', 'real', 'null')"
    return f"{other} OR abs({name}) > {_LARGEST}" if kind == "REAL" else other
