"""The words of ZFS and their classes. Each stderr is as a real ZFS printed it."""

from __future__ import annotations

import pytest

from replicator.errors import ErrorClass
from replicator.zfs.errors import classify, first_line, is_absent, is_broken_pipe, is_incomplete_stream

SEEN = [
    ("cannot receive new filesystem stream: out of space", ErrorClass.NO_SPACE),
    ("cannot receive incremental stream: destination tank/a space quota exceeded.", ErrorClass.NO_SPACE),
    ("cannot create snapshot 'tank/a@x': out of space", ErrorClass.NO_SPACE),
    (
        "cannot receive incremental stream: destination tank/a has been modified\nsince most recent snapshot",
        ErrorClass.DIVERGED,
    ),
    (
        "cannot receive incremental stream: most recent snapshot of tank/a does not\nmatch incremental source",
        ErrorClass.NO_COMMON_BASE,
    ),
    ("cannot receive new filesystem stream: destination 'tank/a' exists\nmust specify -F", ErrorClass.TARGET_ACTIVE),
    ("cannot send tank/enc@s: dataset key must be loaded", ErrorClass.ENCRYPTION),
    ("cannot destroy 'tank/a@s': dataset is busy", ErrorClass.BUSY),
    (
        'cannot receive resume stream: destination tank/a contains partially-complete state from "zfs receive -s".',
        ErrorClass.BUSY,
    ),
    ("cannot open 'tank/none': dataset does not exist", ErrorClass.STORAGE_MISSING),
    ("cannot open 'none': no such pool", ErrorClass.STORAGE_MISSING),
    ("cannot create 'tank/a': permission denied", ErrorClass.ZFS),
    ("env: 'zfs': No such file or directory", ErrorClass.ZFS),
    ("connect: No such file or directory\nMake sure the zfs-fuse daemon is running.", ErrorClass.ZFS),
    ("something nobody has ever seen", ErrorClass.ZFS),
]


@pytest.mark.parametrize(("stderr", "error_class"), SEEN)
def test_each_known_message_has_its_class(stderr: str, error_class: ErrorClass) -> None:
    assert classify("receive", stderr, node="beta").error_class == error_class


@pytest.mark.parametrize(("stderr", "error_class"), SEEN)
def test_every_error_says_where_and_what_to_do_and_keeps_the_raw_words(stderr: str, error_class: ErrorClass) -> None:
    error = classify("receive", stderr, node="beta", volume="data:vm-100-disk-0")
    assert "data:vm-100-disk-0 on beta" in error.what
    assert error.advice
    assert error.raw == stderr


def test_the_line_that_says_most_comes_first() -> None:
    assert first_line("warning: cannot send 'a@b': Broken pipe\ncannot send: I/O error\n") == "cannot send: I/O error"


def test_a_command_that_was_killed_says_by_which_signal() -> None:
    assert "signal 9" in classify("receive", "", node="beta", status=-9).what


def test_consequences_are_told_from_causes() -> None:
    assert is_broken_pipe("warning: cannot send 'tank/a@s': Broken pipe\n")
    assert is_broken_pipe("")
    assert not is_broken_pipe("cannot send: I/O error")
    assert is_incomplete_stream("cannot receive: failed to read from stream")
    assert not is_incomplete_stream("cannot receive: out of space")


def test_what_is_gone_already_is_told_from_what_cannot_go() -> None:
    assert is_absent("could not find any snapshots to destroy; check snapshot names.")
    assert not is_absent("cannot destroy snapshot: dataset is busy")
