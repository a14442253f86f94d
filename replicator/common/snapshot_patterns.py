"""Which snapshots travel, as ``snapshots`` of a job says: all, only zsr's own, or those whose names fit. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase

ALLOWED = "'all', 'own', or patterns of names with * and ?, of which ! excludes, like [\"autosnap_*\", \"!*_hourly\"]"
"""What ``snapshots`` may be, in the words of a message."""

_PATTERN = re.compile(r"!?[A-Za-z0-9_.:%*? -]+", re.ASCII)
_EVERY = "*"
_WORDS = {"all": (_EVERY,), "own": ()}


class Travelling(StrEnum):
    """Which snapshots are sent along: those of others too, or only the job's own."""

    ALL = "all"
    OWN = "own"


@dataclass(frozen=True, slots=True)
class SnapshotPatterns:
    """A name fits if one of ``wanted`` fits it, and none of ``unwanted``; both have ``*`` and ``?`` as in a shell."""

    wanted: tuple[str, ...]
    unwanted: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str) -> SnapshotPatterns:
        """Read ``all``, ``own``, or patterns between commas, which no snapshot's name has; else raise ValueError.

        Where all patterns exclude, every other name fits.
        """
        if (known := _WORDS.get(text)) is not None:
            return cls(known)
        patterns = [pattern.strip() for pattern in text.split(",")]
        is_word = len(patterns) == 1 and not set(text) & set("*?!")  # a slip, like "none"
        if is_word or not all(_PATTERN.fullmatch(pattern) for pattern in patterns):
            raise ValueError(ALLOWED)
        wanted = tuple(pattern for pattern in patterns if not pattern.startswith("!"))
        return cls(wanted or (_EVERY,), tuple(pattern[1:] for pattern in patterns if pattern.startswith("!")))

    @property
    def all(self) -> bool:
        """Whether every name fits."""
        return _EVERY in self.wanted and not self.unwanted

    def fits(self, name: str) -> bool:
        """Return whether a snapshot of this name travels."""
        return _any_fits(self.wanted, name) and not _any_fits(self.unwanted, name)


NONE_TRAVEL = SnapshotPatterns(())
"""No snapshot of others travels."""


def _any_fits(patterns: Iterable[str], name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def canonical(text: str) -> str:
    """Return ``snapshots`` of a job in its one spelling; raises ValueError as `SnapshotPatterns.parse`."""
    SnapshotPatterns.parse(text)
    return ",".join(pattern.strip() for pattern in text.split(","))


def lua_pattern(pattern: str) -> str:
    """Return a pattern as Lua's ``string.find`` has it."""
    parts = {"*": ".*", "?": "."}
    return f"^{''.join(parts.get(c, c if c.isalnum() else f'%{c}') for c in pattern)}$"
