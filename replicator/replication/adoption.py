"""Adoption: datasets on the target that pvesr, syncoid or ``zfs send`` by hand brought over become a job's replicas.

So do replicas that bear the mark of another source: the guest was moved, or its node has a new name. Only properties
are set, on datasets that share a base (by GUID) with their volume and are no other job's; nothing is sent or destroyed.
``zsr:job`` is set last: a dataset that has it has the others.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from replicator.common.tasks import gather_two
from replicator.errors import ConfigError
from replicator.models import Guest, Job, JobId, Storage
from replicator.replication.discovery import pair_volumes, source_inventory, target_inventory
from replicator.replication.plan import VolumePair, choose_base
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import replica_properties
from replicator.zfs.model import Dataset, Snapshot


class Verdict(StrEnum):
    """What becomes of a volume's dataset on the target."""

    ABSENT = "absent"
    REPLICA = "replica"
    ADOPTABLE = "adoptable"
    NO_BASE = "no_base"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is on the target under a volume's name.

    Attributes:
        pair: the volume as found.
        verdict: what becomes of it.
        base: the target's snapshot that both sides have.
        newer: the target's snapshots after it.
        why: for a refusal, the end of a sentence that begins with the dataset, and what to do.
    """

    pair: VolumePair
    verdict: Verdict
    base: Snapshot | None = None
    newer: tuple[Snapshot, ...] = ()
    why: str = ""

    @property
    def written(self) -> int:
        """Bytes written on the target after its newest snapshot; 0 also where this ZFS cannot tell."""
        return (self.pair.target.written or 0) if self.pair.target else 0


def examine(job: JobId, volumes: Iterable[VolumePair], source: str) -> list[Finding]:
    """Return what can be adopted of what is on the target, for a guest on the node ``source``, and what cannot."""
    return [_examine(job, pair, source) for pair in volumes]


def refuse_adoption(findings: Iterable[Finding], target: str) -> None:
    """Raise ConfigError, with all reasons at once, if any dataset is not to be touched."""
    refused = [finding for finding in findings if finding.verdict is Verdict.REFUSED]
    if refused:
        lines = "".join(f"\n  '{finding.pair.target_name}' on {target} {finding.why}" for finding in refused)
        raise ConfigError(f"Nothing was adopted and nothing changed:{lines}")


async def look(
    job: Job, guest: Guest, storages: Iterable[Storage], source: ZfsClient, target: ZfsClient
) -> list[Finding]:
    """Look at both sides; see `examine`.

    Raises:
        ZsrError: a side cannot be asked. ConfigError: the guest has no volume.
    """
    everywhere = tuple(storages)
    here, there = await gather_two(
        source_inventory(guest, everywhere, source), target_inventory(job, guest, everywhere, source.node, target)
    )
    volumes = pair_volumes(job, guest, everywhere, (source.node, target.node), here, there).volumes
    return examine(job.id, volumes, source.node)


def same(shown: Sequence[Finding], found: Sequence[Finding]) -> bool:
    """Whether what was shown before the question still holds; newer snapshots meanwhile do no harm."""
    return _outcome(shown) == _outcome(found)


async def mark(job: JobId, findings: Iterable[Finding], source: str, target: ZfsClient) -> AsyncIterator[str]:
    """Mark what can be adopted as the job's replicas of a source node, and tell each dataset when it is done.

    The caller holds the guest's lock.
    """
    for finding in findings:
        if finding.verdict is Verdict.ADOPTABLE:
            name, is_volume = finding.pair.target_name, finding.pair.source.is_volume
            marks = {"zsr:source": source, "zsr:job": str(job)}
            await target.set_properties(name, replica_properties(is_volume=is_volume, extra=marks))
            yield name


def _outcome(findings: Sequence[Finding]) -> list[tuple[str, Verdict, int]]:
    return [(f.pair.target_name, f.verdict, f.pair.target.guid if f.pair.target else 0) for f in findings]


def _examine(job: JobId, pair: VolumePair, source: str) -> Finding:
    target = pair.target
    if target is None:
        return Finding(pair, Verdict.ABSENT)
    mark = choose_base(pair.source, target)
    base = None if mark is None else target.by_guid(mark.guid)
    newer = tuple(s for s in target.snapshots if base is not None and s.createtxg > base.createtxg)
    why = _foreign(job, pair, target)
    if why is None and target.job is not None and target.source == source:
        return Finding(pair, Verdict.REPLICA, base, newer)
    if why is None and base is None:
        return Finding(pair, Verdict.NO_BASE)
    why = why or _in_use(target)
    return Finding(pair, Verdict.ADOPTABLE if why is None else Verdict.REFUSED, base, newer, why or "")


def _foreign(job: JobId, pair: VolumePair, target: Dataset) -> str | None:
    if target.job is not None and target.job != str(job):
        return f"belongs to job {target.job}: delete that job first, or rename the dataset there."
    if target.is_volume != pair.source.is_volume:
        kinds = {True: "a volume (zvol)", False: "a filesystem"}
        return f"is {kinds[target.is_volume]}, and {pair.volume} is {kinds[pair.source.is_volume]}: rename it there."
    return None


def _in_use(target: Dataset) -> str | None:
    if target.token is not None:
        return f"holds a half-received state: let that end, or drop it there (zfs receive -A {target.name})."
    if target.job is not None and target.readonly is False:
        return "is a replica that was made writable (readonly=off): stop what uses it there, and set readonly=on."
    if target.mounted and target.readonly is False:
        return "is in use (mounted, readonly=off): unmount it there (zfs unmount), or set readonly=on."
    return None
