"""Half-received states on the target: resume the interrupted transfer by its token, or drop it."""

from __future__ import annotations

from collections.abc import Iterable

from replicator.errors import ErrorClass, TargetActiveError, ZsrError
from replicator.models import Job
from replicator.replication.destruction import decide_half_received
from replicator.replication.plan import VolumePair
from replicator.replication.progress import Log
from replicator.replication.streams import is_raw_onto
from replicator.replication.transfer import Transfers
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import ResumeToken
from replicator.zfs.snapshot_names import job_of

_RESUMABLE = (ErrorClass.NETWORK, ErrorClass.AUTH, ErrorClass.TIMEOUT, ErrorClass.NO_SPACE, ErrorClass.BUSY)
"""Classes of failures that leave a half-received state which a later run can resume."""

UNRESUMABLE = "its half-received state cannot be resumed"
"""The reason to drop a half-received state, as its permit says it."""


async def resume_half_received(
    job: Job, volumes: Iterable[VolumePair], transfers: Transfers, source: ZfsClient, target: ZfsClient, log: Log
) -> None:
    """Resume the transfers that an earlier run began; drop those that can no longer be finished.

    Raises:
        TargetActiveError: a half-received state is another tool's; nothing was done with it.
        ZsrError: a resumed transfer was interrupted again; the next run goes on.
    """
    for pair in volumes:
        replica = pair.target
        if replica is None or replica.token is None:
            continue
        token = await source.resume_token(replica.token)
        fits = can_resume(job, pair, token)
        if token is None or not fits:
            log("warning", f"{pair.volume}: the half-received state cannot be resumed and is dropped")
            await target.abort_receive(decide_half_received(replica, replica.token, UNRESUMABLE))
            continue
        log("info", f"{pair.volume}: resuming the interrupted transfer of {token.to_name}")
        try:
            await transfers.stream(pair, commands.send_resume(token.token), token.remaining)
        except ZsrError as error:
            if error.error_class in _RESUMABLE:
                raise
            # A snapshot taken on the replica meanwhile makes ZFS refuse, in words that differ by version.
            log("warning", f"{error.what} The half-received state is dropped.")
            await target.abort_receive(decide_half_received(replica, replica.token, "ZFS refuses to go on with it"))


def can_resume(job: Job, pair: VolumePair, token: ResumeToken | None) -> bool:
    """Return whether the half-received state of a volume can be finished; it is dropped if not.

    ``token`` is the content of the replica's token, None if it can no longer be used.

    Raises:
        TargetActiveError: the state is another tool's.
        EncryptionError: the job sends the volume raw, and the replica is not.
    """
    replica = pair.target
    fits = (
        replica is not None
        and token is not None
        and _belongs(token, pair)
        and (replica.job is not None or job_of(token.to_name.partition("@")[2]) == job.id)
        and (token.raw or not is_raw_onto(job, pair, replica))
    )
    if not fits and replica is not None and replica.job is None:
        raise TargetActiveError(
            f"'{replica.name}' on node {job.target} has a half-received state of another tool.",
            node=job.target,
            volume=str(pair.volume),
            advice="Finish that transfer, or drop it there (zfs receive -A).",
        )
    return fits


def _belongs(token: ResumeToken, pair: VolumePair) -> bool:
    """Return whether a token is for a snapshot that this very source volume still has."""
    dataset, _, snapshot = token.to_name.partition("@")
    found = pair.source.by_guid(token.to_guid)
    return dataset == pair.source.name and found is not None and found.name == snapshot
