"""Nodes that disagree on owners or names, and cluster files that differ, as the core's status has it. Pure.

What may be an edit that is still being copied is not reported (`replicator.api.disagreement`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from alerts.grouping.notices import NoticeSource
from alerts.notice import Notice, NoticeKind
from replicator.api.disagreement import Disagreement, lasting
from replicator.api.status import Status


@dataclass(frozen=True, slots=True)
class Kind:
    """A condition of the whole node: its name among the conditions, and the kinds of its notices."""

    name: str
    begins: NoticeKind
    ends: NoticeKind
    is_critical: bool


OWNERS = Kind("owners/", NoticeKind.NODES_DISAGREE, NoticeKind.NODES_AGREE, is_critical=True)
FILES = Kind("files/", NoticeKind.FILES_DIFFER, NoticeKind.FILES_ALIKE, is_critical=False)
KINDS = (OWNERS, FILES)


def disputed(status: Status) -> set[str]:
    """The names of the conditions that last now."""
    found = lasting(status.disagreements, status.time)
    return {kind.name for kind in KINDS if any(each.is_critical is kind.is_critical for each in found)}


def beginning(kind: Kind, status: Status, key: str) -> Notice:
    """The notice of all disagreements of a kind."""
    found = [each for each in lasting(status.disagreements, status.time) if each.is_critical is kind.is_critical]
    text = "\n".join(f"{each.text[0].upper()}{each.text[1:]}." for each in sorted(found))
    return replace(NoticeSource(status.node, "").notice(kind.begins, key, status.time), about=_peers(found), text=text)


def ending(kind: Kind, status: Status, key: str, thread: str) -> Notice:
    """The all-clear."""
    notice = NoticeSource(status.node, "").notice(kind.ends, key, status.time)
    return replace(notice, thread=thread, opens=False, closes=True)


def _peers(found: Iterable[Disagreement]) -> str:
    return " and ".join(sorted({each.node for each in found}))
