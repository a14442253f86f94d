"""Files that are shared with other processes: stamps, digests, locks, atomic writes, and errors in sentences."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO

from replicator.common.durations import words
from replicator.common.sizes import size
from replicator.errors import BusyError, NoSpaceError, UnreadableError, ZsrError

_LOCK_POLL_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What differs after a file was changed; ``inode`` differs only after it was replaced by another one."""

    changed: int
    size: int
    inode: int


@dataclass(frozen=True, slots=True)
class FileText:
    """A file as it was read: the SHA-256 of its bytes, and its text as it may be shown."""

    digest: str
    text: str


def digest_of(text: str) -> str:
    """Return the SHA-256 of a text's bytes."""
    return sha256(text.encode()).hexdigest()


def stamp_of(path: Path) -> FileStamp | None:
    """Return a file's stamp, which is cheap; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return FileStamp(found.st_mtime_ns, found.st_size, found.st_ino)


def is_open_for_writing(descriptor: int) -> bool:
    """Return whether any process has a file open for writing, as a lease says that nobody may have then (fcntl(2)).

    False where the file system has no leases. ``descriptor`` is open for reading only.
    """
    try:
        # A writer who comes while the lease is held is announced by a signal: by default one that ends the process.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as error:
        return error.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    return False


def writable_by_others(path: Path) -> str | None:
    """Return who else than root and this user may change a file or put another in its place; None: nobody.

    Raises OSError if it cannot be looked at.
    """
    target = path.resolve()
    for place in (target, target.parent):
        found = place.stat()
        if found.st_uid not in (0, os.geteuid()):
            return f"'{place}' belongs to user {found.st_uid}"
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not (place.is_dir() and found.st_mode & stat.S_ISVTX):
            return f"'{place}' may be written by others (mode {stat.S_IMODE(found.st_mode):04o})"
    return None


LARGEST_FILE = 16 * 1024 * 1024
"""Bytes of a file of settings; a cluster of 10,000 jobs has about two million."""


def open_to_read(path: Path) -> BinaryIO:
    """Open a file that a person named, to read; raises OSError, also for a named pipe: it may never end."""
    if stat.S_ISFIFO(path.lstat().st_mode):
        raise OSError(errno.EINVAL, "it is a named pipe", str(path))
    return path.open("rb")


def read_whole(file: BinaryIO) -> bytes:
    """Return a file's bytes; raises OSError if there are more than `LARGEST_FILE`, as of a device without an end."""
    data = file.read(LARGEST_FILE + 1)
    if len(data) > LARGEST_FILE:
        raise OSError(errno.EFBIG, f"it has more than {size(LARGEST_FILE)}")
    return data


OF_LIMITS = "Raise the limit (LimitNOFILE, memory), or end what has so much open; zsr tries it again."
"""What to do where this machine, or this process, has no more descriptors or memory to give."""


_OF_PATHS = {
    errno.EISDIR: "Name a file in it.",
    errno.ENOTDIR: "A part of that path is a file and no folder: check the path.",
    errno.EEXIST: "What is there is no folder: move it away, or name another path.",
    errno.ENOENT: "A folder of that path does not exist: check the path.",
    errno.ENAMETOOLONG: "Name a shorter path.",
    errno.ELOOP: "Its links lead in a circle: check the path.",
    errno.EINVAL: "Name a file.",
    errno.EFBIG: "Name the right file.",
}
"""What to do where a path is not what it has to be."""


def is_exhausted(error: OSError) -> bool:
    """Return whether this machine, or this process, has no more descriptors or memory to give."""
    return error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def advice_of(error: OSError) -> str:
    """Return what to do where a file cannot be used; most who meet a refusal have only not become root."""
    match error.errno:
        case errno.EACCES | errno.EPERM if os.geteuid() != 0:
            return "Type it as root, or as the user of the daemon."
        case errno.EROFS:
            return (
                "Its file system is read-only, often after an error of its disk: see dmesg, repair it, mount it again."
            )
        case errno.EIO:
            return "Its disk does not answer: see dmesg."
        case number if number in _OF_PATHS:
            return _OF_PATHS[number]
    return OF_LIMITS if is_exhausted(error) else "Check its owner and rights, and whether the file system is read-only."


def hanging(what: str, limit: float, more: str = "") -> UnreadableError:
    """Return the error of a file whose file system did not answer within ``limit`` seconds."""
    return UnreadableError(
        f"{what} does not answer within {words(limit)}: its file system hangs.{more}",
        advice="Look at that mount and at the server behind it (findmnt, dmesg).",
    )


def file_error(error: OSError, what: str) -> ZsrError:
    """Return the error of a file operation; ``what`` names the attempt, like ``write '/etc/zsr/cluster.toml'``."""
    text = f"Could not {what}: {error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(text, advice="Free space there and try again.")
    if is_exhausted(error):
        return BusyError(text, advice=OF_LIMITS)
    return ZsrError(text, advice=advice_of(error))


def lock_file(path: Path, *, timeout_seconds: float = 0.0) -> int:
    """Take the lock of a file, which is created if need be; return the descriptor that holds it until it is closed.

    The kernel releases the lock when its holder dies, so nothing is ever left locked. On a read-only disk too, a file
    that is there can be locked.

    Raises:
        BlockingIOError: another process holds it, still after the timeout. OSError: the file cannot be created.
    """
    descriptor = _open_lock(path)
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


def _open_lock(path: Path) -> int:
    try:
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno != errno.EROFS or not path.exists():
            raise
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


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


def create_text(path: Path, text: str, *, mode: int = 0o600) -> None:
    """Create a file with its whole content, also after a power cut.

    Raises:
        FileExistsError: there is one already; it stays. OSError: it could not be written, and there is none.
    """
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode), "wb") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text.encode())
            file.flush()
            os.fsync(file.fileno())
        os.link(fresh, path)
        _sync_folder(path.parent)
    finally:
        with suppress(OSError):
            fresh.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
