"""The copies of the cluster file on the nodes: which are the same, which may be replaced, and which may not. Pure.

The file store has no consensus: each node has a file of its own. A copy may be replaced if this node's file came from
it: its digest is in the history that lies next to the file and travels with it. Anything else is an edit that would be
lost.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

import tomli

from replicator.cluster.model import Cluster
from replicator.cluster.toml_schema import read_cluster
from replicator.common.files import FileText
from replicator.models import Guest, GuestId


class Standing(StrEnum):
    """How another node's copy stands to this node's.

    ``OLDER``: this node's came from it. ``EDITED``: it did not, so a person may have edited it there. ``AHEAD``: it has
    a later epoch, or another owner at the same one; only a person can settle that.
    """

    SAME = "same"
    ABSENT = "absent"
    OLDER = "older"
    EDITED = "edited"
    AHEAD = "ahead"


REPLACEABLE = (Standing.SAME, Standing.OLDER, Standing.ABSENT)
"""How a copy stands that may be replaced without a loss."""


def standing(
    ours: FileText, theirs: FileText | None, history: Collection[str], their_history: Collection[str] = ()
) -> Standing:
    """Return how another node's copy stands to ours; the histories are the digests of what each came from.

    A copy that came from ours is an edit, also where it is what ours came from: there a change was taken back.
    """
    if theirs is None:
        return Standing.ABSENT
    if theirs.digest == ours.digest:
        return Standing.SAME
    if list(later_epochs(ours, theirs)):
        return Standing.AHEAD
    came_from_it = theirs.digest in history and ours.digest not in their_history
    return Standing.OLDER if came_from_it else Standing.EDITED


def may_take_over(ours: FileText, theirs: FileText, history: Collection[str], their_history: Collection[str]) -> bool:
    """Return whether a node's own file may give way to another node's copy, without a person.

    So it is where that copy knows later owners of guests, and came from this very file: nothing that was written here
    is missing in it. That is what a node finds that was away while its guests were recovered.
    """
    came_from_ours = ours.digest in their_history and theirs.digest not in history
    return came_from_ours and bool(list(later_epochs(ours, theirs)))


def later_epochs(ours: FileText, theirs: FileText) -> Iterable[str]:
    """Yield sentences about the guests of which another copy knows more than ours, as far as it can be read."""
    known = guests_of(ours)
    for guest_id, guest in sorted(guests_of(theirs).items()):
        mine = known.get(guest_id)
        if mine is None:
            continue
        if guest.epoch > mine.epoch:
            yield f"guest {guest_id} has epoch {guest.epoch} there, on {guest.node}, and {mine.epoch} here"
        elif guest.epoch == mine.epoch and guest.node != mine.node and guest.epoch > 1:
            yield f"guest {guest_id} is on {guest.node} there and on {mine.node} here, both at epoch {guest.epoch}"


def guests_of(copy: FileText) -> Mapping[GuestId, Guest]:
    """Return the guests that a copy has; none if it cannot be read."""
    try:
        return read_cluster(tomli.loads(copy.text), copy.digest)[0].guests
    except tomli.TOMLDecodeError:
        return {}


def difference(ours: FileText, theirs: FileText | None, here: str, there: str) -> str:
    """Return what a push would change in another node's copy, as a unified diff; empty if it would change nothing."""
    before = [] if theirs is None else theirs.text.splitlines(keepends=True)
    lines = difflib.unified_diff(before, ours.text.splitlines(keepends=True), there, here)
    return "".join(line if line.endswith("\n") else f"{line}\n" for line in lines)


def others_of(cluster: Cluster, here: str) -> list[str]:
    """Return the nodes that need a copy: those with a daemon, that are other machines."""
    return sorted(node.name for node in cluster.nodes.values() if node.zsr and not node.is_local and node.name != here)
