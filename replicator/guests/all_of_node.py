"""Which guests of a dead node go on where: the most recent replica of each, or why there is none. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from replicator.cluster.model import Cluster
from replicator.errors import ConfigError, ZsrError
from replicator.guests.recovery import plan_recovery, volumes_of
from replicator.models import Guest, Job
from replicator.replication.guest_replicas import Answers, guest_replicas
from replicator.replication.restore_points import replicas_of
from replicator.zfs.model import Dataset


@dataclass(frozen=True, slots=True)
class Candidate:
    """A guest of a dead node.

    Attributes:
        guest: it.
        node: the one on which it goes on; None: there is none.
        set_time: as of when (unix seconds); None: an earlier command has begun with it there.
        why: why it cannot be recovered; empty: it can.
    """

    guest: Guest
    node: str | None = None
    set_time: int | None = None
    why: str = ""


def candidates(cluster: Cluster, dead: str, answers: Answers, *, older: bool = False) -> list[Candidate]:
    """Return the guests of a dead node, by number.

    Those that another node has taken are there too, be they finished or not: only that node can say.

    Args:
        cluster: as this node has it.
        dead: the node.
        answers: what the others have.
        older: also where another target does not say what it has.
    """
    found = []
    for _, guest in sorted(cluster.guests.items()):
        taker = _taker(cluster, guest, dead, answers)
        if taker is not None:
            found.append(Candidate(guest, taker))
        elif guest.node == dead:
            found.append(_candidate(cluster, guest, answers, older=older))
    return found


def _taker(cluster: Cluster, guest: Guest, dead: str, answers: Answers) -> str | None:
    """Return the node that has taken a guest of the dead one; None if there is none."""
    for name, answer in answers.items():
        for each in volumes_of(guest, cluster.storages.values(), name, _listed(answer)):
            later = each.epoch is not None and each.epoch.isdecimal() and int(each.epoch) > guest.epoch
            ours = guest.node == name or (guest.node == dead and later)
            if each.source == dead and each.owner == name and ours:
                return name
    return None


def _candidate(cluster: Cluster, guest: Guest, answers: Answers, *, older: bool) -> Candidate:
    jobs = {job.id: job for job in cluster.jobs.values() if job.id.guest == guest.id and job.removal is None}
    if not jobs:
        return Candidate(guest, why="no job replicates it")
    found = guest_replicas(cluster, guest, {**answers, guest.node: ConfigError("it is dead")})
    usable = [each for each in found if each.job in jobs]
    silent = [each.node for each in usable if each.error is not None]
    newest = next((each for each in usable if each.as_of is not None), None)
    if newest is None:
        return Candidate(guest, why=f"{', '.join(silent)} does not answer" if silent else "no set of it is whole")
    why = _why_not(cluster, guest, jobs[newest.job], answers)
    if silent and not older:
        why = why or f"{', '.join(silent)} does not say what it has: give --older"
    return Candidate(guest, newest.node, newest.as_of, why)


def _why_not(cluster: Cluster, guest: Guest, job: Job, answers: Answers) -> str:
    """Return why a guest cannot go on on the target of a job, as that node would refuse it; empty if it can."""
    if not cluster.nodes[job.target].zsr:
        return f"{job.target} has zsr = false"
    storages = tuple(cluster.storages.values())
    paths = {each.name: each for each in storages if each.allowed_on(job.target)}
    wanted = [each.dataset(paths[each.storage], job.target) for each in guest.volumes if each.storage in paths]
    try:
        plan_recovery(
            job.id, guest.node, job.target, replicas_of(job, storages, _listed(answers[job.target]), None), wanted
        )
    except ZsrError as error:
        return error.what
    return ""


def _listed(answer: Mapping[str, Dataset] | ZsrError) -> Mapping[str, Dataset]:
    return {} if isinstance(answer, ZsrError) else answer
