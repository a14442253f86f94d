"""The rules of a cluster, for every store. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import tzinfo

from replicator.api.problem import Problem
from replicator.cluster.model import Cluster
from replicator.display import shortened
from replicator.errors import ConfigError
from replicator.ids import HIGHEST_GUEST, entry_of
from replicator.models import Guest, GuestId, Job, Volume
from replicator.schedule.calendar import CalendarError, CalendarEvent
from replicator.zfs.dataset_names import DIVERGED_DATASET, is_diverged, longest_aside, volume_prefixes
from replicator.zfs.snapshot_names import room

_COMPONENT = re.compile(r"[A-Za-z0-9_.:-](?:[A-Za-z0-9_.: -]*[A-Za-z0-9_.:-])?", re.ASCII)
_POOL = re.compile(r"[A-Za-z].*", re.ASCII)
_LONGEST_DATASET = 255
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
DATASET_ALLOWED = "a ZFS path: parts of letters, digits, '_', '-', '.', ':' and spaces, joined by '/', at most 255 long"

_NOT_ASIDE = f"not '{DIVERGED_DATASET}', in which zsr keeps replicas that differ from their source"


def is_volume_name(name: str) -> bool:
    """Return whether ZFS would accept a name below a storage's path (zfsconcepts(7), 'ZFS File System Hierarchy')."""
    parts = name.split("/")
    return len(name) <= _LONGEST_DATASET and all(_COMPONENT.fullmatch(p) and p not in (".", "..") for p in parts)


def is_dataset_path(path: str) -> bool:
    """Return whether ZFS would accept a path as a dataset's name; the pool's name begins with a letter (zpool(8))."""
    return is_volume_name(path) and _POOL.fullmatch(path) is not None


def cluster_problems(cluster: Cluster) -> list[Problem]:
    """Return all problems between the parts of a cluster."""
    return [*_storages(cluster), *_guests(cluster), *_jobs(cluster)]


def _storages(cluster: Cluster) -> Iterator[Problem]:
    for storage in cluster.storages.values():
        key = f"storages.{storage.name}"
        for where, path in (("path", storage.path), *((f"paths.{node}", path) for node, path in storage.paths)):
            if not is_dataset_path(path):
                bare = path.strip("/")
                slash = f"without '/' at either end: {bare!r}; " if bare != path and is_dataset_path(bare) else ""
                yield Problem(f"{key}.{where}", repr(path), f"{slash}{DATASET_ALLOWED}")
            elif is_diverged(path):
                yield Problem(f"{key}.{where}", repr(path), _NOT_ASIDE)
        for node in sorted((storage.nodes or frozenset()) - cluster.nodes.keys()):
            yield Problem(f"{key}.nodes", repr(node), _one_of("node", cluster.nodes))
        for node in sorted({node for node, _ in storage.paths} - cluster.nodes.keys()):
            yield Problem(f"{key}.paths", repr(node), _one_of("node", cluster.nodes))


def _guests(cluster: Cluster) -> Iterator[Problem]:
    for guest in cluster.guests.values():
        key = entry_of(guest.id)
        if isinstance(guest.id, int) and not 100 <= guest.id <= HIGHEST_GUEST:
            allowed = f"a guest's number is 100 or more, and at most {HIGHEST_GUEST}"
            yield Problem(key, shortened(str(guest.id), 40), allowed)
        if guest.node not in cluster.nodes:
            yield Problem(f"{key}.node", repr(guest.node), _one_of("node", cluster.nodes))
        if guest.moving_to is not None and guest.moving_to not in cluster.nodes:
            yield Problem(f"{key}.moving_to", repr(guest.moving_to), _one_of("node", cluster.nodes))
        for name in guest.storages:
            if name not in cluster.storages:
                yield Problem(f"{key}.storages", repr(name), _one_of("storage", cluster.storages))
        for volume in (*guest.volumes, *sorted(guest.excluded)):
            if volume.storage not in cluster.storages:
                yield Problem(f"{key}.volumes", repr(str(volume)), _one_of("storage", cluster.storages))
            if not is_volume_name(volume.name):
                yield Problem(f"{key}.volumes", repr(str(volume)), DATASET_ALLOWED)
            elif is_diverged(f"/{volume.name}"):
                yield Problem(f"{key}.volumes", repr(str(volume)), _NOT_ASIDE)
        if guest.drill is not None and (wrong := _wrong_event(guest.drill)) is not None:
            yield Problem(f"{key}.drill", repr(guest.drill), wrong)
        yield from _twice(key, guest)


def _twice(key: str, guest: Guest) -> Iterator[Problem]:
    listed = (*guest.volumes, *guest.excluded)
    for volume in sorted({volume for volume in listed if listed.count(volume) > 1}):
        yield Problem(f"{key}.volumes", repr(str(volume)), "each volume once")
    for path in sorted({path for path in guest.files if guest.files.count(path) > 1}):
        yield Problem(f"{key}.files", repr(path), "each file once")


def _jobs(cluster: Cluster) -> Iterator[Problem]:
    taken: dict[tuple[GuestId, str], Job] = {}
    for job in cluster.jobs.values():
        yield from job_problems(cluster, job)
        twin = taken.setdefault((job.id.guest, job.target), job)
        if twin is not job:
            allowed = f"guest {job.id.guest} already has job {twin.id} to this target; one job per guest and target"
            yield Problem(f"jobs.{job.id}.target", repr(job.target), allowed)


def job_problems(cluster: Cluster, job: Job) -> Iterator[Problem]:
    """Yield all problems of one job in its cluster.

    A guest that is gone is no problem: one forgotten job must not stop all others. Its runs fail and report it, and it
    can be deleted; only a new job needs a guest (`refuse_without_guest`).
    """
    key = f"jobs.{job.id}"
    guest = cluster.guests.get(job.id.guest)
    if job.target not in cluster.nodes:
        yield Problem(f"{key}.target", repr(job.target), _one_of("node", cluster.nodes))
    elif guest is not None and guest.node == job.target:
        yield Problem(f"{key}.target", repr(job.target), _own_node(job))
    elif guest is not None:
        yield from _into_itself(cluster, guest, job)
    if job.rate is not None and not 1 <= job.rate < float("inf"):
        yield Problem(f"{key}.rate", f"{job.rate:g}", "at least 1 (MB per second), or leave it out for no limit")
    if job.rpo is not None and not job.rpo > 0:
        yield Problem(f"{key}.rpo", f"{job.rpo:g}", "more than 0 seconds")
    if _CONTROL_CHARACTER.search(job.comment):
        yield Problem(f"{key}.comment", repr(job.comment), "one line of text")
    if (wrong := _wrong_event(job.schedule)) is not None:
        yield Problem(f"{key}.schedule", repr(job.schedule), wrong)


def _wrong_event(text: str) -> str | None:
    """Return what is wrong with a calendar event; None if it is right."""
    try:
        CalendarEvent.parse(text)
    except CalendarError as error:
        return error.what
    return None


def _own_node(job: Job) -> str:
    moved = 'or, if the guest was moved there, add its former node (source = "..."), and the job follows'
    own = f"the target is guest {job.id.guest}'s own node; choose another"
    return own if job.source is not None else f"{own}; {moved}"


def _into_itself(cluster: Cluster, guest: Guest, job: Job) -> Iterator[Problem]:
    """A target on the same machine needs paths of its own, or a volume would be sent onto itself."""
    if not cluster.nodes[job.target].is_local:
        return
    used = {*guest.storages, *(volume.storage for volume in guest.volumes)} or set(cluster.storages)
    for name in sorted(used & cluster.storages.keys()):
        storage = cluster.storages[name]
        everywhere = storage.allowed_on(guest.node) and storage.allowed_on(job.target)
        if everywhere and storage.path_on(guest.node) == storage.path_on(job.target):
            allowed = f"this node is the same machine as the source; give storage {name} another path there (paths)"
            yield Problem(f"jobs.{job.id}.target", repr(job.target), allowed)


def doubtful_schedules(cluster: Cluster, now: float, zone: tzinfo) -> Iterator[str]:
    """Yield sentences about schedules that are valid and hardly meant, as the peer or an editor may write them."""
    for job in cluster.jobs.values():
        with suppress(CalendarError):  # reported with all other problems
            event = CalendarEvent.parse(job.schedule)
            if event.doubt is not None:
                yield f"Job {job.id}: {event.doubt}"
            elif event.next(now, zone) is None:
                yield f"Job {job.id}: its schedule '{job.schedule}' never fires (again), so nothing is replicated."


def forgotten_jobs(cluster: Cluster) -> Iterator[str]:
    """Yield sentences about jobs whose guest is not in the cluster file: their runs fail."""
    for job in cluster.jobs.values():
        if job.id.guest not in cluster.guests:
            entry = entry_of(job.id.guest)
            yield f"Job {job.id} has no guest: add [{entry}], or remove the job (zsr delete {job.id})."


def same_places(cluster: Cluster) -> Iterator[str]:
    """Yield sentences about volumes that two guests list, and about storages that are one dataset on a node."""
    listed: dict[Volume, GuestId] = {}
    for guest in cluster.guests.values():
        for volume in guest.volumes:
            if (first := listed.setdefault(volume, guest.id)) != guest.id:
                yield f"The volume '{volume}' is listed by guests {first} and {guest.id}: give it to one of them."
    for node in cluster.nodes:
        paths: dict[str, str] = {}
        for storage in cluster.storages.values():
            path = storage.path_on(node)
            if storage.allowed_on(node) and (first_name := paths.setdefault(path, storage.name)) != storage.name:
                yield f"The storages {first_name} and {storage.name} are both '{path}' on {node}: one is enough."
                return


def long_names(cluster: Cluster, job: Job) -> Iterator[str]:
    """Yield sentences about names that would grow too long: with a snapshot's name, or set aside on the target.

    A volume that is not listed by hand counts with a name as the peer gives them.
    """
    guest = cluster.guests.get(job.id.guest)
    if guest is None:
        return
    names = guest.storages or {volume.storage: None for volume in guest.volumes} or cluster.storages
    for storage in (cluster.storages[name] for name in names if name in cluster.storages):
        listed = [volume.name for volume in guest.volumes if volume.storage == storage.name]
        usual = [] if guest.volumes else [f"subvol-{guest.id}-disk-99"]
        for volume in listed or usual:
            here, there = (f"{storage.path_on(node)}/{volume}" for node in (guest.node, job.target))
            aside = longest_aside(storage.path_on(job.target), volume)
            for dataset, why in ((here, ""), (there, ""), (aside, ", as which it is kept if it diverges,")):
                if (over := -room(job.id, dataset)) > 0:
                    yield f"The dataset '{dataset}'{why} has {over} characters too many for zsr's snapshots of it."
                    break


def refuse_long_names(cluster: Cluster, job: Job) -> None:
    """Refuse a new job, or a new target, with a volume whose name would grow too long for ZFS."""
    for sentence in long_names(cluster, job):
        advice = "Give the storage a shorter path, or the volume a shorter name."
        raise ConfigError(f"Job {job.id} is refused. {sentence}", advice=advice)


def refused_hooks(cluster: Cluster) -> Iterator[str]:
    """Yield a sentence about the guests whose hooks are not run, for who may write the cluster file."""
    refused = [guest for guest in cluster.guests.values() if guest.hooks_refused]
    if refused:
        guests = ", ".join(str(guest.id) for guest in refused)
        why = refused[0].hooks_refused
        yield (
            f"The hooks and checks of guests {guests} are not run, and their files are neither kept nor put in place: "
            f"{why}. Let only root write it: chmod go-w."
        )


def unattended(cluster: Cluster) -> Iterator[str]:
    """Yield sentences about guests on nodes that run no zsr: nothing replicates them."""
    for guest in cluster.guests.values():
        if not cluster.nodes[guest.node].zsr:
            yield f"Guest {guest.id} is on node {guest.node}, which runs no zsr (zsr = false): nothing replicates it."


def shared_volumes(cluster: Cluster) -> Iterator[str]:
    """Yield sentences about volumes that two guests of a node have: a move of the one takes them from the other."""
    listed: dict[tuple[str, str], Guest] = {}
    for guest in cluster.guests.values():
        for volume in guest.volumes:
            place = guest.node, volume.dataset(cluster.storages[volume.storage], guest.node)
            first = listed.setdefault(place, guest)
            if first is not guest:
                yield _shared(place[1], first, guest)
    for guest in cluster.guests.values():
        for (node, dataset), other in listed.items() if not guest.volumes else ():
            if node == guest.node and _is_named(cluster, guest, dataset):
                yield _shared(dataset, guest, other)


def _is_named(cluster: Cluster, guest: Guest, dataset: str) -> bool:
    """Return whether a dataset of a guest's node is its volume by name."""
    storages = [cluster.storages[name] for name in guest.storages or cluster.storages]
    paths = [each.path_on(guest.node) for each in storages if each.allowed_on(guest.node)]
    begin = tuple(prefix for path in paths for prefix in volume_prefixes(guest.id, path))
    left_out = {each.dataset(cluster.storages[each.storage], guest.node) for each in guest.excluded}
    return dataset.startswith(begin) and dataset not in left_out


def _shared(dataset: str, one: Guest, other: Guest) -> str:
    return (
        f"'{dataset}' is a volume of guests {one.id} and {other.id}, both on {one.node}: if one moves, the other has a "
        "replica in its place. Leave it out of one of them (replicate = false)."
    )


def refuse_without_guest(cluster: Cluster, job: Job) -> None:
    """Refuse a new job for a guest that does not exist."""
    if job.id.guest not in cluster.guests:
        known = ", ".join(str(known) for known in sorted(cluster.guests)) or "none yet"
        raise ConfigError(
            f"Job {job.id} cannot be created: there is no such guest; known guests: {known}.",
            advice=f"Add [{entry_of(job.id.guest)}] to the cluster file.",
        )


def refuse_dead_schedule(job: Job, now: float, zone: tzinfo) -> None:
    """Refuse a schedule that never fires again, or that is hardly meant as it is written.

    For new and changed jobs only, not when the cluster is read: a job for one date stays valid after that date, and one
    of the peer's keeps its schedule.
    """
    event = CalendarEvent.parse(job.schedule)
    if event.doubt is not None:
        raise ConfigError(f"The schedule of job {job.id} is refused. {event.doubt}", advice="See docs/calendar.md.")
    if event.next(now, zone) is None:
        raise ConfigError(
            f"The schedule '{job.schedule}' of job {job.id} never fires: there is no such day, or it is over.",
            advice="Try one: zsr calendar next '*/15'.",
        )


def _one_of(kind: str, known: Iterable[str]) -> str:
    names = ", ".join(sorted(known))
    return f"there is no such {kind}; known: {names or 'none yet'}"
