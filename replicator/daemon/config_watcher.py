"""Watches the cluster and this node's settings file, and keeps the last cluster that could be read.

A file that cannot be read is logged once and shows in the status; the last good cluster stays in use (architecture.md,
"Bad input"). The settings of this node take effect when the daemon starts. They are watched all the same, so that a
file with which the daemon would not start again is reported before a restart needs it.
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
    """The cluster that is used (`cluster`), and how reading went (`status`)."""

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
        """Whether the last reading of both files succeeded, and the problems that were found."""
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
        """Read again what has changed; return whether there is a new cluster."""
        await self._check_settings()
        stamp = await asyncio.to_thread(self._store.stamp)
        if stamp == self._cluster_stamp:
            return False
        self._cluster_stamp = stamp
        try:
            await self.read()
        except ConfigError as error:
            _log.error("%s The last good settings stay in use.", error)
            self._cluster_problem = error
            return False
        return True

    async def _check_settings(self) -> None:
        stamp = await asyncio.to_thread(stamp_of, self._settings.path)
        if stamp == self._settings_stamp:
            return
        self._settings_stamp = stamp
        try:
            await asyncio.to_thread(load_settings, self._settings.path)
        except ConfigError as error:
            _log.error("%s The daemon keeps the settings that it has, but would not start again.", error)
            self._settings_problem = error
        else:
            _log.warning("'%s' was changed; the change takes effect when the daemon is restarted.", self._settings.path)
            self._settings_problem = None
            self._last_success = self._clock()
