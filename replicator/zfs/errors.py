"""Messages of ZFS as error classes with advice (contract: Errors). One table, tested with real stderr.

Source: the message texts of OpenZFS 0.8 to 2.3 (libzfs_sendrecv.c, libzfs_dataset.c) and of zfs-fuse, as printed.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from enum import Enum

from replicator.errors import (
    BusyError,
    ConfigError,
    DivergedError,
    EncryptionError,
    NoCommonBaseError,
    NoSpaceError,
    StorageMissingError,
    TargetActiveError,
    ZfsError,
    ZsrError,
)

_NOT_RUNNING = "ZFS is not running on that node: load its module (modprobe zfs)."
_NO_ZSTD = "Install zstd on both nodes (apt install zstd), or remove the node's 'compression' from the cluster file."
_POOL = "Check the pool there: zpool status -v."
_RIGHTS = "Run as root, or delegate the rights with zfs allow."
_LOAD = 'Load the key on that node: zfs load-key; or send raw (encryption = "raw").'
_MIXED = (
    "A replica stays raw or decrypted, as it was begun. zsr reseed ID VOLUME sends it again in full, as the job says."
)
_UPGRADE = "That node's ZFS or pool is older than the source's: upgrade it (zpool upgrade), or send from an older one."
_HOLDS = "A clone or a hold needs it (zfs list -o name,origin; zfs holds). It is destroyed when that is gone."
_OPEN = (
    "A program on that node has it open: a mount, or LVM, md or multipath a zvol (dmsetup ls --tree; global_filter in "
    "lvm.conf keeps LVM off). zsr retries by itself."
)
_AGAIN = "The stream was cut or damaged in transit; the next run resumes from what arrived."

_ODD = r"Unknown error \d+|[Ii]nvalid argument|[Ii]nappropriate ioctl"
_TOOLS = (
    "If ZFS was upgraded there lately, its tools may be newer than the module that is loaded: compare the two lines of "
    "'zfs version', and reboot that node if they differ."
)

_TABLE: tuple[tuple[str, type[ZsrError], str], ...] = (
    (r"zstd: (?:command )?not found|zstd: No such file", ConfigError, _NO_ZSTD),
    (r"out of space|no space left|disk quota exceeded|exceeds .*quota|quota exceeded", NoSpaceError, ""),
    (r"pool I/O is currently suspended|I/O error|pool is read-only", ZfsError, _POOL),
    (r"has been modified since most recent snapshot", DivergedError, ""),
    (r"most recent snapshot of .* does not match incremental source", NoCommonBaseError, ""),
    (r"incremental source .*does not exist|not an earlier snapshot from the same fs", NoCommonBaseError, ""),
    (r"local origin for clone .* does not exist", NoCommonBaseError, ""),
    (r"destination '.*' exists\b", TargetActiveError, ""),
    (r"on top of existing unencrypted|IV set guid|without the raw flag|raw encrypted", EncryptionError, _MIXED),
    (r"key must be loaded|key not loaded|key is not loaded|encryption key|is encrypted", EncryptionError, _LOAD),
    (r"contains partially-complete state", BusyError, ""),
    (r"dependent clones|it's being held", BusyError, _HOLDS),
    (r"dataset is busy|pool or dataset is busy|is mounted|target is busy|resource busy", BusyError, _OPEN),
    (r"[Pp]ermission denied|must be run as root", ZfsError, _RIGHTS),
    (r"must be upgraded|unsupported feature|[Ii]ncompatible .*stream feature|Unsupported flag", ZfsError, _UPGRADE),
    (r"checksum mismatch|incomplete stream|failed to read from stream|bad magic number", ZfsError, _AGAIN),
    (r"Unable to open /dev/zfs|kernel module|modules are not loaded|zfs-fuse daemon", ZfsError, _NOT_RUNNING),
    (r"connect: (?:No such file|Connection refused)|initialize the libzfs library", ZfsError, _NOT_RUNNING),
    (r"no such pool|does not exist|no longer exists", StorageMissingError, ""),
    (_ODD, ZfsError, _TOOLS),
    (r"(?:zfs|env)[:'’‘ ].*(?:not found|No such file)", ZfsError, "Install ZFS there (zfsutils-linux)."),
)
"""Patterns over a command's whole stderr (its lines joined), their class, and what to do; the first match counts."""


class Refusal(Enum):
    """How a ``zfs receive`` refused: by words that the stream can never be applied there, or by unknown ones."""

    CERTAIN = "certain"
    UNKNOWN = "unknown"


_REFUSED = (
    r"has been modified since most recent snapshot"
    r"|most recent snapshot of .* does not match incremental source"
    r"|destination '.*' exists\b|destination already exists"
    r"|[Rr]esuming recv on existing"
    r"|IV set guid m"
)
_ANY_EINVAL = (
    r"kernel modules must be upgraded to receive this stream"
    r"|incompatible embedded data stream feature with encrypted receive"
    rf"|{_ODD}"
)

_SILENT = "no message on stderr"
_NOISE = re.compile(r"^\s*(?:warning: cannot send .*: (?:Broken pipe|signal received)|usage:.*|)\s*$")


def first_line(stderr: str) -> str:
    """Return the most informative line of stderr: the first that is not known noise."""
    lines = [line.strip() for line in stderr.splitlines() if not _NOISE.match(line)]
    return lines[0] if lines else _SILENT


def is_broken_pipe(stderr: str) -> bool:
    """Return whether a sender only reports that its receiver went away; the receiver then has the reason."""
    return first_line(stderr) == _SILENT or re.search(r"Broken pipe|signal received", stderr) is not None


def is_incomplete_stream(stderr: str) -> bool:
    """Return whether a receiver only reports that its stream ended early; the sender or network then has the reason."""
    return re.search(r"incomplete stream|failed to read from stream|unexpected end of input", stderr) is not None


def is_absent(stderr: str) -> bool:
    """Return whether a command failed because the dataset or snapshot does not exist."""
    return re.search(r"does not exist|could not find any snapshots to destroy|no such pool", stderr) is not None


def absent_names(stderr: str) -> frozenset[str] | None:
    """Return the names that a listing of several did not find; None if it failed for another reason as well."""
    lines = [line for line in stderr.splitlines() if line.strip()]
    found = [re.fullmatch(r"cannot open '(.*)': dataset does not exist", line.strip()) for line in lines]
    return None if not all(found) else frozenset(each[1] for each in found if each is not None)


def listing_error(path: str, also: Collection[str], stderr: str, node: str) -> ZsrError | None:
    """Return the error of a listing of a path that failed; None if only names in ``also`` do not exist."""
    if also and (absent_names(stderr) or {path}) <= set(also):
        return None
    if is_absent(stderr):
        return StorageMissingError(f"'{path}' does not exist on node {node}.", node=node, raw=stderr)
    return classify(f"list '{path}'", stderr, node=node)


def is_over_limit(stderr: str) -> bool:
    """Return whether a channel program ran into a limit of ZFS or of its Lua: too many rows, too many instructions.

    Source: the words of zfs_main.c (``zfs_do_program``) and of zcp.c, whose case differs from each other.
    """
    return _LIMIT.search(stderr) is not None


_LIMIT = re.compile(
    r"memory limit|return value too large|timed out|instruction limit|out of memory|not enough memory"
    r"|(?:table|stack|string) (?:overflow|too large)|string length overflow|argument list too long",
    re.IGNORECASE,
)


def runs_no_programs(stderr: str) -> bool:
    """Return whether ZFS, or the user, cannot run channel programs at all."""
    return re.search(r"permission denied|not supported|unsupported|too (?:new|old)", stderr, re.IGNORECASE) is not None


def is_existing(stderr: str) -> bool:
    """Return whether a dataset could not be created because there is one of its name."""
    return "dataset already exists" in stderr


def is_nothing_to_abort(stderr: str) -> bool:
    """Return whether a half-received state could not be dropped because there is none."""
    return "does not have any resumable receive state to abort" in stderr


def is_half_received(stderr: str) -> bool:
    """Return whether a receive was refused because its dataset has a half-received state of another stream."""
    return "contains partially-complete state" in " ".join(stderr.split())


def is_name_taken(stderr: str) -> bool:
    """Return whether a receive was refused because the replica has another snapshot with the name of one it brings."""
    return re.search(r"cannot restore to [^@]+@.*: destination already exists", " ".join(stderr.split())) is not None


def is_base_gone(stderr: str) -> bool:
    """Return whether a resumed send was refused because the base of its stream is gone from the source."""
    return re.search(r"incremental source 0x[0-9a-f]+ no longer exists", stderr) is not None


def refusal(stderr: str) -> Refusal | None:
    """Return how far a failed ``zfs receive`` refuses its stream for what the target holds; None if it does not.

    OpenZFS has one sentence for any EINVAL of a resumable receive ("kernel modules must be upgraded"), and one for any
    EINVAL of a stream with embedded blocks. It says them also of a state that the stream does not continue. So they
    say nothing of modules or encryption, and nothing certain of the state.
    """
    words = " ".join(stderr.split())
    if is_incomplete_stream(words) or not re.search(r"cannot (?:receive|restore to|resume recv)\b", words):
        return None
    if re.search(_REFUSED, words):
        return Refusal.CERTAIN
    known = not re.search(_ANY_EINVAL, words) and any(re.search(pattern, words) for pattern, _, _ in _TABLE)
    return None if known else Refusal.UNKNOWN


def classify(doing: str, stderr: str, *, node: str, volume: str | None = None, status: int = 1) -> ZsrError:
    """Return the error for a failed zfs command; ``doing`` completes "Could not", as in ``take a snapshot``."""
    line = first_line(stderr).rstrip(".")
    if status < 0 and line == _SILENT:
        line = f"the command was killed by signal {-status}"
    where = f"{volume} on {node}" if volume else f"node {node}"
    what = f"Could not {doing} ({where}): {line}."
    words = " ".join(stderr.split())  # a message of zfs may go over several lines
    for pattern, kind, advice in _TABLE:
        if re.search(pattern, words):
            return kind(what, node=node, volume=volume, advice=advice, raw=stderr)
    return ZfsError(what, node=node, volume=volume, raw=stderr)
