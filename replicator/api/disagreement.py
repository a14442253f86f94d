"""Nodes whose views of the cluster disagree, as a contact between two of them showed it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The view that a node has of the cluster, in short.

    Attributes:
        digest: of the facts on which the nodes must agree; the same text on two nodes means the same facts.
        store: the kind of store that the view was read from.
        boot: identifies the running machine, so that two with one name are recognised; empty where unknown.
    """

    digest: str = ""
    store: str = ""
    boot: str = ""


class Dispute(StrEnum):
    """What two nodes disagree on.

    OWNER: two nodes own a guest, or none does. NAME: two machines have one node's name, or an address leads to another
    node. FACTS: owners, epochs, jobs or storages differ otherwise.
    """

    OWNER = "owner"
    NAME = "name"
    FACTS = "facts"


SETTLE_SECONDS: Mapping[Dispute, float] = {Dispute.OWNER: 300.0, Dispute.NAME: 0.0, Dispute.FACTS: 900.0}
"""Seconds for which each may last before it is reported: an edit is copied from node to node meanwhile."""


@dataclass(frozen=True, order=True, slots=True)
class Disagreement:
    """One thing on which this node and another one disagree.

    Attributes:
        node: the other one.
        dispute: the kind.
        text: what differs, in a sentence without its full stop.
        since: when this node first saw it (unix time).
    """

    node: str
    dispute: Dispute
    text: str
    since: float = 0.0

    @property
    def is_critical(self) -> bool:
        """Whether a guest may be replicated twice, wrongly or not at all; files that merely differ are a warning."""
        return self.dispute is not Dispute.FACTS

    def is_settling(self, now: float) -> bool:
        """Whether it may be an edit that has not reached both nodes yet."""
        return 0 <= now - self.since < SETTLE_SECONDS[self.dispute]


def lasting(found: Iterable[Disagreement], now: float) -> tuple[Disagreement, ...]:
    """Return those that have to be reported."""
    return tuple(each for each in found if not each.is_settling(now))
