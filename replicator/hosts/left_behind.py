"""Commands that could not be ended: they hang in the kernel, as all do that ask a suspended pool (failmode=wait).

Such a command is not started once more before it has ended, or each look would leave one more process on the node.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from replicator.common.durations import words
from replicator.errors import DeadlineError

DYING_SECONDS = 10.0
"""Seconds after which a command that was given up hangs for good; one that was killed ends before."""

Purpose = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Hanging:
    words: str
    since: float
    has_ended: Callable[[], bool]


class LeftBehind:
    """The commands of one node that were given up and have not ended yet, at most one for each purpose."""

    def __init__(self, node: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._node = node
        self._clock = clock
        self._hanging: dict[Purpose, _Hanging] = {}

    def add(self, argv: Sequence[str], has_ended: Callable[[], bool]) -> None:
        """Note a command that was given up; ``has_ended`` says whether it is gone by now."""
        self._hanging.setdefault(purpose(argv), _Hanging(" ".join(argv[:3]), self._clock(), has_ended))

    async def refuse(self, argv: Sequence[str]) -> None:
        """Raise DeadlineError if a command of the same purpose still hangs; wait for one that was just killed."""
        hanging = self._hanging.get(purpose(argv))
        if hanging is None:
            return
        while not (ended := hanging.has_ended()) and self._clock() < hanging.since + DYING_SECONDS:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
        if ended:
            self._hanging.pop(purpose(argv), None)
            return
        raise DeadlineError(
            f"'{hanging.words}' on {self._node} was given up {words(self._clock() - hanging.since)} ago and has not "
            "ended; it is not started again before that.",
            node=self._node,
        )


def purpose(argv: Sequence[str]) -> Purpose:
    """Return what a command is for: program and verb, and of all names that it is given the pool. Pure."""
    names = (word.partition("/")[0].partition("@")[0] for word in argv[2:] if not word.startswith("-"))
    return (*argv[:2], *names)
