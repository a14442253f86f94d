"""Deletes old history and old events of the journal from ``state.db``."""

from __future__ import annotations

import sqlite3

from replicator.api.plugin import READ_TO
from replicator.common.history import Retention

JOURNAL_KEPT = 10_000
"""Events that are always kept, for people who look back."""
JOURNAL_MOST = 100_000
"""Events that are kept at most for a plugin that has not read them: one that never returns must not fill the disk."""


def prune(db: sqlite3.Connection, job: str, now: float, retention: Retention) -> None:
    """Delete the runs of a job that are neither among its newest nor young, and old events of the journal."""
    old = [
        row["id"]
        for row in db.execute(
            "SELECT id FROM runs WHERE job = ? AND finish < ? ORDER BY id DESC LIMIT -1 OFFSET ?",
            (job, now - retention.seconds, 0),
        )
    ]
    newest = {
        row["id"]
        for row in db.execute("SELECT id FROM runs WHERE job = ? ORDER BY id DESC LIMIT ?", (job, retention.runs))
    }
    gone = [(run,) for run in old if run not in newest]
    db.executemany("DELETE FROM run_log WHERE run = ?", gone)
    db.executemany("DELETE FROM runs WHERE id = ?", gone)
    _prune_journal(db)


def _prune_journal(db: sqlite3.Connection) -> None:
    newest = db.execute("SELECT max(number) FROM journal").fetchone()[0]
    read = db.execute("SELECT min(CAST(value AS INTEGER)) FROM memory WHERE key = ?", (READ_TO,)).fetchone()[0]
    kept = newest - JOURNAL_KEPT
    unread = kept if read is None else max(min(read, kept), newest - JOURNAL_MOST)
    db.execute("DELETE FROM journal WHERE number <= ?", (unread,))
