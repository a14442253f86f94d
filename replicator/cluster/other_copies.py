"""The copy of the cluster file on another node, with the history that lies next to it (file store)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from replicator.cluster.file_history import history_path
from replicator.common.files import FileText
from replicator.hosts.host import Host
from replicator.hosts.remote_files import read_file


@dataclass(frozen=True, slots=True)
class OtherCopy:
    """What another node has; None where there is no such file."""

    copy: FileText | None
    history: FileText | None


async def read_other(host: Host, path: Path) -> OtherCopy:
    """Read the copy on a node, which lies at the same path as this node's file, and then its history.

    Raises:
        ZsrError: one of them could not be read.
    """
    copy = await read_file(host, str(path))
    return OtherCopy(copy, await read_file(host, str(history_path(path))))
