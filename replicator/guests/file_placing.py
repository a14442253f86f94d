"""Puts a file in its place on this machine: as a whole, with its mode and owner, and what was there is kept.

Neither a symbolic link nor anything but a regular file is replaced. Killed anywhere, the old file or the new one is
there, and the same again does the rest.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import time
from collections.abc import Callable
from contextlib import suppress
from enum import StrEnum
from pathlib import Path

from replicator.common.files import file_error
from replicator.common.kept_files import KeptFile
from replicator.errors import ConfigError

_FOLDER_MODE = 0o755
_SUFFIX = ".zsr-before-"
"""Between the name of a file and the time at which it was replaced."""
_LONGEST_NAME = 255


class Placed(StrEnum):
    """What became of a file."""

    NEW = "new"
    REPLACED = "replaced"
    SAME = "same"


def place(file: KeptFile, now: float) -> tuple[Placed, str]:
    """Put a file in its place, and make its folder if there is none. Blocks.

    Returns what was done, and the path under which another file that was there is kept now.

    Raises:
        ConfigError: a link or something else is there, which stays. ZsrError: it could not be written; what was there
            is as it was.
    """
    folder, name = os.path.split(file.path)
    try:
        _make(Path(folder))
        there = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _place_in(there, folder, name, file, now)
        finally:
            os.close(there)
    except OSError as error:
        raise file_error(error, f"put '{file.path}' in place") from error


def _make(folder: Path) -> None:
    """Make a folder, and those above it, that everybody may enter, whatever this process's umask says."""
    if not folder.is_dir():
        _make(folder.parent)
        folder.mkdir()
        folder.chmod(_FOLDER_MODE)


def _place_in(there: int, folder: str, name: str, file: KeptFile, now: float) -> tuple[Placed, str]:
    uid, gid = _number(file.user, file.uid, _uid), _number(file.group, file.gid, _gid)
    found = _look(there, name)
    if found is not None and not stat.S_ISREG(found.st_mode):
        what = "a symbolic link" if stat.S_ISLNK(found.st_mode) else "no regular file"
        raise ConfigError(
            f"'{file.path}' is {what} here: it is not replaced.",
            advice="Move it away, or take the path out of the guest's files.",
        )
    if found is not None and _is_same(there, name, found, file, (uid, gid)):
        return Placed.SAME, ""
    kept = "" if found is None else _keep(there, name, found, now)
    draft = f".{name}"[: _LONGEST_NAME - 8] + ".zsr-new"
    with suppress(FileNotFoundError):
        os.unlink(draft, dir_fd=there)
    try:
        _write(there, draft, file, (uid, gid))
        os.rename(draft, name, src_dir_fd=there, dst_dir_fd=there)
    except OSError:
        with suppress(OSError):
            os.unlink(draft, dir_fd=there)
        raise
    os.fsync(there)
    return (Placed.REPLACED, f"{folder}/{kept}") if kept else (Placed.NEW, "")


def _look(there: int, name: str) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=there, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _is_same(there: int, name: str, found: os.stat_result, file: KeptFile, owner: tuple[int, int]) -> bool:
    if (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_size) != (
        file.mode, *owner, len(file.content),
    ):  # fmt: skip
        return False
    descriptor = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=there)
    with os.fdopen(descriptor, "rb") as content:
        return content.read() == file.content


def _keep(there: int, name: str, found: os.stat_result, now: float) -> str:
    """Give a file a second name, under which it stays; return that. One that it got before a kill is enough."""
    stem = f"{name[: _LONGEST_NAME - len(_SUFFIX) - 20]}{_SUFFIX}"
    for other in os.listdir(there):
        if other.startswith(stem) and (same := _look(there, other)) is not None and os.path.samestat(same, found):
            return other
    wanted = kept = f"{stem}{time.strftime('%Y%m%dT%H%M%SZ', time.gmtime(now))}"
    number = 1
    while _look(there, kept) is not None:
        number += 1
        kept = f"{wanted}.{number}"
    os.link(name, kept, src_dir_fd=there, dst_dir_fd=there, follow_symlinks=False)
    os.fsync(there)
    return kept


def _write(there: int, draft: str, file: KeptFile, owner: tuple[int, int]) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(draft, flags, 0o600, dir_fd=there)
    with os.fdopen(descriptor, "wb") as written:
        written.write(file.content)
        written.flush()
        os.fchown(written.fileno(), *owner)
        os.fchmod(written.fileno(), file.mode)
        os.fsync(written.fileno())


def _number(name: str, otherwise: int, look_up: Callable[[str], int]) -> int:
    """Return the number that a user or group has on this machine; that of the other one if it is not known here."""
    try:
        return look_up(name)
    except KeyError:
        return otherwise


def _uid(name: str) -> int:
    return pwd.getpwnam(name).pw_uid


def _gid(name: str) -> int:
    return grp.getgrnam(name).gr_gid
