"""Channel programs (zfs-program(8), since OpenZFS 0.8): several operations in one transaction group. Pure.

The written bytes that a program reads are those in its own snapshot, since both happen when the group is written out.
A request becomes a Lua table in the program's text, so no name is part of a command line.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files

from replicator.common.snapshot_patterns import NONE_TRAVEL, SnapshotPatterns, lua_pattern
from replicator.errors import ZfsError
from replicator.models import GuestId
from replicator.zfs.fence import EPOCH, OWNER, Fence, Guard, Stamped
from replicator.zfs.marks import Known
from replicator.zfs.model import MADE_HERE, Inventory, pool_of
from replicator.zfs.output import inventory_of
from replicator.zfs.permits import ReplicaPermit
from replicator.zfs.snapshot_names import PREFIX

_COLUMNS = (
    "name", "type", "guid", "createtxg", "creation", "written", "keystatus", "borrowed", "zsr:job", "zsr:source",
    OWNER, EPOCH,
)  # fmt: skip
_TEXTS = {
    name: "".join(files(__package__).joinpath(f"{part}.lua").read_text() for part in ("fence", name))
    for name in ("change_marks", "snapshot_if_changed", "verify_and_prune", "destroy_replica", "open_datasets")
}


@dataclass(frozen=True, slots=True)
class Place:
    """Volumes selected by name: direct children of a path whose full name has one of the prefixes."""

    path: str
    prefixes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branches:
    """Where a guest's volumes on a node go on below them. All names are full.

    Attributes:
        guest: its number.
        by_name: whether all that is found by name takes its children along.
        roots: the datasets named in the settings that do so.
        closed: the datasets that are never taken along, nor what is below them.
    """

    guest: GuestId
    by_name: bool
    roots: tuple[str, ...] = ()
    closed: frozenset[str] = frozenset()

    def in_pool(self, pool: str) -> Branches:
        """Return the part that lies in one pool."""
        return replace(self, roots=tuple(root for root in self.roots if pool_of(root) == pool))


@dataclass(frozen=True, slots=True)
class SnapshotRequest:
    """Take the snapshot ``name`` of all volumes in ``places``, ``names`` and ``branches``, unless nothing changed.

    Nothing changed if every volume has the snapshot ``since``, not a byte was written to it after that, and no snapshot
    was taken of it that ``travels``; without a ``since`` the snapshot is always taken. With ``bookmarks`` each snapshot
    is bookmarked. The volumes get the stamps
    of the ``fence``; if one of them refuses it, nothing is done.
    """

    node: str
    name: str
    places: tuple[Place, ...]
    names: tuple[str, ...] = ()
    excluded: frozenset[str] = frozenset()
    since: str = ""
    bookmarks: bool = True
    fence: Fence | None = None
    branches: Branches = Branches(0, by_name=False)
    travels: SnapshotPatterns = NONE_TRAVEL


@dataclass(frozen=True, slots=True)
class SnapshotOutcome:
    """The volumes with their snapshots, the new ones too if any were ``taken``."""

    inventory: Inventory
    taken: bool


@dataclass(frozen=True, slots=True)
class Refused:
    """A program refused and did nothing: ``errno`` on ``name``; None where the name does not exist."""

    name: str
    errno: int | None

    @property
    def words(self) -> str:
        """The reason in the words of the C library, as zfs itself uses them."""
        return "does not exist" if self.errno is None else os.strerror(self.errno).lower()


@dataclass(frozen=True, slots=True)
class ReceivedReplica:
    """A replica that a run received into, since it was listed.

    ``after`` is the createtxg of its newest snapshot then, 0 without one; ``sent`` are the GUIDs of what the run sent.
    ``own`` begins the names of the job's snapshots.
    """

    dataset: str
    after: int
    sent: frozenset[int]
    own: str


@dataclass(frozen=True, slots=True)
class PruneResult:
    """What a program found, and left to do.

    Attributes:
        left: the snapshots and bookmarks that could not be destroyed or made, with their errno.
        bookmarks: all bookmarks of the datasets that were asked for.
        can_bookmark: whether this ZFS makes bookmarks in a program.
        unstamped: the datasets that were to be stamped, and could not be.
        made_here: the snapshots (``dataset@name``) that were created on replicas since those were listed.
        untagged: those of them that the program could not tag.
        marks: the verified datasets, by GUID, with the marks that are their own.
    """

    left: Mapping[str, int]
    bookmarks: tuple[str, ...]
    can_bookmark: bool
    unstamped: tuple[str, ...] = ()
    made_here: tuple[str, ...] = ()
    untagged: tuple[str, ...] = ()
    marks: frozenset[Known] = frozenset()


def snapshot_if_changed(request: SnapshotRequest) -> str:
    """Return the program that lists a guest's volumes and takes their snapshots."""
    table: dict[str, object] = {
        "columns": list(_COLUMNS),
        "node": request.node,
        "prefix": PREFIX,
        "name": request.name,
        "places": [{"path": place.path, "prefixes": list(place.prefixes)} for place in request.places],
        "names": list(request.names),
        "excluded": dict.fromkeys(request.excluded, True),
        "guest": str(request.branches.guest),
        "by_name": request.branches.by_name,
        "roots": list(request.branches.roots),
        "closed": dict.fromkeys(request.branches.closed, True),
        "since": request.since,
        "bookmarks": request.bookmarks,
        "wanted": [lua_pattern(each) for each in request.travels.wanted],
        "unwanted": [lua_pattern(each) for each in request.travels.unwanted],
        **_fenced(request.fence),
    }
    return _program("snapshot_if_changed", table)


def verify_and_prune(
    expected: Iterable[tuple[str, int]] = (),
    stale: Iterable[tuple[str, int]] = (),
    bookmarks: Iterable[tuple[str, str]] = (),
    bookmarks_of: Sequence[str] = (),
    received: Iterable[ReceivedReplica] = (),
    guard: Guard | None = None,
) -> str:
    """Return the program that verifies snapshots by GUID; only if all are there, it prunes and makes bookmarks.

    It tags what was created on ``received`` replicas since they were listed. A stale snapshot is destroyed only if it
    has its GUID. The program lists the bookmarks of the datasets ``bookmarks_of`` afterwards. With a ``guard`` it
    compares stamps first, and sets them at its end.
    """
    table: dict[str, object] = {
        "expected": [{"snapshot": name, "guid": str(_signed(guid))} for name, guid in expected],
        "stale": [{"snapshot": name, "guid": str(_signed(guid))} for name, guid in stale],
        "bookmarks": [{"snapshot": snapshot, "bookmark": bookmark} for snapshot, bookmark in bookmarks],
        "bookmarks_of": list(bookmarks_of),
        "compared": [] if guard is None else list(guard.compared),
        "stamped": [] if guard is None else list(guard.stamped),
        **_fenced(None if guard is None else guard.fence),
        "made_here": MADE_HERE,
        "received": [_received(each) for each in received],
    }
    return _program("verify_and_prune", table)


def destroy_replica(permit: ReplicaPermit) -> str:
    """Return the program that destroys a replica with its snapshots, unless it is open or not the permit's any more."""
    table: dict[str, object] = {
        "dataset": permit.dataset,
        "guid": str(_signed(permit.guid)),
        "snapshots": {str(_signed(each.guid)): True for each in permit.snapshots},
        "kept_aside": permit.kept_aside,
        **_fenced(permit.fence),
    }
    return _program("destroy_replica", table)


def open_datasets(names: Sequence[str]) -> str:
    """Return the program that lists those of some datasets of a pool, with snapshots, that are open."""
    return _program("open_datasets", {"datasets": list(names)})


def opened(text: str) -> list[str]:
    """Return the result of `open_datasets`."""
    return _list(_returned(text).get("opened"))


@dataclass(frozen=True, slots=True)
class ReplicaEnd:
    """What `destroy_replica` did: all, if nothing is set.

    Attributes:
        changed: the dataset or snapshot that is not as it was permitted; nothing was destroyed.
        is_open: the replica is open; nothing was destroyed.
        needed: the snapshot that is held, or has a clone; nothing was destroyed.
        left: the snapshots are gone, and the dataset could not be destroyed.
    """

    changed: str | None = None
    is_open: bool = False
    needed: str | None = None
    left: bool = False


def replica_end(text: str) -> ReplicaEnd | Stamped:
    """Return the result of `destroy_replica`; a dataset that refused the fence: nothing was done then."""
    found = _returned(text)
    if "fenced" in found:
        return _stamped(found)
    changed, needed = found.get("changed"), found.get("needed")
    return ReplicaEnd(
        None if changed is None else str(changed),
        "open" in found,
        None if needed is None else str(needed),
        bool(found.get("left", not found)),
    )


def _received(each: ReceivedReplica) -> dict[str, object]:
    sent = {str(_signed(guid)): True for guid in each.sent}
    return {"dataset": each.dataset, "after": each.after, "sent": sent, "own": each.own}


def change_marks(dataset: str, guid: int, marks: Mapping[str, str], values: Mapping[str, str], fence: Fence) -> str:
    """Return the program that sets properties of a replica that still has a GUID, its own ``marks`` and no writes.

    Its stamps must pass the ``fence``.
    """
    table: dict[str, object] = {
        "dataset": dataset,
        "guid": str(_signed(guid)),
        "marks": dict(marks),
        "values": [{"key": key, "value": value} for key, value in values.items()],
        **_fenced(fence),
    }
    return _program("change_marks", table)


def changed_marks(text: str) -> Stamped | str | bool:
    """Return the result of `change_marks`: a dataset that refused the fence, or what has changed, or whether it did.

    False means that this ZFS sets no properties in a program. Nothing was done, except where it is true.
    """
    found = _returned(text)
    if "fenced" in found:
        return _stamped(found)
    return str(found["changed"]) if "changed" in found else "done" in found


def _fenced(fence: Fence | None) -> dict[str, object]:
    epoch = None if fence is None else fence.epoch
    return {"owner": "" if fence is None else fence.owner, "epoch": "" if epoch is None else str(epoch)}


def snapshot_outcome(text: str) -> SnapshotOutcome | Refused | Stamped:
    """Return the result of `snapshot_if_changed`; raises ZfsError if it cannot be read."""
    found = _returned(text)
    try:
        if "absent" in found:
            return Refused(str(found["absent"]), None)
        if "failed" in found:
            return Refused(str(found["volume"]), int(str(found["failed"])))
        if "fenced" in found:
            return _stamped(found)
        rows = [_row(line) for line in _list(found.get("rows"))]
        return SnapshotOutcome(inventory_of(rows, marks_of=PREFIX), bool(found["taken"]))
    except (KeyError, ValueError):
        raise _unknown(text) from None


def prune_result(text: str) -> PruneResult | Stamped | str:
    """Return the result of `verify_and_prune`.

    A dataset that refused the fence, or the name of the first snapshot that is not on the target as expected: nothing
    was done then.
    """
    found = _returned(text)
    if "fenced" in found:
        return _stamped(found)
    if "unproven" in found:
        return str(found["unproven"])
    left = found.get("left") or {}
    assert isinstance(left, dict)  # noqa: S101 - as the program makes it
    return PruneResult(
        left={name: int(errno) for name, errno in left.items()},
        bookmarks=tuple(_list(found.get("bookmarks"))),
        can_bookmark=bool(found.get("can_bookmark")),
        unstamped=tuple(_list(found.get("unstamped"))),
        made_here=tuple(_list(found.get("here"))),
        untagged=tuple(_list(found.get("untagged"))),
        marks=frozenset(_marks(line) for line in _list(found.get("marks"))),
    )


def _stamped(found: Mapping[str, object]) -> Stamped:
    owner, epoch = found.get("owner"), found.get("epoch")
    return Stamped(str(found["fenced"]), None if owner is None else str(owner), None if epoch is None else str(epoch))


def _program(name: str, request: dict[str, object]) -> str:
    return f"local request = {_lua(request)}\n{_TEXTS[name]}"


def _returned(text: str) -> dict[str, object]:
    try:
        found = json.loads(text)["return"]
    except (ValueError, KeyError, TypeError):
        raise _unknown(text) from None
    return found if isinstance(found, dict) else {}


def _unknown(text: str) -> ZfsError:
    return ZfsError(f"zfs program printed unexpected output: {text[:200]!r}.")


def _list(table: object) -> list[str]:
    """Return a Lua list, which is printed as an object with the keys 1, 2, ..."""
    return [str(table[key]) for key in sorted(table, key=int)] if isinstance(table, dict) else []


def _marks(line: str) -> Known:
    guid, job, source = line.split("\t", 2)
    return int(guid) % 2**64, job or None, source or None


def _row(line: str) -> tuple[str, Mapping[str, str]]:
    values = dict(zip(_COLUMNS, line.split("\t", len(_COLUMNS) - 1), strict=True))
    values["guid"] = str(int(values["guid"]) % 2**64)
    values["encryption"] = "on" if values["keystatus"] in ("available", "unavailable") else "off"
    return values["name"], values


def _signed(guid: int) -> int:
    """Return a GUID as Lua sees it: 64 bits with a sign."""
    return guid - 2**64 if guid >= 2**63 else guid


def _lua(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case str():
            return f'"{"".join(_lua_character(c) for c in value)}"'
        case dict():
            return "{" + ", ".join(f"[{_lua(key)}] = {_lua(item)}" for key, item in value.items()) + "}"
        case list():
            return "{" + ", ".join(_lua(item) for item in value) + "}"
    raise TypeError(type(value))


def _lua_character(c: str) -> str:
    return c if c.isascii() and c.isalnum() else "".join(f"\\{byte:03d}" for byte in c.encode())
