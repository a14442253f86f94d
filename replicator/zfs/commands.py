"""Every ``zfs`` argv is made here, and nowhere else. Pure: facts in, argument lists out.

Dataset names are always the last arguments; none can begin with a hyphen, since ZFS forbids it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replicator.zfs.facts import Snapshot
from replicator.zfs.features import Features

Argv = list[str]

LISTED = [
    "name",
    "type",
    "guid",
    "createtxg",
    "creation",
    "written",
    "receive_resume_token",
    "encryption",
    "zsr:job",
    "zsr:source",
]
"""The columns of an inventory, in order."""

LISTED_OLD = ["type", "guid", "createtxg", "creation", "zsr:job", "zsr:source"]
"""What a ZFS without ``list -p`` is asked for by ``get -p``."""

REPLICA_PROPERTIES: Mapping[str, str] = {"readonly": "on", "com.sun:auto-snapshot": "false"}
"""What every replica has (DESIGN 4); filesystems are kept unmounted as well."""

FILESYSTEM_PROPERTIES: Mapping[str, str] = {"canmount": "noauto"}
"""``noauto`` keeps a replica unmounted when the node boots, and lets a person mount it by hand."""


def usage() -> Argv:
    """Print the usage text, from which the features are read."""
    return ["zfs"]


def version() -> Argv:
    """Print the version of tools and module (not known to old ZFS)."""
    return ["zfs", "version"]


def inventory(features: Features, path: str, depth: int) -> Argv:
    """List datasets and snapshots below a path; ``depth`` counts a snapshot as one level below its dataset."""
    if features.list_parsable:
        return [
            "zfs", "list", "-Hp", "-t", "filesystem,volume,snapshot", "-d", str(depth), "-o", ",".join(LISTED), path,
        ]  # fmt: skip
    return ["zfs", "get", "-Hp", "-r", "-d", str(depth), "-o", "name,property,value", ",".join(LISTED_OLD), path]


def snapshot(features: Features, names: Sequence[str]) -> list[Argv]:
    """Take snapshots of datasets of one pool: one atomic command, or one each where ZFS cannot do better."""
    if features.snapshot_many:
        return [["zfs", "snapshot", *names]]
    return [["zfs", "snapshot", name] for name in names]


def send(features: Features, dataset: str, new: str, base: str | None, *, raw: bool) -> Argv:
    """Send ``dataset@new``, in full or with all snapshots since ``base``; properties travel with it.

    Where receive cannot refuse single properties, none are sent: a source's mountpoint must never take effect.
    """
    argv = ["zfs", "send"]
    if features.receive_properties:
        argv.append("-p")
    argv += _encoding(features, raw=raw)
    if base is not None:
        argv += ["-I", f"@{base}"]
    return [*argv, f"{dataset}@{new}"]


def _encoding(features: Features, *, raw: bool) -> Argv:
    if raw:
        return ["-w"]
    flags = (
        ("-L", features.send_large_blocks),
        ("-c", features.send_compressed),
        ("-e", features.send_embedded),
    )
    return [flag for flag, known in flags if known]


def send_resume(token: str) -> Argv:
    """Go on with an interrupted send."""
    return ["zfs", "send", "-t", token]


def estimate(argv: Argv) -> Argv:
    """The dry run of a send, whose output tells the size in bytes."""
    return [*argv[:2], "-nvP", *argv[2:]]


def receive(features: Features, dataset: str, *, is_volume: bool, properties: Mapping[str, str]) -> Argv:
    """Receive into a replica: unmounted, resumable where possible, never forced."""
    argv = ["zfs", "receive", "-u"]
    if features.resume:
        argv.append("-s")
    if features.receive_properties:
        for key, value in replica_properties(is_volume=is_volume, extra=properties).items():
            argv += ["-o", f"{key}={value}"]
        if not is_volume:
            argv += ["-x", "mountpoint", "-x", "sharenfs", "-x", "sharesmb"]
    return [*argv, dataset]


def replica_properties(*, is_volume: bool, extra: Mapping[str, str]) -> dict[str, str]:
    """The local properties of a replica."""
    return {**REPLICA_PROPERTIES, **({} if is_volume else FILESYSTEM_PROPERTIES), **extra}


def set_property(dataset: str, key: str, value: str) -> Argv:
    """Set one property."""
    return ["zfs", "set", f"{key}={value}", dataset]


def local_property(dataset: str, key: str) -> Argv:
    """Print a property's value and source (``local``, ``received``, ``inherited from ...``)."""
    return ["zfs", "get", "-H", "-o", "value,source", key, dataset]


def list_below(dataset: str) -> Argv:
    """List a dataset and all datasets below it."""
    return ["zfs", "list", "-H", "-o", "name", "-t", "filesystem,volume", "-r", dataset]


def abort_receive(dataset: str) -> Argv:
    """Throw a half-received state away."""
    return ["zfs", "receive", "-A", dataset]


def rollback(dataset: str, snapshot_name: str) -> Argv:
    """Go back to a snapshot, destroying newer ones; the plan allows it only when those are all zsr's."""
    return ["zfs", "rollback", "-r", f"{dataset}@{snapshot_name}"]


def destroy_snapshots(features: Features, dataset: str, snapshots: Sequence[Snapshot]) -> list[Argv]:
    """Destroy snapshots by name; always with ``@`` in the argument, so that no dataset can be meant."""
    names = [snapshot.name for snapshot in snapshots]
    if not names:
        return []
    if features.destroy_many:
        return [["zfs", "destroy", f"{dataset}@{','.join(names)}"]]
    return [["zfs", "destroy", f"{dataset}@{name}"] for name in names]


def destroy_replica(dataset: str) -> Argv:
    """Destroy a replica with its snapshots; the caller has made sure that it has no children. Clones make it fail."""
    return ["zfs", "destroy", "-r", dataset]


def create_parents(dataset: str) -> Argv:
    """Create the missing parents of a replica below its storage."""
    return ["zfs", "create", "-p", "-o", "canmount=off", dataset]
