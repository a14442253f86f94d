"""How a volume is sent: raw or readable, with which flags, and what its replica is given. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from replicator.models import Job
from replicator.replication.legs import Leg
from replicator.replication.plan import Full, Incremental
from replicator.replication.stream_flags import flags_of
from replicator.zfs import commands
from replicator.zfs.features import Features
from replicator.zfs.fence import Fence
from replicator.zfs.model import PLACEHOLDER, Bookmark, Dataset


def send_argv(features: Features, action: Full | Incremental, leg: Leg, *, raw: bool, large: bool = False) -> list[str]:
    """Return the ``zfs send`` of a leg of an action.

    ``features`` are those that both sides have; ``raw`` is what `keys.is_raw` says; ``large``: the replica is known to
    need -L.
    """
    source, base = action.pair.source, leg.base
    return commands.send(
        features,
        source.name,
        leg.to,
        None if base is None else f"{'#' if isinstance(base, Bookmark) else '@'}{base.name}",
        raw=raw,
        properties=raw or not source.encrypted,
        all_between=leg.between,
        flags=flags_of(features, action, raw=raw, large=large),
    )


def needs_properties(source: Dataset, *, raw: bool) -> bool:
    """Return whether the stream cannot carry the volume's properties, so that receive has to set them."""
    return source.encrypted and not raw


def without_limits(portable: Mapping[str, str], *, is_volume: bool) -> dict[str, str]:
    """Return the properties that receive sets on a replica; of the source's limits it is to remember the values."""
    limits = commands.VOLUME_LIMITS if is_volume else commands.LIMITS
    return {f"{commands.REMEMBERED}{key}" if key in limits else key: value for key, value in portable.items()}


def resumed_limits(portable: Mapping[str, str], guid: int) -> dict[str, str]:
    """Return the property that remembers the refquota of a filesystem while a resumed stream brings a snapshot of it.

    Such a stream carries no properties, and nothing follows it while the filesystem is idle. The value counts until a
    later stream, which carries them, has brought something newer than the snapshot with this ``guid``.
    """
    return {_RESUMED_REFQUOTA: f"{portable.get(commands.REFQUOTA, 'none')}@{guid}"}


def remembered_limits(own: Mapping[str, str], replica: Dataset) -> dict[str, str]:
    """Return the limits that a replica remembers, by their names, from those of its own properties that say so."""
    limits = commands.VOLUME_LIMITS if replica.is_volume else commands.LIMITS
    named = {limit: f"{commands.REMEMBERED}{limit}" for limit in limits}
    found = {limit: commands.settable(limit, own[key]) for limit, key in named.items() if key in own}
    refquota, _, guid = own.get(_RESUMED_REFQUOTA, "").partition("@")
    brought = next((each for each in replica.snapshots if str(each.guid) == guid), None)
    if brought is not None and not any(s.job and s.createtxg > brought.createtxg for s in replica.snapshots):
        found[commands.REFQUOTA] = refquota
    return found


def remembering(replica: Dataset) -> list[str]:
    """Return the properties in which a replica remembers limits."""
    limits = commands.VOLUME_LIMITS if replica.is_volume else (*commands.LIMITS, commands.REFQUOTA)
    return [f"{commands.REMEMBERED}{limit}" for limit in limits]


_RESUMED_REFQUOTA = f"{commands.REMEMBERED}{commands.REFQUOTA}"


def marks(job: Job, source: str) -> dict[str, str]:
    """Return the properties that say whose a replica is; ``source`` is the source's node."""
    # zsr:job is last: where properties are set one by one, a dataset that has it has the source too.
    return {"zsr:source": source, "zsr:job": str(job.id)}


def placeholder_properties(source: str) -> dict[str, str]:
    """Return the properties of a dataset that is made on a target only because replicas of a node lie below it."""
    return commands.replica_properties(is_volume=False, extra={"zsr:source": source, "zsr:job": PLACEHOLDER})


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
