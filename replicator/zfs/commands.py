"""All ``zfs`` command lines, built here and nowhere else. Pure.

Dataset names are always the last arguments; none can begin with a hyphen, since ZFS forbids it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from replicator.zfs.features import Features
from replicator.zfs.fence import EPOCH, OWNER
from replicator.zfs.model import Snapshot

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
    "encryptionroot",
    "keystatus",
    "pbkdf2salt",
    "readonly",
    "mounted",
    "origin",
    "used",
    "zsr:job",
    "zsr:source",
    OWNER,
    EPOCH,
]
"""The columns of an inventory, in order."""

LISTED_OLD = [
    "type", "guid", "createtxg", "creation", "readonly", "mounted", "origin", "used", "zsr:job", "zsr:source",
    OWNER, EPOCH,
]  # fmt: skip
"""The properties that are read with ``get -p`` from a ZFS without ``list -p``."""

PORTABLE = ["recordsize", "compression", "refquota", "refreservation", "checksum", "copies", "acltype", "xattr", "sync"]
"""The properties that zsr copies where the stream cannot carry them (a decrypted send of zfs(8))."""

REPLICA_PROPERTIES: Mapping[str, str] = {"readonly": "on", "com.sun:auto-snapshot": "false"}
"""The properties of every replica (contract: One run); a filesystem is kept unmounted as well."""

FILESYSTEM_PROPERTIES: Mapping[str, str] = {"canmount": "noauto"}
"""``noauto`` keeps a replica unmounted when the node boots, and allows mounting it by hand."""

IGNORED_PROPERTIES = ("mountpoint", "sharenfs", "sharesmb")
"""The properties of a source's filesystem that never take effect on its replica."""

ENCRYPTION = "encryption"
"""The property that a plain stream says is off; left out, a new dataset gets what the dataset above it has."""
_LONGEST = 64 * 1024
"""Bytes of names in one command: a remote shell gets it as one argument, of which Linux allows 128 KiB."""


def usage() -> Argv:
    """Print the usage text, from which the features are read."""
    return ["zfs"]


def version() -> Argv:
    """Print the version of tools and module (not known to old ZFS)."""
    return ["zfs", "version"]


def inventory(features: Features, path: str, depth: int, *, bookmarks: bool) -> Argv:
    """List datasets and snapshots below a path; ``depth`` counts a snapshot as one level below its dataset."""
    if features.list_parsable:
        kinds = "filesystem,volume,snapshot" + (",bookmark" if bookmarks and features.bookmarks else "")
        return ["zfs", "list", "-Hp", "-t", kinds, "-d", str(depth), "-o", ",".join(LISTED), path]
    return ["zfs", "get", "-Hp", "-r", "-d", str(depth), "-o", "name,property,value", ",".join(LISTED_OLD), path]


def local_marks(names: Sequence[str]) -> list[Argv]:
    """Print the marks that were set on these very datasets and snapshots; several commands where one is too long."""
    parts: list[list[str]] = []
    length = _LONGEST
    for name in names:
        length += len(name) + 3  # a space, and quotes for a remote shell
        if length > _LONGEST:
            parts.append([])
            length = len(name)
        parts[-1].append(name)
    return [["zfs", "get", "-H", "-s", "local", "-o", "name,property,value", "zsr:job,zsr:source", *p] for p in parts]


def space(pools: Sequence[str]) -> Argv:
    """Print used and available bytes of pools, as their datasets see them; every version of ZFS understands it."""
    return ["zfs", "get", "-Hp", "-o", "name,property,value", "used,available", *pools]


def sync(pool: str) -> Argv:
    """Wait until all that was written to a pool so far is on disk."""
    return ["zpool", "sync", pool]


def program(pool: str) -> Argv:
    """Run the channel program on stdin in one transaction group, with the highest limits that ZFS allows."""
    return ["zfs", "program", "-j", "-t", "100000000", "-m", "100000000", pool, "-"]


def bookmark(dataset: str, snapshot_name: str) -> Argv:
    """Create a bookmark of a snapshot, with its name."""
    return ["zfs", "bookmark", f"{dataset}@{snapshot_name}", f"{dataset}#{snapshot_name}"]


def destroy_bookmark(dataset: str, name: str) -> Argv:
    """Destroy one bookmark; always with ``#`` in the argument, so that no dataset can be meant."""
    return ["zfs", "destroy", f"{dataset}#{name}"]


def portable_properties(dataset: str) -> Argv:
    """Print the local and received properties of a dataset, users' properties included."""
    return ["zfs", "get", "-Hp", "-s", "local,received", "-o", "property,value", "all", dataset]


def salts(datasets: Sequence[str]) -> Argv:
    """Print the salt of each dataset's key, which a new passphrase changes."""
    return ["zfs", "get", "-Hp", "-o", "name,property,value", "pbkdf2salt", *datasets]


def rename(dataset: str, name: str) -> Argv:
    """Rename a dataset within its pool."""
    return ["zfs", "rename", dataset, name]


def clone(snapshot_of: str, snapshot_name: str, dataset: str, properties: Mapping[str, str]) -> Argv:
    """Clone a snapshot, sharing its blocks."""
    options = [word for key, value in properties.items() for word in ("-o", f"{key}={value}")]
    return ["zfs", "clone", *options, f"{snapshot_of}@{snapshot_name}", dataset]


def promote(dataset: str) -> Argv:
    """Give a clone the snapshots of its origin up to the one that they share."""
    return ["zfs", "promote", dataset]


def snapshot(features: Features, names: Sequence[str], properties: Mapping[str, str]) -> list[Argv]:
    """Take snapshots of datasets of one pool: one atomic command, or one each where ZFS cannot do better."""
    options = [word for key, value in properties.items() for word in ("-o", f"{key}={value}")]
    if features.snapshot_many:
        return [["zfs", "snapshot", *options, *names]]
    return [["zfs", "snapshot", *options, name] for name in names]


def send(
    features: Features,
    dataset: str,
    new: str,
    base: str | None,
    *,
    raw: bool,
    properties: bool,
    all_between: bool,
    embedded: bool = True,
) -> Argv:
    """Send ``dataset@new``, in full or since ``base`` (``@snapshot`` or ``#bookmark``).

    Where receive cannot refuse single properties, none are sent: a source's mountpoint must never take effect.
    ``all_between`` takes the snapshots between base and new one along; a bookmark cannot begin such a stream.
    Without ``embedded`` there are no embedded blocks, which an encrypted dataset cannot receive.
    """
    argv = ["zfs", "send"]
    if properties and features.receive_properties:
        argv.append("-p")
    argv += _encoding(features, raw=raw, embedded=embedded)
    if base is not None:
        argv += ["-I" if all_between and base.startswith("@") else "-i", base]
    return [*argv, f"{dataset}@{new}"]


def _encoding(features: Features, *, raw: bool, embedded: bool) -> Argv:
    if raw:
        return ["-w"]
    flags = (
        ("-L", features.send_large_blocks),
        ("-c", features.send_compressed),
        ("-e", features.send_embedded and embedded),
    )
    return [flag for flag, known in flags if known]


def send_resume(token: str) -> Argv:
    """Resume an interrupted send."""
    return ["zfs", "send", "-t", token]


def estimate(argv: Argv) -> Argv:
    """Return the dry run of a send, which prints the size in bytes."""
    return [*argv[:2], "-nvP", *argv[2:]]


def receive(
    features: Features, dataset: str, *, is_volume: bool, properties: Mapping[str, str], encrypt: bool = False
) -> Argv:
    """Receive into a replica: unmounted, resumable where possible, never forced.

    ``encrypt``: with the key of the dataset that it lies below, whatever the stream says of encryption. ZFS refuses
    that for a raw stream.
    """
    argv = ["zfs", "receive", "-u"]
    if features.resume:
        argv.append("-s")
    if features.receive_properties:
        for key, value in replica_properties(is_volume=is_volume, extra=properties).items():
            argv += ["-o", f"{key}={value}"]
        if not is_volume:
            argv += [word for key in IGNORED_PROPERTIES for word in ("-x", key)]
        if encrypt:
            argv += ["-x", ENCRYPTION]
    return [*argv, dataset]


def replica_properties(*, is_volume: bool, extra: Mapping[str, str]) -> dict[str, str]:
    """Return the local properties of a replica."""
    return {**REPLICA_PROPERTIES, **({} if is_volume else FILESYSTEM_PROPERTIES), **extra}


def set_property(dataset: str, key: str, value: str) -> Argv:
    """Set one property."""
    return ["zfs", "set", f"{key}={value}", dataset]


def stamp(features: Features, datasets: Sequence[str], stamps: Mapping[str, str]) -> list[Argv]:
    """Set owner and epoch of datasets: one command, or one for each property where ZFS cannot do better."""
    values = [f"{key}={value}" for key, value in stamps.items()]
    return [["zfs", "set", *values, *datasets]] if features.set_many else [["zfs", "set", v, *datasets] for v in values]


def local_stamps(datasets: Sequence[str]) -> Argv:
    """Print the owner and epoch that datasets have themselves; received and inherited ones are left out."""
    return ["zfs", "get", "-Hp", "-s", "local", "-o", "name,property,value", f"{OWNER},{EPOCH}", *datasets]


def ownership(features: Features, dataset: str) -> Argv:
    """Print the properties that show whose a dataset is and whether it is in use, each with its source."""
    keys = ["zsr:job", "zsr:source", OWNER, EPOCH, "readonly", *(["written"] if features.written else [])]
    return ["zfs", "get", "-Hp", "-o", "property,value,source", ",".join(keys), dataset]


def abort_receive(dataset: str) -> Argv:
    """Drop a half-received state."""
    return ["zfs", "receive", "-A", dataset]


def rollback(dataset: str, snapshot_name: str) -> Argv:
    """Roll back to a snapshot, destroying newer ones; the plan allows it only when those are all zsr's."""
    return ["zfs", "rollback", "-r", f"{dataset}@{snapshot_name}"]


def destroy_snapshots(features: Features, dataset: str, snapshots: Sequence[Snapshot]) -> list[Argv]:
    """Destroy snapshots by name, later if something still needs them (``-d``).

    Always with ``@`` in the argument, so that no dataset can be meant.
    """
    names = [snapshot.name for snapshot in snapshots]
    if not names:
        return []
    if features.destroy_many:
        return [["zfs", "destroy", "-d", f"{dataset}@{','.join(names)}"]]
    return [["zfs", "destroy", f"{dataset}@{name}"] for name in names]


def destroy_replica(dataset: str) -> Argv:
    """Destroy a replica with its snapshots; the caller has made sure that it has no children. Clones make it fail."""
    return ["zfs", "destroy", "-r", dataset]


def create_parents(dataset: str) -> Argv:
    """Create the missing parents of a replica below its storage."""
    return ["zfs", "create", "-p", "-o", "canmount=off", dataset]
