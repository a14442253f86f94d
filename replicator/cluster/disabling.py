"""Whether a job is disabled: by itself or by one of its nodes, until a time or until it is enabled. Pure."""

from __future__ import annotations

from math import inf

from replicator.api.job_status import Disablement, is_off
from replicator.cluster.model import Cluster
from replicator.errors import ConfigError
from replicator.models import Job, JobId, Node


def disablement(cluster: Cluster, job: Job, now: float) -> Disablement | None:
    """Return why a job does not run now, the reason that lasts longest; None: it may run.

    An end that has passed counts no more, so nothing has to be written when it comes: a daemon that was down at that
    time, or whose clock was changed, goes by its clock of now.
    """
    names = dict.fromkeys((cluster.source(job), job.target))
    nodes = (cluster.nodes.get(name) for name in names if name is not None)
    owners: list[Job | Node] = [job, *filter(None, nodes)]
    found = [
        Disablement(None if owner.disabled else owner.disabled_until, owner.name if isinstance(owner, Node) else "")
        for owner in owners
        if is_off(owner, now)
    ]
    return max(found, key=lambda each: inf if each.until is None else each.until, default=None)


def how_to_enable(job_id: JobId, reason: Disablement) -> str:
    """Return the command that ends a disablement."""
    return f"zsr enable --node {reason.node}" if reason.node else f"zsr enable {job_id}"


def refuse_disabled(job_id: JobId, reason: Disablement | None) -> None:
    """Refuse to run a job that is disabled."""
    if reason is not None:
        why = f", because node {reason.node} is" if reason.node else ""
        raise ConfigError(
            f"Job {job_id} is disabled{why}.", advice=f"Enable it first: {how_to_enable(job_id, reason)}."
        )


def refuse_endless(what: str, argument: str, *, disabled: bool) -> None:
    """Refuse to give an end to what a person disabled without one: it is to stay so until a person enables it."""
    if disabled:
        raise ConfigError(
            f"{what} is disabled already, without an end; it stays so.",
            advice=f"To give it an end: zsr enable {argument}, and disable it again.",
        )
