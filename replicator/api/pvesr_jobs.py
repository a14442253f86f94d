"""The replication jobs of Proxmox VE (pvesr), and which of zsr's jobs they are in conflict with. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from replicator.models import JobId


@dataclass(frozen=True, slots=True, order=True)
class PvesrJob:
    """A replication job of Proxmox VE: its id, and the name of its target node."""

    id: JobId
    target: str


@dataclass(frozen=True, slots=True)
class PvesrJobs:
    """The replication jobs of Proxmox VE that are known; ``problem``: why there may be others, in a sentence."""

    jobs: tuple[PvesrJob, ...] = ()
    problem: str | None = None

    def named_alike(self, job: JobId) -> tuple[PvesrJob, ...]:
        """Return those that take snapshots of a job of zsr for their own, since pvesr goes by their names.

        It also looks for names that merely begin with its job's id: 100-1 finds the snapshots of 100-10.
        """
        return tuple(each for each in self.jobs if str(job).startswith(str(each.id)))

    def conflicting(self, job: JobId, target: str) -> tuple[PvesrJob, ...]:
        """Return those that are named alike, or replicate the guest of a job to its very target."""
        same = (each for each in self.jobs if each.id.guest == job.guest and each.target == target)
        return tuple(sorted({*self.named_alike(job), *same}))

    def is_in_conflict(self, job: JobId, target: str) -> bool | None:
        """Return whether any is in conflict with a job; None if that is not known."""
        return True if self.conflicting(job, target) else None if self.problem else False


def old_job_stands(other: PvesrJob, job: JobId) -> str:
    """Return the warning about a job of Proxmox VE that is in conflict with one of zsr; without its full stop.

    Where the names are alike, even a removal that keeps the replica would destroy zsr's snapshots on the source.
    """
    alike = str(job).startswith(str(other.id))
    what = "each destroys the other's snapshots" if alike else "two tools write to one replica"
    remove = f"pvesr delete {other.id} {'--force' if alike else '--keep'}"
    when = "remove it" if alike else f"adopt the replica (zsr adopt {job}), let a run succeed, then remove it"
    stands = f"Proxmox VE still has its replication job {other.id} to {other.target or '(no target)'} for this guest"
    return f"{stands}, and {what}; {when}: {remove}"
