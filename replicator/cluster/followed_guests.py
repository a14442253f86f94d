"""Jobs follow their guest: when it has another node than the job was made for, the job turns. Pure.

A guest that moves from A, with jobs to B and C, to B has jobs to A and C: the one to B replicates back. What a job was
made for is its ``source``, which zsr writes. So an edit of the guest's node is all that is needed, and each node that
reads the file comes to the same jobs (reference: pvesr does so with a guest whose file was moved).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from replicator.models import Guest, GuestId, Job, JobId


def followed(jobs: Mapping[JobId, Job], guests: Mapping[GuestId, Guest]) -> dict[JobId, Job]:
    """Return the jobs with the targets that they have where their guests are now."""
    by_guest: dict[GuestId, list[Job]] = {}
    for job in jobs.values():
        by_guest.setdefault(job.id.guest, []).append(job)
    turned: dict[JobId, Job] = {}
    for number, theirs in by_guest.items():
        if (guest := guests.get(number)) is not None and any(job.source not in (None, guest.node) for job in theirs):
            turned |= _follow(theirs, guest.node)
    return {job_id: turned.get(job_id, job) for job_id, job in jobs.items()}


def _follow(jobs: Sequence[Job], owner: str) -> dict[JobId, Job]:
    """Return those of a guest's jobs that were made for other nodes than its owner, as they are there.

    The one to the owner turns. Where jobs were made at different times that may be where another one replicates to
    already: that one takes its own source instead, so that no two have one target.
    """
    moved = [job for job in jobs if job.source not in (None, owner)]
    taken = {job.target for job in jobs if job not in moved}
    found = {}
    for job in sorted(moved, key=lambda job: job.target != owner):
        target = job.target
        if target == owner or (target in taken and job.source != owner):
            target = job.source or target
        taken.add(target)
        found[job.id] = replace(job, source=owner, target=target)
    return found
