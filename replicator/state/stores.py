"""All stores of ``state.db``: job states, runs, logs, the journal, hooks, vanished replicas, plugins' values (SQLite).

Nothing here is needed for correctness: last sync, base and fail-safe behaviour are derived again from ZFS
(architecture.md, "Where truth lives"). Two exceptions: only `hooks` knows which guests may be frozen, and only
`vanished` since when a replica waits for its volume; if that is lost, it waits from the beginning again.
What changes together is written together: a run's end, the job's state, the counters and the journal's event are
one transaction, so that neither a kill nor a full disk can leave one without the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replicator.state.database import Database
from replicator.state.drills import Drills
from replicator.state.former_keeps import FormerKeeps
from replicator.state.guest_hooks import GuestHooks
from replicator.state.job_marks import JobMarks
from replicator.state.job_states import JobStates
from replicator.state.journal import Journal
from replicator.state.moves import Moves
from replicator.state.pending_files import PendingFiles
from replicator.state.plugin_store import SqlitePluginStore
from replicator.state.run_log import RunLogs
from replicator.state.runs import Runs
from replicator.state.schema import CREATED
from replicator.state.vanished_replicas import VanishedReplicas


@dataclass(frozen=True, slots=True)
class State:
    """The stores on one open database. Usable from several threads, and while other processes have the file open."""

    database: Database
    jobs: JobStates
    runs: Runs
    logs: RunLogs
    journal: Journal
    hooks: GuestHooks
    vanished: VanishedReplicas
    marks: JobMarks
    keeps: FormerKeeps
    drills: Drills
    moves: Moves
    files: PendingFiles

    @classmethod
    def open(cls, path: Path, *, repair: bool = True) -> State:
        """Open or create the file (see `Database.open`)."""
        return cls._on(Database.open(path, repair=repair))

    @classmethod
    def read(cls, path: Path) -> State:
        """Open an existing file to read only (see `Database.read`)."""
        return cls._on(Database.read(path))

    @classmethod
    def _on(cls, database: Database) -> State:
        return cls(
            database,
            JobStates(database),
            Runs(database),
            RunLogs(database),
            Journal(database),
            GuestHooks(database),
            VanishedReplicas(database),
            JobMarks(database),
            FormerKeeps(database),
            Drills(database),
            Moves(database),
            PendingFiles(database),
        )

    def plugin_store(self, plugin: str) -> SqlitePluginStore:
        """Return the durable values of a plugin."""
        return SqlitePluginStore(self.database, plugin)

    @property
    def created(self) -> float:
        """Unix time at which the file was made: what was before it does not know."""
        plugin, key = CREATED
        return float(self.plugin_store(plugin).get(key) or 0.0)

    @property
    def is_writable(self) -> bool:
        """Whether what is recorded now is durable; else it is in memory only, and nothing may be destroyed."""
        return self.database.unwritable_since is None

    def close(self) -> None:
        """Close the file."""
        self.database.close()
