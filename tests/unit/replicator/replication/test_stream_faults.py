"""Whose fault a stream's end is, seen in the results of its processes."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from replicator.errors import ErrorClass
from replicator.hosts.host import Completed
from replicator.hosts.stream import StreamEnd
from replicator.models import Volume
from replicator.replication.stream_faults import Side, fault_of

VOLUME = Volume("data", "vm-100-disk-0")
INCOMPLETE = "cannot receive resume stream: checksum mismatch or incomplete stream."
REFUSED = "cannot receive resume stream: kernel modules must be upgraded to receive this stream."
FULL = "cannot receive incremental stream: out of space"


@dataclass(frozen=True)
class Row:
    """A stream's end and whose fault it is; a process is (status, stderr)."""

    sender: tuple[int, str]
    receiver: tuple[int, str]
    side: Side
    error_class: ErrorClass = ErrorClass.ZFS
    cut: bool = False
    compressor: tuple[int, str] = (0, "")


SENDER, TRANSPORT, RECEIVER = Side
ROWS = {
    "killed for want of memory": Row((-9, ""), (1, INCOMPLETE), SENDER),
    "killed, and the receiver gives another reason": Row((-9, ""), (1, REFUSED), SENDER),
    "interrupted by a signal": Row((1, "warning: cannot send 'a@b': signal received"), (1, INCOMPLETE), SENDER),
    "a disk of the source": Row((1, "warning: cannot send 'a@b': Input/output error"), (1, INCOMPLETE), SENDER),
    "a disk of the source, and the receiver gives another reason": Row(
        (1, "warning: cannot send 'a@b': Input/output error"), (1, REFUSED), SENDER
    ),
    "a disk of the source, when the receiver ends first": Row(
        (1, "warning: cannot send 'a@b': Input/output error"), (1, REFUSED), SENDER, cut=True
    ),
    "a suspended pool of the source": Row((1, "cannot open 'a': pool I/O is currently suspended"), (0, ""), SENDER),
    "a key that is not loaded": Row(
        (1, "cannot send a@b: dataset key must be loaded"), (1, INCOMPLETE), SENDER, ErrorClass.ENCRYPTION
    ),
    "a sender that fails silently": Row((1, ""), (1, INCOMPLETE), SENDER),
    "a stream that was damaged on its way": Row((0, ""), (1, INCOMPLETE), TRANSPORT),
    "zstd, killed": Row((-13, ""), (1, INCOMPLETE), TRANSPORT, compressor=(-9, "")),
    "zstd, with its reason": Row((-13, ""), (1, INCOMPLETE), TRANSPORT, compressor=(1, "zstd: out of memory")),
    "a full target": Row((-9, ""), (1, FULL), RECEIVER, ErrorClass.NO_SPACE, cut=True),
    "a full target, found when zstd was killed for it": Row(
        (-9, ""), (1, FULL), RECEIVER, ErrorClass.NO_SPACE, cut=True, compressor=(-9, "")
    ),
    "a receiver that refuses, with a sender that finds no reader": Row(
        (1, "warning: cannot send 'a@b': Broken pipe"), (1, REFUSED), RECEIVER, cut=True
    ),
    "a receiver that refuses at the end": Row((0, ""), (1, REFUSED), RECEIVER),
    "a receiver that was killed": Row((-13, ""), (-1, ""), RECEIVER, cut=True),
}


def end_of(row: Row) -> StreamEnd:
    """The end of the stream of a row."""
    sender, receiver, compressor = (
        Completed(("zfs",), status, "", stderr) for status, stderr in (row.sender, row.receiver, row.compressor)
    )
    return StreamEnd(sender, receiver, compressor, 5, row.cut)


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS)
def test_the_one_that_failed_first_is_at_fault(row: Row) -> None:
    fault = fault_of(end_of(row), VOLUME, "alpha", "beta")
    assert fault is not None
    assert (fault.side, fault.error.error_class) == (row.side, row.error_class)


def test_a_stream_that_went_well_is_nobodys_fault() -> None:
    assert fault_of(end_of(Row((0, ""), (0, ""), RECEIVER)), VOLUME, "alpha", "beta") is None


def test_the_error_is_that_of_the_side_at_fault_and_names_its_node() -> None:
    source = fault_of(end_of(ROWS["killed for want of memory"]), VOLUME, "alpha", "beta")
    target = fault_of(end_of(ROWS["a full target"]), VOLUME, "alpha", "beta")
    assert source is not None
    assert target is not None
    assert source.error.what == "Could not send (data:vm-100-disk-0 on alpha): the command was killed by signal 9."
    assert (target.error.node, target.error.volume) == ("beta", "data:vm-100-disk-0")
