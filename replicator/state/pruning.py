"""Deletes old history and old events of the journal from ``state.db``."""

from __future__ import annotations

import sqlite3

from replicator.api.plugin import READ_TO
from replicator.common.history import Retention
from replicator.models import Outcome
from replicator.state.plugin_store import write_notes

JOURNAL_KEPT = 10_000
"""Events that are always kept, for people who look back."""
JOURNAL_MOST = 100_000
"""Events that are kept at most for a plugin that has not read them: one that never returns must not fill the disk."""


REMOVED = "zsr.removed"
"""The name under which `memory` has the last run of each removed job: another job of its id begins after that."""


def leave_runs(db: sqlite3.Connection, job: str, now: float) -> None:
    """Keep the runs of a job that is removed as those of a former one; the one that removes it has succeeded."""
    db.execute("UPDATE runs SET finish = ?, outcome = ? WHERE job = ? AND finish IS NULL", (now, Outcome.SUCCESS, job))
    last = db.execute("SELECT max(id) FROM runs WHERE job = ?", (job,)).fetchone()[0]
    if last is not None:
        write_notes(db, REMOVED, {job: str(last)})


def prune(db: sqlite3.Connection, job: str, now: float, retention: Retention) -> None:
    """Delete runs that are neither among the newest of their job nor young, those of removed jobs, and old events."""
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
    former = db.execute(
        "SELECT id FROM runs WHERE finish < ? AND job NOT IN (SELECT job FROM job_state)", (now - retention.seconds,)
    )
    gone = [(run,) for run in (*old, *(row["id"] for row in former)) if run not in newest]
    db.executemany("DELETE FROM run_log WHERE run = ?", gone)
    db.executemany("DELETE FROM runs WHERE id = ?", gone)
    _prune_journal(db)


def _prune_journal(db: sqlite3.Connection) -> None:
    newest = db.execute("SELECT max(number) FROM journal").fetchone()[0]
    read = db.execute("SELECT min(CAST(value AS INTEGER)) FROM memory WHERE key = ?", (READ_TO,)).fetchone()[0]
    kept = newest - JOURNAL_KEPT
    unread = kept if read is None else max(min(read, kept), newest - JOURNAL_MOST)
    db.execute("DELETE FROM journal WHERE number <= ?", (unread,))
