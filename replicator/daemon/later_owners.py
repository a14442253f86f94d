"""Takes over the cluster file of a node that knows later owners of guests, if it came from this node's file.

A node that was away while its guests were recovered comes back with the file of before. Its runs are refused by the
stamps; so that it also learns what it owns now, it asks the nodes with which its view differs (file store).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable

from replicator.cluster.file_copies import later_epochs, may_take_over
from replicator.cluster.file_history import read_history, versions
from replicator.cluster.file_store import FileStore
from replicator.cluster.other_copies import read_other
from replicator.common.files import FileText, digest_of
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.zfs.node_clients import Nodes

LOOK_SECONDS = 20.0
"""Seconds between two looks at whether the views of the nodes differ."""

_log = logging.getLogger("zsr.daemon")


class LaterOwners:
    """Asks the nodes that disagree with this one.

    Args:
        settings: of this node.
        nodes: the connections.
        differing: returns the names of the nodes whose view of the cluster differs.
        changed: called after this node's file was replaced.
    """

    def __init__(
        self, settings: Settings, nodes: Nodes, differing: Callable[[], Iterable[str]], changed: Callable[[], None]
    ) -> None:
        self._path = settings.cluster.path
        self._is_file = settings.cluster.store == "file"
        self._nodes = nodes
        self._differing = differing
        self._changed = changed

    async def keep_asking(self) -> None:
        """Ask whenever a node disagrees, until cancelled."""
        while self._is_file:
            await asyncio.sleep(LOOK_SECONDS)
            for name in sorted(set(self._differing())):
                try:
                    await self.ask(name)
                except ZsrError as error:
                    _log.debug("The cluster file of %s could not be taken over: %s", name, error)
                except Exception:  # noqa: BLE001 - a task's outermost frame
                    _log.exception("The cluster file of a node could not be compared (class internal).")

    async def ask(self, name: str) -> bool:
        """Take over a node's file if that may be; return whether it was."""
        other = await read_other(self._nodes.client(name).host, self._path)
        text = (await asyncio.to_thread(self._path.read_bytes)).decode()
        ours, history = FileText(digest_of(text), text), await asyncio.to_thread(read_history, self._path)
        theirs = other.copy
        if theirs is None or other.history is None:
            return False
        if not may_take_over(ours, theirs, versions(history), versions(other.history.text)):
            return False
        learned = "; ".join(later_epochs(ours, theirs))
        await asyncio.to_thread(FileStore(self._path).take_over, theirs.text, ours.digest)
        _log.warning("The cluster file was taken over from %s, which knows later owners: %s.", name, learned)
        self._changed()
        return True
