"""Locks between processes: a run, a move and a removal of one guest exclude each other, and so do two daemons."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

from replicator.common.files import file_error, lock_file
from replicator.errors import BusyError, ZsrError
from replicator.models import GuestId

LOCK_POLL_SECONDS = 0.5

_log = logging.getLogger("zsr.daemon")


@contextmanager
def guest_lock(folder: Path, guest: GuestId) -> Iterator[None]:
    """Hold a guest's lock while the body runs; never waits.

    Raises:
        BusyError: another process holds it. NoSpaceError, ZsrError: its file cannot be created.
    """
    with _lock(folder, f"guest-{guest}", f"Guest {guest} is locked by another run, move, removal or thaw"):
        yield


@contextmanager
def drill_lock(folder: Path, guest: GuestId) -> Iterator[None]:
    """Hold the lock of a guest's drills while the body runs, during which runs go on; never waits.

    Raises:
        BusyError: another process holds it. NoSpaceError, ZsrError: its file cannot be created.
    """
    with _lock(folder, f"drill-{guest}", f"Guest {guest} is drilled already"):
        yield


@contextmanager
def move_lock(folder: Path, guest: GuestId) -> Iterator[None]:
    """Hold the lock of a guest's move while the body runs, during which runs go on; never waits.

    Raises:
        BusyError: another process holds it. NoSpaceError, ZsrError: its file cannot be created.
    """
    with _lock(folder, f"move-{guest}", f"Guest {guest} is moved already"):
        yield


@contextmanager
def daemon_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of the daemon that uses a state folder while the body runs; never waits.

    Where its file cannot be created, on a full disk for example, the daemon goes without it.

    Raises:
        BusyError: another daemon has it, perhaps with another control socket.
    """
    with ExitStack() as lock:
        try:
            lock.enter_context(_lock(folder, "daemon", f"A daemon uses '{folder.parent}' already"))
        except BusyError as error:
            raise BusyError(error.what, advice="Stop it, or give this one a state_dir of its own.") from None
        except ZsrError as error:
            _log.warning("The daemon goes without the lock of its state folder: %s", error)
        yield


@asynccontextmanager
async def guest_lock_within(folder: Path, guest: GuestId, seconds: float) -> AsyncIterator[None]:
    """Hold a guest's lock while the body runs; waits for it, since a run may have it for a while.

    Raises:
        BusyError: another process holds it still after so many seconds.
    """
    end = time.monotonic() + seconds
    with ExitStack() as lock:
        while True:
            try:
                lock.enter_context(guest_lock(folder, guest))
                break
            except BusyError:
                if time.monotonic() >= end:
                    raise
            await asyncio.sleep(LOCK_POLL_SECONDS)
        yield


@contextmanager
def _lock(folder: Path, name: str, busy: str) -> Iterator[None]:
    path = folder / f"{name}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = lock_file(path)
    except BlockingIOError:
        raise BusyError(f"{busy}{_holder(path)}.") from None
    except OSError as error:
        raise file_error(error, f"create the lock '{path}'") from error
    try:
        _sign(lock)
        yield
    finally:
        os.close(lock)


def _sign(lock: int) -> None:
    """Write into a lock's file who holds it; the lock itself does not depend on it, so a full disk does not matter."""
    with suppress(OSError):
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()} {int(time.time())}".encode(), 0)


def _holder(path: Path) -> str:
    """Return who holds a lock and since when, in words; empty where its file does not say so."""
    try:
        pid, since = map(int, path.read_bytes()[:64].split())
        began = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(since))
    except (OSError, ValueError, OverflowError):
        return ""
    return f", of process {pid} since {began}"
