"""One run from the outside: lock the guest, record the start, do the run, write the verdict in one transaction.

Shared by the daemon and by ``zsr run`` in the foreground, so that both do the very same thing.
"""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo

from replicator.cluster.store import Cluster, ClusterStore
from replicator.common.process_identity import is_alive, this_process
from replicator.common.tasks import finish_despite_cancel, first_exception
from replicator.common.timezones import zone
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ErrorClass, InternalError, ZsrError
from replicator.events import RunCancelled, RunFailed, RunSucceeded
from replicator.models import Job, JobId, JobState, Outcome, Removal, Synced
from replicator.replication.context import RunContext, RunRecorder, RunResult
from replicator.replication.inventory_cache import InventoryCache
from replicator.replication.progress import Progress, Step
from replicator.replication.removal import remove
from replicator.replication.run import Run
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import backoff, missed_runs
from replicator.state.guest_locks import guest_lock
from replicator.state.run_log import RunLogWriter
from replicator.state.runs import RunEnd, RunRecord
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")


@dataclass(slots=True)
class ActiveRun:
    """A run that is going on, for whoever shows it. ``cancelled`` tells a wish to stop from the daemon's end."""

    job: Job
    run: int
    start: float
    progress: Progress


@dataclass(slots=True)
class _Remembered:
    """What a run has written down of its job so far."""

    state: State
    job: JobId
    run: int
    clock: Callable[[], float]
    synced: Synced
    resume_pending: bool
    vanished: tuple[str, ...]

    async def note_synced(self, synced: Synced) -> None:
        await asyncio.to_thread(self.state.jobs.set_synced, self.job, synced, run=self.run, now=self.clock())
        self.synced = synced

    async def note_vanished(self, datasets: Sequence[str]) -> None:
        found = tuple(sorted(datasets))
        if found != self.vanished:
            await asyncio.to_thread(self.state.jobs.set_vanished, self.job, found, run=self.run, now=self.clock())
            self.vanished = found

    async def note_resume_pending(self, pending: bool) -> None:
        if pending is not self.resume_pending:
            await asyncio.to_thread(self.state.jobs.set_resume_pending, self.job, pending)
            self.resume_pending = pending


@dataclass(frozen=True, slots=True)
class _Before:
    """A job as it was before a run; ``last_run_failed`` says that its last run did not end well, or that there was
    none.
    """

    state: JobState
    last_run_failed: bool

    @property
    def synced(self) -> Synced:
        last_set = self.state.last_set
        return Synced(self.state.last_sync, None if last_set is None else int(last_set), self.state.sets)


def _remembered(state: State, job: JobId, run: int, clock: Callable[[], float], before: _Before) -> _Remembered:
    known = before.state
    return _Remembered(state, job, run, clock, before.synced, known.resume_pending, known.vanished)


@dataclass(frozen=True, slots=True)
class _Attempt:
    """All that belongs to one run; ``inventory_cache`` is given where other runs are due at the same time."""

    cluster: Cluster
    active: ActiveRun
    before: _Before
    remembered: _Remembered
    inventory_cache: InventoryCache | None
    due: float
    log: RunLogWriter


class Worker:
    """Does runs on this node, one call each; knows nothing of when they are due."""

    def __init__(
        self,
        settings: Settings,
        store: ClusterStore,
        state: State,
        nodes: Nodes,
        clock: Callable[[], float],
        progress: Callable[[], Progress] = Progress,
    ) -> None:
        self._settings = settings
        self._store = store
        self._state = state
        self._nodes = nodes
        self._clock = clock
        self._progress = progress
        self._inventory_cache = InventoryCache(clock)

    async def run(
        self,
        cluster: Cluster,
        job: Job,
        *,
        started: Callable[[ActiveRun], None],
        listen: Callable[[str], None],
        due: float,
        others_due: bool = False,
    ) -> Outcome:
        """Do one run of a job, which is ``due`` since a moment (unix seconds), and record how it ended.

        ``others_due`` says that other runs are due at the same time.

        Raises:
            BusyError: the guest is locked; nothing was recorded, the job stays due.
            CancelledError: the run was cancelled, and recorded so.
        """
        with guest_lock(self._settings.state_dir / "locks", job.id.guest):
            start = self._clock()
            before, run = await finish_despite_cancel(asyncio.to_thread(self._begin, job, start))
            active = ActiveRun(job, run, start, self._progress())
            started(active)
            log = RunLogWriter(self._state.logs, run, listen, self._clock)
            try:
                remembered = _remembered(self._state, job.id, run, self._clock, before)
                company = others_due or self._inventory_cache.has_fresh(job.target, due)
                inventory_cache = self._inventory_cache if company else None
                return await self._recorded(_Attempt(cluster, active, before, remembered, inventory_cache, due, log))
            finally:
                await self._write_log(log)

    def zone(self, job: Job) -> tzinfo:
        """The zone of a job's schedule."""
        return zone(job.timezone) if job.timezone else self._settings.timezone

    def _begin(self, job: Job, now: float) -> tuple[_Before, int]:
        """Record the start; the job as it was before it, and the run's number."""
        self._state.jobs.ensure(job.id, now)
        before = self._state.jobs.get(job.id) or JobState(created=now)
        last = next(iter(self._state.runs.newest(job.id, limit=1)), None)
        last_run_failed = last is None or last.outcome is not Outcome.SUCCESS
        missed = missed_runs(CalendarEvent.parse(job.schedule), self.zone(job), before.slots_from, now)
        number = self._state.runs.begin(job.id, now, owner=this_process(), missed=missed)
        return _Before(before, last_run_failed), number

    @staticmethod
    async def _write_log(log: RunLogWriter) -> None:
        """A log that cannot be written does not undo a run that was recorded."""
        try:
            await finish_despite_cancel(log.flush())
        except ZsrError as error:
            _log.error("a run's log could not be written: %s", error)

    async def _recorded(self, attempt: _Attempt) -> Outcome:
        active, before, log, remembered = attempt.active, attempt.before.state, attempt.log, attempt.remembered
        job = active.job
        log.add("info", f"job {job.id}: start")
        try:
            result = await self._guarded(attempt)
        except asyncio.CancelledError:
            log.add("warning", "cancelled")
            event = RunCancelled(self._clock(), job.id, active.run)
            await finish_despite_cancel(self._finish(event, active, resume_pending=_pending(active, remembered)))
            raise
        except ZsrError as error:
            self._note_reach(job, error)
            after = replace(before, last_sync=remembered.synced.last_sync)
            failed = failed_event(job.id, active.run, self._clock(), after, error, active.start)
            failed_log(log, error)
            await self._finish(failed, active, resume_pending=_pending(active, remembered))
            return Outcome.FAILURE
        self._nodes.mark_reachable(job.target)
        if result is None:
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
        await self._finish(done, active, unreplicated=result.unreplicated_bytes)
        return Outcome.SUCCESS

    async def _guarded(self, attempt: _Attempt) -> RunResult | None:
        """The run's outermost frame: what nobody expected becomes class ``internal``, with its traceback logged."""
        try:
            async with attempt.log.flushing():
                return await self._execute(attempt)
        except (ZsrError, asyncio.CancelledError):
            raise
        except BaseExceptionGroup as errors:
            leaf = first_exception(errors)
            if isinstance(leaf, ZsrError):
                raise leaf from None
            raise self._unexpected(attempt, leaf) from errors
        except Exception as error:
            raise self._unexpected(attempt, error) from error

    @staticmethod
    def _unexpected(attempt: _Attempt, error: BaseException) -> InternalError:
        _log.error("job %s: unexpected error", attempt.active.job.id, exc_info=error)
        text = "".join(traceback.format_exception(error))
        attempt.log.add("raw", text)
        return InternalError(f"An unexpected error ended the run: {type(error).__name__}: {error}.", raw=text)

    async def _execute(self, attempt: _Attempt) -> RunResult | None:
        cluster, active, log, remembered = attempt.cluster, attempt.active, attempt.log, attempt.remembered
        job = active.job
        here = self._settings.node
        await active.progress.begin(Step.LOCK)
        source = self._nodes.client(here)
        if job.removal is not None:
            target = self._nodes.client(job.target) if job.removal is Removal.FULL else None
            await remove(job, cluster.storages.values(), source, target, active.progress, log.add, self._clock())
            await asyncio.to_thread(self._store.delete_job, job.id, only_if_removing=True)
            await asyncio.to_thread(self._state.jobs.forget, job.id, self._clock())
            return None
        guest = cluster.guests.get(job.id.guest)
        if guest is None:
            raise ConfigError(
                f"Guest {job.id.guest} is not in the cluster file any more; its replicas on {job.target} grow old.",
                advice=f"Put it back, or remove the job: zsr delete {job.id}.",
            )
        if guest.node != here:
            raise ConfigError(f"Guest {job.id.guest} is not on this node ({here}).", advice="Run it on its own node.")
        storages = tuple(cluster.storages.values())
        run = Run(
            RunContext(
                job,
                guest,
                storages,
                self._settings.stall_timeout,
                remembered.synced,
                attempt.before.last_run_failed,
                attempt.inventory_cache,
                attempt.due,
            ),
            source,
            self._nodes.client(job.target),
            progress=active.progress,
            log=log.add,
            memory=RunRecorder(remembered.note_synced, remembered.note_resume_pending, remembered.note_vanished),
            clock=self._clock,
        )
        return await run.execute()

    async def _finish(
        self,
        event: RunEnd,
        active: ActiveRun,
        *,
        unreplicated: int | None = None,
        resume_pending: bool = False,
    ) -> None:
        await asyncio.to_thread(
            self._state.runs.finish,
            event,
            start=active.start,
            sent_bytes=active.progress.sent_bytes,
            unreplicated=unreplicated,
            resume_pending=resume_pending,
            retention=self._settings.retention,
        )

    def _note_reach(self, job: Job, error: ZsrError) -> None:
        if error.error_class is ErrorClass.NETWORK:
            self._nodes.mark_unreachable(job.target)
        elif error.node == job.target:
            self._nodes.mark_reachable(job.target)


def _pending(active: ActiveRun, remembered: _Remembered) -> bool:
    """Whether a half-received state waits on the target: what was found there, or what was just cut off."""
    if active.progress.step in (Step.TRANSFER, Step.RESUME) and active.progress.sent_bytes > 0:
        return True
    return remembered.resume_pending


def failed_event(job: JobId, run: int, now: float, before: JobState, error: ZsrError, start: float) -> RunFailed:
    """The event of a failed run; the next try is counted from the attempt's start (DESIGN 5)."""
    consecutive = before.consecutive_failures + 1
    return RunFailed(
        time=now,
        job=job,
        run=run,
        error_class=error.error_class,
        message=error.what,
        advice=error.advice,
        consecutive=consecutive,
        failing_since=before.failing_since if before.failing_since is not None else start,
        last_sync=before.last_sync,
        next_run=start + backoff(consecutive),
    )


def failed_log(log: RunLogWriter, error: ZsrError) -> None:
    """The last words of a failed run."""
    log.add("error", f"{error.error_class}: {error}")
    if error.raw:
        log.add("raw", error.raw.strip())


def close_interrupted(state: State, now: float) -> list[RunRecord]:
    """Record runs whose process is gone (killed, power cut) as failed; they were cut off from outside.

    History is not tidied here, for what is to be kept is not known; the next run does it.
    """
    closed = []
    for record in state.runs.unfinished():
        if is_alive(record.owner):
            continue
        before = state.jobs.get(record.job) or JobState(created=now)
        error = InternalError(
            "The run was cut off: zsr was killed or the node went down.",
            advice="The next run goes on from there by itself.",
        )
        event = failed_event(record.job, record.id, now, before, error, record.start)
        state.runs.finish(event, start=record.start, sent_bytes=0, resume_pending=before.resume_pending)
        closed.append(record)
    return closed
