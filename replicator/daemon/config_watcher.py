"""What should happen, as it was last read: the cluster, and whether the files of this node can still be read.

A bad new file leaves the last good one in force, is said once, and shows in the status (DESIGN 9). The settings of
this node take effect at the daemon's start; they are watched all the same, so that a file with which it would not
start again is told of before the night in which it has to.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from replicator.api.status import ConfigStatus
from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore
from replicator.common.files import stamp_of
from replicator.config.settings import Settings, load_settings
from replicator.errors import ConfigError

_log = logging.getLogger("zsr.daemon")


class ConfigWatcher:
    """The cluster as it is in force (`cluster`), and how reading went (`status`)."""

    def __init__(self, settings: Settings, store: ClusterStore, clock: Callable[[], float]) -> None:
        self.cluster = Cluster()
        self._settings = settings
        self._store = store
        self._clock = clock
        self._cluster_stamp: object = None
        self._settings_stamp: object = stamp_of(settings.path)
        self._cluster_problem: ConfigError | None = None
        self._settings_problem: ConfigError | None = None
        self._last_success = 0.0

    @property
    def status(self) -> ConfigStatus:
        """Whether the last reading of both files succeeded, and what was wrong."""
        problems = [problem for problem in (self._settings_problem, self._cluster_problem) if problem is not None]
        lines = tuple(line for problem in problems for line in str(problem).splitlines())
        return ConfigStatus(ok=not problems and self._last_success > 0, last_success=self._last_success, problems=lines)

    async def read(self) -> None:
        """Read the cluster; raises ConfigError if it is wrong or does not know this node."""
        # The stamp comes first: a change between the two is then read once more, never missed.
        stamp = await asyncio.to_thread(self._store.stamp)
        cluster = await asyncio.to_thread(self._store.read)
        if self._settings.node not in cluster.nodes:
            raise ConfigError(
                f"The cluster has no node '{self._settings.node}', which is this node's name in {self._settings.path}.",
                advice=f"Known: {', '.join(sorted(cluster.nodes)) or 'none'}.",
            )
        self.cluster, self._cluster_stamp, self._cluster_problem = cluster, stamp, None
        self._last_success = self._clock()

    async def read_again(self) -> bool:
        """Read what changed since; whether a new cluster is in force."""
        await self._look_at_settings()
        stamp = await asyncio.to_thread(self._store.stamp)
        if stamp == self._cluster_stamp:
            return False
        self._cluster_stamp = stamp
        try:
            await self.read()
        except ConfigError as error:
            _log.error("%s The last good settings stay in force.", error)
            self._cluster_problem = error
            return False
        return True

    async def _look_at_settings(self) -> None:
        stamp = await asyncio.to_thread(stamp_of, self._settings.path)
        if stamp == self._settings_stamp:
            return
        self._settings_stamp = stamp
        try:
            await asyncio.to_thread(load_settings, self._settings.path)
        except ConfigError as error:
            _log.error("%s The daemon goes on with the settings it has, but would not start again.", error)
            self._settings_problem = error
        else:
            _log.warning("'%s' was changed; it takes effect when the daemon is started anew.", self._settings.path)
            self._settings_problem = None
            self._last_success = self._clock()
