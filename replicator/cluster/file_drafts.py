"""Changes of a cluster file's text that are not made: what another node's copy is to be (file store). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replicator.cluster.file_store import FileStore
from replicator.cluster.model import Cluster, Decide


@dataclass(slots=True)
class FileDraft:
    """A cluster in one text (`replicator.cluster.model.ClusterBackend`); ``path`` is for messages."""

    path: Path
    text: str

    @property
    def name(self) -> str:
        """See `ClusterBackend.name`."""
        return str(self.path)

    def read(self) -> Cluster:
        """See `ClusterBackend.read`."""
        return FileStore(self.path).parsed(self.text)

    def stamp(self) -> object:
        """See `ClusterBackend.stamp`."""
        return self.text

    def change(self, decide: Decide, digest: str | None) -> None:
        """See `ClusterBackend.change`; nothing else changes a draft, so ``digest`` is not asked."""
        self.text = FileStore(self.path).draft(self.text, decide)
