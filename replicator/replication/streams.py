"""How a volume is sent: raw or readable, with which flags, and what its replica is given. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.errors import EncryptionError
from replicator.models import Encryption, Job, Travelling
from replicator.replication.plan import Full, Incremental, VolumePair
from replicator.zfs import commands
from replicator.zfs.features import Features
from replicator.zfs.model import Bookmark, Dataset


def send_argv(job: Job, features: Features, action: Full | Incremental, name: str, *, raw: bool) -> list[str]:
    """Return the ``zfs send`` of an action, up to the snapshot ``name`` of its volume.

    ``features`` are those that both sides have; ``raw`` is what `is_raw` says.
    """
    source = action.pair.source
    base = action.base if isinstance(action, Incremental) else None
    return commands.send(
        features,
        source.name,
        name,
        None if base is None else f"{'#' if isinstance(base, Bookmark) else '@'}{base.name}",
        raw=raw,
        properties=raw or not source.encrypted,
        all_between=job.snapshots is Travelling.ALL,
    )


def is_raw(job: Job, action: Full | Incremental) -> bool:
    """Return whether an action sends raw; raises EncryptionError where the job wants raw and the replica is not."""
    return is_raw_onto(job, action.pair, action.pair.target if isinstance(action, Incremental) else None)


def is_raw_onto(job: Job, pair: VolumePair, target: Dataset | None) -> bool:
    """Return whether a volume is sent raw: an encrypted one always is when the job says so.

    No property of the target's replica ever makes a raw job send in the clear.

    Raises:
        EncryptionError: the job says raw, and the replica is not.
    """
    if not pair.source.encrypted:
        return False
    if target is None or not target.snapshots:
        return job.encryption is Encryption.RAW
    raw = target.encryption_root == target.name
    if job.encryption is Encryption.RAW and not raw:
        raise EncryptionError(
            f"Volume {pair.volume} is encrypted and the job sends it raw, but its replica '{target.name}' on node "
            f"{job.target} is not raw.",
            node=job.target,
            volume=str(pair.volume),
            advice="Take zsr's mark off and rename it there, and the volume is sent raw in full: "
            f"zfs inherit zsr:job {target.name}; zfs rename {target.name} NEWNAME. Or, if that node may read it, "
            f"send it in the clear: zsr update {job.id} --encryption decrypted.",
        )
    return raw


def needs_properties(source: Dataset, *, raw: bool) -> bool:
    """Return whether the stream cannot carry the volume's properties, so that receive has to set them."""
    return source.encrypted and not raw


def marks(job: Job, source: str) -> dict[str, str]:
    """Return the properties that say whose a replica is; ``source`` is the source's node."""
    # zsr:job is last: where properties are set one by one, a dataset that has it has the source too.
    return {"zsr:source": source, "zsr:job": str(job.id)}


def replica_properties(
    job: Job, source: str, dataset: Dataset, portable: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the local properties of the replica of a dataset on the node ``source``, with the ``portable`` ones."""
    return commands.replica_properties(is_volume=dataset.is_volume, extra={**(portable or {}), **marks(job, source)})
