"""The lab seen from Python: a few real nodes in a network namespace of their own, and the test's access to it.

``labctl`` in this folder does the work; a `Lab` belongs to one process; should that be killed, the
next `Lab` sweeps up.
"""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from tests.lab.agent import PORT, Agent
from tests.lab.namespace import Namespace
from tests.lab.node import Command, CommandFailedError, Node, NodeProcess

__all__ = ["Command", "CommandFailedError", "Lab", "LabError", "Node", "NodeProcess", "missing"]

_LABCTL = Path(__file__).parent / "labctl"
_BUILD = Path(__file__).parent / "build.sh"
_BUILD_SECONDS = 3600.0


class LabError(AssertionError):
    """The lab itself fails, not the program under test; the text holds the output of labctl."""


def _place() -> dict[str, str]:
    """The processors of a lab: the nodes of test processes that run side by side begin on different ones."""
    worker = os.environ.get("PYTEST_XDIST_WORKER", "").removeprefix("gw")
    return {"ZLAB_PLACE": worker} if worker.isdigit() else {}


def missing() -> str:
    """What this machine lacks for a lab, in words; empty when it lacks nothing."""
    done = subprocess.run([_LABCTL, "check"], capture_output=True, text=True, timeout=600, check=False)
    return "" if done.returncode == 0 else (done.stdout + done.stderr).strip()


def build() -> Path:
    """The folder with kernel and file systems, made first where needed (minutes); progress goes to standard error.

    Raises:
        LabError: it could not be made.
    """
    done = subprocess.run([_BUILD], stdout=subprocess.PIPE, text=True, timeout=_BUILD_SECONDS, check=False)
    if done.returncode != 0:
        raise LabError(f"{_BUILD} failed with status {done.returncode}; see what it wrote above")
    return Path(done.stdout.strip())


class Lab:
    """Nodes 1 to n in the network 10.91.0.0/24 of the namespace ``name``; the test itself is 10.91.0.1 there."""

    host_ip = "10.91.0.1"

    def __init__(self, name: str | None = None) -> None:
        self.name = name or f"zsr-test-{os.getpid()}"
        self.state = Path("/run/zsr-lab") / self.name
        self.namespace = Namespace(Path("/run/netns") / self.name)
        self.nodes: list[Node] = []
        self.agent = Agent(lambda: self.namespace.connect(self.node(1).ip, PORT))
        """Node 1's."""

    # --- life

    def up(
        self,
        count: int = 2,
        *,
        memory_mb: int = 1024,
        disk_gb: int = 4,
        disks: Path | None = None,
        network: str = "10.91.0",
        roots: Path | None = None,
    ) -> None:
        """Start nodes 1 to ``count`` and wait until their ssh answers; those that run already go on.

        Each has two disks of ``disk_gb``; ``disks`` is the folder for their images, None: with the lab's state.
        ``network``: its first three numbers; ``roots``: a folder with other root file systems, ``node1.sqfs``, ...

        Raises:
            LabError: one of them does not boot.
        """
        self.control("sweep")
        self.control(
            "up",
            str(count),
            ZLAB_OUT=str(build()),
            ZLAB_OWNER=str(os.getpid()),
            ZLAB_MEM=f"{memory_mb}M",
            ZLAB_DISK=f"{disk_gb}G",
            ZLAB_DISKS="" if disks is None else str(disks),
            ZLAB_NET=network,
            ZLAB_ROOTS="" if roots is None else str(roots),
        )
        self.nodes = [Node(i, self.state, self.inside, self.control) for i in range(1, count + 1)]

    def down(self) -> None:
        """End every process of the lab, drop its namespace and its disks. Twice is no error."""
        self.agent.close()
        self.control("down")
        self.nodes = []

    def node(self, number: int) -> Node:
        """Node 1, 2, ..."""
        return self.nodes[number - 1]

    # --- commands on the host, inside the lab's network

    def inside(self, argv: Sequence[str]) -> list[str]:
        """An argv that runs ``argv`` on the host, in the lab's network namespace."""
        return ["nsenter", f"--net={self.namespace.path}", "--", *argv]

    def exec(
        self, argv: Sequence[str], *, check: bool = True, timeout: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """Run a host command in the lab's network and wait for it.

        Raises:
            CommandFailedError: ``check`` and its status is not 0.
        """
        done = subprocess.run(
            self.inside(argv), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False
        )
        if check and done.returncode != 0:
            raise CommandFailedError(f"{' '.join(argv)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def popen(
        self, argv: Sequence[str], *, stdout: int | IO[Any] | None = None, stderr: int | IO[Any] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a host command in the lab's network (a Prometheus, say); the caller ends it and waits for it."""
        return subprocess.Popen(self.inside(argv), stdin=subprocess.DEVNULL, stdout=stdout, stderr=stderr)

    # --- sockets inside the lab's network

    def listen(self, port: int = 0) -> socket.socket:
        """A socket that listens at 10.91.0.1:``port``, which the nodes reach; hand it to an SMTP or HTTP server."""
        return self.namespace.listen(self.host_ip, port)

    def connect(self, host: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        """A socket connected to a node's port; ``host`` is an address or a node's name."""
        return self.namespace.connect(self._address(host), port, timeout=timeout)

    def http_get(self, url: str, *, headers: dict[str, str] | None = None, timeout: float = 10.0) -> str:
        """The body of ``GET url`` of a server on a node, by address or name; a status from 400 on is an error."""
        parts = urlsplit(url)
        address = parts._replace(netloc=f"{self._address(parts.hostname or '')}:{parts.port or 80}").geturl()
        return self.namespace.http_get(address, headers=headers, timeout=timeout)

    def _address(self, host: str) -> str:
        return next((node.ip for node in self.nodes if node.name == host), host)

    # --- labctl

    def control(self, *arguments: str, timeout: float = 300.0, **settings: str) -> subprocess.CompletedProcess[str]:
        """Run ``labctl`` for this lab.

        Raises:
            LabError: its status is not 0.
        """
        environment = {**os.environ, **_place(), "ZLAB_NS": self.name, **settings}
        done = subprocess.run(
            [_LABCTL, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=environment,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise LabError(f"labctl {' '.join(arguments)}: status {done.returncode}\n{done.stdout}{done.stderr}")
        return done
