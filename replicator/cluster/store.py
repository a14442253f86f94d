"""What every cluster store can do, whichever keeps it: one file, the Proxmox cluster file system, etcd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from replicator.errors import ConfigError
from replicator.models import Guest, Job, JobId, Node, Storage


class ChangedError(ConfigError):
    """Somebody else changed the cluster in the meantime; nothing was written."""

    default_advice = "Read it again and retry."


@dataclass(frozen=True, slots=True)
class Cluster:
    """All that the nodes share, at one moment. ``digest`` changes whenever anything does."""

    nodes: Mapping[str, Node] = field(default_factory=dict)
    storages: Mapping[str, Storage] = field(default_factory=dict)
    guests: Mapping[int, Guest] = field(default_factory=dict)
    jobs: Mapping[JobId, Job] = field(default_factory=dict)
    digest: str = ""

    def job(self, job_id: JobId) -> Job:
        """A job; raises ConfigError if there is none of this id."""
        if job_id not in self.jobs:
            known = ", ".join(str(known) for known in sorted(self.jobs)) or "none"
            raise ConfigError(f"There is no job {job_id}.", advice=f"Known jobs: {known}.")
        return self.jobs[job_id]

    def source(self, job: Job) -> str | None:
        """The node that owns the job's guest; None if the guest is gone."""
        guest = self.guests.get(job.id.guest)
        return guest.node if guest else None

    def jobs_of(self, node: str) -> list[Job]:
        """The jobs whose guest a node owns, by id; a job whose guest is gone belongs to every node but its target."""
        return [
            job
            for job_id, job in sorted(self.jobs.items())
            if self.source(job) == node or (self.source(job) is None and job.target != node)
        ]


class ClusterStore(Protocol):
    """Reads the cluster, and changes its jobs: each change is checked as a whole and made atomically.

    All methods block (a file's lock, a network); call them in a thread.
    """

    def read(self) -> Cluster:
        """The cluster as it is now.

        Raises:
            SettingsError: it can be read but is wrong. DamagedStoreError: it cannot be read.
        """

    def stamp(self) -> object:
        """Something cheap that differs after a change, to know when to read again."""

    def create_job(self, job: Job) -> None:
        """Add a job; raises ConfigError if it may not be."""

    def update_job(self, job: Job, *, digest: str | None = None) -> None:
        """Put a job in the place of the one with its id; raises ChangedError if the cluster is not at ``digest``."""

    def delete_job(self, job_id: JobId, *, only_if_removing: bool = False) -> None:
        """Take a job out; no error if it is gone already.

        With ``only_if_removing`` one that is not to be removed stays: somebody wanted it again meanwhile.
        """
