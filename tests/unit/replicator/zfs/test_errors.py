"""The words of ZFS and their classes. Each stderr is as a real ZFS printed it."""

from __future__ import annotations

import pytest

from replicator.errors import ErrorClass, ZfsError
from replicator.zfs.errors import (
    Refusal,
    classify,
    first_line,
    is_absent,
    is_base_gone,
    is_broken_pipe,
    is_half_received,
    is_incomplete_stream,
    is_nothing_to_abort,
    refusal,
)

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
    ("something that was never seen", ErrorClass.ZFS),
    # OpenZFS 2.3.2, each provoked on a real pool
    (
        "cannot receive new filesystem stream: destination 'tank/b' exists\nmust specify -F to overwrite it",
        ErrorClass.TARGET_ACTIVE,
    ),
    ("warning: cannot send 'tank/a@2': incremental source (tank/a#nope) does not exist", ErrorClass.NO_COMMON_BASE),
    ("warning: cannot send 'tank/a@2': not an earlier snapshot from the same fs", ErrorClass.NO_COMMON_BASE),
    ("cannot receive new filesystem stream: destination tank/q/x space quota exceeded.", ErrorClass.NO_SPACE),
    ("cannot create 'small/v2': out of space", ErrorClass.NO_SPACE),
    (
        "cannot send tank/e@1: encrypted dataset tank/e may not be sent with properties without the raw flag",
        ErrorClass.ENCRYPTION,
    ),
    ("warning: cannot send 'tank/e@2': dataset key must be loaded", ErrorClass.ENCRYPTION),
    ("warning: cannot send 'tank/e@2': source key must be loaded", ErrorClass.ENCRYPTION),
    ("cannot receive incremental stream: inherited key must be loaded", ErrorClass.ENCRYPTION),
    ("cannot create 'tank/e/child': encryption root's key is not loaded or provided", ErrorClass.ENCRYPTION),
    (
        "cannot receive incremental stream: cannot perform raw receive on top of existing unencrypted dataset",
        ErrorClass.ENCRYPTION,
    ),
    (
        "cannot destroy 'tank/a@2': snapshot has dependent clones\nuse '-R' to destroy the following datasets:\ntank/c",
        ErrorClass.BUSY,
    ),
    ("cannot destroy snapshot tank/a@3: it's being held. Run 'zfs holds -r tank/a@3' to see holders.", ErrorClass.BUSY),
    ("cannot create snapshots : pool is read-only", ErrorClass.ZFS),
    (
        "cannot receive new filesystem stream: checksum mismatch or incomplete stream.\nPartially received snapshot is "
        "saved.",
        ErrorClass.ZFS,
    ),
    ("cannot receive: failed to read from stream", ErrorClass.ZFS),
    ("cannot receive: invalid stream (bad magic number)", ErrorClass.ZFS),
    ("cannot resume send: 'tank/a@big' used in the initial send no longer exists", ErrorClass.STORAGE_MISSING),
    ("cannot create snapshots : permission denied", ErrorClass.ZFS),
    ("Channel program execution failed:\nPermission denied. Channel programs must be run as root.", ErrorClass.ZFS),
    ("cannot receive resume stream: incompatible embedded data stream feature with encrypted receive.", ErrorClass.ZFS),
    # Texts of other versions' libzfs_sendrecv.c and libzfs_util.c (0.8, 2.1, 2.2)
    (
        "cannot receive incremental stream: IV set guid mismatch. See the 'zfs receive' man page section\n discussing "
        "the limitations of raw encrypted send streams.",
        ErrorClass.ENCRYPTION,
    ),
    ("cannot receive new filesystem stream: pool must be upgraded to receive this stream.", ErrorClass.ZFS),
    ("cannot receive: stream has unsupported feature, feature flags = 400000", ErrorClass.ZFS),
    ("cannot receive: local origin for clone tank/a@1 does not exist", ErrorClass.NO_COMMON_BASE),
    ("cannot unmount '/tank/a': pool or dataset is busy", ErrorClass.BUSY),
    ("cannot open 'tank': pool I/O is currently suspended", ErrorClass.ZFS),
    ("The ZFS modules are not loaded.\nTry running '/sbin/modprobe zfs' as root to load them.", ErrorClass.ZFS),
    ("Channel program execution failed:\nInvalid argument", ErrorClass.ZFS),
    ("internal error: cannot receive incremental stream: Unknown error 1030", ErrorClass.ZFS),
    ("sh: 1: zstd: not found\ncannot receive: failed to read from stream", ErrorClass.CONFIG),
]


KNOWN = [row for row in SEEN if row[0] != "something that was never seen"]


@pytest.mark.parametrize("stderr", [stderr for stderr, _ in KNOWN])
def test_each_known_message_comes_with_advice_of_its_own(stderr: str) -> None:
    """No known message has the advice to read the log."""
    error = classify("receive", stderr, node="beta")
    assert error.advice != ZfsError.default_advice


def test_an_odd_answer_may_come_from_tools_newer_than_the_module() -> None:
    error = classify("run a channel program", "Invalid argument", node="beta")

    assert "compare the two lines of 'zfs version'" in error.advice


@pytest.mark.parametrize(("stderr", "error_class"), SEEN)
def test_each_known_message_has_its_class(stderr: str, error_class: ErrorClass) -> None:
    assert classify("receive", stderr, node="beta").error_class == error_class


@pytest.mark.parametrize(("stderr", "error_class"), SEEN)
def test_every_error_says_where_and_what_to_do_and_keeps_the_raw_words(stderr: str, error_class: ErrorClass) -> None:
    error = classify("receive", stderr, node="beta", volume="data:vm-100-disk-0")
    assert "data:vm-100-disk-0 on beta" in error.what
    assert error.advice
    assert error.raw == stderr


@pytest.mark.parametrize(
    "stderr", ["cannot destroy 'tank/a': dataset is busy", "cannot rename 'tank/a': target is busy"]
)
def test_what_is_open_on_the_target_is_told_how_to_find_who_has_it_open(stderr: str) -> None:
    """LVM, md or multipath there take the disks of a guest for their own; nothing else says so."""
    error = classify("destroy the replica", stderr, node="beta")
    assert error.error_class is ErrorClass.BUSY
    assert all(word in error.advice for word in ("LVM", "dmsetup ls --tree", "global_filter"))


def test_the_line_that_says_most_comes_first() -> None:
    assert first_line("warning: cannot send 'a@b': Broken pipe\ncannot send: I/O error\n") == "cannot send: I/O error"


def test_a_command_that_was_killed_says_by_which_signal() -> None:
    assert "signal 9" in classify("receive", "", node="beta", status=-9).what


def test_consequences_are_distinguished_from_causes() -> None:
    assert is_broken_pipe("warning: cannot send 'tank/a@s': Broken pipe\n")
    assert is_broken_pipe("")
    assert not is_broken_pipe("cannot send: I/O error")
    assert is_incomplete_stream("cannot receive: failed to read from stream")
    assert not is_incomplete_stream("cannot receive: out of space")


def test_a_missing_dataset_is_distinguished_from_one_that_cannot_be_destroyed() -> None:
    assert is_absent("could not find any snapshots to destroy; check snapshot names.")
    assert not is_absent("cannot destroy snapshot: dataset is busy")


@pytest.mark.parametrize(
    "stderr",
    [
        "cannot receive resume stream: destination tank/a has been modified\nsince most recent snapshot",
        "cannot receive incremental stream: most recent snapshot of tank/a does not\nmatch incremental source",
        "cannot receive new filesystem stream: destination 'tank/a' exists\nmust specify -F to overwrite it",
        "cannot restore to tank/a@s: destination already exists",
        "cannot resume recv tank/a: Resuming recv on existing dataset without force",
        "cannot receive resume stream: Resuming recv on existing destination 'tank/a'\nmust specify -F to overwrite it",
        "cannot receive resume stream: IV set guid missing. See errata 4 at https://zfsonlinux.org/msg/ZFS-8000-ER.",
    ],
)
def test_a_receive_that_says_what_is_wrong_with_the_state_refuses_it(stderr: str) -> None:
    assert refusal(stderr) is Refusal.CERTAIN


@pytest.mark.parametrize(
    "stderr",
    [
        "cannot receive resume stream: something that was never seen",
        "cannot receive resume stream: kernel modules must be upgraded to receive this stream.",
        "cannot receive resume stream: incompatible embedded data stream feature with encrypted receive.",
        "internal error: cannot receive resume stream: Unknown error 1030",
    ],
)
def test_a_receive_that_refuses_in_unknown_words_proves_nothing(stderr: str) -> None:
    assert refusal(stderr) is Refusal.UNKNOWN


@pytest.mark.parametrize(
    "stderr",
    [
        "",
        "cannot receive resume stream: checksum mismatch or incomplete stream.\nPartially received snapshot is saved.",
        "cannot receive: failed to read from stream",
        "cannot receive resume stream: out of space",
        "cannot receive resume stream: dataset is busy",
        "cannot receive resume stream: inherited key must be loaded",
        "cannot receive resume stream: pool must be upgraded to receive this stream.",
        "cannot receive resume stream: pool I/O is currently suspended",
        "cannot receive resume stream: permission denied",
        "cannot open 'tank/a': dataset does not exist",
        "Unable to open /dev/zfs: No such file or directory.",
        "zsr: 1: zfs: not found",
        "sudo: a password is required",
        "destination 'tank/a' exists, says somebody else",
    ],
)
def test_an_obstacle_of_the_receiving_node_refuses_no_state(stderr: str) -> None:
    assert refusal(stderr) is None


def test_a_token_without_a_state_is_distinguished_from_one_that_cannot_be_dropped() -> None:
    assert is_nothing_to_abort("'tank/a' does not have any resumable receive state to abort\n")
    assert not is_nothing_to_abort("cannot destroy 'tank/a/%recv': dataset is busy")


def test_a_half_received_state_in_the_way_is_distinguished_from_an_open_dataset() -> None:
    said = 'cannot receive incremental stream: tank/a contains\npartially-complete state from "zfs receive -s".'
    assert is_half_received(said)
    assert not is_half_received("cannot receive incremental stream: dataset is busy")


def test_a_base_that_is_gone_is_distinguished_from_a_pool_that_cannot_be_asked() -> None:
    assert is_base_gone("cannot resume send: incremental source 0x835d393e4caee119 no longer exists")
    assert not is_base_gone("cannot resume send: 'tank/a@s' used in the initial send no longer exists")
    assert not is_base_gone("cannot open 'tank': pool I/O is currently suspended")
