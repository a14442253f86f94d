"""What the kernel says of a file of ours, in our own words."""

from __future__ import annotations

import errno
from pathlib import Path

from replicator.errors import NoSpaceError, ZsrError


def stamp_of(path: Path) -> object:
    """Something cheap that differs after a file was changed or replaced; None while there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def file_error(error: OSError, what: str) -> ZsrError:
    """The error of a file operation; ``what`` says what was tried, like ``write '/etc/zsr/cluster.toml'``."""
    text = f"Could not {what}: {error.strerror or error}."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return NoSpaceError(text, advice="Free space there and try again.")
    return ZsrError(text, advice="Check its owner and rights, and whether the file system is read-only.")
