"""A played host: its ``zfs`` shows a test's datasets, and notes the changes that are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

from replicator.hosts.host import Completed, Host
from replicator.zfs.client import ZfsClient
from replicator.zfs.commands import LISTED
from replicator.zfs.model import Dataset
from tests.support.played_zfs import USAGE

Marks = dict[str, tuple[str, str]]
"""The properties of ``commands.ownership``, each with its source."""

OURS: Marks = {
    "zsr:job": ("100-1", "local"),
    "zsr:source": ("alpha", "local"),
    "readonly": ("on", "local"),
    "written": ("0", "-"),
}
"""Those of an untouched replica of the builders' job."""


class PlayedHost:
    """A host with a current ZFS that may run no channel programs; ``orders`` are the commands that change something.

    ``fails``: the words with which it refuses to say which marks are a dataset's own; ``of_programs``: those with which
    it refuses channel programs. ``clones``: what it prints of the clones of snapshots.
    """

    name = "beta"

    def __init__(self, *shown: Dataset, **marks: tuple[str, str]) -> None:
        self.orders: list[str] = []
        self.asked_for_marks = 0
        self.fails = ""
        self.of_programs = "permission denied"
        self.clones = ""
        self._shown = shown
        self._marks = OURS | {key.replace("_", ":"): value for key, value in marks.items()}

    @property
    def client(self) -> ZfsClient:
        """The client of this host."""
        return ZfsClient(cast(Host, self), limit=20)

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Answer what was asked; note anything else, and let it succeed."""
        done = (0, "", "")
        match argv[1:]:
            case []:
                done = (2, "", USAGE.read_text())
            case ["version"]:
                done = (0, "zfs-2.3.2-1", "")
            case ["program", *_]:
                done = (1, "", self.of_programs)
            case ["list", *words]:
                done = (0, self._list(words[-1], int(words[words.index("-d") + 1])), "")
            case ["get", "-Hp", "-o", "name,property,value", "clones", *_]:
                done = (0, self.clones, "")
            case ["get", "-Hp", "-s", "local", *_]:
                own = [(k, v) for k, (v, source) in self._marks.items() if source == "local" and k.startswith("zsr:")]
                done = (0, "\n".join("\t".join((argv[-1], *each)) for each in own), "")
            case ["get", "-H", "-s", "local", *words] if self.fails:
                done = (1, "", self.fails)
            case ["get", "-H", "-s", "local", *words]:
                done = (0, self._own_marks(words[words.index("zsr:job,zsr:source") + 1 :]), "")
            case ["get", *_]:
                done = (0, "\n".join("\t".join((key, *value)) for key, value in self._marks.items()), "")
            case _:
                self.orders.append(" ".join(argv[1:]))
        return Completed(tuple(argv), *done)

    def _own_marks(self, names: Sequence[str]) -> str:
        """The rows of ``zfs get -s local``; marks are a dataset's own unless the test says otherwise."""
        self.asked_for_marks += 1
        asked = [each for each in self._shown if each.name in names]
        rows = [(each.name, key, value) for each in asked for key, value in _marks(each).items()]
        return "\n".join("\t".join(row) for row in rows if self._marks[row[1]][1] == "local")

    def _list(self, path: str, depth: int) -> str:
        """The rows of ``zfs list -d``: a snapshot is one level below its dataset."""
        rows = []
        for each in self._shown:
            level = each.name.count("/") - path.count("/")
            if each.name == path or (each.name.startswith(f"{path}/") and level <= depth):
                marks = {"zsr:job": each.job or "-", "zsr:source": each.source or "-"}
                marks |= {key: value for key, (value, _) in self._marks.items() if key in ("zsr:owner", "zsr:epoch")}
                mounted = {True: "yes", False: "no", None: "-"}[each.mounted]
                row = {"name": each.name, "guid": each.guid, "written": each.written, "mounted": mounted, **marks}
                rows.append(row)
                below = each.snapshots if level < depth else ()
                marks_there = each.bookmarks if level < depth else ()
                rows += [
                    {"name": f"{each.name}@{s.name}", "guid": s.guid, "createtxg": s.createtxg, "creation": s.creation}
                    for s in below
                ]
                rows += [
                    {"name": f"{each.name}#{b.name}", "guid": b.guid, "createtxg": b.createtxg, "creation": b.creation}
                    for b in marks_there
                ]
        return "\n".join("\t".join(str(row.get(key, "-")) for key in LISTED) for row in rows)


def _marks(shown: Dataset) -> dict[str, str]:
    found = {"zsr:job": shown.job, "zsr:source": shown.source}
    return {key: value for key, value in found.items() if value is not None}
