"""What a case is played on: a lab node with real OpenZFS."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from tests.lab.fuzz.doom import doom
from tests.lab.fuzz.listing import World
from tests.lab.fuzz.machine import clear, digest, kill_leftovers, live_digest, look, shell, shift_clock, write, zfs


class Machine(Protocol):
    """What a case needs of the ZFS on which it is played."""

    def zfs(self, *arguments: str) -> str:
        """Run ``zfs``; raises ActFailedError where it is refused."""

    def pipe(self, send: Sequence[str], receive: Sequence[str]) -> None:
        """Send and receive as people do; raises ActFailedError."""

    def look(self) -> World:
        """List everything."""

    def clear(self) -> None:
        """Empty the pools and forget all files."""

    def write(self, dataset: str, kind: str, seed: int, *, sync: bool = False) -> None:
        """Write other bytes into a dataset, and with ``sync`` wait until they are listed; raises ActFailedError."""

    def live(self, dataset: str, kind: str) -> str:
        """The checksum of what a dataset holds now."""

    def digest(self, snapshot: str, kind: str, *, locked: bool) -> str:
        """The checksum of what a snapshot holds."""

    def shift_clock(self, seconds: float) -> None:
        """Let the clock jump."""

    def die(self, run: Callable[[], int], step: str, number: int) -> int:
        """Let a run of zsr die at a step; its status, negative where it did."""


class LabMachine:
    """The lab node on which this process runs, with real OpenZFS."""

    def zfs(self, *arguments: str) -> str:
        """See `Machine.zfs`."""
        return zfs(*arguments)

    def pipe(self, send: Sequence[str], receive: Sequence[str]) -> None:
        """See `Machine.pipe`."""
        shell(f"{shlex.join(['zfs', 'send', *send])} | {shlex.join(['zfs', 'receive', *receive])}")

    def look(self) -> World:
        """See `Machine.look`."""
        return look()

    def clear(self) -> None:
        """See `Machine.clear`."""
        clear()

    def write(self, dataset: str, kind: str, seed: int, *, sync: bool = False) -> None:
        """See `Machine.write`."""
        write(dataset, kind, seed)
        if sync:
            shell(f"zpool sync {dataset.partition('/')[0]}")

    def live(self, dataset: str, kind: str) -> str:
        """See `Machine.live`."""
        return live_digest(dataset, kind)

    def digest(self, snapshot: str, kind: str, *, locked: bool) -> str:
        """See `Machine.digest`."""
        return digest(snapshot, kind, locked=locked)

    def shift_clock(self, seconds: float) -> None:
        """See `Machine.shift_clock`."""
        shift_clock(seconds)

    def die(self, run: Callable[[], int], step: str, number: int) -> int:
        """Run in another process that is killed, as by ``kill -9``."""
        child = os.fork()
        if child == 0:
            doom(step, number % 10, number // 10 / 1000)
            status = 70
            with suppress(BaseException):
                status = run()
            os._exit(status)
        _, ended = os.waitpid(child, 0)
        kill_leftovers()
        return os.waitstatus_to_exitcode(ended)
