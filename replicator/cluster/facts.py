"""The facts of a cluster on which its nodes must agree, their digest, and what two nodes' facts disagree on. Pure.

Facts are the owner and epoch of each guest, the target of each job, and the storages' paths: a node that has others
replicates something else, to another place, or not at all. Comments, schedules and addresses may differ.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from replicator.api.disagreement import Disagreement, Dispute
from replicator.cluster.model import Cluster
from replicator.models import Storage

NAMED = 5
"""The most differences that are named; of the others the number is."""

_FORMAT = 1


@dataclass(frozen=True, slots=True)
class Facts:
    """The facts of one view of the cluster.

    Attributes:
        nodes: the nodes that it names; they are no part of the digest, since what matters of them is.
        guests: owner and epoch of each guest, by its number as text.
        jobs: the target of each job, by its id as text.
        storages: each storage's path, with the nodes that have another one or may use it, as text.
    """

    nodes: frozenset[str] = frozenset()
    guests: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    jobs: Mapping[str, str] = field(default_factory=dict)
    storages: Mapping[str, str] = field(default_factory=dict)

    def agree(self, other: Facts) -> bool:
        """Whether another view has the same facts."""
        return (self.guests, self.jobs, self.storages) == (other.guests, other.jobs, other.storages)

    def digest(self) -> str:
        """Return 16 hex digits that are the same for the same facts, whatever their order."""
        text = json.dumps([self.guests, self.jobs, self.storages], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a node's daemon says of itself, in a file that other nodes read when they are in contact.

    Attributes:
        node: its name, by its own settings.
        started, written: when the daemon began, and when it wrote this (unix times of its own clock).
        facts: its view of the cluster.
        seen: the boot id of the machine that it last met under each other node's name, and when it asked for that.
    """

    node: str
    started: float
    written: float
    facts: Facts
    seen: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def facts_of(cluster: Cluster) -> Facts:
    """Return the facts of a cluster."""
    return Facts(
        nodes=frozenset(cluster.nodes),
        guests={str(guest.id): (guest.node, guest.epoch) for guest in cluster.guests.values()},
        jobs={str(job.id): job.target for job in cluster.jobs.values()},
        storages={storage.name: _place(storage) for storage in cluster.storages.values()},
    )


def _place(storage: Storage) -> str:
    paths = [f"{node}={path}" for node, path in sorted(storage.paths)]
    nodes = [] if storage.nodes is None else [f"on {' '.join(sorted(storage.nodes))}"]
    return ", ".join([storage.path, *paths, *nodes])


def to_text(announcement: Announcement) -> str:
    """Return an announcement as JSON text."""
    facts = announcement.facts
    return json.dumps(
        {
            "format": _FORMAT,
            "node": announcement.node,
            "started": announcement.started,
            "written": announcement.written,
            "nodes": sorted(facts.nodes),
            "guests": facts.guests,
            "jobs": facts.jobs,
            "storages": facts.storages,
            "seen": announcement.seen,
        }
    )


def from_text(text: str) -> Announcement | None:
    """Read what `to_text` wrote; None for anything else, since another node may write what it likes."""
    try:
        found = json.loads(text)
        if found["format"] != _FORMAT:
            return None
        return Announcement(
            node=str(found["node"]),
            started=float(found["started"]),
            written=float(found["written"]),
            facts=_facts(found),
            seen={str(node): (str(boot), float(at)) for node, (boot, at) in found["seen"].items()},
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def _facts(found: Mapping[str, Any]) -> Facts:
    return Facts(
        nodes=frozenset(map(str, found["nodes"])),
        guests={str(guest): (str(node), int(epoch)) for guest, (node, epoch) in found["guests"].items()},
        jobs={str(job): str(target) for job, target in found["jobs"].items()},
        storages={str(name): str(place) for name, place in found["storages"].items()},
    )


def compare(here: str, ours: Facts, there: str, theirs: Facts) -> tuple[Disagreement, ...]:
    """Return what two nodes disagree on; nothing if one of them does not name the other: they share no cluster."""
    if there not in ours.nodes or here not in theirs.nodes or ours.agree(theirs):
        return ()
    owners = tuple(_owners(here, ours, there, theirs))
    return owners or (Disagreement(there, Dispute.FACTS, _in_words(here, ours, there, theirs)),)


def _owners(here: str, ours: Facts, there: str, theirs: Facts) -> Iterator[Disagreement]:
    """Yield the guests that both nodes own, and those of which each node leaves the ownership to the other one."""
    for guest in sorted({*ours.guests, *theirs.guests}, key=_number):
        we, they = ours.guests.get(guest, ("", 0))[0], theirs.guests.get(guest, ("", 0))[0]
        if we == here and they == there:
            text = f"guest {guest} is owned twice: {here} and {there} each say that they own it"
            yield Disagreement(there, Dispute.OWNER, text)
        elif (we == there and they in (here, "")) or (they == here and we in (there, "")):
            text = f"guest {guest} is owned by none: {_says(here, we)}, {_says(there, they)}"
            yield Disagreement(there, Dispute.OWNER, text)


def _says(node: str, owner: str) -> str:
    return f"{node} says that {owner} owns it" if owner else f"{node} does not know it"


def _in_words(here: str, ours: Facts, there: str, theirs: Facts) -> str:
    found = [
        *_differences("guest", ours.guests, theirs.guests),
        *_differences("job", ours.jobs, theirs.jobs),
        *_differences("storage", ours.storages, theirs.storages),
    ]
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return f"the cluster files of {here} and {there} differ: {', '.join(found[:NAMED])}{more}"


def _differences(what: str, ours: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[str]:
    for name in sorted({*ours, *theirs}, key=_number):
        if ours.get(name) != theirs.get(name):
            yield f"{what} {name}"


def _number(name: str) -> tuple[int, str]:
    return (int(name) if name.isascii() and name.isdigit() else 0, name)


def name_disputes(
    here: str, boot: str, started: float, there: str, said: Announcement, *, slack: float
) -> Iterator[Disagreement]:
    """Yield where another machine has a node's name.

    Args:
        here: this node's name.
        boot: this machine's boot id, empty where unknown.
        started: when this daemon began (unix time).
        there: the name by which the other node was reached.
        said: what its daemon says.
        slack: seconds after ``started`` in which the other node may have met this node's name on an earlier machine.
    """
    if said.node != there:
        yield Disagreement(
            there, Dispute.NAME, f"the address of node {there} leads to a node that calls itself {said.node}"
        )
    met, at = said.seen.get(here, ("", 0.0))
    if boot and met and met != boot and at > started + slack:
        yield Disagreement(there, Dispute.NAME, f"two machines are called {here}: {there} met another one than this")


def named(found: Iterable[Disagreement], since: Mapping[tuple[str, str], float], now: float) -> list[Disagreement]:
    """Return disagreements with the time since when each is known; a text that is new begins now."""
    return [
        Disagreement(each.node, each.dispute, each.text, since.get((each.node, _since_key(each)), now))
        for each in found
    ]


def _since_key(each: Disagreement) -> str:
    """Files that go on differing are one disagreement, whatever differs meanwhile."""
    return str(each.dispute) if each.dispute is Dispute.FACTS else each.text


def known_since(found: Iterable[Disagreement]) -> dict[tuple[str, str], float]:
    """Return since when disagreements are known, for `named`."""
    return {(each.node, _since_key(each)): each.since for each in found}
