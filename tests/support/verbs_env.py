"""``zsr`` as typed, with a guest between two pools of this machine."""

from __future__ import annotations

import subprocess

from tests.support.command_line import Zsr
from tests.support.pools import Pools

NODES = """\
[nodes.alpha]
address = "local"
[nodes.beta]
address = "local"
[storages.data]
path = "{source}"
paths = {{ beta = "{target}" }}
"""
CLUSTER = f"""{NODES}\
[guests.100]
name = "web"
node = "alpha"
[jobs.100-0]
target = "beta"
"""
NAME = "subvol-100-disk-0"


class VerbsEnv:
    """Two pools that play the nodes alpha and beta, a guest with one volume, and alpha's ``zsr``."""

    def __init__(self, pools: Pools, zsr: Zsr) -> None:
        self.zsr, self.zfs = zsr, pools.sandbox.zfs
        self._fill, self._seed = pools.sandbox.fill, 1
        self.source, self.target = f"{pools.source.name}/data", f"{pools.target.name}/data"
        for path in (self.source, self.target):
            self.zfs("create", path)
        self.zfs("create", f"{self.source}/{NAME}")
        self._fill(f"{self.source}/{NAME}", 1 << 20, seed=1)
        zsr.cluster_path.write_text(CLUSTER.format(source=self.source, target=self.target))

    def by_hand(self, snapshot: str = "by hand") -> None:
        """Bring the volume to the target as people do, with a snapshot whose name has a space."""
        there = f"{self.target}/{NAME}"
        self.zfs("snapshot", f"{self.source}/{NAME}@{snapshot}")
        _pipe(f"zfs send '{self.source}/{NAME}@{snapshot}' | zfs receive -u '{there}'")

    def send(self, dataset: str, base: str, snapshot: str, there: str) -> None:
        """Send a snapshot since another one, and nothing else."""
        _pipe(f"zfs send -i '@{base}' '{dataset}@{snapshot}' | zfs receive -u '{there}'")

    def pipe(self, command: str) -> None:
        """Do a command as people type it, with a pipe in it."""
        _pipe(command)

    def diverge(self) -> str:
        """Take a snapshot of the replica, and run; return where the replica is kept aside then."""
        self.zfs("snapshot", f"{self.target}/{NAME}@somebodys")
        self.change()
        self.zsr.well("run", "--id", "100-0")
        [name] = [line for line in self.names(self.target) if "/zsr-diverged/" in line]
        return name

    def change(self) -> None:
        """Write into the volume."""
        self.change_in(NAME)

    def change_in(self, name: str) -> None:
        """Write into a volume."""
        self._seed += 1
        self._fill(f"{self.source}/{name}", 1 << 16, seed=self._seed)

    @property
    def paths(self) -> tuple[str, str]:
        """The storage's paths on the source and on the target."""
        return self.source, self.target

    def names(self, path: str) -> list[str]:
        """The datasets below a path."""
        return self.zfs("list", "-H", "-o", "name", "-r", path).split("\n")[:-1]

    def snapshots(self, dataset: str) -> list[str]:
        """The names of a dataset's snapshots."""
        lines = self.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-r", dataset).split("\n")
        return [line.partition("@")[2] for line in lines if line.startswith(f"{dataset}@")]

    def property(self, dataset: str, key: str) -> str:
        """A property's value and source."""
        return self.zfs("get", "-H", "-o", "value,source", key, dataset).strip()


def _pipe(command: str) -> None:
    subprocess.run(["sh", "-c", command], check=True, capture_output=True)
