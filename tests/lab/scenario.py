"""A `TwoNodeCluster` as a user sees it: output and bytes of runs, datasets on both nodes, acts of an admin."""

from __future__ import annotations

import json
from typing import Any

from replicator.models import JobId
from replicator.zfs.snapshot_names import job_prefix
from tests.lab.lab import Node
from tests.lab.two_nodes import TwoNodeCluster

MIB = 1 << 20
OURS = job_prefix(JobId(100, 0))
A, B, FS = "vm-100-disk-0", "vm-100-disk-1", "subvol-100-disk-2"
"""Two zvols and a filesystem of the guest."""


class Scenario(TwoNodeCluster):
    """A cluster of two nodes, and the questions that the scenarios ask of them."""

    # --- runs

    def newest_run(self) -> dict[str, Any]:
        """What the run history says of the newest run."""
        runs: list[dict[str, Any]] = json.loads(self.zsr("log", "100-0", "--runs", "--format", "json"))
        return max(runs, key=lambda run: run["run"])

    def well(self, *, within: int = 1) -> int:
        """Run the job until it goes well, at most so many times; the bytes that the last run sent."""
        said = ""
        for _ in range(within):
            done = self.source.zsr("run", "--id", "100-0", check=False)
            if done.returncode == 0:
                run = self.newest_run()
                assert run["outcome"] == "success"
                return int(run["sent_bytes"] or 0)
            said += f"status {done.returncode}\n{done.stdout}{done.stderr}{self.zsr('log', '100-0', check=False)}"
        raise AssertionError(f"not well after {within} runs:\n{said}")

    def fails(self) -> str:
        """Run the job, which has to fail; the class of its error."""
        done = self.source.zsr("run", "--id", "100-0", check=False)
        assert done.returncode == 1, f"{done.stdout}{done.stderr}"
        return str(self.status()["error_class"])

    def log(self) -> str:
        """The newest run's log."""
        return self.zsr("log", "100-0")

    # --- what lies where

    def value(self, node: Node, name: str, key: str) -> str:
        """A property of a volume or of a snapshot of one."""
        return node.out(["zfs", "get", "-Hpo", "value", key, node.path(name)])

    def snapshots(self, node: Node, name: str) -> list[str]:
        """The names of a volume's snapshots, oldest first."""
        listing = node.out(["zfs", "list", "-Ho", "name", "-t", "snapshot", "-s", "createtxg", node.path(name)])
        return [line.partition("@")[2] for line in listing.splitlines()]

    def ours(self, node: Node, name: str) -> list[str]:
        """The job's own among them."""
        return [name for name in self.snapshots(node, name) if name.startswith(OURS)]

    def everything(self, node: Node) -> str:
        """All datasets and snapshots of the node's pool with their GUIDs and what they hold."""
        return node.out(f"zfs list -Hpo name,guid,written,readonly -t all -r {node.pool} | grep -v ^{node.pool}.-")

    def exists(self, node: Node, name: str) -> bool:
        """Whether there is a volume, or a snapshot of one, of this name."""
        return node.run(["zfs", "list", node.path(name)], check=False).returncode == 0

    def aside(self) -> list[str]:
        """The datasets that are kept aside on the target."""
        return [kept["dataset"] for kept in json.loads(self.zsr("diverged", "list", "--format", "json"))]

    # --- acts

    def settle(self) -> None:
        """Wait for the source's device nodes."""
        self.source.run("udevadm settle")

    def leave_room(self) -> None:
        """Let the target have room for 2 MB more."""
        place = self.target.path()
        self.target.run(f"zfs set quota=$(($(zfs get -Hpo value used {place}) + 2000000)) {place}")
