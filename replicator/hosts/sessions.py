"""The sessions of one SSH connection: a server that allows no more of them (MaxSessions) makes a command wait.

A refused session is no lost connection. The command takes its place in a queue, first come first served, and is tried
again whenever a session of ours has ended. Nothing that runs is disturbed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import asyncssh

from replicator.errors import NetworkError

Process = asyncssh.SSHClientProcess[bytes]

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 5.0
"""Seconds between two tries while no session of ours ends; the server logs each refusal."""


class Sessions:
    """The open sessions of a connection to a node.

    Args:
        node: its name.
        is_lost: returns whether the connection is lost; no session is waited for then.
        patience: seconds to wait for a session where none of ours is open, which could end.
    """

    def __init__(self, node: str, is_lost: Callable[[], bool], *, patience: float) -> None:
        self._node = node
        self._is_lost = is_lost
        self._patience = patience
        self._ours: set[Process] = set()
        self._turn = asyncio.Lock()
        self._freed = asyncio.Event()

    async def open(self, attempt: Callable[[], Awaitable[Process]]) -> Process:
        """Open a session, at once or when it is its turn; ``attempt`` opens one and has a limit of its own.

        Raises:
            NetworkError: the server refuses sessions although none of ours is open.
            asyncssh.ChannelOpenError: the connection is lost.
        """
        if not self._turn.locked():
            try:
                return self._opened(await attempt())
            except asyncssh.ChannelOpenError:
                if self._is_lost():
                    raise
        async with self._turn:
            return await self._wait_and_open(attempt)

    async def _wait_and_open(self, attempt: Callable[[], Awaitable[Process]]) -> Process:
        loop = asyncio.get_running_loop()
        alone_since: float | None = None
        pause = _FIRST_PAUSE_SECONDS
        while True:
            self._freed.clear()
            try:
                return self._opened(await attempt())
            except asyncssh.ChannelOpenError as error:
                if self._is_lost():
                    raise
                alone_since = None if self._ours else alone_since or loop.time()
                if alone_since is not None and loop.time() - alone_since >= self._patience:
                    raise NetworkError(
                        f"Node {self._node} refuses to start commands: {error.reason or 'no reason'}.",
                        node=self._node,
                        advice="Check MaxSessions and the log of its sshd; it needs at least 1.",
                    ) from error
            limit = pause if self._ours else min(pause, self._patience)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(limit):
                    await self._freed.wait()
                    pause = _FIRST_PAUSE_SECONDS

    def _opened(self, process: Process) -> Process:
        self._ours.add(process)
        return process

    def ended(self, process: Process) -> None:
        """Note that a session ended, or that nobody knows when it will: no other one waits for its end."""
        self._ours.discard(process)
        self._freed.set()
