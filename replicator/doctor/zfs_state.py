"""What is known of the ZFS of a node: version, pools, storages, rights, features of streams, space. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from replicator.api.doctor import Line, Subject
from replicator.common.sizes import size
from replicator.zfs.features import Features

_OLD = {
    "resume": "an interrupted transfer begins again",
    "send_raw": "encrypted volumes are not sent raw",
    "bookmarks": "a base that was destroyed by hand costs a full transfer",
    "estimate": "the size of a transfer is not known before it",
}
"""What is missing without a feature of the ``zfs`` command."""

_OLDER_MODULE = "Reboot the node: it was upgraded, and still runs the old module."
_NEWER_MODULE = "Upgrade the tools to the version of the module (zfsutils-linux); a reboot does not help."

NEARLY_FULL_PERCENT = 90
"""From here on ZFS becomes slow, and the next run may fail."""

LEAST_LEFT = 0.1
"""The part of a pool's free space that should be left after the first copies."""


def version(subject: Subject, printed: str, features: Features) -> list[Line]:
    """Return the lines about the ZFS of a node; ``printed``: by ``zfs version``, empty where it has no such verb."""
    tools, module = _version(printed, ""), _version(printed, "kmod-")
    if tools and module and tools != module:
        text = f"The tools of OpenZFS are {tools}, and the loaded module is {module}."
        return [subject.warn(text, _NEWER_MODULE if _numbers(tools) < _numbers(module) else _OLDER_MODULE)]
    missing = [what for feature, what in _OLD.items() if not getattr(features, feature)]
    if missing:
        named = f"Its ZFS ({tools or 'without a version'}) is old: {', '.join(missing)}."
        return [subject.warn(named, "Upgrade to OpenZFS 2.x when you can.")]
    return [subject.ok(f"OpenZFS {tools or 'of an unknown version'} is installed and loaded.")]


def _numbers(version: str) -> list[int]:
    return [int(each) for each in re.findall(r"\d+", version.partition("-")[0])]


def _version(printed: str, kind: str) -> str | None:
    found = re.search(rf"^zfs-{kind}(\d\S*)", printed, re.MULTILINE)
    return found[1] if found else None


@dataclass(frozen=True, slots=True)
class Pool:
    """A pool as ``zpool list`` shows it; ``capacity``: used per cent, None where it does not say."""

    name: str
    health: str
    capacity: int | None


def pools_of(listing: str) -> dict[str, Pool]:
    """Read ``zpool list -H -o name,health,capacity``."""
    rows = (line.split() for line in listing.splitlines())
    found = (Pool(row[0], row[1], int(n) if (n := row[2].rstrip("%")).isdigit() else None) for row in rows if row[2:])
    return {pool.name: pool for pool in found}


def pools(subject: Subject, wanted: Collection[str], found: Mapping[str, Pool]) -> list[Line]:
    """Return the lines about the pools that storages with work on a node need."""
    if not wanted:
        return [subject.off("No job uses a pool there.")]
    lines = [line for name in sorted(wanted) for line in _pool(subject, name, found.get(name))]
    if lines:
        return lines
    shown = ", ".join(f"{name} ({found[name].capacity} % full)" for name in sorted(wanted))
    return [subject.ok(f"Healthy: {shown}.")]


def _pool(subject: Subject, name: str, pool: Pool | None) -> Iterator[Line]:
    if pool is None:
        yield subject.fail(f"There is no pool {name}.", f"Import it: zpool import {name}")
        return
    if pool.health == "SUSPENDED":
        text = f"The pool {name} is suspended: all that writes to it hangs."
        yield subject.fail(text, f"Bring its disks back, then: zpool clear {name}")
    elif pool.health == "DEGRADED":
        yield subject.warn(f"The pool {name} is degraded: a disk is missing or broken.", f"See: zpool status -v {name}")
    elif pool.health != "ONLINE":
        yield subject.fail(f"The pool {name} is {pool.health}.", f"See: zpool status -v {name}")
    if pool.capacity is not None and pool.capacity >= NEARLY_FULL_PERCENT:
        text = f"The pool {name} is {pool.capacity} % full."
        yield subject.warn(text, "Free space or add disks: runs fail when it is full, and ZFS is slow before.")


def storages(subject: Subject, wanted: Mapping[str, str], kinds: Mapping[str, str]) -> list[Line]:
    """Return the lines about the datasets of storages.

    Args:
        subject: the check.
        wanted: the paths of the storages with work on the node, by their names.
        kinds: the type of each dataset that exists there, by its name.
    """
    if not wanted:
        return [subject.off("No job uses a storage there.")]
    lines = []
    for name, path in sorted(wanted.items()):
        kind = kinds.get(path)
        if kind is None:
            text = f"The dataset {path} of storage {name} does not exist on {subject.node}."
            lines.append(subject.fail(text, f"Create it there: zfs create -p {path}"))
        elif kind != "filesystem":
            text = f"The dataset {path} of storage {name} is a {kind}: no volume can lie below it."
            lines.append(subject.fail(text, f"Give storages.{name} the path of a filesystem."))
    return lines or [subject.ok(f"There: {', '.join(f'{name} ({path})' for name, path in sorted(wanted.items()))}.")]


SENDS = frozenset({"send", "snapshot", "bookmark", "destroy", "mount", "userprop"})
RECEIVES = frozenset({
    "receive", "create", "mount", "destroy", "rollback", "rename", "clone", "promote", "snapshot", "userprop",
    "readonly", "canmount",
})  # fmt: skip
"""What ``zfs allow`` has to give a user that is not root."""


@dataclass(frozen=True, slots=True)
class User:
    """A user of a node; ``uid`` 0 is root."""

    uid: int
    name: str
    groups: frozenset[str] = frozenset()


def user_of(printed: str) -> User | None:
    """Read ``id -u; id -un; id -Gn``; None if it is something else."""
    lines = printed.splitlines()
    if len(lines) < 3 or not lines[0].isdigit():
        return None
    return User(int(lines[0]), lines[1], frozenset(lines[2].split()))


def delegated(printed: str, user: User) -> frozenset[str]:
    """Return what ``zfs allow PATH`` says that a user may do to the dataset and all below it."""
    sets: dict[str, set[str]] = {}
    own: set[str] = set()
    section = ""
    for line in printed.splitlines():
        words = line.split()
        if not line.startswith(("\t", " ")):
            section = line.strip()
        elif section.startswith("Permission sets") and len(words) == 2:
            sets.setdefault(words[0], set()).update(words[1].split(","))
        elif section.startswith("Local+Descendent") and words:
            whose = {"user": {user.name}, "group": set(user.groups)}.get(words[0], {""})
            if words[0] == "everyone" or (len(words) == 3 and words[1] in whose):
                own.update(words[-1].split(","))
    return frozenset(own | {each for name in own for each in sets.get(name, ())})


def rights(subject: Subject, user: User | None, asked: Mapping[str, tuple[frozenset[str], str]]) -> list[Line]:
    """Return the lines about the rights of the user that zsr is on a node.

    Args:
        subject: the check.
        user: that user.
        asked: what is needed on each path, and what ``zfs allow`` prints for it; of root nothing is asked.
    """
    if user is None:
        return [subject.unknown("Which user zsr is there is not known: 'id' printed something else.")]
    if user.uid == 0:
        return [subject.ok("zsr is root there.")]
    lines = []
    for path, (needed, printed) in sorted(asked.items()):
        if missing := sorted(needed - delegated(printed, user)):
            text = f"User {user.name} may not {', '.join(missing)} on {path}."
            lines.append(subject.fail(text, f"As root: zfs allow -u {user.name} {','.join(missing)} {path}"))
    note = "Mounting, and programs in one transaction, need root all the same."
    return lines or [subject.ok(f"zsr is user {user.name}, with the rights that it needs (zfs allow). {note}")]


STREAMED = {
    "large_blocks": "blocks above 128 KiB",
    "embedded_data": "embedded blocks",
    "lz4_compress": "lz4",
    "zstd_compress": "zstd",
    "large_dnode": "large dnodes",
    "encryption": "encryption",
    "longname": "long names",
    "large_microzap": "large directories",
}
"""The features of a pool that a stream may ask of the pool that receives it."""


def pool_features(printed: str) -> dict[str, str]:
    """Read the features of a pool from ``zpool get all POOL``."""
    rows = (line.split() for line in printed.splitlines())
    return {row[1].removeprefix("feature@"): row[2] for row in rows if row[2:] and row[1].startswith("feature@")}


def features(
    subject: Subject,
    pairs: Iterable[tuple[str, str]],
    ours: Mapping[str, Mapping[str, str]],
    theirs: Mapping[str, Mapping[str, str]],
) -> list[Line]:
    """Return the lines about features that streams may need and the pools that receive them lack.

    Args:
        subject: the check.
        pairs: the pools from and to which volumes go.
        ours: the features of this node's pools.
        theirs: those of the other node's pools.
    """
    wanted = sorted(set(pairs))
    if not wanted:
        return [subject.off("No job of this node goes there.")]
    lines = []
    for source, target in wanted:
        active = {name for name, state in ours.get(source, {}).items() if state == "active"}
        usable = {name for name, state in theirs.get(target, {}).items() if state in ("active", "enabled")}
        if missing := sorted(active & STREAMED.keys() - usable):
            what = ", ".join(STREAMED[name] for name in missing)
            text = f"Volumes of pool {source} may use {what}, and pool {target} there cannot: it refuses their streams."
            advice = f"Upgrade ZFS there if it does not know them, then: zpool upgrade {target}"
            lines.append(subject.warn(text, advice))
    return lines or [subject.ok("Its pools have all features that streams of this node may need.")]


@dataclass(frozen=True, slots=True)
class Room:
    """The room on a pool that receives: bytes of the first copies that are still to come, and bytes free."""

    pool: str
    needed: int
    free: int


def space(subject: Subject, rooms: Iterable[Room]) -> list[Line]:
    """Return the lines about the room for first copies."""
    known = sorted(rooms, key=lambda each: each.pool)
    if not known:
        return [subject.off("No job of this node goes there.")]
    lines = []
    for room in known:
        text = f"First copies need about {size(room.needed)} on pool {room.pool}, and {size(room.free)} are free."
        if room.needed > room.free:
            lines.append(subject.fail(text, "Free space there, add disks, or replicate fewer guests to it."))
        elif room.needed and room.free - room.needed < room.free * LEAST_LEFT:
            lines.append(subject.warn(text, "It will be nearly full: plan for more room, restore points need it too."))
    if lines:
        return lines
    shown = ", ".join(
        f"{room.pool} has {size(room.free)} free, first copies need {size(room.needed)}" for room in known
    )
    return [subject.ok(f"Enough: {shown}.")]
