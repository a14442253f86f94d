"""The environment of a measurement: two lab nodes, a tree of volumes for each method, and the cost of a step."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.ways import CIPHER, Tree
from replicator.replication.inventory_cache import CACHE_SECONDS
from tests.lab.lab import Lab, Node, build

_COUNTING = (
    '#!/bin/sh\necho "$(basename $0) $*" >>/run/lab/commands\n'
    'for real in /usr/sbin /usr/bin; do [ -x $real/$(basename $0) ] && exec $real/$(basename $0) "$@"; done\n'
)
_COUNTED = ("zfs", "zpool", "ssh")
_SETTINGS = 'node = "node1"\n[ssh]\nconnect_timeout = "20s"\nkeepalive = "20s"\n'
_CLUSTER = '[nodes.node1]\naddress = "node1"\n[nodes.node2]\naddress = "node2"\n[storages.zsr]\npath = "tank/zsr"\n'
_HOUR = 3600
MEMORY_MB = 2048
"""Of a node: what was written last is still in its cache when it is sent, for each way alike."""
_COMMIT = ("git", "describe", "--always", "--dirty")
_RUNS = """\
import json, sqlite3
try:
    memory = sqlite3.connect("/var/lib/zsr/state.db")
    print(json.dumps(memory.execute("SELECT start, finish FROM runs WHERE outcome = 'success'").fetchall()))
except sqlite3.Error:
    print("[]")
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one step started; ``commands_there``: on the target, in words.

    ``ssh``: clients on the source; ``logins``: connections that the target took.
    """

    zfs_here: int
    zfs_there: int
    zpool_here: int
    zpool_there: int
    ssh: int
    logins: int
    commands_there: tuple[str, ...]


class BenchEnv:
    """Two fresh nodes; ``source`` replicates to ``target``."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.source, self.target = lab.nodes[0], lab.nodes[1]
        with ThreadPoolExecutor() as threads:
            list(threads.map(Node.fresh, lab.nodes))
        self.source.write("/root/.ssh/config", f"Ciphers {CIPHER}\n")

    def grow(self, tree: Tree) -> None:
        """Make the volumes of a tree with a small file each."""
        self.target.run(f"zfs list {tree.root} >/dev/null 2>&1 || zfs create {tree.root}")
        self.source.run(f"zfs list {tree.root} >/dev/null 2>&1 || zfs create {tree.root}")
        for name in tree.names:
            self.source.run(f"zfs create {name} && head -c 100k /dev/urandom >/{name}/file")
        self.source.run("zpool sync")

    def change(self, tree: Tree, *, kilobytes: int = 20) -> None:
        """One change in the guest's first volume that has reached the disk."""
        self.source.run(f"head -c {kilobytes}k /dev/urandom >/{tree.names[0]}/change; zpool sync", timeout=600)

    def daemon(self, guests: list[int]) -> None:
        """Start zsr's daemon with a job for each guest that comes once an hour, and wait until all have run once."""
        jobs = "".join(
            f'[guests.{guest}]\nnode = "node1"\n[jobs.{guest}-0]\ntarget = "node2"\nschedule = "*:0"\n'
            for guest in guests
        )
        self.source.set_clock((self.source.clock() // _HOUR + 1) * _HOUR + 60)
        self.source.write("/etc/zsr/zsr.toml", _SETTINGS)
        self.source.write("/etc/zsr/cluster.toml", _CLUSTER + jobs)
        self.source.spawn(["zsr", "daemon"])
        end = time.monotonic() + 60 + 10 * len(guests)
        while not self._all_synced(len(guests)):
            if time.monotonic() > end:
                raise TimeoutError("zsr did not replicate everything in time")
            time.sleep(1)

    def _all_synced(self, guests: int) -> bool:
        return len(self.runs_since(0.0)) >= guests

    def runs_since(self, moment: float) -> list[tuple[float, float]]:
        """Start and end of the runs that began after a moment of the source's clock and succeeded."""
        rows: list[list[float]] = json.loads(self.source.out(["python3", "-S", "-c", _RUNS]))
        return [(start, finish) for start, finish in rows if start >= moment]

    def timed(self, line: str) -> float:
        """Seconds that a line took in the source node, by that node's steady clock; a status but 0 is an error."""
        self.source.write("/run/line", line)
        # the shell's own start is no part of it
        text = self.source.out(
            "read a x </proc/uptime; sh /run/line >/run/out 2>&1 || { cat /run/out >&2; exit 1; }; "
            "read b x </proc/uptime; echo $a $b",
            timeout=900,
        )
        begin, end = map(float, text.split())
        return end - begin

    def counted(self, line: str) -> Cost:
        """What a line started on both nodes. It is slower than a run that is timed: a script is before each command."""
        with self._counting():
            before = self._logins()
            self.timed(line)
            return self.cost(self._logins() - before)

    @contextmanager
    def _counting(self) -> Iterator[None]:
        programs = " ".join(f"/usr/local/sbin/{program}" for program in _COUNTED)
        for node in (self.source, self.target):
            node.write("/run/lab/counting", _COUNTING)
            node.run(f"for p in {programs}; do cp /run/lab/counting $p; chmod +x $p; done; : >/run/lab/commands")
        try:
            yield
        finally:
            for node in (self.source, self.target):
                node.run(f"rm -f {programs}")

    def cost(self, logins: int) -> Cost:
        """What was written down since counting began."""
        lines, far_lines = (
            [line for line in node.read("/run/lab/commands").splitlines() if not _is_survey(line)]
            for node in (self.source, self.target)
        )
        here, there = ([line.split()[0] for line in side] for side in (lines, far_lines))
        return Cost(
            here.count("zfs"),
            there.count("zfs"),
            here.count("zpool"),
            there.count("zpool"),
            here.count("ssh"),
            logins,
            tuple(far_lines),
        )

    def _logins(self) -> int:
        """TCP connections taken by the target since it booted; this program's own one is kept open."""
        names, values = (line.split() for line in self.target.out("grep ^Tcp: /proc/net/snmp").splitlines())
        return int(values[names.index("PassiveOpens")])

    def batch(self, guests: int, *, count: bool) -> tuple[float, Cost | None]:
        """All guests due at once: seconds from the first run's start to the last one's end, and what they started."""
        time.sleep(CACHE_SECONDS + 5)  # the clock that is set forward below is not the one a shared look ages by
        moment = (self.source.clock() // _HOUR + 1) * _HOUR
        before = self._logins()
        if not count:
            return self._until_all(moment, guests), None
        with self._counting():
            seconds = self._until_all(moment, guests)
            return seconds, self.cost(self._logins() - before)

    def _until_all(self, moment: float, guests: int) -> float:
        self.source.set_clock(moment + 1)
        end = time.monotonic() + 60 + 10 * guests
        while len(runs := self.runs_since(moment)) < guests:
            if time.monotonic() > end:
                raise TimeoutError(f"only {len(runs)} of {guests} jobs have run")
            time.sleep(1)
        return max(finish for _, finish in runs) - min(start for start, _ in runs)

    @contextmanager
    def delayed(self, seconds: float) -> Iterator[None]:
        """A target whose packets come so much later: every round trip costs that."""
        self.target.delay_network(seconds * 1000)
        try:
            yield
        finally:
            self.target.run("tc qdisc del dev vec0 root", timeout=120)


def _is_survey(line: str) -> bool:
    """Whether it is the daemon's own look at its node, which it takes once a minute whatever runs."""
    return not line or (line.startswith("zfs list") and " -d 2 " in line) or " used," in line


@contextmanager
def booted() -> Iterator[Lab]:
    """A lab of two nodes for the time of a measurement; all in memory, for a host's disk is slow now and quick then."""
    build()
    lab = Lab()
    try:
        lab.up(2, memory_mb=MEMORY_MB, disk_gb=8, disks=Path("/dev/shm"))  # noqa: S108 - a file system in memory, not a place to write
        yield lab
    finally:
        lab.down()


def machine() -> dict[str, object]:
    """What the numbers were taken on; ``-dirty`` after the commit: of sources that were not committed yet."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    asked = subprocess.run(_COMMIT, cwd=Path(__file__).parent, capture_output=True, text=True, check=False)
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load": round(os.getloadavg()[0], 1),
        "commit": asked.stdout.strip(),
        "when": time.strftime("%Y-%m-%d %H:%M", time.gmtime()),
    }


def save(name: str, result: dict[str, object]) -> Path:
    """Write a result to bench/results/NAME.json."""
    path = Path(__file__).parent / "results" / f"{name}.json"
    path.write_text(json.dumps({"machine": machine(), **result}, indent=1) + "\n")
    return path
