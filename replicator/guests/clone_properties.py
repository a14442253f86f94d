"""The properties that the clone of a replica needs, to become the guest's volume as the replica would have. Pure.

A clone has no values that came with a stream. What `activation` would bring back from those, it has to remember.
"""

from __future__ import annotations

from collections.abc import Mapping

from replicator.zfs import commands

CANMOUNT = f"{commands.REMEMBERED}canmount"
"""Remembers whether the guest's filesystem is mounted, and for which fork that counts (``off@zsr-recovered-2``)."""

RESERVED = f"{commands.REMEMBERED}refreservation"
"""Remembers what a zvol reserves: it is set aside without that."""

_REMEMBERED = {*(f"{commands.REMEMBERED}{limit}" for limit in (*commands.LIMITS, commands.REFQUOTA)), RESERVED}
_NEVER = {
    *commands.REPLICA_PROPERTIES, *commands.FILESYSTEM_PROPERTIES,
    "volsize", "volblocksize", "version", "utf8only", "normalization", "casesensitivity",
    "encryption", "keylocation", "keyformat", "pbkdf2iters", "pbkdf2salt",
}  # fmt: skip
"""What a clone has from its snapshot and its key, or gets as a replica."""


def properties_for_clone(
    own: Mapping[str, str], received: Mapping[str, str], fork: str, *, is_volume: bool
) -> dict[str, str]:
    """Return the properties that the clone of a replica needs beside those that every replica has.

    Args:
        own: what the replica has itself.
        received: what came with streams, hidden values included.
        fork: the name of the snapshot with which it becomes the guest's volume.
        is_volume: whether it is a zvol.
    """
    limits = commands.VOLUME_LIMITS if is_volume else commands.LIMITS
    apart = {*limits, "refreservation"} if is_volume else set(limits)
    found = {
        key: value
        for key, value in received.items()
        if key not in apart and key not in commands.IGNORED_PROPERTIES and _is_copied(key)
    }
    found |= {
        f"{commands.REMEMBERED}{key}": value for key, value in received.items() if key in limits and not _is_none(value)
    }
    found |= {
        key: value
        for key, value in own.items()
        if key in _REMEMBERED or (_is_copied(key) and not (key in apart and _is_none(value)))
    }
    if not is_volume and "canmount" in received:
        found[CANMOUNT] = f"{received['canmount']}@{fork}"
    return {key: commands.settable(key, value) for key, value in found.items()}


def canmount_of(own: Mapping[str, str], fork: str) -> str | None:
    """Return the ``canmount`` that a clone remembers for a fork; None if it remembers none."""
    value, _, of = own.get(CANMOUNT, "").partition("@")
    return value if value and of == fork else None


def _is_copied(key: str) -> bool:
    return key not in _NEVER and not key.startswith("zsr:")


def _is_none(value: str) -> bool:
    return value in ("0", "none")
