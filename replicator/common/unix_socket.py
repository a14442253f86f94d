"""Creates unix sockets with the rights that they are to have, from the first moment on."""

from __future__ import annotations

import socket
from pathlib import Path


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
