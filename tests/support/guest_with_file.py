"""A guest that needs a file on its node, between two pools of this machine."""

from __future__ import annotations

import json

from replicator.common.kept_files import Version, parse_listing
from tests.support.command_line import Zsr
from tests.support.pools import Pools
from tests.support.recovered import RUN, Recovered
from tests.support.verbs_env import NAME


class WithFile(Recovered):
    """A guest that needs a file, and says with its own commands whether it runs.

    Both nodes are this machine: the file's place is that of both, and so is the folder in which versions are kept.
    """

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        super().__init__(pools, zsr)
        self.folder = zsr.folder / "etc"
        self.folder.mkdir()
        self.file, self.started = self.folder / "web.xml", zsr.folder / "started"
        (zsr.folder / "state" / "guest-files").mkdir()
        (zsr.folder / "beta").mkdir()
        (zsr.folder / "beta" / "guest-files").symlink_to(zsr.folder / "state" / "guest-files")
        for node in ("alpha", "beta"):
            self.name_files(node, [str(self.file)])

    def name_files(self, node: str, files: list[str]) -> None:
        """Let the cluster file of a node name these files of the guest."""
        path = self.on(node).cluster_path
        lines = [line for line in path.read_text().splitlines() if not line.startswith(("files", "start", "st"))]
        own = {"start": f"touch {self.started}", "stop": "true", "status": f"[ -e {self.started} ] || exit 3"}
        text = "\n".join(lines).replace("[guests.100]", f"[guests.100]\nfiles = {json.dumps(files)}\n" + "".join(
            f'{key} = "{value}"\n' for key, value in own.items()))  # fmt: skip
        path.write_text(text + "\n")

    def run(self, text: str) -> str:
        """Let the file on alpha have a text, write into the volume, and run; return the log of the run."""
        self.file.write_text(text)
        self.change()
        zsr = self.on("alpha")
        zsr.well(*RUN)
        return zsr.well("log", "100-0").out

    @property
    def versions(self) -> list[int]:
        """The sets of the versions of the file that beta keeps, oldest first."""
        return [each.set_time for each in self._kept]

    @property
    def read_times(self) -> list[int]:
        """When the versions of the file that beta keeps were read."""
        return [each.read for each in self._kept]

    @property
    def _kept(self) -> tuple[Version, ...]:
        folder = self.zsr.folder / "state" / "guest-files" / "100-0"
        names = [str(each.relative_to(folder)) for each in sorted(folder.rglob("*")) if each.is_file()]
        return parse_listing("\n".join(names)).versions.get(str(self.file), ())

    @property
    def sets(self) -> list[int]:
        """The sets on beta, oldest first."""
        names = [name for name in self.snapshots(self.there) if name.startswith("__replicate")]
        return [int(name.split("_")[-3]) for name in names]

    def be_replica(self) -> None:
        """Let the volume on alpha be read-only."""
        self.zfs("unmount", f"{self.source}/{NAME}")
        self.zfs("set", "readonly=on", f"{self.source}/{NAME}")

    def fill_there(self) -> None:
        """Write into the volume on beta."""
        self._fill(self.there, 1 << 16, seed=99)

    def lose(self, text: str = "beta's own") -> None:
        """Alpha is gone, and what is at the file's place is beta's."""
        self.file.write_text(text)

    @property
    def before(self) -> list[str]:
        """What was kept of files that were replaced."""
        return [each.read_text() for each in sorted(self.folder.glob("web.xml.zsr-before-*"))]
