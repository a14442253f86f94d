"""Compares this node's view of the cluster with that of other nodes, over connections that are open anyway.

Each daemon writes its facts to a file next to its control socket, and reads that of the nodes that answered at the last
contact, as with their clocks. A node without zsr has no such file, and nothing is known of it then. What the last
reading showed stays until the next one succeeds: a node that is silent has not changed its mind.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from replicator.api.disagreement import ClusterView, Disagreement
from replicator.cluster.facts import (
    Announcement,
    compare,
    facts_of,
    from_text,
    known_since,
    name_disputes,
    named,
    to_text,
)
from replicator.cluster.model import Cluster
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.zfs.node_clients import Nodes

FILE = "cluster-view.json"
"""The name of the file, in the folder of the control socket, which is taken to be the same on all nodes."""

STEP_SECONDS = 15.0
REWRITE_SECONDS = 60.0
"""Seconds after which the file is written again, so that its age shows whether the daemon lives."""
COMPARE_SECONDS = 600.0
"""Seconds between two readings of a node with which there is no disagreement; else `REWRITE_SECONDS`."""
FRESH_SECONDS = 300.0
"""The oldest that another node's file may be, by that node's own clock and this one's; an older one says nothing."""
_LIMIT_SECONDS = 10.0
_MOST_BYTES = 16 * 1024 * 1024

_log = logging.getLogger("zsr.daemon")


class PeerViews:
    """Holds what other nodes said last, and what follows of it.

    Args:
        settings: of this node.
        nodes: the connections.
        cluster: returns the cluster as this node sees it.
        clock: unix time.
    """

    def __init__(
        self,
        settings: Settings,
        nodes: Nodes,
        cluster: Callable[[], Cluster],
        clock: Callable[[], float],
    ) -> None:
        self._node = settings.node
        self._file = settings.control.parent / FILE
        self._nodes = nodes
        self._cluster = cluster
        self._store = settings.cluster.store
        self._clock = clock
        self._started = clock()
        self._of: Cluster | None = None
        self._facts = facts_of(Cluster())
        self._digest = self._facts.digest()
        self._changed = True
        self._written = 0.0
        self._said: dict[str, Announcement] = {}
        self._read_at: dict[str, float] = {}
        self._known: list[Disagreement] = []

    @property
    def view(self) -> ClusterView:
        """The view that this node has of the cluster, in short."""
        self._take_over()
        return ClusterView(self._digest, self._store, self._nodes.boot)

    @property
    def disagreements(self) -> tuple[Disagreement, ...]:
        """All that is disputed, also what may be an edit that is being copied."""
        return tuple(self._known)

    async def keep_comparing(self) -> None:
        """Write this node's file and read those of others, until cancelled."""
        while True:
            try:
                await self.step()
            except Exception:  # noqa: BLE001 - a task's outermost frame
                _log.exception("Could not compare the views of the nodes (class internal); it is tried again.")
            await asyncio.sleep(STEP_SECONDS)

    async def step(self) -> None:
        """Write the file if it is due, and read those of the nodes that are due."""
        self._take_over()
        now, changed, self._changed = self._clock(), self._changed, False
        if changed or not 0 <= now - self._written < REWRITE_SECONDS:
            await asyncio.to_thread(self._write, now)
        due = self._due(now, at_once=changed)
        async with asyncio.TaskGroup() as group:
            for name in due:
                group.create_task(self._read(name))
        if due or changed:
            self._conclude()

    def _due(self, now: float, *, at_once: bool) -> list[str]:
        """Return the nodes that are to be read now: those with which a connection is open, as far as is known."""
        disputed = {each.node for each in self._known}
        due = []
        for name, node in self._cluster().nodes.items():
            if not self._nodes.reachable.get(name) or name == self._node or node.is_local:
                continue
            pause = REWRITE_SECONDS if name in disputed else COMPARE_SECONDS
            if at_once or not 0 <= now - self._read_at.get(name, float("-inf")) < pause:
                due.append(name)
        return due

    def _take_over(self) -> None:
        """Take over a new cluster."""
        cluster = self._cluster()
        if cluster is self._of:
            return
        self._of, self._facts, self._changed = cluster, facts_of(cluster), True
        self._digest = self._facts.digest()
        self._said = {name: said for name, said in self._said.items() if name in cluster.nodes}

    def _write(self, now: float) -> None:
        announcement = Announcement(self._node, self._started, now, self._facts, self._nodes.machines)
        text = to_text(announcement)
        fresh = self._file.with_name(f".{self._file.name}.new")
        try:
            fresh.write_text(text)
            fresh.replace(self._file)
        except OSError as error:
            _log.debug("'%s' was not written, so other nodes cannot compare: %s", self._file, error)
            return
        self._written = now

    async def _read(self, name: str) -> None:
        self._read_at[name] = self._clock()
        try:
            client = self._nodes.client(name)
            argv = ["head", "-c", str(_MOST_BYTES), str(self._file)]
            done = await client.host.run(argv, limit=_LIMIT_SECONDS)
        except ZsrError:
            return
        said = from_text(done.stdout) if done.ok else None
        if said is not None and abs(self._clock() - said.written) < FRESH_SECONDS:
            self._said[name] = said

    def _conclude(self) -> None:
        found: list[Disagreement] = []
        for name, said in sorted(self._said.items()):
            slack = COMPARE_SECONDS + FRESH_SECONDS
            names = list(name_disputes(self._node, self._nodes.boot, self._started, name, said, slack=slack))
            found += names or compare(self._node, self._facts, name, said.facts)
        self._known = named(found, known_since(self._known), self._clock())
