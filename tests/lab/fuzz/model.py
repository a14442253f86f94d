"""A ZFS in memory: datasets, snapshots, bookmarks and streams with the rules that replication depends on.

It stands for real pools where thousands of steps are played within minutes, and where there is no lab. What a dataset
holds is a word; it counts as written while that word differs from its newest snapshot's. There is no encryption, no
channel program and no half-received state: those are for the lab.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

WRITTEN = 4096
INHERITED = ("zsr:", "com.sun:", "readonly")


class RefusedError(Exception):
    """ZFS refuses a command, with these words."""


@dataclass(eq=False)
class Snap:
    """A snapshot; ``properties`` are its own. One that is ``deferred`` goes with its last clone."""

    name: str
    guid: int
    txg: int
    creation: int
    content: str
    properties: dict[str, str] = field(default_factory=dict)
    deferred: bool = False


@dataclass(frozen=True)
class Mark:
    """A bookmark."""

    name: str
    guid: int
    txg: int
    creation: int


@dataclass(eq=False)
class Data:
    """A dataset. ``properties`` are its own, each with its source: local or received."""

    name: str
    kind: str
    guid: int
    txg: int
    creation: int
    content: str = ""
    properties: dict[str, tuple[str, str]] = field(default_factory=dict)
    snaps: list[Snap] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    origin: Snap | None = None
    mounted: bool = False

    @property
    def newest(self) -> Snap | None:
        return self.snaps[-1] if self.snaps else None

    @property
    def written(self) -> int:
        """Bytes since the newest snapshot, or since the origin."""
        base = self.newest or self.origin
        return WRITTEN if self.content != ("" if base is None else base.content) else 0

    def snap(self, name: str) -> Snap | None:
        return next((each for each in self.snaps if each.name == name), None)


@dataclass
class Model:
    """All pools."""

    datasets: dict[str, Data] = field(default_factory=dict)
    ticks: int = 1000
    clock: float = 0.0

    def tick(self) -> int:
        """Return the next number: GUIDs and transaction groups."""
        self.ticks += 1
        return self.ticks

    # --- finding

    def at(self, name: str) -> Data:
        """Return a dataset.

        Raises:
            RefusedError: it does not exist.
        """
        if name not in self.datasets:
            raise RefusedError(f"cannot open '{name}': dataset does not exist")
        return self.datasets[name]

    def snap_at(self, name: str) -> tuple[Data, Snap]:
        """Return a snapshot with its dataset."""
        dataset, _, short = name.partition("@")
        data = self.at(dataset)
        if (found := data.snap(short)) is None:
            raise RefusedError(f"cannot open '{name}': dataset does not exist")
        return data, found

    def below(self, name: str) -> list[Data]:
        """The datasets below one."""
        return [each for each in self.datasets.values() if each.name.startswith(f"{name}/")]

    def owner(self, snap: Snap) -> Data:
        """The dataset of a snapshot."""
        return next(each for each in self.datasets.values() if any(one is snap for one in each.snaps))

    def clones(self, snap: Snap) -> list[Data]:
        return [each for each in self.datasets.values() if each.origin is snap]

    def value(self, name: str, key: str) -> tuple[str, str]:
        """A property with its source, own or inherited."""
        if "@" in name:
            data, snap = self.snap_at(name)
            if key in snap.properties:
                return snap.properties[key], "local"
            return self._inherited(data.name, key)
        own = self.at(name).properties.get(key)
        return own if own is not None else self._inherited(name.rpartition("/")[0], key)

    def _inherited(self, name: str, key: str) -> tuple[str, str]:
        while name and key.startswith(INHERITED):
            own = self.datasets[name].properties.get(key) if name in self.datasets else None
            if own is not None:
                return own[0], f"inherited from {name}"
            name = name.rpartition("/")[0]
        return ("off", "default") if key == "readonly" else ("-", "-")

    # --- changing

    def create(self, name: str, kind: str = "filesystem", content: str = "", *, mounted: bool = True) -> Data:
        """Make a dataset."""
        if name in self.datasets:
            raise RefusedError(f"cannot create '{name}': dataset already exists")
        if "/" in name and name.rpartition("/")[0] not in self.datasets:
            raise RefusedError(f"cannot create '{name}': parent does not exist")
        data = Data(name, kind, self.tick(), self.tick(), int(self.clock), content)
        data.mounted = mounted and kind == "filesystem"
        self.datasets[name] = data
        return data

    def snapshot(self, names: Iterable[str], properties: dict[str, str]) -> None:
        """Take snapshots, all or none."""
        some = list(names)
        for name in some:
            dataset, _, short = name.partition("@")
            if self.at(dataset).snap(short) is not None:
                raise RefusedError(f"cannot create snapshot '{name}': dataset already exists")
        txg = self.tick()
        for name in some:
            dataset, _, short = name.partition("@")
            data = self.at(dataset)
            data.snaps.append(Snap(short, self.tick(), txg, int(self.clock), data.content, dict(properties)))

    def bookmark(self, snapshot: str, name: str) -> None:
        data, snap = self.snap_at(snapshot)
        short = name.partition("#")[2]
        if any(mark.name == short for mark in data.marks):
            raise RefusedError(f"cannot create bookmark '{name}': bookmark exists")
        data.marks.append(Mark(short, snap.guid, snap.txg, snap.creation))

    def destroy_bookmark(self, name: str) -> None:
        data, short = self.at(name.partition("#")[0]), name.partition("#")[2]
        if all(mark.name != short for mark in data.marks):
            raise RefusedError(f"bookmark '{name}' does not exist")
        data.marks = [mark for mark in data.marks if mark.name != short]

    def destroy_snapshots(self, dataset: str, names: Iterable[str], *, defer: bool) -> None:
        data, some = self.at(dataset), [each for each in names if self.at(dataset).snap(each) is not None]
        if not some:
            raise RefusedError("could not find any snapshots to destroy; check snapshot names.")
        for short in some:
            _, snap = self.snap_at(f"{dataset}@{short}")
            if self.clones(snap):
                if not defer:
                    raise RefusedError(f"cannot destroy '{dataset}@{short}': snapshot has dependent clones")
                snap.deferred = True
            else:
                data.snaps.remove(snap)

    def destroy(self, name: str, *, recursive: bool) -> None:
        """Destroy a dataset, with ``recursive`` all in it and below it."""
        data, gone = self.at(name), [self.at(name), *self.below(name)]
        if not recursive and (data.snaps or len(gone) > 1):
            raise RefusedError(f"cannot destroy '{name}': filesystem has children")
        inside = {each.name for each in gone}
        for each in gone:
            if any(clone.name not in inside for snap in each.snaps for clone in self.clones(snap)):
                raise RefusedError(f"cannot destroy '{each.name}': filesystem has dependent clones")
        for each in gone:
            del self.datasets[each.name]
        for each in list(self.datasets.values()):
            each.snaps = [snap for snap in each.snaps if not snap.deferred or self.clones(snap)]

    def rename(self, old: str, new: str) -> None:
        """Rename a dataset with what is below it, or a snapshot."""
        if "@" in old:
            data, snap = self.snap_at(old)
            if data.snap(new.partition("@")[2]) is not None:
                raise RefusedError(f"cannot rename '{old}': dataset already exists")
            snap.name = new.partition("@")[2]
            return
        self.at(old)
        if new in self.datasets:
            raise RefusedError(f"cannot rename '{old}': dataset already exists")
        if new.rpartition("/")[0] not in self.datasets:
            raise RefusedError(f"cannot rename '{old}': parent does not exist")
        for data in [self.at(old), *self.below(old)]:
            del self.datasets[data.name]
            data.name = new + data.name[len(old) :]
            self.datasets[data.name] = data

    def rollback(self, name: str, *, recursive: bool) -> None:
        data, snap = self.snap_at(name)
        newer = [each for each in data.snaps if each.txg > snap.txg]
        marks = [mark for mark in data.marks if mark.txg > snap.txg]
        if (newer or marks) and not recursive:
            raise RefusedError(f"cannot rollback to '{name}': more recent snapshots or bookmarks exist")
        if any(self.clones(each) for each in newer):
            raise RefusedError(f"cannot rollback to '{name}': clones of previous snapshots exist")
        data.snaps = [each for each in data.snaps if each.txg <= snap.txg]
        data.marks = [mark for mark in data.marks if mark.txg <= snap.txg]
        data.content = snap.content

    def clone(self, snapshot: str, name: str, properties: dict[str, str]) -> None:
        _, snap = self.snap_at(snapshot)
        data = self.create(name, self.snap_at(snapshot)[0].kind, snap.content, mounted=False)
        data.mounted = data.kind == "filesystem" and properties.get("canmount") is None
        data.origin = snap
        data.properties |= {key: (value, "local") for key, value in properties.items()}

    def promote(self, name: str) -> None:
        """Give a clone the snapshots and bookmarks of its origin up to the snapshot that they share."""
        data = self.at(name)
        if data.origin is None:
            raise RefusedError(f"cannot promote '{name}': not a cloned filesystem")
        shared = data.origin
        parent = self.owner(shared)
        moved = [each for each in parent.snaps if each.txg <= shared.txg]
        if clash := {each.name for each in moved} & {each.name for each in data.snaps}:
            raise RefusedError(f"cannot promote '{name}': snapshot name '{clash.pop()}' conflicts")
        parent.snaps = [each for each in parent.snaps if each.txg > shared.txg]
        data.snaps = [*moved, *data.snaps]
        data.marks = [*(each for each in parent.marks if each.txg <= shared.txg), *data.marks]
        parent.marks = [each for each in parent.marks if each.txg > shared.txg]
        data.origin, parent.origin = parent.origin, shared

    # --- streams

    def stream(self, target: str, base: str | None, *, between: bool) -> dict[str, object]:
        """What a send writes: the snapshots with what they hold, and the GUID from which it goes on."""
        data, new = self.snap_at(target)
        start = self._base(data, base) if base else None
        if start is not None and start.txg >= new.txg:
            raise RefusedError(f"cannot send '{target}': not an earlier snapshot from the same fs")
        some = [each for each in data.snaps if start is not None and start.txg < each.txg < new.txg] if between else []
        rows = [(each.name, each.guid, each.creation, each.content, each.properties) for each in (*some, new)]
        own = {key: value for key, (value, _) in data.properties.items()}
        return {
            "from": None if start is None else start.guid,
            "snaps": rows,
            "kind": data.kind,
            "properties": own,
            "name": target,
        }

    def _base(self, data: Data, base: str) -> Snap | Mark:
        short = base.rpartition("@")[2].rpartition("#")[2]
        found: list[Snap] | list[Mark] = data.snaps if "@" in base else data.marks
        for each in found:
            if each.name == short:
                return each
        raise RefusedError(f"cannot send '{data.name}': incremental source ({base}) does not exist")

    def receive(self, stream: dict[str, object], name: str, own: dict[str, str], *, force: bool = False) -> None:
        """Take in a stream: into a new dataset, or onto a base without writes after it."""
        rows, kind = stream["snaps"], str(stream["kind"])
        if not isinstance(rows, list):
            raise RefusedError("cannot receive: invalid stream")
        if stream["from"] is None:
            self._new(name, kind, force=force)
        data = self.at(name)
        base = next((each for each in data.snaps if each.guid == stream["from"]), None)
        if stream["from"] is not None:
            if base is None:
                raise RefusedError(
                    f"cannot receive incremental stream: most recent snapshot of {name} does not\n"
                    "match incremental source"
                )
            if data.content != base.content or data.written:
                raise RefusedError(
                    f"cannot receive incremental stream: destination {name} has been modified\n"
                    "since most recent snapshot"
                )
        for short, guid, creation, content, properties in rows:
            if data.snap(short) is not None:
                raise RefusedError(f"cannot restore to {name}@{short}: destination already exists")
            data.snaps.append(Snap(short, guid, self.tick(), creation, content, dict(properties)))
            data.content = content
        given = stream["properties"]
        received = given if isinstance(given, dict) else {}
        data.properties = {key: (value, "received") for key, value in received.items()} | data.properties
        data.properties |= {key: (value, "local") for key, value in own.items()}

    def _new(self, name: str, kind: str, *, force: bool) -> None:
        if name in self.datasets and not force:
            raise RefusedError(
                f"cannot receive new filesystem stream: destination '{name}' exists\nmust specify -F to overwrite it"
            )
        if name not in self.datasets:
            self.create(name, kind, mounted=False)

    # --- listing

    def rows(self, path: str, depth: int | None, kinds: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
        """Names with their native properties, of datasets, snapshots and bookmarks below a path."""
        self.at(path)
        for data in sorted([self.at(path), *self.below(path)], key=lambda each: each.name):
            level = data.name.count("/") - path.count("/")
            if depth is not None and level > depth:
                continue
            if data.kind in kinds:
                yield data.name, self._of_dataset(data)
            if depth is not None and level + 1 > depth:
                continue
            if "snapshot" in kinds:
                yield from ((f"{data.name}@{snap.name}", row) for snap, row in self._of_snapshots(data))
            if "bookmark" in kinds:
                yield from (
                    (f"{data.name}#{mark.name}", _numbers("bookmark", mark.guid, mark.txg, mark.creation))
                    for mark in data.marks
                )

    def _of_dataset(self, data: Data) -> dict[str, str]:
        origin = "-" if data.origin is None else f"{self.owner(data.origin).name}@{data.origin.name}"
        mounted = "-" if data.kind == "volume" else "yes" if data.mounted else "no"
        written = {"written": str(data.written), "used": "8192", "mounted": mounted, "origin": origin}
        return _numbers(data.kind, data.guid, data.txg, data.creation) | written | {"encryption": "off"}

    @staticmethod
    def _of_snapshots(data: Data) -> Iterator[tuple[Snap, dict[str, str]]]:
        before = "" if data.origin is None else data.origin.content
        for snap in data.snaps:
            written = WRITTEN if snap.content != before else 0
            yield snap, _numbers("snapshot", snap.guid, snap.txg, snap.creation) | {"written": str(written)}
            before = snap.content


def _numbers(kind: str, guid: int, txg: int, creation: int) -> dict[str, str]:
    return {"type": kind, "guid": str(guid), "createtxg": str(txg), "creation": str(creation)}
