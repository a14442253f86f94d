"""How a volume is sent: raw or readable, with which flags, and what its replica is given. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.models import Job, Travelling
from replicator.replication.keys import is_encrypted_there
from replicator.replication.plan import Full, Incremental
from replicator.zfs import commands
from replicator.zfs.features import Features
from replicator.zfs.fence import Fence
from replicator.zfs.model import Bookmark, Dataset


def send_argv(job: Job, features: Features, action: Full | Incremental, name: str, *, raw: bool) -> list[str]:
    """Return the ``zfs send`` of an action, up to the snapshot ``name`` of its volume.

    ``features`` are those that both sides have; ``raw`` is what `keys.is_raw` says.
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
        embedded=not is_encrypted_there(action, raw=raw),
    )


def needs_properties(source: Dataset, *, raw: bool) -> bool:
    """Return whether the stream cannot carry the volume's properties, so that receive has to set them."""
    return source.encrypted and not raw


def marks(job: Job, source: str) -> dict[str, str]:
    """Return the properties that say whose a replica is; ``source`` is the source's node."""
    # zsr:job is last: where properties are set one by one, a dataset that has it has the source too.
    return {"zsr:source": source, "zsr:job": str(job.id)}


def replica_properties(
    job: Job, source: str, dataset: Dataset, portable: Mapping[str, str] | None = None, fence: Fence | None = None
) -> dict[str, str]:
    """Return the local properties of the new replica of a dataset on the node ``source``.

    They include the ``portable`` ones, and the stamps of the ``fence``. An existing replica never gets stamps from a
    receive: one that begins late would undo those of a later owner.
    """
    stamps = {} if fence is None else fence.stamps
    extra = {**(portable or {}), **stamps, **marks(job, source)}
    return commands.replica_properties(is_volume=dataset.is_volume, extra=extra)
