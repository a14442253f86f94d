"""What is known of the clock of a node: how far it is from this one's, and whether anything keeps it right. Pure."""

from __future__ import annotations

from collections.abc import Callable

from replicator.api.doctor import Line, Subject
from replicator.common.durations import words

Clock = Callable[[], float]
"""Returns unix time."""

FAIL_SECONDS = 30.0
"""As ZsrClockSkew: ages of copies are wrong by that."""
WARN_SECONDS = 2.0

_SYNC = "timedatectl set-ntp true"


def skew(subject: Subject, ahead: float | None) -> Line:
    """Return the line about the seconds by which a node's clock is ahead of this one's; None: not known."""
    if ahead is None:
        return subject.unknown("Its clock could not be read.")
    off = abs(ahead)
    text = f"The clock of {subject.node} is {words(off)} {'ahead of' if ahead > 0 else 'behind'} this node's."
    if off > FAIL_SECONDS:
        return subject.fail(text, f"On both nodes: {_SYNC}. Times of copies are wrong by that much.")
    if off > WARN_SECONDS:
        return subject.warn(text, f"On both nodes: {_SYNC}.")
    return subject.ok("Its clock is that of this node.")


def synchronized(subject: Subject, *, is_kept: bool | None) -> Line:
    """Return the line about what keeps a clock right; None: it could not be asked."""
    if is_kept is None:
        return subject.unknown("Whether its clock is synchronized is not known.", "See there: timedatectl, or chronyc.")
    if is_kept:
        return subject.ok("Its clock is synchronized.")
    text = f"Nothing synchronizes the clock of {subject.node}."
    return subject.warn(text, f"There: {_SYNC}, or install chrony.")


def is_kept(printed: str) -> bool | None:
    """Read ``timedatectl show --property=NTPSynchronized``; None if it says neither yes nor no."""
    return {"NTPSynchronized=yes": True, "NTPSynchronized=no": False}.get(printed.strip())
