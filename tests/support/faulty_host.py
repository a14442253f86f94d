"""A node whose host has faults: a real daemon, a real ZFS with two pools that play two nodes, mounts of its own."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from replicator.daemon.control import NoDaemonError, call
from replicator.replication.progress import Step
from tests.support import terminated_zsr
from tests.support.pools import Pools
from tests.support.real_node import RealNode, until

VOLUME = "subvol-100-disk-0"
_CLUSTER = """\
[nodes.alpha]
address = "local"
[nodes.beta]
address = "local"
[storages.data]
path = "{source}/data"
paths = {{ beta = "{target}/data" }}
[guests.100]
name = "web"
node = "alpha"
freeze = "touch {folder}/frozen; touch {folder}/in-freeze; {folder}/slow-freeze"
thaw = "touch {folder}/in-thaw; {folder}/slow-thaw; rm -f {folder}/frozen"
[jobs.100-0]
target = "beta"
schedule = "*/30"
keep = "2"
"""


@dataclass
class FaultyHost:
    """Node alpha, with guest 100 that is frozen for each snapshot, and its job to the other pool."""

    pools: Pools
    node: RealNode
    _seed: int = 0

    @classmethod
    @contextmanager
    def opened(cls, pools: Pools) -> Iterator[FaultyHost]:
        """The node with its files, without a daemon."""
        node = RealNode("alpha", pools.sandbox, pools.sandbox.directory / "run")
        made = cls(pools, node)
        try:
            node.set_up()
            made._set_up()
            yield made
        finally:
            node.close()
            subprocess.run(["rm", "-rf", str(node.folder)], check=True)

    def _set_up(self) -> None:
        for pool in (self.pools.source, self.pools.target):
            self.pools.sandbox.zfs("create", f"{pool.name}/data")
        self.pools.sandbox.zfs("create", self.source)
        self.write()
        self.slow("freeze", 0)
        self.slow("thaw", 0)
        names = {"source": self.pools.source.name, "target": self.pools.target.name, "folder": self.node.folder}
        self.node.cluster.write_text(_CLUSTER.format(**names))

    @property
    def source(self) -> str:
        """The guest's volume."""
        return f"{self.pools.source.name}/data/{VOLUME}"

    @property
    def replica(self) -> str:
        """Its replica."""
        return f"{self.pools.target.name}/data/{VOLUME}"

    @property
    def is_frozen(self) -> bool:
        """Whether the guest stands still."""
        return (self.node.folder / "frozen").exists()

    def slow(self, hook: str, seconds: float) -> None:
        """Let a hook take so long."""
        script = self.node.folder / f"slow-{hook}"
        script.write_text(f"#!/bin/sh\nsleep {seconds}\n")
        script.chmod(0o755)

    def mark(self, hook: str) -> Path:
        """A file that a hook makes when it begins."""
        return self.node.folder / f"in-{hook}"

    def write(self, size: int = 60_000) -> None:
        """Write something new into the guest."""
        self._seed += 1
        self.pools.sandbox.fill(self.source, size, self._seed)

    def snapshots(self, dataset: str) -> list[str]:
        """The names of a dataset's snapshots."""
        found = self.pools.sandbox.zfs("list", "-H", "-t", "snapshot", "-o", "name", "-s", "createtxg", "-r", dataset)
        return [line.partition("@")[2] for line in found.splitlines()]

    def guid(self, name: str) -> str:
        """The GUID of a dataset or a snapshot."""
        return self.pools.sandbox.zfs("get", "-Hpo", "value", "guid", name).strip()

    def is_replicated(self) -> bool:
        """Whether the newest set is on both sides, by its GUID."""
        ours, theirs = (f"{each}@{self.snapshots(each)[-1]}" for each in (self.source, self.replica))
        return self.guid(ours) == self.guid(theirs)

    def asked(self, verb: str = "status", **request: object) -> Any:
        """What the daemon answers to a request; None while it does not."""
        control = self.node.folder / "run" / "control.sock"
        try:
            return asyncio.run(call(control, {"verb": verb, **request}))
        except NoDaemonError:
            return None

    def last_sync(self) -> float | None:
        """When the job was last replicated; None as long as that is not over."""
        (job,) = (self.asked() or {"jobs": [{"state": "?", "last_sync": None}]})["jobs"]
        return job["last_sync"] if job["state"] == "ok" else None

    def replicate(self) -> None:
        """Let a run succeed that has something to send, and come to rest."""
        until(lambda: self.asked() is not None, self.said)
        (job,) = self.asked()["jobs"]
        self.write()
        self.asked("schedule-now", job="100-0")
        seen: list[float | None] = [None]

        def is_at_rest() -> bool:
            seen.append(self.last_sync())
            return seen[-1] is not None and seen[-1] == seen[-2] != job["last_sync"]

        until(is_at_rest, self.said)

    def said(self) -> str:
        """The end of what the daemon wrote."""
        return self.node.log.read_text()[-3000:]

    def start_to_end_at(self, step: Step) -> subprocess.Popen[bytes]:
        """Start a daemon that gets a SIGTERM when a run begins a step."""
        self.reached.unlink(missing_ok=True)
        variables = {terminated_zsr.STEP: str(step), terminated_zsr.REACHED: str(self.reached)}
        return self.node.begin("daemon", module=terminated_zsr.__name__, **variables)

    @property
    def reached(self) -> Path:
        """The file that is there when the step was."""
        return self.node.folder / "reached"
