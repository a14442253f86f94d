"""What a run records while it goes on: what it proved and found, durable before the run relies on it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from replicator.daemon.hook_records import HookRecords
from replicator.models import Job, JobId, JobState, Synced, Vanished
from replicator.replication.context import RunRecorder
from replicator.replication.grace_ends import AGAIN
from replicator.schedule.grace import Terms, end_of, is_due, last_day, sights, terms_of
from replicator.state.stores import State


@dataclass(slots=True)
class RunRecords:
    """The facts of a job that its run has recorded so far; ``terms`` are the job's for vanished replicas."""

    state: State
    job: JobId
    run: int
    clock: Callable[[], float]
    synced: Synced
    resume_pending: bool
    vanished: tuple[Vanished, ...]
    terms: Terms

    async def note_synced(self, synced: Synced) -> None:
        """See `RunRecorder.synced`."""
        await asyncio.to_thread(self.state.jobs.set_synced, self.job, synced, run=self.run, now=self.clock())
        self.synced = synced

    async def note_vanished(
        self, found: Mapping[str, int], back: Collection[str] = (), unread: Collection[str] = ()
    ) -> Sequence[Vanished]:
        """See `RunRecorder.vanished`."""
        now = self.clock()
        records = tuple(
            replace(each, ending=True) if each.dataset in found and is_due(each, self.terms, now) else each
            for each in sights(self.vanished, found, unread, self.terms, now)
        )
        if records != self.vanished:
            ends = {each.dataset: end for each in records if (end := end_of(each, self.terms)) is not None}
            await asyncio.to_thread(
                self.state.vanished.set, self.job, records, ends=ends, back=back, run=self.run, now=now
            )
            self.vanished = records
        return records

    async def note_graces_ended(
        self, destroyed: Collection[str], kept: Mapping[str, str], unsure: Collection[str] = ()
    ) -> None:
        """See `RunRecorder.graces_ended`."""
        left = (each for each in self.vanished if each.dataset not in destroyed)
        records = tuple(self._after_try(each, kept.get(each.dataset), each.dataset in unsure) for each in left)
        await asyncio.to_thread(self.state.vanished.end, self.job, destroyed, records, run=self.run, now=self.clock())
        self.vanished = records

    def _after_try(self, record: Vanished, why: str | None, unsure: bool) -> Vanished:
        if why == AGAIN:
            return last_day(record, self.terms)
        return replace(record, ending=record.ending and unsure, kept=record.kept if why is None else why)

    async def note_replaced(self, volumes: Sequence[int], replicas: Sequence[str]) -> None:
        """See `RunRecorder.replaced`."""
        await asyncio.to_thread(
            self.state.jobs.set_replaced, self.job, volumes, replicas, run=self.run, now=self.clock()
        )

    async def note_went_back(self, sets: Mapping[str, Sequence[int]]) -> None:
        """See `RunRecorder.went_back`."""
        await asyncio.to_thread(self.state.jobs.set_went_back, self.job, sets, run=self.run, now=self.clock())

    async def note_other_target(self, synced: Synced, *, replaced: bool) -> None:
        """See `RunRecorder.other_target`."""
        await asyncio.to_thread(
            self.state.jobs.set_target, self.job, synced, replaced=replaced, run=self.run, now=self.clock()
        )
        self.synced, self.vanished, self.resume_pending = synced, (), False

    async def note_resume_pending(self, pending: bool) -> None:
        """See `RunRecorder.resume_pending`."""
        if pending is not self.resume_pending:
            await asyncio.to_thread(self.state.jobs.set_resume_pending, self.job, pending)
            self.resume_pending = pending

    def recorder(self) -> RunRecorder:
        """Return what the run records with."""
        return RunRecorder(
            self.note_synced,
            self.note_resume_pending,
            self.note_vanished,
            self.note_graces_ended,
            self.note_replaced,
            self.note_went_back,
            self.note_other_target,
            HookRecords(self.state.hooks, self.job, self.run, self.clock),
        )


def run_records(state: State, job: Job, run: int, clock: Callable[[], float], known: JobState) -> RunRecords:
    """Return the records of a run that begins with a job as it is known."""
    terms = terms_of(job, clock())
    return RunRecords(state, job.id, run, clock, known.synced, known.resume_pending, known.vanished, terms)
