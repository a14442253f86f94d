"""A job as it is now, and the totals of its runs."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.api.promise import Promise, is_in_future
from replicator.models import Guest, Job, JobCondition, JobState, Node


@dataclass(frozen=True, slots=True)
class Transfer:
    """A running transfer. ``expected_bytes`` is None while there is no estimate."""

    run: int
    start: float
    step: str
    done_bytes: int
    expected_bytes: int | None
    transferring: bool


@dataclass(frozen=True, slots=True)
class Disablement:
    """The reason why a job does not run: a node is disabled (``node``), or the job itself (empty).

    ``until`` is when it ends by itself (unix time); None: only a person ends it.
    """

    until: float | None = None
    node: str = ""


def is_off(owner: Job | Node, now: float) -> bool:
    """Whether a job or a node is itself disabled at a time: without an end, or until a time that has not come."""
    return owner.disabled or (owner.disabled_until is not None and now < owner.disabled_until)


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job as it is now.

    ``rpo`` is the promise in seconds (the job's own or derived); ``next_run`` is None when none comes;
    ``missed_runs`` and ``sent_bytes_total`` include what has not reached ``state.db`` yet. ``unconfirmed`` means that
    the target, its address or a path there was edited and no run has looked since: the last sync is that of the target
    before, which counts until the promise's time has passed. ``grace_end`` is when the first replica of a vanished
    volume will be destroyed (unix time); None: none will be. ``forgotten`` means that the last sync is not known
    because ``state.db`` is new, though the job had replicated before: its sets on the source are older.
    ``disablement`` is why the job does not run.
    """

    job: Job
    guest: Guest | None
    source: str
    state: JobState
    condition: JobCondition
    next_run: float | None
    rpo: float
    transfer: Transfer | None
    missed_runs: int
    sent_bytes_total: int
    unconfirmed: bool = False
    grace_end: float | None = None
    forgotten: bool = False
    disablement: Disablement | None = None

    @property
    def is_disabled(self) -> bool:
        """Whether no run starts because the job or one of its nodes is disabled."""
        return self.disablement is not None or self.job.disabled

    @property
    def is_replica_lost(self) -> bool:
        """Whether the target held a whole copy once and holds none now; never of a target that was not looked at."""
        return self.state.is_replica_lost and not self.unconfirmed

    @property
    def is_claim_confirmed(self) -> bool:
        """Whether what was proven was proven on the target that the job has now, as far as this node knows."""
        return not self.unconfirmed and not self.state.awaits_first_copy

    @property
    def lost_if_dead_now(self) -> float | None:
        """Unix time back to which the guest would fall if its node died now; None: nothing is on the target."""
        return self.state.last_sync

    @property
    def is_promised(self) -> bool:
        """Whether anything is promised: nothing is for a job that is disabled or being removed."""
        return not self.is_disabled and self.job.removal is None

    @property
    def promise_start(self) -> float:
        """Unix time from which the promise counts: the last sync; without one as in `JobState.created`."""
        return self.state.created if self.state.last_sync is None else self.state.last_sync

    def is_overdue(self, now: float) -> bool:
        """Whether the replica is lost or older than ``rpo``, whatever is promised and whatever is being sent."""
        return self.is_replica_lost or now - self.promise_start > self.rpo

    def promise(self, now: float) -> Promise:
        """Return the state of the promise at a time.

        A first copy may take its time while it is being sent; a lost replica breaks the promise at once. A job whose
        last sync was forgotten sends no first copy.
        """
        if not self.is_promised:
            return Promise.NONE
        if self.is_replica_lost:
            return Promise.LOST
        if is_in_future(self.state.last_sync, now):
            return Promise.UNKNOWN
        if self.is_overdue(now):
            sending = self.transfer is not None and self.state.consecutive_failures == 0
            first = self.state.last_sync is None and not self.forgotten
            return Promise.COPYING if first and sending else Promise.BROKEN
        return Promise.AWAITED if self.state.last_sync is None or self.unconfirmed else Promise.KEPT

    def is_promise_broken(self, now: float) -> bool:
        """Whether the promise is broken at a time, so that a person has to be called."""
        return self.promise(now).is_broken


@dataclass(frozen=True, slots=True)
class JobHistory:
    """Totals of a job's runs in a period, without cancelled ones. ``slowest``: seconds of the longest run."""

    runs: int
    failures: int
    sent_bytes: int
    slowest: float
