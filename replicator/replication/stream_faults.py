"""Whose fault the end of a stream is: the sender's, the transport's, or the receiver's (contract: Errors). Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from replicator.errors import ZfsError, ZsrError
from replicator.hosts.host import Completed
from replicator.hosts.stream import StreamEnd
from replicator.models import Volume
from replicator.zfs.errors import classify, is_broken_pipe, is_incomplete_stream


class Side(Enum):
    """The part of a stream that failed first; the failures of the others follow from it."""

    SENDER = "sender"
    TRANSPORT = "transport"
    RECEIVER = "receiver"


@dataclass(frozen=True, slots=True)
class StreamFault:
    """The side that failed, its error, and the result of the receiver."""

    side: Side
    error: ZsrError
    receiver: Completed


def fault_of(end: StreamEnd, volume: Volume, source: str, target: str) -> StreamFault | None:
    """Return the fault of a stream between two nodes that has ended; None if it went well."""
    sender, receiver = end.sender, end.receiver
    if sender.ok and receiver.ok:
        return None
    if end.compressor.stderr.strip() or not (end.compressor.ok or end.cut_by_receiver):
        words = end.compressor.stderr.strip() or f"zstd ended with status {end.compressor.status}"
        what = f"The stream of {volume} could not be compressed: {words}."
        error: ZsrError = ZfsError(what, node=source, volume=str(volume), raw=end.compressor.stderr)
        return StreamFault(Side.TRANSPORT, error, receiver)
    if _sender_failed_by_itself(end):
        error = classify("send", sender.stderr, node=source, volume=str(volume), status=sender.status)
        return StreamFault(Side.SENDER, error, receiver)
    error = classify("receive", receiver.stderr, node=target, volume=str(volume), status=receiver.status)
    # Whatever cut the stream, the receiver only noticed its early end.
    side = Side.TRANSPORT if is_incomplete_stream(receiver.stderr) else Side.RECEIVER
    return StreamFault(side, error, receiver)


def _sender_failed_by_itself(end: StreamEnd) -> bool:
    """Return whether the sender has a reason of its own: it ended before the receiver, or says more than "no reader".

    A sender that was killed says nothing. It was killed by zsr if the receiver had failed by then.
    """
    return not end.sender.ok and not (end.cut_by_receiver and is_broken_pipe(end.sender.stderr))
