"""Jobs follow their guest: when it has another node than the job was made for, the job turns. Pure.

A guest that moves from A, with jobs to B and C, to B has jobs to A and C: the one to B replicates back. What a job was
made for is its ``source``, which zsr writes. So an edit of the guest's node is all that is needed, and each node that
reads the file comes to the same jobs (reference: pvesr does so with a guest whose file was moved).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from replicator.models import Guest, Job, JobId


def followed(jobs: Mapping[JobId, Job], guests: Mapping[int, Guest]) -> dict[JobId, Job]:
    """Return the jobs with the targets that they have where their guests are now."""
    return {job_id: _follow(job, guests.get(job_id.guest)) for job_id, job in jobs.items()}


def _follow(job: Job, guest: Guest | None) -> Job:
    if guest is None or job.source is None or job.source == guest.node:
        return job
    return replace(job, source=guest.node, target=job.source if job.target == guest.node else job.target)
