"""What a run may know of the other jobs, from the cluster and ``state.db``; see `replication.context.OtherJobs`."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from replicator.cluster.model import Cluster
from replicator.models import Job, JobId, KnownSets
from replicator.replication.context import OtherJobs
from replicator.state.guest_locks import guest_lock
from replicator.state.stores import State


def other_jobs(cluster: Cluster, state: State | None, locks: Path) -> OtherJobs:
    """Return the other jobs; without a state this node remembers nothing. ``locks`` is the folder of guests' locks."""

    def read(job: JobId) -> KnownSets:
        found = None if state is None else state.jobs.get(job)
        return KnownSets() if state is None or found is None else state.jobs.with_sent(job, found.sets)

    async def known(job: JobId) -> KnownSets:
        return await asyncio.to_thread(read, job)

    async def ended(job: JobId, guid: int) -> None:
        if state is not None:
            await asyncio.to_thread(state.vanished.continued, job, guid)

    async def keeps(job: JobId) -> tuple[str, ...]:
        """As the cluster has them, and as of the job's last run: it may be gone, or have another one since."""
        now = (cluster.jobs[job].keep,) if job in cluster.jobs else ()
        noted = () if state is None else await asyncio.to_thread(state.keeps.wanted, job)
        return tuple(dict.fromkeys((*now, *noted)))

    async def inherit(job: Job, texts: tuple[str, ...], since: float) -> None:
        if state is not None:
            await asyncio.to_thread(state.keeps.inherit, job.id, job.keep, texts, since)

    return OtherJobs(cluster.jobs, cluster.guests, known, partial(guest_lock, locks), ended, keeps, inherit)
