"""Creates unix sockets with the rights that they are to have from the first moment on; replaces only sockets."""

from __future__ import annotations

import errno
import socket
import stat
from pathlib import Path


def is_socket(path: Path) -> bool:
    """Return whether a socket is at a path; False: nothing is.

    Raises:
        FileExistsError: something else is there, which a new socket would destroy.
        OSError: it cannot be looked at.
    """
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    if not stat.S_ISSOCK(found.st_mode):
        raise FileExistsError(errno.EEXIST, "what is there already is no socket")
    return True


def bound_socket(path: Path, mode: int) -> socket.socket:
    """Return a socket that is bound to a path with these rights, and does not listen yet: no client is there before.

    The process's umask is left alone. It holds for all threads and tasks, and whatever one of them creates
    meanwhile would get the rights of a socket.

    Raises:
        OSError: it cannot be created there.
    """
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        made.bind(str(path))
        path.chmod(mode)
    except BaseException:
        made.close()
        raise
    return made
