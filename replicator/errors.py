"""All failures that zsr knows, one class each (contract: Errors). State, metric, log and message use one word.

An error says what happened, where, and what to do. The raw stderr of a command goes into ``raw`` and from there to the
run log; users never see it without the sentence.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from replicator.display import displayable, shortened


class ErrorClass(StrEnum):
    """The closed set of failure classes; each value is a metric label whose meaning never changes."""

    NETWORK = "network"
    AUTH = "auth"
    TIMEOUT = "timeout"
    NO_SPACE = "no_space"
    STORAGE_MISSING = "storage_missing"
    STORAGE_RESTRICTED = "storage_restricted"
    NO_COMMON_BASE = "no_common_base"
    DIVERGED = "diverged"
    TARGET_ACTIVE = "target_active"
    SUPERSEDED = "superseded"
    ENCRYPTION = "encryption"
    BUSY = "busy"
    HOOK = "hook"
    ZFS = "zfs"
    CONFIG = "config"
    INTERNAL = "internal"


LONGEST_SENTENCE = 2000
"""Characters of an error's sentence: it may quote another node, and goes into status, journal and every message."""

LONGEST_RAW = 64 * 1024
"""Characters of a failed command's own words that are kept."""


class ZsrError(Exception):
    """Root of all errors that zsr raises on purpose.

    Args:
        what: one sentence that says what happened, with node and volume in it where they matter.
        node: the node it happened on, if one is concerned.
        volume: the volume (``storage:name``), if one is concerned.
        advice: one sentence that says what to do.
        raw: what the failed command wrote, for the run log only.
    """

    error_class: ClassVar[ErrorClass] = ErrorClass.INTERNAL
    default_advice: ClassVar[str] = "Please report this with the run's log (zsr log JOB)."

    def __init__(
        self,
        what: str,
        *,
        node: str | None = None,
        volume: str | None = None,
        advice: str = "",
        raw: str = "",
    ) -> None:
        what = shortened(displayable(what), LONGEST_SENTENCE)
        super().__init__(what)
        self.what = what
        self.node = node
        self.volume = volume
        self.advice = shortened(displayable(advice), LONGEST_SENTENCE) or self.default_advice
        self.raw = shortened(displayable(raw), LONGEST_RAW)

    def __str__(self) -> str:
        return f"{self.what} {self.advice}" if self.advice else self.what


class NetworkError(ZsrError):
    """The other node cannot be reached, or the connection broke."""

    error_class = ErrorClass.NETWORK
    default_advice = "Check that the node is up and its SSH port answers; zsr probes it every minute."


class ConnectionLostError(NetworkError):
    """An open connection broke; a new one may be possible at once."""


class AuthError(ZsrError):
    """The other node answered but refused the login, or its host key is not the known one."""

    error_class = ErrorClass.AUTH
    default_advice = "Check the SSH key, the user and known_hosts; zsr never overrides a changed host key."


class HostKeyError(AuthError):
    """The other node's host key is not known here, or is not the known one."""


class DeadlineError(ZsrError):
    """A command or a transfer took longer than it may."""

    error_class = ErrorClass.TIMEOUT
    default_advice = "Check for a hung zfs command or a suspended pool on that node (zpool status)."


class NoSpaceError(ZsrError):
    """A pool, quota or refquota is full."""

    error_class = ErrorClass.NO_SPACE
    default_advice = "Free space on that pool or raise the quota; zsr retries the run by itself."


class StorageMissingError(ZsrError):
    """A storage's dataset does not exist on a node, or its pool is not imported."""

    error_class = ErrorClass.STORAGE_MISSING
    default_advice = "Create the dataset or import the pool on that node (zpool import)."


class StorageRestrictedError(ZsrError):
    """The settings restrict a storage from the target node."""

    error_class = ErrorClass.STORAGE_RESTRICTED
    default_advice = "Allow the storage on that node or choose another target."


class NoCommonBaseError(ZsrError):
    """Source and target both have the volume, and share no snapshot."""

    error_class = ErrorClass.NO_COMMON_BASE
    default_advice = "Rename the volume on the target (zfs rename); the next run then sends it in full."


class DivergedError(ZsrError):
    """The target's volume holds writes or snapshots of its own after the base."""

    error_class = ErrorClass.DIVERGED
    default_advice = "Decide which side to keep; zsr discards nothing."


class TargetActiveError(ZsrError):
    """The target's dataset is in use, or is not a replica of this job."""

    error_class = ErrorClass.TARGET_ACTIVE
    default_advice = "Check what uses the dataset on the target; zsr writes only to replicas of the job."


class SupersededError(ZsrError):
    """Another node has taken the guest over."""

    error_class = ErrorClass.SUPERSEDED
    default_advice = "This node no longer owns the guest; it becomes a target."


class EncryptionError(ZsrError):
    """A key is not loaded, or one side is encrypted and the other is not."""

    error_class = ErrorClass.ENCRYPTION
    default_advice = "Load the key (zfs load-key) or send raw."


class BusyError(ZsrError):
    """A guest, dataset or job is in use by another process at the moment."""

    error_class = ErrorClass.BUSY
    default_advice = "zsr retries by itself."


class HookError(ZsrError):
    """A hook of a guest failed: freeze, thaw, or what starts and stops it."""

    error_class = ErrorClass.HOOK
    default_advice = "Run the hook by hand and fix it."


class ZfsError(ZsrError):
    """Any other failure of a zfs command."""

    error_class = ErrorClass.ZFS
    default_advice = "Read the messages of zfs in the run's log (zsr log JOB)."


class ConfigError(ZsrError):
    """A setting, argument or store entry is wrong; nothing was changed."""

    error_class = ErrorClass.CONFIG
    default_advice = ""


class UnreadableError(ConfigError):
    """A file of settings cannot be read at the moment, whatever is in it; the daemon tries it again."""


class InternalError(ZsrError):
    """A bug of zsr, or a run that was cut off from outside (kill, power cut)."""


class DamagedStoreError(ConfigError):
    """The cluster store's file cannot be read; it is never overwritten."""
