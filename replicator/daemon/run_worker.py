"""One run as the daemon sees it: lock the guest, record the start, do the run, record its end in one transaction.

Shared by the daemon and by ``zsr run`` in the foreground, so that both do the very same thing.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import partial
from itertools import takewhile

from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore
from replicator.common.files import OF_LIMITS
from replicator.common.process_identity import this_process
from replicator.common.tasks import finish_despite_cancel, first_exception
from replicator.common.timezones import zone
from replicator.config.settings import Settings
from replicator.daemon.active_run import ActiveRun, RunObserver
from replicator.daemon.failed_runs import failed_event, failed_log
from replicator.daemon.full_copies import FullCopies
from replicator.daemon.lines import Lines
from replicator.daemon.other_jobs import other_jobs
from replicator.daemon.run_records import RunRecords, run_records
from replicator.daemon.tidiness import TidyLog, note_tidied
from replicator.errors import (
    BusyError,
    ConfigError,
    ConnectionLostError,
    ErrorClass,
    InternalError,
    NetworkError,
    ZsrError,
)
from replicator.events import JobRemoved, RunCancelled, RunFailed, RunSucceeded
from replicator.job_choices import Removal
from replicator.models import Guest, Job, JobState, Outcome
from replicator.replication.context import RunContext, RunResult
from replicator.replication.file_keeper import guest_files_of
from replicator.replication.half_received import RUNS_KNOWN, PastFailure
from replicator.replication.inventory_cache import InventoryCache
from replicator.replication.progress import Progress, Step
from replicator.replication.removal import remove
from replicator.replication.reseed import Reseed
from replicator.replication.run import Run
from replicator.replication.target_place import address_of
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.grace import described_wait, terms_of
from replicator.schedule.scheduler import missed_runs
from replicator.state.guest_locks import guest_lock
from replicator.state.run_log import RunLogWriter
from replicator.state.runs import RunEnd
from replicator.state.stores import State
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.node_clients import Nodes

Reseeded = tuple[str, ...]
"""The volumes that a reseed sends again, by name; empty: all."""

SLOW_SECONDS = 1.0
"""A run that failed faster kept no other one waiting, and the target may be there again for the next."""

_log = logging.getLogger("zsr.daemon")


@dataclass(frozen=True, slots=True)
class _Before:
    """A job as it was before a run.

    ``last_run_failed`` is true if its last run did not succeed, or if there was none. ``failures``: see `RunContext`.
    ``former_keeps`` are those of `RunContext`, with their ends (unix times).
    """

    state: JobState
    last_run_failed: bool
    failures: tuple[PastFailure, ...]
    former_keeps: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """All that belongs to one run; ``inventory_cache`` is given where other runs are due at the same time.

    ``reseed``: the volumes that it sends again, None for an ordinary run.

    ``by_schedule``: no person wants it now.

    ``is_cancelled``: the run was cancelled while its start was recorded.
    """

    cluster: Cluster
    active: ActiveRun
    before: _Before
    remembered: RunRecords
    inventory_cache: InventoryCache | None
    due: float
    log: RunLogWriter
    observer: RunObserver
    is_cancelled: bool
    reseed: Reseeded | None
    by_schedule: bool


class Worker:
    """Does runs on this node, one call each; it does not know when they are due."""

    def __init__(
        self,
        settings: Settings,
        store: ClusterStore,
        state: State,
        nodes: Nodes,
        clock: Callable[[], float],
        progress: Callable[[], Progress] = Progress,
        full_copies: FullCopies | None = None,
    ) -> None:
        self.full_copies = full_copies or FullCopies()
        self._settings = settings
        self._store = store
        self._state = state
        self._nodes = nodes
        self._clock = clock
        self._progress = progress
        self._inventory_cache = InventoryCache(clock)
        self._lines = Lines(clock, settings.timezone)
        self._guest_files = guest_files_of(settings)

    async def run(
        self,
        cluster: Cluster,
        job: Job,
        *,
        observer: RunObserver,
        due: float,
        others_due: bool = False,
        reseed: Reseeded | None = None,
        by_schedule: bool = False,
    ) -> Outcome:
        """Do one run of a job, which is ``due`` since a moment (unix seconds), and record its end.

        ``others_due``: others are due now. ``reseed``: volumes to send again. ``by_schedule``: no order (`_silence`).

        Raises:
            BusyError: the guest is locked; nothing was recorded, the job stays due.
            CancelledError: the run was cancelled, and recorded so.
        """
        with guest_lock(self._settings.state_dir / "locks", job.id.guest):
            start = self._clock()
            beginning = asyncio.ensure_future(asyncio.to_thread(self._begin, job, start))
            cancelled = False
            try:
                await finish_despite_cancel(beginning)
            except asyncio.CancelledError:  # a start that was recorded needs an end
                cancelled = True
            before, run = beginning.result()
            active = ActiveRun(job, run, start, self._progress())
            observer.started(active)
            log = RunLogWriter(self._state.logs, run, observer.line, self._clock)
            try:
                known = run_records(self._state, job, run, self._clock, before.state)
                cache = self._cache(job, due, others_due=others_due)
                return await self._recorded(
                    _Attempt(cluster, active, before, known, cache, due, log, observer, cancelled, reseed, by_schedule)
                )
            finally:
                self.full_copies.end(job.id)
                await self._write_log(log)

    def _cache(self, job: Job, due: float, *, others_due: bool) -> InventoryCache | None:
        """Return the cache of inventories if a run shares one with others."""
        return self._inventory_cache if others_due or self._inventory_cache.has_fresh(job.target, due) else None

    def _silence(self, attempt: _Attempt) -> NetworkError | None:
        """Return why a target is left to the probes: it could not be connected to a moment ago.

        So a dead node costs one attempt a minute, not one for each of its jobs, which would make the others late. A job
        that was never tried, or that a person wants now, is not spared the attempt.
        """
        job = attempt.active.job
        if not attempt.by_schedule or attempt.before.state.last_try <= 0 or job.removal is Removal.LOCAL:
            return None
        return self._nodes.silence(job.target)

    def zone(self, job: Job) -> tzinfo:
        """Return the zone of a job's schedule."""
        return zone(job.timezone) if job.timezone else self._settings.timezone

    def _begin(self, job: Job, now: float) -> tuple[_Before, int]:
        """Record the start; return the job as it was before, and the run's number."""
        self._state.jobs.ensure(job.id, now)
        before = self._state.jobs.get(job.id) or JobState(created=now)
        before = replace(before, sets=self._state.jobs.with_sent(job.id, before.sets))
        runs = self._state.runs.newest(job.id, limit=RUNS_KNOWN)
        last_run_failed = not runs or runs[0].outcome is not Outcome.SUCCESS
        failed = takewhile(lambda run: run.outcome is Outcome.FAILURE, runs)
        failures = tuple(PastFailure(run.message or "", run.start) for run in failed)
        missed = missed_runs(CalendarEvent.parse(job.schedule), self.zone(job), before.slots_from, now)
        number = self._state.runs.begin(job.id, now, owner=this_process(), missed=missed)
        keeps = self._state.keeps.note(job.id, job.keep, job.grace, now, gap=terms_of(job, now).gap)
        return _Before(before, last_run_failed, failures, keeps), number

    @staticmethod
    async def _write_log(log: RunLogWriter) -> None:
        """A log that cannot be written does not undo a run that was recorded."""
        try:
            await finish_despite_cancel(log.flush())
        except ZsrError as error:
            _log.error("Could not write the log of a run: %s", error)

    async def _recorded(self, attempt: _Attempt) -> Outcome:
        active, before, log, remembered = attempt.active, attempt.before.state, attempt.log, attempt.remembered
        job = active.job
        log.add("info", f"job {job.id}: start")
        for text, since in attempt.before.former_keeps.items():
            log.add("warning", described_wait(job, text, since, active.start))
        try:
            result = await self._guarded(attempt)
        except asyncio.CancelledError:
            log.add("warning", "cancelled")
            event = RunCancelled(self._clock(), job.id, active.run)
            await finish_despite_cancel(self._finish(event, attempt, resume_pending=_pending(active, remembered)))
            raise
        except ZsrError as error:
            self._note_reach(job, error, lasted=self._clock() - active.start)
            failed = self._failure(attempt, error)
            failed_log(log, error)
            await self._finish(failed, attempt, resume_pending=_pending(active, remembered))
            return Outcome.FAILURE
        self._nodes.mark_reachable(job.target)
        if result is None:
            attempt.observer.ended(active, JobRemoved(self._clock(), job.id))
            return Outcome.SUCCESS
        done = RunSucceeded(
            time=self._clock(),
            job=job.id,
            run=active.run,
            last_sync=result.last_sync,
            duration=max(0.0, self._clock() - active.start),
            sent_bytes=result.sent_bytes,
            recovered_after=before.consecutive_failures,
            failing_since=before.failing_since,
        )
        log.add("info", f"job {job.id}: done in {done.duration:.1f} s, {done.sent_bytes} bytes sent")
        await self._finish(done, attempt, unreplicated=result.unreplicated_bytes)
        return Outcome.SUCCESS

    def _failure(self, attempt: _Attempt, error: ZsrError) -> RunFailed:
        active, job = attempt.active, attempt.active.job
        before = replace(attempt.before.state, last_sync=attempt.remembered.synced.last_sync)
        schedule = None if job.removal else CalendarEvent.parse(job.schedule)
        return failed_event(job.id, active.run, self._clock(), before, error, active.start, schedule, self.zone(job))

    async def _guarded(self, attempt: _Attempt) -> RunResult | None:
        """Do the run; an unexpected exception is logged and becomes a failure of the class ``internal``."""
        try:
            async with attempt.log.flushing():
                return await self._execute(attempt)
        except (ZsrError, asyncio.CancelledError):
            raise
        except MemoryError as error:
            raise BusyError("This node has no memory left for the run.", advice=OF_LIMITS) from error
        except BaseExceptionGroup as errors:
            leaf = first_exception(errors)
            if isinstance(leaf, ZsrError):
                raise leaf from None
            raise self._unexpected(attempt, leaf) from errors
        except Exception as error:
            raise self._unexpected(attempt, error) from error

    @staticmethod
    def _unexpected(attempt: _Attempt, error: BaseException) -> InternalError:
        _log.error("Job %s: unexpected error.", attempt.active.job.id, exc_info=error)
        text = "".join(traceback.format_exception(error))
        attempt.log.add("raw", text)
        return InternalError(f"An unexpected error ended the run: {type(error).__name__}: {error}.", raw=text)

    async def _execute(self, attempt: _Attempt) -> RunResult | None:
        cluster, active, remembered = attempt.cluster, attempt.active, attempt.remembered
        job, tidy = active.job, TidyLog(attempt.log.add)
        if attempt.is_cancelled:
            raise asyncio.CancelledError
        await active.progress.begin(Step.LOCK)
        if (silence := self._silence(attempt)) is not None:
            attempt.log.add("info", f"{job.target} could not be connected to a moment ago, and is not asked again")
            raise silence
        source = self._nodes.client(self._settings.node)
        if job.removal is not None:
            await self._remove(attempt, source)
            return None
        kind = Run if attempt.reseed is None else partial(Reseed, volumes=attempt.reseed)
        run = kind(
            self._context(attempt, self._own_guest(cluster, job)),
            source,
            self._nodes.client(job.target),
            progress=active.progress,
            log=tidy.add,
            recorder=remembered.recorder(),
            clock=self._clock,
        )
        result = await run.execute()
        await asyncio.to_thread(note_tidied, self._state, job.id, self._clock(), failed=tidy.failed)
        return result

    def _context(self, attempt: _Attempt, guest: Guest) -> RunContext:
        cluster, job, remembered = attempt.cluster, attempt.active.job, attempt.remembered
        return RunContext(
            job,
            guest,
            tuple(cluster.storages.values()),
            self._settings.stall_timeout,
            remembered.synced,
            attempt.before.last_run_failed,
            attempt.inventory_cache,
            attempt.due,
            self._settings.bookmarks,
            address_of(cluster.nodes.get(job.target)),
            attempt.before.failures,
            partial(self.full_copies.begin, job.id),
            remembered.vanished,
            cluster.neighbours(guest),
            other_jobs(cluster, self._state, self._settings.state_dir / "locks"),
            self._lines.of(cluster.nodes, self._settings.node, job.target),
            tuple(attempt.before.former_keeps),
            self._guest_files,
        )

    def _own_guest(self, cluster: Cluster, job: Job) -> Guest:
        here, guest = self._settings.node, cluster.guests.get(job.id.guest)
        if guest is None:
            raise ConfigError(
                f"Guest {job.id.guest} is not in the cluster file any more; its replicas on {job.target} grow old.",
                advice=f"Put it back, or remove the job: zsr delete {job.id}.",
            )
        if guest.node != here:
            raise ConfigError(f"Guest {job.id.guest} is not on this node ({here}).", advice="Run it on its own node.")
        return guest

    async def _remove(self, attempt: _Attempt, source: ZfsClient) -> None:
        """Destroy the replicas and snapshots of a job that is marked for removal, then the job and its state."""
        job, storages = attempt.active.job, attempt.cluster.storages.values()
        target = self._nodes.client(job.target) if job.removal is Removal.FULL else None
        known, vanished = attempt.before.state.sets, [each.dataset for each in attempt.before.state.vanished]
        progress, log = attempt.active.progress, TidyLog(attempt.log.add).add
        guest = attempt.cluster.guests.get(job.id.guest)
        fence = Fence(job.id, source.node, None if guest is None else guest.epoch)
        await remove(
            job, storages, source, target, known, vanished, progress, log, now=self._clock(), fence=fence,
            files=self._guest_files,
        )  # fmt: skip
        await asyncio.to_thread(self._store.delete_job, job.id, only_if_removing=True)
        await asyncio.to_thread(self._state.jobs.forget, job.id, self._clock())

    async def _finish(
        self,
        event: RunEnd,
        attempt: _Attempt,
        *,
        unreplicated: int | None = None,
        resume_pending: bool = False,
    ) -> None:
        await asyncio.to_thread(
            self._state.runs.finish,
            event,
            start=attempt.active.start,
            sent_bytes=attempt.active.progress.sent_bytes,
            unreplicated=unreplicated,
            resume_pending=resume_pending,
            retention=self._settings.retention,
        )
        attempt.observer.ended(attempt.active, event)

    def _note_reach(self, job: Job, error: ZsrError, *, lasted: float) -> None:
        if isinstance(error, NetworkError) and not isinstance(error, ConnectionLostError) and lasted >= SLOW_SECONDS:
            self._nodes.mark_silent(job.target, error)
        elif error.error_class is ErrorClass.NETWORK:
            self._nodes.mark_unreachable(job.target)
        elif error.node == job.target:
            self._nodes.mark_reachable(job.target)


def _pending(active: ActiveRun, remembered: RunRecords) -> bool:
    """Return whether a half-received state waits on the target: one that was found, or one that was just cut off."""
    if active.progress.step in (Step.TRANSFER, Step.RESUME) and active.progress.sent_bytes > 0:
        return True
    return remembered.resume_pending
