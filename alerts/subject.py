"""The jobs that a notice is about, and those of a digest, as they were at the notice's time."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.api.promise import FUTURE_SECONDS
from replicator.models import GuestId, JobId


@dataclass(frozen=True, slots=True)
class Subject:
    """One job in a notice, as it was at the notice's time. Times are unix times, lengths seconds.

    Attributes:
        run: the run that the notice is about; None when it is about none.
        error_class: of the last failure, one of `replicator.errors.ErrorClass`; empty when there is none.
        consecutive: failures in a row, this one included; after a recovery, how many it ended.
        last_sync: the time to which the guest would fall back; None: there is nothing on the target.
        worst_lag: the largest age of the replica while it failed, or its age when it was lost; None: unknown.
        removing: whether the job is being removed, so that its runs are removals.
        lost: whether the target once held a complete copy and holds none now.
    """

    job: JobId
    guest: GuestId
    guest_name: str
    source: str
    target: str
    run: int | None = None
    error_class: str = ""
    message: str = ""
    advice: str = ""
    consecutive: int = 0
    failing_since: float | None = None
    last_sync: float | None = None
    rpo: float | None = None
    next_run: float | None = None
    worst_lag: float | None = None
    removing: bool = False
    lost: bool = False

    def is_broken(self, now: float) -> bool:
        """Whether the promise is broken at a time, as `JobStatus.is_promise_broken`; False for one without any copy.

        A notice does not know when a job was created.
        """
        if self.removing or self.last_sync is None:
            return self.lost and not self.removing
        return self.rpo is not None and not -FUTURE_SECONDS <= now - self.last_sync <= self.rpo


@dataclass(frozen=True, slots=True)
class DigestLine:
    """One job in a digest, over the digest's period. ``slowest`` is the longest run's seconds."""

    subject: Subject
    condition: str
    runs: int
    failures: int
    sent_bytes: int
    slowest: float | None
    oldest_restore_point: float | None


@dataclass(frozen=True, slots=True)
class Digest:
    """The jobs and their runs between two unix times; the worst job first."""

    begin: float
    end: float
    lines: tuple[DigestLine, ...]
