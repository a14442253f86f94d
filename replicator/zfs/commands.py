"""All ``zfs`` command lines, built here and nowhere else. Pure.

Dataset names are always the last arguments; none can begin with a hyphen, since ZFS forbids it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

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
    "zsr:stream",
]
"""The columns of an inventory, in order."""

LISTED_OLD = [
    "type", "guid", "createtxg", "creation", "readonly", "mounted", "origin", "used", "zsr:job", "zsr:source",
    OWNER, EPOCH,
]  # fmt: skip
"""The properties that are read with ``get -p`` from a ZFS without ``list -p``."""

PORTABLE = [
    "recordsize", "compression", "quota", "refquota", "reservation", "refreservation", "checksum", "copies", "acltype",
    "xattr", "sync",
]  # fmt: skip
"""The properties that zsr copies where the stream cannot carry them (a decrypted send of zfs(8))."""


def is_portable(key: str) -> bool:
    """Return whether zsr copies a property where the stream cannot carry it: users' own ones as well."""
    return key in PORTABLE or (":" in key and not key.startswith(("zsr:", "com.sun:auto-snapshot")))


def settable(key: str, value: str) -> str:
    """Return a value that ``zfs get -p`` printed as ``zfs set`` takes it: it refuses a quota of 0."""
    return "none" if value == "0" and key in ("quota", "refquota") else value


REPLICA_PROPERTIES: Mapping[str, str] = {"readonly": "on", "com.sun:auto-snapshot": "false"}
"""The properties of every replica (contract: One run); a filesystem is kept unmounted as well."""

FILESYSTEM_PROPERTIES: Mapping[str, str] = {"canmount": "noauto"}
"""``noauto`` keeps a replica unmounted when the node boots, and allows mounting it by hand."""

IGNORED_PROPERTIES = ("mountpoint", "sharenfs", "sharesmb")
"""The properties of a source's filesystem that never take effect on its replica."""

LIMITS = ("quota", "reservation", "refreservation")
"""A source's limits that must not stop its replica, which has other snapshots. A replica has none of its own.

ZFS keeps the values that come with a stream: ``zfs inherit -S quota`` brings them back where the replica becomes the
guest. A zvol has no quota, and its replica reserves what the zvol does: else the guest might not run there.
"""

VOLUME_LIMITS = ("reservation",)

REMEMBERED = "zsr:"
"""Before the name of a limit: the property of a replica that remembers it where the stream carries none."""

REFQUOTA = "refquota"
"""A limit that a replica keeps. ZFS sets it when a stream has ended well, so a stream that was cut never brings it."""

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


def inventory(
    features: Features, path: str, depth: int, *, bookmarks: bool, snapshots: bool = True, also: Sequence[str] = ()
) -> Argv:
    """List datasets and snapshots below a path; ``depth`` counts a snapshot as one level below its dataset.

    Further names are listed like the path; ZFS prints what exists and complains of the rest.
    """
    if features.list_parsable:
        kinds = "filesystem,volume" + (",snapshot" if snapshots else "")
        kinds += ",bookmark" if bookmarks and features.bookmarks else ""
        return ["zfs", "list", "-Hp", "-t", kinds, "-d", str(depth), "-o", ",".join(LISTED), path, *also]
    return ["zfs", "get", "-Hp", "-r", "-d", str(depth), "-o", "name,property,value", ",".join(LISTED_OLD), path]


def in_parts(names: Iterable[str], separator: int = 3) -> list[list[str]]:
    """Split names into as many parts as commands are needed; ``separator``: bytes between two, quotes included."""
    parts: list[list[str]] = []
    length = _LONGEST
    for name in names:
        length += len(name.encode()) + separator
        if length > _LONGEST:
            parts.append([])
            length = len(name.encode())
        parts[-1].append(name)
    return parts


def local_marks(names: Sequence[str]) -> list[Argv]:
    """Print the marks that were set on these very datasets and snapshots; several commands where one is too long."""
    columns = "name,property,value"
    return [["zfs", "get", "-H", "-s", "local", "-o", columns, "zsr:job,zsr:source", *some] for some in in_parts(names)]


def space(pools: Sequence[str]) -> Argv:
    """Print used and available bytes of pools, as their datasets see them; every version of ZFS understands it."""
    return ["zfs", "get", "-Hp", "-o", "name,property,value", "used,available", *pools]


def pool_health() -> Argv:
    """List all pools with health and used per cent; every version of ZFS understands it."""
    return ["zpool", "list", "-H", "-o", "name,health,capacity"]


def pool_properties(pool: str) -> Argv:
    """Print the properties of a pool with its features, below a heading; every version of ZFS understands it."""
    return ["zpool", "get", "all", pool]


def kinds(datasets: Sequence[str]) -> Argv:
    """Print the types of datasets; ZFS prints what exists and complains of the rest."""
    return ["zfs", "list", "-H", "-t", "filesystem,volume", "-o", "name,type", *datasets]


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


def block_sizes(datasets: Sequence[str]) -> list[Argv]:
    """Print the size of new blocks of datasets; a filesystem has one property of it, a zvol the other."""
    asked = "recordsize,volblocksize"
    return [["zfs", "get", "-Hp", "-o", "name,property,value", asked, *some] for some in in_parts(datasets)]


def salts(datasets: Sequence[str]) -> list[Argv]:
    """Print the salt of each dataset's key, which a new passphrase changes."""
    return [["zfs", "get", "-Hp", "-o", "name,property,value", "pbkdf2salt", *some] for some in in_parts(datasets)]


def clones(snapshots: Sequence[str]) -> list[Argv]:
    """Print the clones of snapshots (``dataset@name``), separated by commas; a ZFS without ``written`` knows none."""
    return [["zfs", "get", "-Hp", "-o", "name,property,value", "clones", *some] for some in in_parts(snapshots)]


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
    flags: str = "Lce",
) -> Argv:
    """Send ``dataset@new``, in full or since ``base`` (``@snapshot`` or ``#bookmark``).

    Where receive cannot refuse single properties, none are sent: a source's mountpoint must never take effect.
    ``all_between`` takes the snapshots between base and new one along; a bookmark cannot begin such a stream.
    ``flags`` are the letters of the encoding (`replication.stream_flags`), of which those of the ``features`` are used.
    """
    argv = ["zfs", "send"]
    if properties and features.receive_properties:
        argv.append("-p")
    argv += _encoding(features, raw=raw, flags=flags)
    if base is not None:
        argv += ["-I" if all_between and base.startswith("@") else "-i", base]
    return [*argv, f"{dataset}@{new}"]


def _encoding(features: Features, *, raw: bool, flags: str) -> Argv:
    if raw:
        return ["-w"]
    known = {"L": features.send_large_blocks, "c": features.send_compressed, "e": features.send_embedded}
    return [f"-{flag}" for flag, is_known in known.items() if is_known and flag in flags]


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
        unlimited = dict.fromkeys(VOLUME_LIMITS if is_volume else LIMITS, "none")
        for key, value in {**replica_properties(is_volume=is_volume, extra=properties), **unlimited}.items():
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
    """Set owner and epoch of datasets: as few commands as ZFS and the length of one allow."""
    values = [f"{key}={value}" for key, value in stamps.items()]
    together = [values] if features.set_many else [[value] for value in values]
    return [["zfs", "set", *some, *names] for some in together for names in in_parts(datasets)]


def local_stamps(datasets: Sequence[str]) -> list[Argv]:
    """Print the owner and epoch that datasets have themselves; received and inherited ones are left out."""
    asked = ["zfs", "get", "-Hp", "-s", "local", "-o", "name,property,value", f"{OWNER},{EPOCH}"]
    return [[*asked, *some] for some in in_parts(datasets)]


def ownership(features: Features, dataset: str) -> Argv:
    """Print the properties that show whose a dataset is and whether it is in use, each with its source."""
    keys = ["zsr:job", "zsr:source", OWNER, EPOCH, "readonly", *(["written"] if features.written else [])]
    return ["zfs", "get", "-Hp", "-o", "property,value,source", ",".join(keys), dataset]


def abort_receive(dataset: str) -> Argv:
    """Drop a half-received state."""
    return ["zfs", "receive", "-A", dataset]


def rollback(dataset: str, snapshot_name: str) -> Argv:
    """Roll back to the newest snapshot; ZFS refuses it if there is a newer one."""
    return ["zfs", "rollback", f"{dataset}@{snapshot_name}"]


def destroy_snapshots(features: Features, dataset: str, snapshots: Sequence[Snapshot]) -> list[Argv]:
    """Destroy snapshots by name, later if something still needs them (``-d``).

    Always with ``@`` in the argument, so that no dataset can be meant.
    """
    names = [snapshot.name for snapshot in snapshots]
    if features.destroy_many:
        return [["zfs", "destroy", "-d", f"{dataset}@{','.join(some)}"] for some in in_parts(names, 1)]
    return [["zfs", "destroy", f"{dataset}@{name}"] for name in names]


def inherit(datasets: Sequence[str], key: str, *, received: bool = False) -> list[Argv]:
    """Take a local property off datasets; ``received``: the value that came with a stream counts again then."""
    return [["zfs", "inherit", *(["-S"] if received else []), key, *some] for some in in_parts(datasets)]


def own_properties(dataset: str, keys: Sequence[str]) -> Argv:
    """Print those of some properties that a dataset has itself."""
    return ["zfs", "get", "-Hp", "-s", "local", "-o", "property,value", ",".join(keys), dataset]


def own_values(datasets: Sequence[str], key: str) -> list[Argv]:
    """Print a property of those of some datasets that have it themselves."""
    return [
        ["zfs", "get", "-Hp", "-s", "local", "-o", "name,property,value", key, *some] for some in in_parts(datasets)
    ]


def own_and_received(dataset: str) -> Argv:
    """Print all properties of a dataset, with the values that came with streams, hidden ones included."""
    return ["zfs", "get", "-Hp", "-o", "property,value,received,source", "all", dataset]


def mount_state(datasets: Sequence[str]) -> list[Argv]:
    """Print whether filesystems are mounted, where they would be, and whether ZFS would mount them."""
    asked = ["zfs", "get", "-Hp", "-o", "name,property,value", "mounted,mountpoint,canmount"]
    return [[*asked, *some] for some in in_parts(datasets)]


def mount(dataset: str) -> Argv:
    """Mount a filesystem where its properties say."""
    return ["zfs", "mount", dataset]


def unmount(dataset: str) -> Argv:
    """Unmount a filesystem, unless it is in use."""
    return ["zfs", "unmount", dataset]


def destroy_replica(dataset: str) -> Argv:
    """Destroy a replica with its snapshots; the caller has made sure that it has no children. Clones make it fail."""
    return ["zfs", "destroy", "-r", dataset]


def create_parents(path: str, name: str, properties: Mapping[str, str]) -> list[Argv]:
    """Create the parents of ``path/name``, each with these properties; that of one that exists fails."""
    options = [word for key, value in properties.items() for word in ("-o", f"{key}={value}")]
    parts = name.split("/")
    return [["zfs", "create", *options, "/".join((path, *parts[:count]))] for count in range(1, len(parts))]
