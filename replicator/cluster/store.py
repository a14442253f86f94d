"""The cluster store: reads the cluster, changes its jobs and epochs, with the same checks for every backend."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, tzinfo
from pathlib import Path
from typing import TypeVar

from replicator.api.problem import Problem
from replicator.cluster.checks import cluster_problems, refuse_dead_schedule, refuse_long_names, refuse_without_guest
from replicator.cluster.disabling import refuse_endless
from replicator.cluster.file_store import FileStore
from replicator.cluster.followed_guests import followed
from replicator.cluster.model import ChangedError, Cluster, ClusterBackend, Decide
from replicator.cluster.toml_schema import job_entry_problems
from replicator.common.bounded_calls import BoundedCalls
from replicator.common.files import hanging
from replicator.common.timezones import zone
from replicator.config.problems import SettingsError
from replicator.config.settings import ClusterSettings
from replicator.errors import ConfigError
from replicator.models import GuestId, Job, JobId
from replicator.schedule.calendar import CalendarError

READ_SECONDS = 10.0
"""The longest that reading may take; a file that another program has open for writing is waited for, for less."""
CHANGE_SECONDS = 60.0
"""The longest that a change may take, with the wait for the lock."""

T = TypeVar("T")

_BACKENDS: Mapping[str, Callable[[Path], ClusterBackend]] = {"file": FileStore}
"""The cluster stores that there are, by the setting ``cluster.store``."""


def open_store(settings: ClusterSettings, default_zone: tzinfo = UTC) -> ClusterStore:
    """Return the store that the settings name; ``default_zone`` is that of schedules that name none."""
    return ClusterStore(_BACKENDS[settings.store](settings.path), default_zone)


class ClusterStore:
    """Each change is checked as a whole and written atomically.

    All methods block (a file's lock, a network); call them in a thread. ``default_zone`` is the zone of schedules that
    name none, for the rule that a new schedule must fire once more. A file system that hangs makes each of them raise
    UnreadableError.
    """

    def __init__(self, backend: ClusterBackend, default_zone: tzinfo, clock: Callable[[], float] = time.time) -> None:
        self._backend = backend
        self._default_zone = default_zone
        self._clock = clock
        self._calls = BoundedCalls()

    def read(self) -> Cluster:
        """See `ClusterBackend.read`."""
        return self._bounded(self._backend.read, READ_SECONDS)

    def stamp(self) -> object:
        """See `ClusterBackend.stamp`."""
        return self._bounded(self._backend.stamp, READ_SECONDS)

    def _bounded(self, call: Callable[[], T], limit: float, more: str = "") -> T:
        try:
            return self._calls.call(call, limit)
        except TimeoutError:
            raise hanging(f"The cluster file '{self._backend.name}'", limit, more) from None

    def create_job(self, job: Job) -> None:
        """Add a job; raises ConfigError if it may not be."""

        def create(cluster: Cluster) -> Cluster:
            if job.id in cluster.jobs:
                raise ConfigError(f"Job {job.id} exists already.", advice=f"Change it with: zsr update {job.id} ...")
            refuse_without_guest(cluster, job)
            refuse_long_names(cluster, job)
            self._refuse_dead(job)
            made = replace(job, source=cluster.source(job))
            return replace(cluster, jobs={**cluster.jobs, job.id: made})

        self._change(create, f"Job {job.id} cannot be created")

    def update_job(self, job: Job, *, digest: str | None = None) -> None:
        """Put a job in the place of the one with its id; raises ChangedError if the cluster is not at ``digest``."""

        def update(cluster: Cluster) -> Cluster:
            before = cluster.job(job.id)
            if before.target != job.target:
                refuse_long_names(cluster, job)
            if (before.schedule, before.timezone) != (job.schedule, job.timezone):
                self._refuse_dead(job)
            return replace(cluster, jobs={**cluster.jobs, job.id: replace(job, source=before.source)})

        self._change(update, f"Job {job.id} cannot be changed like this", digest)

    def disable_node(self, name: str, *, disabled: bool, until: float | None = None) -> None:
        """Set whether a node is disabled, and until when (unix time); raises ConfigError if it may not be."""

        def change(cluster: Cluster) -> Cluster:
            node = cluster.nodes.get(name)
            if node is None:
                known = ", ".join(sorted(cluster.nodes)) or "none yet"
                raise ConfigError(f"There is no node '{name}'.", advice=f"Known nodes: {known}.")
            if until is not None:
                refuse_endless(f"Node {name}", f"--node {name}", disabled=node.disabled)
            fresh = replace(node, disabled=disabled, disabled_until=until)
            return replace(cluster, nodes={**cluster.nodes, name: fresh})

        self._change(change, f"Node {name} cannot be changed like this")

    def delete_job(self, job_id: JobId, *, only_if_removing: bool = False) -> None:
        """Delete a job; no error if it is gone already.

        With ``only_if_removing`` a job that is not marked for removal stays: its removal was taken back meanwhile.
        """

        def delete(cluster: Cluster) -> Cluster:
            job = cluster.jobs.get(job_id)
            if job is None or (only_if_removing and not job.removal):
                return cluster
            return replace(cluster, jobs={other: kept for other, kept in cluster.jobs.items() if other != job_id})

        self._change(delete, f"Job {job_id} cannot be deleted")

    def raise_epoch(self, guest_id: GuestId, owner: str, epoch: int) -> None:
        """Give a guest a higher epoch; it must be committed here before any volume is stamped with it.

        Raises:
            ChangedError: another node owns the guest, or it has that epoch already: it was moved meanwhile.
        """

        def take(cluster: Cluster) -> Cluster:
            guest = cluster.guests.get(guest_id)
            if guest is None or guest.node != owner or guest.epoch >= epoch:
                raise ChangedError(f"Guest {guest_id} was moved meanwhile, or is not in the cluster file any more.")
            return replace(cluster, guests={**cluster.guests, guest_id: replace(guest, epoch=epoch)})

        self._change(take, f"Guest {guest_id} cannot get epoch {epoch}")

    def announce_move(self, guest_id: GuestId, owner: str, to: str | None) -> None:
        """Record that a guest of the node ``owner`` is being moved to another one; None: that it is not any more.

        Raises:
            ChangedError: it is not on that node any more, or is being moved to another one.
        """

        def change(cluster: Cluster) -> Cluster:
            guest = cluster.guests.get(guest_id)
            if guest is None or guest.node != owner:
                raise ChangedError(f"Guest {guest_id} was moved meanwhile, or is not in the cluster file any more.")
            if to is not None and guest.moving_to not in (None, to):
                raise ChangedError(f"Guest {guest_id} is being moved to {guest.moving_to}.")
            return replace(cluster, guests={**cluster.guests, guest_id: replace(guest, moving_to=to)})

        self._change(change, f"Guest {guest_id} cannot be moved to {to}")

    def hand_over(self, guest_id: GuestId, former: str, owner: str, epoch: int, *, announced: bool = False) -> None:
        """Give a guest another node and a higher epoch, end its move, and let its jobs follow; in one change.

        ``announced``: only if it is being moved to that node.

        Raises:
            ChangedError: it is not on the ``former`` node any more, or has that epoch already. ConfigError: a job of it
                cannot follow.
        """

        def change(cluster: Cluster) -> Cluster:
            guest = cluster.guests.get(guest_id)
            if guest is None or guest.node != former or guest.epoch >= epoch:
                raise ChangedError(f"Guest {guest_id} was moved meanwhile, or is not in the cluster file any more.")
            if announced and guest.moving_to != owner:
                raise ChangedError(f"The move of guest {guest_id} to {owner} was given up meanwhile.")
            guests = {**cluster.guests, guest_id: replace(guest, node=owner, epoch=epoch, moving_to=None)}
            made = {
                job.id: replace(job, source=former) if job.id.guest == guest_id else job
                for job in cluster.jobs.values()
            }
            return replace(cluster, guests=guests, jobs=followed(made, guests))

        self._change(change, f"Guest {guest_id} cannot go to {owner}")

    def _change(self, decide: Decide, heading: str, digest: str | None = None) -> None:
        def checked(cluster: Cluster) -> Cluster:
            fresh = decide(cluster)
            problems = _problems(cluster, fresh)
            if problems:
                raise SettingsError(Path(self._backend.name), problems, f"{heading}; nothing was changed:")
            return fresh

        unknown = " Whether it was changed is not known."
        self._bounded(lambda: self._backend.change(checked, digest), CHANGE_SECONDS, unknown)

    def _refuse_dead(self, job: Job) -> None:
        with suppress(CalendarError, ValueError):  # a wrong schedule or zone is reported with all other problems
            refuse_dead_schedule(job, self._clock(), zone(job.timezone) if job.timezone else self._default_zone)


def _problems(before: Cluster, after: Cluster) -> list[Problem]:
    """Return all that is wrong with a cluster after a change; a job that is wrong in itself is reported once."""
    changed = [job for job_id, job in after.jobs.items() if before.jobs.get(job_id) != job]
    wrong = {job.id: found for job in changed if (found := job_entry_problems(job))}
    sound = {job_id: job for job_id, job in after.jobs.items() if job_id not in wrong}
    own = [problem for found in wrong.values() for problem in found]
    return [*own, *cluster_problems(replace(after, jobs=sound))]
