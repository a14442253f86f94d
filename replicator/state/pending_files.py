"""Which guests took this node as theirs and are not finished: their set and files, in ``state.db``."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from replicator.models import GuestId, JobId
from replicator.state.database import Database
from replicator.state.plugin_store import SqlitePluginStore

STORE = "zsr.files"
"""The name under which `memory` has them; no plugin has it."""


@dataclass(frozen=True, slots=True)
class FilesOfSet:
    """The set with which a guest goes on, and gets the files that were kept at its time.

    ``epoch`` is the guest's with which it came; ``former``: the node that it came from; ``chosen``: a person chose the
    set, and it may be older than others that are there.
    """

    epoch: int
    job: str
    set_time: int
    former: str
    chosen: bool = False

    @property
    def job_id(self) -> JobId:
        """The job."""
        return JobId.parse(self.job)


@dataclass(frozen=True, slots=True)
class PendingFiles:
    """Remembers what is to be put in place, until it is. Blocks."""

    database: Database

    def put(self, guest: GuestId, files: FilesOfSet | None) -> None:
        """Remember what is to be put in place for a guest; None: nothing is any more."""
        self._store.put(str(guest), None if files is None else json.dumps(asdict(files)))

    def get(self, guest: GuestId, epoch: int) -> FilesOfSet | None:
        """Return what is to be put in place for a guest that came with this epoch; None if nothing is."""
        text = self._store.get(str(guest))
        with self.database.decoding():
            files = None if text is None else FilesOfSet(**json.loads(text))
        return files if files is not None and files.epoch == epoch else None

    @property
    def _store(self) -> SqlitePluginStore:
        return SqlitePluginStore(self.database, STORE)
