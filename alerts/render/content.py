"""The content of a message, independent of its format. Facts only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

MOST_ROWS = 20
"""Jobs that a message lists; the others are counted."""
MOST_DIGEST_ROWS = 100
"""Jobs that a digest lists."""


class Level(StrEnum):
    """The colour of a message."""

    BAD = "bad"
    WARN = "warn"
    GOOD = "good"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Fact:
    """One labelled fact: ``If alpha died now`` - ``guest 100 web would fall back to ...``."""

    label: str
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One job in a list: its name, its condition, and details."""

    who: str
    what: str
    detail: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """A link to further information."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class MessageContent:
    """The content of a message. ``more`` is how many jobs the list leaves out; ``foot`` is the small print."""

    title: str
    badge: str
    tone: Level
    lead: str
    facts: tuple[Fact, ...] = ()
    heading: str = ""
    rows: tuple[Row, ...] = ()
    more: int = 0
    notes: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    foot: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RenderContext:
    """The time and settings of a rendering: ``now`` (unix time), the timezone (None: this machine's) and links.

    Attributes:
        rows: the most jobs in a list; a digest has `MOST_DIGEST_ROWS` unless this is smaller than the default.
        page: URL of this node's status page; empty without one.
        dashboard: URL of the Grafana with zsr's dashboards; empty without one.
    """

    now: float
    zone: tzinfo | None = None
    rows: int = MOST_ROWS
    page: str = ""
    dashboard: str = ""
