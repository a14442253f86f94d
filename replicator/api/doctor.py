"""The lines of ``zsr doctor``: what was looked at, what was found, and what to do about it. Pure.

Plugins make lines too (`replicator.api.plugin.DoctorPlugin`). A line may quote another machine: whatever it was given,
its texts are one line each, without control characters.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum
from typing import Protocol

from replicator.display import displayable, shortened
from replicator.errors import ZsrError

LONGEST_TEXT = 600
"""Characters of a sentence, or of an advice."""


class Level(StrEnum):
    """What a check found.

    OK: nothing is wrong. OFF: there is nothing to look at, since it is not set up. UNKNOWN: it could not be looked at.
    WARN: it works, and a person should know. FAIL: it does not work, or no copy will be made.
    """

    OK = "ok"
    OFF = "off"
    UNKNOWN = "unknown"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Line:
    """One finding of a check about a node: a sentence, and what to do; ``advice`` is empty where nothing is to do."""

    check: str
    node: str
    level: Level
    text: str
    advice: str = ""

    def __post_init__(self) -> None:
        for name in ("text", "advice"):
            words = " ".join(displayable(getattr(self, name)).split())
            object.__setattr__(self, name, shortened(words, LONGEST_TEXT))


@dataclass(frozen=True, slots=True)
class Subject:
    """A check of a node, whose lines it makes."""

    check: str
    node: str

    def ok(self, text: str) -> Line:
        """Return a line: nothing is wrong."""
        return Line(self.check, self.node, Level.OK, text)

    def off(self, text: str) -> Line:
        """Return a line: there is nothing to look at."""
        return Line(self.check, self.node, Level.OFF, text)

    def unknown(self, text: str, advice: str = "") -> Line:
        """Return a line: it could not be looked at."""
        return Line(self.check, self.node, Level.UNKNOWN, text, advice)

    def warn(self, text: str, advice: str) -> Line:
        """Return a line: a person should know."""
        return Line(self.check, self.node, Level.WARN, text, advice)

    def fail(self, text: str, advice: str) -> Line:
        """Return a line: it does not work."""
        return Line(self.check, self.node, Level.FAIL, text, advice)

    def failed(self, error: ZsrError) -> Line:
        """Return a line: it does not work, as an error says."""
        return self.fail(error.what, error.advice or "Correct that, and look again: zsr doctor")

    def unread(self, error: ZsrError) -> Line:
        """Return a line: it could not be looked at, as an error says."""
        return self.unknown(error.what, error.advice)


class Notes(Protocol):
    """What a plugin has stored (`replicator.api.plugin.PluginStore`), to read only."""

    def get(self, key: str) -> str | None:
        """Return the value of a key, or None."""

    def items(self, prefix: str) -> dict[str, str]:
        """Return the entries whose keys have a prefix, in the order of the keys."""


@dataclass(frozen=True, slots=True)
class Visit:
    """What a plugin needs to know for its checks.

    Attributes:
        node: this node's name.
        zone: this node's timezone.
        notes: what the plugin has stored; None where that cannot be read.
        prometheus: the URL of the Prometheus that is to be asked; None: none is named.
        send: messages may be sent; otherwise nothing is, and nothing is changed.
        limit: seconds that one exchange with a server may take.
        jobs: how many jobs this node has.
    """

    node: str
    zone: tzinfo
    notes: Notes | None = None
    prometheus: str | None = None
    send: bool = False
    limit: float = 10.0
    jobs: int = 0


def worst(lines: Iterable[Line]) -> Level:
    """Return the level that counts for all: a failure, else a warning, else what is unknown."""
    found = {line.level for line in lines}
    return next((level for level in (Level.FAIL, Level.WARN, Level.UNKNOWN) if level in found), Level.OK)
