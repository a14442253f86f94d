"""The settings of guests and jobs that have a few named values; the values are the words in files and options. Pure."""

from __future__ import annotations

from enum import StrEnum


class FreezeFailure(StrEnum):
    """The effect of a failing freeze hook on the run."""

    WARNING = "warning"
    ERROR = "error"


class Encryption(StrEnum):
    """How an encrypted volume is sent: raw, or decrypted."""

    RAW = "raw"
    DECRYPTED = "decrypted"


class Foreign(StrEnum):
    """What becomes of snapshots of others on the target that are gone from the source: the same, or they stay."""

    MIRROR = "mirror"
    KEEP = "keep"


class Removal(StrEnum):
    """A job marked for removal: with its replicas (full) or leaving the target's volumes alone (local)."""

    FULL = "full"
    LOCAL = "local"
