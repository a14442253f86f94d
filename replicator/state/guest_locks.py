"""The lock of a guest: a run, a move and a removal of one guest exclude each other, also between processes.

``flock`` on a file per guest: the kernel lets go of it when its holder dies, so nothing is ever left locked.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from replicator.common.files import file_error
from replicator.errors import BusyError


@contextmanager
def guest_lock(folder: Path, guest: int) -> Iterator[None]:
    """Hold a guest's lock while the body runs; never waits.

    Raises:
        BusyError: somebody else holds it. NoSpaceError, ZsrError: its file cannot be made.
    """
    path = folder / f"guest-{guest}.lock"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise file_error(error, f"make the lock '{path}'") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"Guest {guest} is locked by another run, move or removal.") from None
        yield
    finally:
        os.close(descriptor)
