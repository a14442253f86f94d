"""The last look at a replica before it is destroyed or renamed: is it unchanged since the decision? Pure."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.errors import TargetActiveError, ZfsError
from replicator.zfs.channel_programs import ReplicaEnd
from replicator.zfs.fence import Stamped, refusal
from replicator.zfs.model import Inventory
from replicator.zfs.permits import ReplicaPermit

Sourced = Mapping[str, tuple[str, str]]
"""The properties of a dataset: the value of each, and where it was set (``local``, ``received``, ...)."""


def refuse_not_permitted(permit: ReplicaPermit, node: str, has: Sourced) -> None:
    """Raise unless a dataset has the marks of a permit to destroy it, and is not in use.

    Raises:
        ZfsError: its own (not inherited) marks are not the permit's.
        TargetActiveError: it is writable or was written to, and was not set aside.
    """
    name = permit.dataset
    marked = has.get("zsr:source") == (permit.source, "local") or permit.source is None
    if has.get("zsr:job") != (permit.job, "local") or not marked:
        whose = f"job {permit.job}" + ("" if permit.source is None else f" from node {permit.source}")
        raise ZfsError(f"'{name}' on node {node} is not a replica of {whose}; it was not destroyed.")
    written = has.get("written", ("0", ""))[0] != "0"
    if not permit.kept_aside and (has["readonly"][0] != "on" or written):
        raise TargetActiveError(
            f"The replica '{name}' on node {node} is writable or was written to; it was not destroyed.", node=node
        )


def refuse_changed(permit: ReplicaPermit, node: str, family: Inventory) -> None:
    """Raise ZfsError unless a replica, listed with all below it, has the GUID and no other snapshots than a permit."""
    children = sorted(set(family.datasets) - {permit.dataset})
    if children:
        raise ZfsError(
            f"The replica '{permit.dataset}' on node {node} has datasets below it: {children[0]}.",
            advice="Move them, or destroy them first; the replica can be destroyed then.",
        )
    found = family.datasets[permit.dataset]
    permitted = {snapshot.guid for snapshot in permit.snapshots}
    new = [snapshot.name for snapshot in found.snapshots if snapshot.guid not in permitted]
    if found.guid != permit.guid or new:
        raise _changed(permit, node, f"has a new snapshot ({new[0]})" if new else "is another dataset now")


def _changed(permit: ReplicaPermit, node: str, what: str) -> ZfsError:
    return ZfsError(
        f"'{permit.dataset}' on node {node} {what}; it was not destroyed.",
        advice="Look at it again, then repeat the command.",
    )


def refuse_open(permit: ReplicaPermit, node: str, *, is_open: bool) -> None:
    """Raise TargetActiveError if a replica is open: nothing of it was destroyed."""
    if is_open:
        raise TargetActiveError(
            f"The replica '{permit.dataset}' on node {node} is open there; it was not destroyed.",
            node=node,
            advice="See who has it open (fuser, lsof), and let go of it; it is destroyed then.",
        )


def is_destroyed(permit: ReplicaPermit, node: str, end: ReplicaEnd | Stamped) -> bool:
    """Return whether a program destroyed a replica; False if only its snapshots are gone.

    Raises:
        SupersededError: its stamps refuse the permit's fence.
        TargetActiveError: it is open.
        ZfsError: it is not as it was permitted any more, or one of its snapshots is needed.
    """
    if isinstance(end, Stamped):
        error = None if permit.fence is None else refusal(permit.fence, node, end)
        raise error or _changed(permit, node, "has the stamps of another owner")
    refuse_open(permit, node, is_open=end.is_open)
    if end.changed is not None:
        raise _changed(permit, node, f"was changed meanwhile ({end.changed})")
    if end.needed is not None:
        raise ZfsError(
            f"'{permit.dataset}' on node {node} was not destroyed: '{end.needed}' is held, or has a clone.",
            node=node,
            advice="See zfs holds and zfs get clones; it is destroyed when nothing needs it.",
        )
    return not end.left


def refuse_in_use(dataset: str, node: str, job: str, source: str, has: Sourced) -> None:
    """Raise unless a dataset still is a read-only replica of a job from a source node.

    Raises:
        ZfsError: its own marks name another job or source.
        TargetActiveError: it is writable.
    """
    if has.get("zsr:job") != (job, "local") or has.get("zsr:source") != (source, "local"):
        raise ZfsError(f"'{dataset}' on node {node} is no replica of job {job} from node {source} any more.")
    if has["readonly"][0] != "on":
        raise TargetActiveError(
            f"The replica '{dataset}' on node {node} was made writable; it is left as it is.", node=node
        )
