"""Files that are shared with other processes: stamps, locks, atomic writes, and errors in sentences."""

from __future__ import annotations

import errno
import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path

from replicator.errors import NoSpaceError, ZsrError

_LOCK_POLL_SECONDS = 0.05


def stamp_of(path: Path) -> object:
    """Return something cheap that differs after a file was changed or replaced; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def file_error(error: OSError, what: str) -> ZsrError:
    """Return the error of a file operation; ``what`` names the attempt, like ``write '/etc/zsr/cluster.toml'``."""
    text = f"Could not {what}: {error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(text, advice="Free space there and try again.")
    return ZsrError(text, advice="Check its owner and rights, and whether the file system is read-only.")


def lock_file(path: Path, *, timeout_seconds: float = 0.0) -> int:
    """Take the lock of a file, which is created if need be; return the descriptor that holds it until it is closed.

    The kernel releases the lock when its holder dies, so nothing is ever left locked.

    Raises:
        BlockingIOError: another process holds it, still after the timeout. OSError: the file cannot be created.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    end = time.monotonic() + timeout_seconds
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise
                time.sleep(_LOCK_POLL_SECONDS)
            else:
                return descriptor
    except BaseException:
        os.close(descriptor)
        raise


def replace_text(path: Path, text: str) -> None:
    """Replace the content of a file: readers see the old one or the new one, also after a power cut.

    Mode and owner stay, and a link stays a link. Raises OSError, and the file is as it was then.
    """
    target = path.resolve()
    fresh = target.with_name(f".{target.name}.new")
    try:
        found = target.stat()
        with fresh.open("w", encoding="utf-8", newline="") as file:
            os.fchmod(file.fileno(), found.st_mode & 0o7777)
            os.fchown(file.fileno(), found.st_uid, found.st_gid)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(target)
        _sync_folder(target.parent)
    except OSError:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
