"""What is known of the cluster file: names, storages, promises, copies, coverage, its copies elsewhere. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import UTC, tzinfo
from itertools import combinations

from replicator.api.coverage import GuestCoverage
from replicator.api.doctor import Line, Subject
from replicator.cluster.checks import doubtful_schedules, long_names
from replicator.cluster.file_copies import Standing
from replicator.cluster.model import Cluster
from replicator.common.durations import compact, words
from replicator.daemon.coverage import in_words
from replicator.doctor import catalogue
from replicator.models import DEFAULT_KEEP, GuestId, Job
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.scheduler import haste, rpo, weakness

MOST_NAMED = 5
"""The most jobs or guests that one line names."""


def few(names: Iterable[object]) -> str:
    """Return some names, and how many there are more."""
    listed = [str(name) for name in names]
    more = f" and {len(listed) - MOST_NAMED} more" if len(listed) > MOST_NAMED else ""
    return f"{', '.join(listed[:MOST_NAMED])}{more}"


def own_jobs(cluster: Cluster, node: str) -> list[Job]:
    """Return the jobs that a node runs, without those that are being removed."""
    return [job for job in cluster.jobs_of(node) if job.removal is None]


def names(cluster: Cluster, node: str) -> list[Line]:
    """Return the lines about names of datasets that would grow too long for ZFS."""
    subject = Subject(catalogue.NAMES, node)
    found = [sentence for job in own_jobs(cluster, node) for sentence in long_names(cluster, job)]
    advice = "Give the storage a shorter path, or the volume a shorter name."
    lines = [subject.fail(sentence, advice) for sentence in dict.fromkeys(found)]
    return lines or [subject.ok("All names are short enough for snapshots, and for what is kept aside.")]


def overlap(cluster: Cluster, node: str) -> list[Line]:
    """Return the lines about storages that lie in one another on a node, or are one and the same dataset."""
    subject, lines = Subject(catalogue.OVERLAP, node), []
    for where in sorted(cluster.nodes):
        usable = [(each.path_on(where), each.name) for each in cluster.storages.values() if each.allowed_on(where)]
        for (outer, one), (inner, other) in combinations(sorted(usable), 2):
            if outer == inner:
                text = f"Storages {one} and {other} are the same dataset on {where}: {outer}."
                lines.append(subject.fail(text, "Give each a path of its own (paths), or remove one."))
            elif inner.startswith(f"{outer}/"):
                text = f"On {where} storage {other} ({inner}) lies in storage {one} ({outer})."
                lines.append(
                    subject.warn(text, f"What lies below {inner} belongs to {other} only; better separate them.")
                )
    return lines or [subject.ok("No storage lies in another one.")]


def _without_job(subject: Subject, cluster: Cluster, node: str) -> Line:
    """Return the line about a node that replicates nothing: no fault where it has no guest, and gets copies."""
    guests = any(guest.node == node for guest in cluster.guests.values())
    coming = sum(job.target == node and job.removal is None for job in cluster.jobs.values())
    if coming and not guests:
        return subject.off(f"This node has no guest. Jobs of other nodes that end here: {coming}.")
    return subject.warn("This node has no job: nothing is replicated.", "zsr create-local-job ID TARGET")


def promises(cluster: Cluster, node: str, now: float, zone: tzinfo = UTC) -> list[Line]:
    """Return the lines about jobs that promise little, or what they cannot keep; ``now``: unix time."""
    subject, jobs = Subject(catalogue.PROMISES, node), own_jobs(cluster, node)
    if not jobs:
        return [_without_job(subject, cluster, node)]
    lines = [line for job in jobs if not job.disabled for line in _promise(subject, job, now)]
    own = {str(job.id) for job in jobs}
    doubts = (
        each for each in doubtful_schedules(cluster, now, zone) if each.removeprefix("Job ").partition(":")[0] in own
    )
    lines += [subject.warn(doubt, "See when it fires: zsr calendar next SPEC") for doubt in doubts]
    if off := [job.id for job in jobs if job.disabled]:
        text = f"Disabled, so nothing is promised: {few(off)}."
        lines.append(subject.warn(text, "Let them run again: zsr enable ID"))
    if once := [job.id for job in jobs if job.keep == DEFAULT_KEEP]:
        lost = "What is deleted or encrypted is gone from the copy with the next run."
        text = f"One restore point only: {few(once)}. {lost}"
        lines.append(subject.warn(text, f"Keep more: zsr update {once[0]} --keep 6h:15m,7d:1d"))
    if lines:
        return lines
    longest = max(rpo(CalendarEvent.parse(job.schedule), job.rpo, now) for job in jobs)
    return [
        subject.ok(f"{len(jobs)} job{'' if len(jobs) == 1 else 's'}; no copy may become older than {words(longest)}.")
    ]


def _promise(subject: Subject, job: Job, now: float) -> Iterator[Line]:
    if (weak := weakness(job, now)) is not None:
        yield subject.warn(weak, f"Let it run more often, or promise less: zsr update {job.id} --rpo 1d")
    if (broken := haste(job, now)) is not None:
        gap = CalendarEvent.parse(job.schedule).longest_gap(now) or 0.0
        yield subject.fail(broken, f"zsr update {job.id} --rpo {compact(2 * gap)}, or let it run more often.")


def copies(cluster: Cluster, node: str) -> list[Line]:
    """Return the lines about guests whose copies would all be lost with the machine that they run on."""
    subject = Subject(catalogue.COPIES, node)
    targets: dict[GuestId, set[str]] = {}
    for job in own_jobs(cluster, node):
        targets.setdefault(job.id.guest, set()).add(job.target)
    here = [
        guest
        for guest, names in sorted(targets.items())
        if all(name in cluster.nodes and cluster.nodes[name].is_local for name in names)
    ]
    if here:
        text = f"All copies are on this very machine (address = 'local'): guest {few(here)}."
        return [subject.fail(text, "Give them a job to another machine: zsr create-local-job ID TARGET")]
    if not targets:
        return [subject.off("This node has no job.")]
    return [subject.ok("Each guest with a job has a copy on another machine.")]


def coverage(
    node: str, cluster: Cluster, found: Mapping[GuestId, GuestCoverage], unknown: Collection[GuestId]
) -> list[Line]:
    """Return the lines about guests and volumes of a node that no job replicates.

    Args:
        node: the node.
        cluster: the cluster; a guest of it on a node that runs no zsr is not replicated either.
        found: what the jobs of each guest leave out.
        unknown: the guests with volumes there that the cluster file does not have.
    """
    subject, lines = Subject(catalogue.COVERAGE, node), []
    if bare := [number for number, each in sorted(found.items()) if not each.jobs]:
        lines.append(subject.warn(f"No job at all: guest {few(bare)}.", "zsr create-local-job ID TARGET"))
    for sentence in in_words(found):
        text = f"{sentence[:1].upper()}{sentence[1:]}."
        lines.append(subject.warn(text, "See: zsr coverage; leave one out on purpose: replicate = false"))
    if unknown:
        text = f"Volumes of guests that the cluster file does not have: {few(sorted(unknown))}."
        lines.append(subject.warn(text, "Add [guests.ID] to the cluster file, and a job."))
    silent = [each.id for each in cluster.guests.values() if not cluster.nodes[each.node].zsr]
    if silent:
        text = f"On nodes that run no zsr (zsr = false), so nothing replicates them: guest {few(silent)}."
        lines.append(subject.warn(text, "Install zsr on their node, or correct guests.ID.node."))
    if not found:
        return lines or [subject.off("This node has no guest.")]
    return lines or [subject.ok("All volumes of its guests are replicated, or left out on purpose.")]


_STANDING = {
    Standing.ABSENT: "It has no cluster file: when this node is lost, so is what should happen.",
    Standing.OLDER: "Its cluster file is older than this node's.",
    Standing.EDITED: "Its cluster file differs, and may have been edited there.",
    Standing.AHEAD: "Its cluster file knows of a later move than this node's.",
}


def cluster_file(subject: Subject, standing: Standing) -> Line:
    """Return the line about another node's copy of the cluster file."""
    if standing is Standing.SAME:
        return subject.ok("Its cluster file is the same.")
    if standing in (Standing.ABSENT, Standing.OLDER):
        return subject.warn(_STANDING[standing], f"zsr cluster push {subject.node}")
    advice = f"Compare first: zsr cluster diff {subject.node}"
    if standing is Standing.AHEAD:
        return subject.fail(_STANDING[standing], advice)
    return subject.warn(_STANDING[standing], advice)


def no_other_copy(node: str, others: Collection[str]) -> Line:
    """Return the line about the cluster file itself: whether any other node is to have a copy."""
    subject = Subject(catalogue.CLUSTER_FILE, node)
    if others:
        return subject.ok(f"Other nodes are to have it too: {few(sorted(others))}.")
    text = "No other node runs zsr, so no other node has the cluster file."
    return subject.warn(text, "Back it up with this node's files; what it says is nowhere else.")
