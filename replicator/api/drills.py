"""The drills of a guest on one target, as the status shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from replicator.models import DrillResult, GuestId, JobId

LONGEST_WITHOUT_SECONDS = 30 * 86400.0
"""Seconds after the last drill that passed from which on another one is overdue; a rarer schedule has longer."""


@dataclass(frozen=True, slots=True)
class GuestDrills:
    """How the drills of a guest of this node on a target ended; times are unix times.

    Attributes:
        guest, guest_name, node, job: the guest, the target, and the job that replicates to it.
        result, message, time, duration, set_time: of the last one that could be done; None: there was none yet.
        last_pass: when the last one ended that passed.
        obstacle: why the last one could not be done; None: it could.
        counts: how many ended so.
        awaited_since: since when one that passes is awaited: since the last such one, or since there is a schedule;
            None: none is awaited, since the settings say so.
        limit: how many seconds it may be awaited.
        next: when the next one is due; None: there is no schedule.
        is_running: one goes on.
        clones_since: since when clones of one may be there that does not go on; None: there are none.
    """

    guest: GuestId
    guest_name: str
    node: str
    job: JobId
    result: DrillResult | None = None
    message: str = ""
    time: float | None = None
    duration: float | None = None
    set_time: int | None = None
    last_pass: float | None = None
    obstacle: str | None = None
    counts: Mapping[DrillResult, int] = field(default_factory=dict)
    awaited_since: float | None = None
    limit: float = LONGEST_WITHOUT_SECONDS
    next: float | None = None
    is_running: bool = False
    clones_since: float | None = None

    @property
    def has_failed(self) -> bool:
        """Whether the last one that could be done failed."""
        return self.result is DrillResult.FAILED

    def is_overdue(self, now: float) -> bool:
        """Whether one that passes has been awaited for too long."""
        return self.awaited_since is not None and now - self.awaited_since > self.limit

    @property
    def set_age(self) -> float | None:
        """Seconds from the moment of the set to the end of its drill; None: there was none."""
        return None if self.time is None or self.set_time is None else max(0.0, self.time - self.set_time)
