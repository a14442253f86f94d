"""The lock of a guest: a run, a move and a removal of one guest exclude each other, also between processes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replicator.common.files import file_error, lock_file
from replicator.errors import BusyError


@contextmanager
def guest_lock(folder: Path, guest: int) -> Iterator[None]:
    """Hold a guest's lock while the body runs; never waits.

    Raises:
        BusyError: another process holds it. NoSpaceError, ZsrError: its file cannot be created.
    """
    path = folder / f"guest-{guest}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = lock_file(path)
    except BlockingIOError:
        raise BusyError(f"Guest {guest} is locked by another run, move, removal or thaw.") from None
    except OSError as error:
        raise file_error(error, f"create the lock '{path}'") from error
    try:
        yield
    finally:
        os.close(lock)
