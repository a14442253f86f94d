"""What is said of a notice, before it is laid out: a letter with its facts and its list. Facts only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from enum import StrEnum

MOST_ROWS = 20
"""Jobs that a message lists; the others are counted."""
MOST_DIGEST_ROWS = 100
"""Jobs that a digest lists."""


class Level(StrEnum):
    """The colour of a letter."""

    BAD = "bad"
    WARN = "warn"
    GOOD = "good"
    PLAIN = "plain"


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that is known: ``If alpha died now`` - ``guest 100 web would fall back to ...``."""

    label: str
    text: str
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One job in a list: who, how it is, and small print."""

    who: str
    what: str
    detail: str = ""
    bad: bool = False


@dataclass(frozen=True, slots=True)
class Link:
    """Where to look further."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class MessageContent:
    """All that a message says. ``more`` is how many jobs the list leaves out; ``foot`` is small print."""

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
    """For whom and when: ``now`` (unix time), the zone of times (None: this machine's), and where links lead.

    Attributes:
        rows: how many jobs a list may have; a digest's may have `MOST_DIGEST_ROWS` where this is not made smaller.
        page: URL of the status page of the node that tells; empty where there is none.
        dashboard: URL of Grafana, below which zsr's dashboards are; empty where there is none.
    """

    now: float
    zone: tzinfo | None = None
    rows: int = MOST_ROWS
    page: str = ""
    dashboard: str = ""
