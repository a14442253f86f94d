"""The names of datasets: whose storage one lies in, and the folder of replicas that were set aside. Pure."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from replicator.ids import GroupName
from replicator.models import GuestId

DIVERGED_DATASET = "zsr-diverged"
"""The dataset below a storage in which replicas that diverged are kept; nothing in it is a replica any more."""

RESEED_SUFFIX = "-reseed"
"""The end of the name of a new replica in that dataset, which ``zsr reseed`` swaps with the old one after the proof."""

_KINDS = ("vm", "subvol", "base", "basevol")
"""The kinds of volume names, ``<kind>-<guest>-...``, as the peer makes them."""

LEVELS = 64
"""Levels below a dataset that reach all that is there, snapshots included; ZFS' names are too short for more."""

OPENED_SUFFIX = "-opened"
"""The end of the name of a clone in that dataset, which ``zsr restore-points open`` made."""

OPEN_ASIDE_SUFFIX = "-open"
"""The end of the name of a clone in that dataset, which ``zsr diverged open`` made; before it is the aside's name."""

DRILL_SUFFIX = "-drill"
"""The end of the name of a clone in that dataset, which a drill made and destroys."""


class Holds(StrEnum):
    """What a replica was set aside for."""

    DIVERGED = "diverged"
    POINTS = "restore points"
    OTHERS = "snapshots of others"


_SUFFIXES = {Holds.DIVERGED: "", Holds.POINTS: "-points", Holds.OTHERS: "-others"}
_ASIDE = re.compile(rf"(?P<stem>.*/{DIVERGED_DATASET}/[^/]+)-(?P<time>[0-9]+)(?P<suffix>-points|-others)?")

_CARRIED = re.compile(rf"(?P<aside>.*?/{DIVERGED_DATASET}/[^/]+)/(?P<rest>.+)")


@dataclass(frozen=True, slots=True)
class AsideName:
    """The parts of the name of a replica that was set aside.

    Attributes:
        stem: what all of a volume's have in common, see `aside_stem`.
        time: when it was set aside (unix seconds, by the source's clock).
        holds: what for.
    """

    stem: str
    time: int
    holds: Holds


def device_of(zvol: str) -> str:
    """Return the device of a zvol, in whose name udev has ``+`` for a space."""
    return f"/dev/zvol/{zvol.replace(' ', '+')}"


def aside_name(path: str, volume: str, time: float | None, holds: Holds = Holds.DIVERGED) -> str:
    """Return the name of a volume's replica that is set aside at a time (unix seconds; None: TIME stands for it)."""
    return f"{aside_stem(path, volume)}-{'TIME' if time is None else int(time)}{_SUFFIXES[holds]}"


def longest_aside(path: str, volume: str) -> str:
    """Return a name of the greatest length that a volume's replica gets when it is set aside."""
    return aside_name(path, volume, 9_999_999_999, Holds.POINTS)


def parse_aside(name: str) -> AsideName | None:
    """Return the parts of an `aside_name`; None if it is none."""
    match = _ASIDE.fullmatch(name)
    if match is None:
        return None
    holds = next(each for each, suffix in _SUFFIXES.items() if suffix == (match["suffix"] or ""))
    return AsideName(match["stem"], int(match["time"]), holds)


def owning_path(dataset: str, paths: Iterable[str]) -> str | None:
    """Return the path of the storage that owns a dataset: the innermost that it lies below; None if none does.

    A dataset that is itself the path of a storage belongs to the storage around it; where there is none, to its own.
    """
    around = {path for path in paths if f"{dataset}/".startswith(f"{path}/")}
    return max(around - {dataset} or around, key=len, default=None)


def parents(name: str) -> list[str]:
    """Return the names of the datasets that a dataset lies below, the nearest first."""
    parts = name.split("/")
    return ["/".join(parts[:count]) for count in range(len(parts) - 1, 0, -1)]


def volume_prefixes(guest: GuestId, path: str) -> tuple[str, ...]:
    """Return the beginnings of the full names of a guest's volumes below a storage's path; a group has none."""
    return () if isinstance(guest, GroupName) else tuple(f"{path}/{kind}-{guest}-" for kind in _KINDS)


def has_guests_name(dataset: str, guest: GuestId) -> bool:
    """Return whether a dataset's last name is one of a guest's volume."""
    if isinstance(guest, GroupName):
        return False
    return dataset.rpartition("/")[2].startswith(tuple(f"{kind}-{guest}-" for kind in _KINDS))


def aside_stem(path: str, volume: str) -> str:
    """Return the name, without its ending, under which a volume's replicas lie in a path's folder of diverged ones.

    Volumes with parts in their names have a checksum in it, or those of ``a/b`` would look like those of ``a_b``.
    """
    name = volume if "/" not in volume else f"{volume.replace('/', '_')}.{zlib.crc32(volume.encode()):08x}"
    return f"{path}/{DIVERGED_DATASET}/{name}"


def is_diverged(name: str) -> bool:
    """Return whether a dataset is, or lies in, a storage's folder of diverged replicas."""
    return f"/{DIVERGED_DATASET}/" in f"{name}/"


def carried_below(name: str) -> tuple[str, str] | None:
    """Return the aside below which a dataset lies, and its name there; None if it lies below none.

    It moved along when the replica above it was set aside, and is a replica as before.
    """
    match = _CARRIED.fullmatch(name)
    return None if match is None else (match["aside"], match["rest"])


def is_reseed(name: str) -> bool:
    """Return whether a dataset is a new replica in the making, which waits for its swap with the old one."""
    return is_diverged(name) and name.endswith(RESEED_SUFFIX)
