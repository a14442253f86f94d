"""What becomes of a half-received state: it is resumed, kept, or dropped (contract: Destruction). Pure.

It is only a copy of what the source still has, so dropping it loses no data. But it may be days of a slow line. So it
is dropped only when it is proven useless: its snapshot or base is gone from the source, or the receiving ZFS says that
the stream can never be applied to it. Neither the sender's nor the transport's failure proves that.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile
from typing import NamedTuple

from replicator.common.durations import words
from replicator.errors import TargetActiveError, ZfsError, ZsrError
from replicator.models import Job, JobId
from replicator.replication.keys import is_raw_onto
from replicator.replication.plan import VolumePair
from replicator.replication.stream_faults import Side, StreamFault
from replicator.zfs.errors import Refusal, classify, is_base_gone, refusal
from replicator.zfs.model import Dataset
from replicator.zfs.resume_token import ResumeToken, decode_token
from replicator.zfs.snapshot_names import job_of

REFUSALS = 3
"""Consecutive runs with the same unknown words of the receiver, after which a half-received state is dropped."""
REFUSED_SECONDS = 900.0
"""Seconds that must lie between the first of those runs and the last: a job of each minute gives a fault that passes by
itself no less time than the retry ladder does."""
RUNS_KNOWN = 64
"""How many failures in a row are looked at: those of a job of each minute reach far enough back."""


class PastFailure(NamedTuple):
    """A failed run of the same job: the sentence that it ended with, and its start (unix time)."""

    message: str
    start: float


BASE_GONE = "its base is gone from the source"


def examine(job: Job, pair: VolumePair, node: str) -> tuple[ResumeToken, str | None]:
    """Return the token of a half-received state on a node, and why the state is useless; None if it may be resumed.

    Raises:
        TargetActiveError: it is another tool's.
        ZfsError: its token cannot be read.
        EncryptionError: the job sends the volume raw, and the replica is not.
    """
    replica = pair.target
    if replica is None or replica.token is None:
        raise AssertionError("there is a half-received state")
    token = read_token(replica.token, pair, replica, node)
    useless = None
    if not is_ours(token, replica, job.id):
        raise another_tools(pair, replica, node)
    if is_gone(token, pair):
        useless = "its snapshot is gone from the source"
    elif (raw := is_raw_onto(job, pair, replica)) and not token.raw:
        useless = "it is not raw, and the job sends raw"
    elif token.raw and replica.snapshots and not raw:  # ZFS would accept it, and nobody could open the replica then
        useless = "it is raw, and the replica no longer has a key of its own"
    if useless is not None and replica.job is None:
        raise another_tools(pair, replica, node)
    return token, useless


def read_token(text: str, pair: VolumePair, replica: Dataset, node: str) -> ResumeToken:
    """Return the token of a replica on a node.

    Raises:
        TargetActiveError: it cannot be read, and the dataset is not marked as a replica.
        ZfsError: it cannot be read. Nobody knows then what it stands for, so it proves nothing.
    """
    try:
        return decode_token(text)
    except ZfsError as error:
        if replica.job is None:
            raise another_tools(pair, replica, node) from error
        raise ZfsError(
            f"The half-received state of '{replica.name}' on node {node} has a token that zsr does not understand. "
            f"{error.what}",
            node=node,
            volume=str(pair.volume),
            advice=f"If that transfer can be given up, drop it there: zfs receive -A {replica.name}.",
            raw=text,
        ) from error


def is_ours(token: ResumeToken, replica: Dataset, job: JobId) -> bool:
    """Return whether a half-received state is of a job: the dataset is marked, or it receives the job's snapshot."""
    return replica.job is not None or job_of(token.to_name.partition("@")[2]) == job


def is_gone(token: ResumeToken, pair: VolumePair) -> bool:
    """Return whether the source's volume, as listed, has no snapshot with the name and GUID that the token needs."""
    dataset, _, snapshot = token.to_name.partition("@")
    found = pair.source.by_guid(token.to_guid)
    return dataset != pair.source.name or found is None or found.name != snapshot


def base_is_gone(token: ResumeToken, pair: VolumePair, error: ZsrError) -> bool:
    """Return whether a token's base is gone from the source: ZFS there says so, and the listing agrees."""
    kept = (*pair.source.snapshots, *pair.source.bookmarks)
    return is_base_gone(error.raw) and token.from_guid not in {each.guid for each in kept}


def another_tools(pair: VolumePair, replica: Dataset, node: str) -> TargetActiveError:
    """Return the error of a half-received state that is not of zsr."""
    return TargetActiveError(
        f"'{replica.name}' on node {node} has a half-received state of another tool.",
        node=node,
        volume=str(pair.volume),
        advice="Finish that transfer, or drop it there (zfs receive -A).",
    )


def judged(
    fault: StreamFault, token: ResumeToken, pair: VolumePair, node: str, failures: Sequence[PastFailure], now: float
) -> tuple[ZsrError, bool]:
    """Return the error of a resumed transfer that failed, and whether the half-received state is to be dropped.

    Args:
        fault: what failed.
        token: what was resumed.
        pair: the volume, as both sides were listed before.
        node: the target.
        failures: the job's last runs, newest first, up to the last one that did not fail.
        now: unix time.
    """
    stderr = fault.receiver.stderr
    refused = refusal(stderr) if fault.side is Side.RECEIVER and fault.receiver.status > 0 else None
    if refused is not Refusal.UNKNOWN:
        return fault.error, refused is Refusal.CERTAIN
    if _has_newer(token, pair.target):
        return fault.error, True
    # The bytes are in the sentence: a state that still grows is not refused in the same words.
    doing = f"go on with the half-received state after {token.received} bytes"
    error = classify(doing, stderr, node=node, volume=str(pair.volume))
    error.advice = (
        f"It stays for now. After {REFUSALS} runs with these words in {words(REFUSED_SECONDS)} it is dropped, and the "
        "volume sent again."
    )
    same = list(takewhile(lambda before: before.message == error.what, failures))
    return error, len(same) >= REFUSALS - 1 and now - same[-1].start >= REFUSED_SECONDS


def _has_newer(token: ResumeToken, replica: Dataset | None) -> bool:
    """Return whether a replica has a snapshot after the base of its half-received state.

    One that was there when the transfer began does no harm. One that was taken since then makes ZFS refuse the state at
    its end, in words that say nothing. So this counts only together with a refusal.
    """
    return replica is not None and bool(replica.snapshots) and replica.snapshots[-1].guid != token.from_guid
