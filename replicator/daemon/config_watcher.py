"""Watches the cluster and this node's settings file, and keeps the last cluster that could be read.

A file that cannot be read is logged once and shows in the status; the last good cluster stays in use (architecture.md,
"Bad input"). One that could not be read whatever is in it, as on a mount that hangs, is tried again. The settings of
this node take effect when the daemon starts, those of plugins also with a reload. They are watched all the same: a file
with which the daemon would not start again is reported before it has to.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TypeVar

from replicator.api.status import ConfigStatus
from replicator.cluster.model import Cluster
from replicator.cluster.store import READ_SECONDS, ClusterStore
from replicator.common.bounded_calls import BoundedCalls
from replicator.common.files import FileStamp, hanging, stamp_of
from replicator.config.settings import Settings, changed_keys, load_settings
from replicator.errors import ConfigError, UnreadableError

RETRY_SECONDS = 10.0
"""Seconds until a file that could not be read is tried again."""

_log = logging.getLogger("zsr.daemon")


T = TypeVar("T")


class ConfigWatcher:
    """The cluster that is used (`cluster`), and how reading went (`status`)."""

    def __init__(self, settings: Settings, store: ClusterStore, clock: Callable[[], float]) -> None:
        self.cluster = Cluster()
        self._settings = settings
        self._store = store
        self._clock = clock
        self._cluster_stamp: object = None
        self._seen_stamp: object = None
        self._settings_stamp: object = stamp_of(settings.path)
        self._cluster_problem: ConfigError | None = None
        self._settings_problem: ConfigError | None = None
        self._last_success = 0.0
        self._retry_at = 0.0
        self._calls = BoundedCalls()
        self._pending: tuple[str, ...] = ()

    @property
    def status(self) -> ConfigStatus:
        """Whether the last reading of both files succeeded, and the problems that were found."""
        problems = [problem for problem in (self._settings_problem, self._cluster_problem) if problem is not None]
        lines = tuple(line for problem in problems for line in str(problem).splitlines())
        ok = not problems and self._last_success > 0
        return ConfigStatus(ok, self._last_success, lines, self._pending)

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
        is_unread = isinstance(self._cluster_problem, UnreadableError)
        if is_unread and time.monotonic() < self._retry_at:
            return False
        try:
            stamp = await asyncio.to_thread(self._store.stamp)
            if self._may_be_half(stamp) or (stamp == self._cluster_stamp and not is_unread):
                return False
            self._cluster_stamp = stamp
            await self.read()
        except ConfigError as error:
            if str(error) != str(self._cluster_problem):
                _log.error("%s The last good settings stay in use.", error)
            self._cluster_problem = error
            self._retry_at = time.monotonic() + RETRY_SECONDS
            return False
        return True

    def _may_be_half(self, stamp: object) -> bool:
        """Return whether a file is being written in its place, as far as is known: it has to be the same at two looks.

        A beginning of it may be valid, and lack jobs. One that was put in its place by a rename is whole.
        """
        before, self._seen_stamp = self._seen_stamp, stamp
        known = self._cluster_stamp
        in_place = isinstance(stamp, FileStamp) and isinstance(known, FileStamp) and stamp.inode == known.inode
        return in_place and stamp != before

    async def reload(self) -> Mapping[str, object] | None:
        """Read this node's settings, and take over the plugins' sections; return these, None if the file is wrong."""
        fresh = await self._load()
        if fresh is None:
            return None
        self._settings = replace(self._settings, sections=fresh.sections)
        self._pending = changed_keys(self._settings, fresh)
        return fresh.sections

    async def _check_settings(self) -> None:
        is_unread = isinstance(self._settings_problem, UnreadableError)
        try:
            stamp = await self._bounded(partial(stamp_of, self._settings.path))
        except UnreadableError as error:
            self._refuse_settings(error)
            return
        if stamp == self._settings_stamp and not is_unread:
            return
        self._settings_stamp = stamp
        fresh = await self._load()
        self._pending = self._pending if fresh is None else changed_keys(self._settings, fresh)
        if fresh is not None and self._pending:
            words = "'%s' was changed (%s); plugins' sections take effect with a reload, the others with a restart."
            _log.warning(words, self._settings.path, ", ".join(self._pending))

    async def _load(self) -> Settings | None:
        """Return this node's settings as they are now; None if they are wrong, which is logged and shown."""
        try:
            fresh = await self._bounded(partial(load_settings, self._settings.path))
        except ConfigError as error:
            self._refuse_settings(error)
            return None
        self._settings_problem = None
        self._last_success = self._clock()
        return fresh

    def _refuse_settings(self, error: ConfigError) -> None:
        if str(error) != str(self._settings_problem):
            _log.error("%s The daemon keeps the settings that it has, but would not start again.", error)
        self._settings_problem = error

    async def _bounded(self, call: Callable[[], T]) -> T:
        """Look at the settings' file; raises UnreadableError if its file system hangs."""
        try:
            return await asyncio.to_thread(self._calls.call, call, READ_SECONDS)
        except TimeoutError:
            raise hanging(f"'{self._settings.path}'", READ_SECONDS) from None
