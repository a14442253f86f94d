"""The fence: owner and epoch of a guest, as stamped on its volumes (contract: Guests that move). Pure.

Only a dataset's own (local) stamps count. Received ones came with a stream, inherited ones are another dataset's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from replicator.errors import SupersededError
from replicator.ids import entry_of
from replicator.models import MAX_EPOCH, JobId

OWNER, EPOCH = "zsr:owner", "zsr:epoch"

_EPOCH = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)
_CLAIMED = re.compile(r"([1-9][0-9]{0,8})-claimed", re.ASCII)


@dataclass(frozen=True, slots=True)
class Fence:
    """The owner and epoch of a guest, as the cluster store has them: every order of a run bears them.

    Attributes:
        job: the job that gives the orders.
        owner: the node that gives them, and that owns the guest.
        epoch: None where the guest is gone from the store; then nothing but another owner's stamp counts.
    """

    job: JobId
    owner: str
    epoch: int | None

    @property
    def stamps(self) -> dict[str, str]:
        """The properties of a volume that has the fence's stamps; the owner first, where they are set one by one.

        A new owner's name with the old epoch is passed by the new owner and refuses the old one. The other way round
        it would be refused to both.
        """
        return {} if self.epoch is None else {OWNER: self.owner, EPOCH: str(self.epoch)}


@dataclass(frozen=True, slots=True)
class Stamped:
    """A dataset with the stamps that it has itself, as text; None where it has none."""

    dataset: str
    owner: str | None
    epoch: str | None


@dataclass(frozen=True, slots=True)
class Guard:
    """What a channel program does for a fence, in the transaction that does the rest.

    It does nothing at all if one of the ``compared`` datasets refuses the fence; at its end it stamps those in
    ``stamped``, which are among them.
    """

    fence: Fence
    compared: tuple[str, ...]
    stamped: tuple[str, ...] = ()


class Standing(Enum):
    """How a dataset's stamps stand to a fence.

    ``DISPUTED``: another owner at the same epoch. ``SUPERSEDED``: a later epoch. ``CLAIMED``: a recovery wants a later
    epoch, which may not be committed yet. ``UNREADABLE``: no epoch at all.
    """

    PASSES = "passes"
    DISPUTED = "disputed"
    SUPERSEDED = "superseded"
    CLAIMED = "claimed"
    UNREADABLE = "unreadable"


def standing(fence: Fence, seen: Stamped) -> Standing:
    """Return how a dataset's stamps stand to a fence; missing ones refuse nothing."""
    others = seen.owner is not None and seen.owner != fence.owner
    if fence.epoch is None:
        return Standing.DISPUTED if others else Standing.PASSES
    if seen.epoch is None:
        return Standing.PASSES
    if (wanted := claim_of(seen)) is not None:
        return Standing.CLAIMED if wanted > fence.epoch else Standing.PASSES
    if _EPOCH.fullmatch(seen.epoch) is None:
        return Standing.UNREADABLE
    if int(seen.epoch) > fence.epoch:
        return Standing.SUPERSEDED
    return Standing.DISPUTED if others and int(seen.epoch) == fence.epoch else Standing.PASSES


def claimed(epoch: int) -> str:
    """Return what `EPOCH` is while a recovery wants an epoch that may not be committed yet.

    It is no number, so that a program that does not know claims is refused too.
    """
    return f"{epoch}-claimed"


def claim_of(seen: Stamped) -> int | None:
    """Return the epoch that a recovery wants; None if the dataset is not claimed."""
    found = _CLAIMED.fullmatch(seen.epoch or "")
    return None if found is None else int(found[1])


def is_stamped(fence: Fence, seen: Stamped) -> bool:
    """Return whether a dataset has the fence's stamps already; always so where the fence has none."""
    return fence.epoch is None or (seen.owner, seen.epoch) == (fence.owner, str(fence.epoch))


def epoch_to_take(fence: Fence, seen: Stamped) -> int | None:
    """Return the epoch with which the fence's owner takes over a guest with a volume that is stamped like this.

    None: it cannot, because the volume has a later epoch, is claimed for one, or has one that cannot be read. Only a
    person may name a higher one then, in the cluster file.
    """
    found = standing(fence, seen)
    if fence.epoch is None or found in (Standing.SUPERSEDED, Standing.CLAIMED, Standing.UNREADABLE):
        return None
    taken = fence.epoch + (found is Standing.DISPUTED)
    return taken if taken <= MAX_EPOCH else None


def refusal(fence: Fence, node: str, seen: Stamped) -> SupersededError | None:
    """Return the error with which a dataset on a node refuses a fence's orders; None if it does not."""
    found = standing(fence, seen)
    if found is Standing.PASSES:
        return None
    words = {
        Standing.UNREADABLE: _unreadable,
        Standing.SUPERSEDED: _older if seen.owner == fence.owner else _superseded,
        Standing.CLAIMED: _claimed,
        Standing.DISPUTED: _disputed,
    }[found]
    what, advice = words(fence, node, seen)
    return SupersededError(what, node=node, advice=advice)


def _where(node: str, seen: Stamped) -> str:
    return f"'{seen.dataset}' on node {node}"


def _unreadable(fence: Fence, node: str, seen: Stamped) -> tuple[str, str]:
    return (
        f"{_where(node, seen)} has {EPOCH} '{seen.epoch}', which is not a number from 1 to {MAX_EPOCH}, so nobody "
        f"knows who owns guest {fence.job.guest}.",
        f"If {fence.owner} owns it, take that stamp off on {node}: zfs inherit {EPOCH} '{seen.dataset}'. The next run "
        "sets the right one.",
    )


def _claimed(fence: Fence, node: str, seen: Stamped) -> tuple[str, str]:
    guest = fence.job.guest
    return (
        f"A recovery of guest {guest} was begun on {node} and has not ended: {_where(node, seen)} is claimed for epoch "
        f"{claim_of(seen)}.",
        f"Type there: zsr guest recover {guest}. It takes the claim back if {fence.owner} answers, else it goes on.",
    )


def _superseded(fence: Fence, node: str, seen: Stamped) -> tuple[str, str]:
    owner, guest = seen.owner or "another node", fence.job.guest
    return (
        f"Guest {guest} belongs to {owner} since epoch {seen.epoch}, as {_where(node, seen)} says; the cluster file of "
        f"{fence.owner} is older (epoch {fence.epoch}).",
        f"Copy the cluster file of {owner} to {fence.owner} (there: zsr cluster push). "
        f"If {fence.owner} is to own the guest again, stop it on "
        f'{owner}, set {entry_of(guest)}.node = "{fence.owner}" and {entry_of(guest)}.epoch = '
        f"{_next(seen.epoch)} in the cluster file of every node.",
    )


def _older(fence: Fence, node: str, seen: Stamped) -> tuple[str, str]:
    guest = fence.job.guest
    return (
        f"The cluster file has epoch {fence.epoch} for guest {guest}, and {_where(node, seen)} has epoch {seen.epoch} "
        f"of {fence.owner} itself: the file is older than the volumes.",
        f"Put the newer file back. If it is lost and {fence.owner} still owns the guest, set {entry_of(guest)}.epoch = "
        f"{seen.epoch} in the cluster file of every node.",
    )


def _disputed(fence: Fence, node: str, seen: Stamped) -> tuple[str, str]:
    guest, taken = fence.job.guest, f"If it was moved to {fence.owner}, take it over there: zsr adopt {fence.job}."
    if fence.epoch is None:
        return (
            f"{_where(node, seen)} belongs to {seen.owner}, and there is no guest {guest} in the cluster file of "
            f"{fence.owner}.",
            f"Put the guest back into the file, with its node; or forget the job: zsr delete {fence.job} --force.",
        )
    back = f"If it was moved to {seen.owner}, bring the cluster file here (there: zsr cluster push). "
    return (
        f"The cluster file of {fence.owner} says that it owns guest {guest}, but {_where(node, seen)} is stamped by "
        f"{seen.owner} at the same epoch ({fence.epoch}).",
        taken if node == fence.owner else f"{back}{taken}",
    )


def _next(epoch: str | None) -> int:
    return int(epoch or 0) + 1
