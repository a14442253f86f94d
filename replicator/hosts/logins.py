"""Refused logins: after one, a node is not asked by each job, since servers ban who asks too often.

sshd's PerSourcePenalties and fail2ban count refused logins, and lock out the administrator as well. So there is one
attempt per node and pause; in between, every job gets the same error. A key that changes here is tried at once.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from pathlib import Path

from replicator.errors import AuthError, ConnectionLostError, NetworkError, ZsrError

_PAUSES_SECONDS = (15.0, 30.0, 60.0)
"""Seconds until the next attempt after one, two, and more refused logins in a row. The penalty of sshd for one
(``authfail``, 5 s) is over by then."""

Stamp = tuple[tuple[str, int, int], ...]


class Logins:
    """The logins to one node. ``clock``: seconds; ``files`` returns those that a login depends on here."""

    def __init__(self, files: Callable[[], Iterable[Path]], clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._clock = clock
        self._refused: AuthError | None = None
        self._times = 0
        self._next = 0.0
        self._stamp: Stamp = ()

    def refuse_too_soon(self) -> None:
        """Raise the last refusal again if it is too soon for another attempt."""
        if self._refused is not None and self._clock() < self._next and self._stamp == _stamp(self._files()):
            raise _again(self._refused)

    def succeeded(self) -> None:
        """Note that the node let us in."""
        self._refused, self._times = None, 0

    def failed(self, error: ZsrError) -> ZsrError:
        """Note a failed attempt; return the error to report for it.

        A server that closes connections after it had refused a login most likely bans this node: the reason stays
        the refused login.
        """
        if isinstance(error, AuthError):
            self._refused = error
        elif not (self._refused is not None and _is_closed(error)):
            self._refused = None
            return error
        self._times += 1
        self._next = self._clock() + _PAUSES_SECONDS[min(self._times, len(_PAUSES_SECONDS)) - 1]
        self._stamp = _stamp(self._files())
        return _again(self._refused)


def _is_closed(error: ZsrError) -> bool:
    """Return whether a server answered and closed the connection at once."""
    return isinstance(error, ConnectionLostError) or (isinstance(error, NetworkError) and "reset" in error.what.lower())


def _again(error: AuthError) -> AuthError:
    return type(error)(error.what, node=error.node, advice=error.advice, raw=error.raw)


def _stamp(files: Iterable[Path]) -> Stamp:
    found = []
    for path in files:
        try:
            facts = path.stat()
        except OSError:
            continue
        found.append((str(path), facts.st_mtime_ns, facts.st_size))
    return tuple(found)
