"""The cluster that all nodes share, and the protocol of its backends: one file, the Proxmox file system, etcd."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from replicator.errors import ConfigError
from replicator.models import Guest, GuestId, Job, JobId, Node, Storage, Volume


class ChangedError(ConfigError):
    """The cluster was changed in the meantime; nothing was written."""

    default_advice = "Read it again and retry."


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that the nodes share, at one moment. ``digest`` changes whenever anything does."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    storages: Mapping[str, Storage] = field(default_factory=dict)
    guests: Mapping[GuestId, Guest] = field(default_factory=dict)
    jobs: Mapping[JobId, Job] = field(default_factory=dict)
    digest: str = ""

    def job(self, job_id: JobId) -> Job:
        """Return a job; raises ConfigError if there is none of this id."""
        if job_id not in self.jobs:
            known = ", ".join(str(known) for known in sorted(self.jobs)) or "none"
            raise ConfigError(f"There is no job {job_id}.", advice=f"Known jobs: {known}.")
        return self.jobs[job_id]

    def guest(self, guest_id: GuestId) -> Guest:
        """Return a guest; raises ConfigError if there is none of this number."""
        if guest_id not in self.guests:
            known = ", ".join(map(str, sorted(self.guests))) or "none"
            named = [str(each.id) for each in self.guests.values() if each.name == str(guest_id)]
            meant = f"{guest_id} is the name of guest {', '.join(named)}. " if named else ""
            raise ConfigError(f"There is no guest {guest_id}.", advice=f"{meant}Known guests: {known}.")
        return self.guests[guest_id]

    def node(self, name: str) -> Node:
        """Return a node; raises ConfigError if there is none of this name."""
        if name not in self.nodes:
            raise ConfigError(
                f"There is no node '{name}'.", advice=f"Known: {', '.join(sorted(self.nodes)) or 'none'}."
            )
        return self.nodes[name]

    def volume(self, text: str) -> Volume:
        """Return the volume that a text names; raises ConfigError if it cannot be one of this cluster."""
        storage, colon, name = text.partition(":")
        if not (storage and colon and name):
            raise ConfigError(f"'{text}' is no volume.", advice="Write storage:name, like local-zfs:vm-100-disk-0.")
        if storage not in self.storages:
            known = ", ".join(sorted(self.storages)) or "none"
            raise ConfigError(f"There is no storage '{storage}'.", advice=f"Known storages: {known}.")
        return Volume(storage, name)

    def source(self, job: Job) -> str | None:
        """Return the node that owns the job's guest; None if the guest is gone."""
        guest = self.guests.get(job.id.guest)
        return guest.node if guest else None

    def neighbours(self, guest: Guest) -> tuple[Guest, ...]:
        """Return the other guests of a guest's node."""
        return tuple(each for each in self.guests.values() if each.node == guest.node and each.id != guest.id)

    def jobs_of(self, node: str) -> list[Job]:
        """Return the jobs whose guest a node owns, by id; one without a guest belongs to every node but its target."""
        return [
            job
            for job_id, job in sorted(self.jobs.items())
            if self.source(job) == node or (self.source(job) is None and job.target != node)
        ]


Decide = Callable[[Cluster], Cluster]
"""Returns a cluster with other jobs, owners and epochs, or disabled nodes; raises ConfigError to refuse the change."""


class ClusterBackend(Protocol):
    """Keeps a cluster. It reads and writes; `replicator.cluster.store.ClusterStore` decides which changes are allowed.

    All methods block (a file's lock, a network); call them in a thread.
    """

    @property
    def name(self) -> str:
        """Where the cluster is kept, for messages."""

    def read(self) -> Cluster:
        """Return the cluster as it is now.

        Raises:
            SettingsError: it can be read but is wrong. DamagedStoreError: it cannot be read.
        """

    def stamp(self) -> object:
        """Return something cheap that differs after a change, to know when to read again."""

    def change(self, decide: Decide, digest: str | None) -> None:
        """Change jobs, owners, epochs and disabled nodes as ``decide`` says for the cluster as it is now, or nothing.

        Raises:
            ChangedError: the cluster is not at ``digest``, or was changed in between.
        """
