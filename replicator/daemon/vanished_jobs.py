"""Jobs that are gone from the cluster: forgotten if they were to leave it, else reported and kept for a while."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from replicator.cluster.model import Cluster
from replicator.models import JobId, JobState
from replicator.state.job_marks import JobMark
from replicator.state.stores import State

KEPT_SECONDS = 7 * 86400.0
"""How long the state of a vanished job is kept: time to notice that a file was overwritten, and to put it back."""


@dataclass
class VanishedJobs:
    """Since when jobs of this node have vanished (``since``, unix time), as of the last look."""

    state: State
    node: str
    since: dict[JobId, float] = field(default_factory=dict)
    _leaving: set[JobId] | None = None

    def look(self, cluster: Cluster, known: Mapping[JobId, JobState], running: Collection[JobId], now: float) -> bool:
        """Compare the jobs that have a state with the cluster; return whether the journal has a new event. Blocks.

        Args:
            cluster: as it is now.
            known: the states of jobs. Those of the jobs that are forgotten here are still in it afterwards.
            running: jobs that run now; they are looked at when they have ended.
            now: unix time.
        """
        gone = known.keys() - cluster.jobs.keys()
        if self._leaving is None or gone or self.since:
            marks = self.state.marks.all()
            self._leaving, self.since = set(marks[JobMark.LEAVING]), marks[JobMark.VANISHED]
            changed = self._sort(gone - set(running), known, marks[JobMark.DELETED], now)
        else:
            changed = False
        if back := self.since.keys() & cluster.jobs.keys():
            self.state.marks.clear(JobMark.VANISHED, back)
            self.since = {job: since for job, since in self.since.items() if job not in back}
        leaving = {job for job in known.keys() & cluster.jobs.keys() if _may_leave(cluster, self.node, job, known[job])}
        staying = self._leaving & cluster.jobs.keys() - leaving
        if leaving - self._leaving:
            self.state.marks.set(JobMark.LEAVING, leaving - self._leaving, now)
        if staying:
            self.state.marks.clear(JobMark.LEAVING, staying)
        self._leaving = leaving
        return changed

    def _sort(
        self, gone: Collection[JobId], known: Mapping[JobId, JobState], deleted: Collection[JobId], now: float
    ) -> bool:
        """Forget the jobs that were to go, and those that vanished long ago; report those that vanished now."""
        expected = {*deleted, *(self._leaving or ())}
        over = {job for job, since in self.since.items() if now - since > KEPT_SECONDS}
        new = {}
        for job in sorted(gone):
            if job in expected or job in over:
                self.state.jobs.forget(job, now)
                self.since.pop(job, None)
            elif job not in self.since:
                place = known[job].place
                new[job] = "" if place is None else place.node
        if new:
            self.state.marks.record_vanished(new, now)
            self.since |= dict.fromkeys(new, now)
        return bool(new) or any(job in expected or job in over for job in gone)


def _may_leave(cluster: Cluster, node: str, job_id: JobId, state: JobState) -> bool:
    """Return whether a job's entry may go without a word: it is being removed, or is not one that this node ran."""
    job = cluster.jobs[job_id]
    source = cluster.source(job)
    never_ran = not (state.runs_succeeded or state.last_sync or state.sets.taken)
    return job.removal is not None or source not in (None, node) or (source is None and never_ran)
