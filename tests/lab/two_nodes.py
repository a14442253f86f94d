"""zsr in a cluster of two: node1 owns a guest, node2 is the target; settings, daemon, metrics, checksums.

``node2`` is a machine of its own, or the other pool of the one machine: then no network and no SSH is between them.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.lab.lab import CommandFailedError, Lab, Node, NodeProcess

on_two_nodes = pytest.mark.usefixtures("two_nodes")
"""Marks a test that needs a second machine: network, SSH, power, another clock, or zsr on the target."""

SETTINGS = """\
node = "node1"
[exporter]
listen = "0.0.0.0:9847"
[ssh]
connect_timeout = "20s"
keepalive = "3s"
"""
CLUSTER = """\
[nodes.node1]
address = "node1"
[nodes.node2]
address = "node2"
stream = "{stream}"
[storages.tank]
path = "tank/data"
[guests.100]
name = "web"
node = "node1"
"""
_STORAGE = 'path = "tank/data"\n'
_PATHS = re.compile(r"^paths = .*\n", re.MULTILINE)

FILESYSTEM, ZVOL = "subvol-100-disk-0", "vm-100-disk-1"
"""The volumes of the fixture `duo`."""


class TwoNodeCluster:
    """A source node with a guest of two zvols and a filesystem, a target node, and zsr between them."""

    def __init__(self, lab: Lab, source: Node, target: Node, *, stream: str = "auto", settings: str = "") -> None:
        self.lab = lab
        self.source = source
        self.target = target
        self.volumes: dict[str, str] = {}
        for node in (source, target):
            node.run(["zfs", "create", node.path()])
        source.write("/etc/zsr/zsr.toml", SETTINGS + settings)
        source.write("/etc/zsr/cluster.toml", CLUSTER.format(stream=stream))
        if source.number == target.number:
            self.cluster('address = "node2"', 'address = "local"')
            self.store_in(target.path())

    # --- the cluster file

    def cluster(self, old: str, new: str) -> None:
        """Edit the cluster file by hand."""
        text = self.source.read("/etc/zsr/cluster.toml")
        assert old in text
        self.source.write("/etc/zsr/cluster.toml", text.replace(old, new))

    def store_in(self, there: str) -> None:
        """Edit where the storage is on the target."""
        text = _PATHS.sub("", self.source.read("/etc/zsr/cluster.toml"))
        assert _STORAGE in text
        paths = f'paths = {{ node2 = "{there}" }}\n'
        self.source.write("/etc/zsr/cluster.toml", text.replace(_STORAGE, f"{_STORAGE}{paths}"))

    # --- the guest

    def zvol(self, name: str, size_mb: int = 32) -> None:
        """Create a zvol of the guest and fill half of it."""
        self.source.run(["zfs", "create", "-V", f"{size_mb}M", self.source.path(name)])
        self.source.run("udevadm settle")
        self.volumes[name] = "zvol"
        self.write(name, size_mb // 2)

    def filesystem(self, name: str, size_mb: int = 8) -> None:
        """Create a filesystem of the guest with one file in it."""
        self.source.run(["zfs", "create", self.source.path(name)])
        self.volumes[name] = "filesystem"
        self.write(name, size_mb)

    def write(self, name: str, size_mb: int) -> None:
        """Write random bytes over the beginning of a volume and let them reach the disk."""
        path = self.source.path(name)
        place = f"/dev/zvol/{path}" if self.volumes[name] == "zvol" else f"/{path}/file"
        self.source.run(
            f"dd if=/dev/urandom of={place} bs=1M count={size_mb} conv=fsync,notrunc status=none && zpool sync",
            timeout=120,
        )

    def checksums(self, node: Node) -> dict[str, str]:
        """The checksum of each volume at its newest snapshot of job 100-0 on a node."""
        return {name: self._checksum(node, name) for name in self.volumes}

    def same_on_both(self) -> bool:
        """Whether every volume is equal on both nodes at one snapshot; asks again if a run came between."""
        here = there = {}
        for _ in range(5):
            try:
                here, there = self.checksums(self.source), self.checksums(self.target)
            except CommandFailedError as error:  # a run destroyed the snapshot before it could be cloned
                if "dataset does not exist" not in str(error):
                    raise
                continue
            if {line.split()[0] for line in (*here.values(), *there.values())} == {
                next(iter(here.values())).split()[0]
            }:
                return here == there
        raise AssertionError(f"runs come faster than they can be looked at: {here} {there}")

    def _checksum(self, node: Node, name: str) -> str:
        dataset = node.path(name)
        listing = node.out(["zfs", "list", "-H", "-t", "snapshot", "-o", "name", "-s", "createtxg", "-d", "1", dataset])
        snapshot = [line for line in listing.splitlines() if "@__replicate_100-0_" in line][-1]
        return f"{snapshot.partition('@')[2]} {self.content(node, name, snapshot)}"

    def content(self, node: Node, name: str, snapshot: str) -> str:
        """The checksum of a snapshot of a volume, wherever the volume is now."""
        clone = f"{node.pool}/look"
        look = {
            "zvol": f"udevadm settle; sha256sum < /dev/zvol/{clone}",
            "filesystem": "cd /mnt/look && find . -type f | sort | xargs sha256sum | sha256sum",
        }[self.volumes[name]]
        option = "" if self.volumes[name] == "zvol" else "-o mountpoint=/mnt/look "
        command = f"zfs clone {option}'{snapshot}' {clone} && ({look}); zfs destroy {clone}"
        return node.out(command).split()[0]

    # --- zsr

    def zsr(self, *arguments: str, check: bool = True, timeout: float = 120) -> str:
        """Run ``zsr`` on the source node; what it writes to standard output."""
        return self.source.zsr(*arguments, check=check, timeout=timeout).stdout

    def newest_log(self) -> str:
        """The log of the newest run of job 100-0, or why there is none; for a failed test's report."""
        if not self.source.alive():
            return f"{self.source.name} is off"
        try:
            done = self.source.zsr("log", "100-0", check=False, timeout=20)
        except CommandFailedError as error:
            return str(error)
        return f"{done.stdout}{done.stderr}"

    def job(self, *options: str) -> None:
        """Create job 100-0 from node1 to node2."""
        self.zsr("create-local-job", "100-0", "node2", *options)

    def daemon(self) -> NodeProcess:
        """Start the daemon and wait until it is ready."""
        process = self.source.spawn(["zsr", "daemon"])
        self.until(lambda: "is ready" in self.get("/-/ready"), "the daemon is ready")
        return process

    def status(self) -> dict[str, Any]:
        """What ``zsr status`` says of job 100-0."""
        found: dict[str, Any] = json.loads(self.zsr("status", "--format", "json"))[0]
        return found

    def get(self, path: str) -> str:
        """The body of a page of the exporter; empty while it does not answer."""
        try:
            return self.lab.http_get(f"http://{self.source.ip}:9847{path}")
        except (OSError, AssertionError):
            return ""

    def metric(self, name: str, **labels: str) -> float | None:
        """A metric of job 100-0 as it is now; None when it is absent."""
        wanted = {"zsr_job": "100-0", **labels}
        for line in self.get("/metrics").splitlines():
            match = re.fullmatch(rf"{name}{{(.*)}} (\S+)", line)
            if match and wanted.items() <= dict(re.findall(r'(\w+)="([^"]*)"', match[1])).items():
                return float(match[2])
        return None

    def runs(self, outcome: str) -> int:
        """How many runs of the job have ended so."""
        return int(self.metric("zsr_job_runs_total", outcome=outcome) or 0)

    def start_a_minute(self) -> None:
        """Let the node's clock jump to the first second of the next minute.

        A job on ``*/1`` is due at once and again at the next minute. Near the end of one, its second run
        follows the first before a test could see that there was one.
        """
        self.source.set_clock((self.source.clock() // 60 + 1) * 60 + 1)

    def run_on_schedule(self) -> None:
        """Let the node's clock jump into the next minute, and wait until the run that is due then succeeded.

        After it, nearly a minute is left until the next one.
        """
        before = self.runs("success")
        self.start_a_minute()
        self.until(lambda: self.runs("success") > before, "a run succeeded on schedule")

    def until(self, holds: Callable[[], bool], what: str, *, timeout: float = 120.0) -> None:
        """Wait until something holds; fails with what was awaited and the daemon's own words."""
        end = time.monotonic() + timeout
        while not holds():
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout:.0f} s: {what}\n{self.zsr('status', check=False)}")
            time.sleep(0.2)
