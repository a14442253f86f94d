"""A node's files and its ``zsr`` as processes of their own. Only its ``zfs`` is played: by a script."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from replicator.daemon.control import call
from replicator.state.stores import State

CLUSTER = """\
[nodes.alpha]
address = "local"
[nodes.beta]
address = "local"
[storages.data]
path = "pool/data"
paths = { beta = "other/data" }
[guests.100]
node = "alpha"
[jobs.100-0]
target = "beta"
comment = "to and fro"
"""
PATIENCE = 60.0
"""Seconds after which what did not come is a failure; generous, for machines that are busy."""
HANGS = "exec sleep 600"
REFUSES = 'echo "cannot open: permission denied" >&2; exit 1'


class Node:
    """A node's files, its ``zsr``, and the ``zfs`` that it finds first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "bin").mkdir()
        (folder / "cluster.toml").write_text(CLUSTER)
        (folder / "zsr.toml").write_text(
            f'node = "alpha"\nstate_dir = "{folder}/state"\ncontrol = "{folder}/control.sock"\n'
            f'[cluster]\npath = "{folder}/cluster.toml"\n[exporter]\nenabled = false\n'
        )
        self.zfs(REFUSES)

    def zfs(self, script: str) -> None:
        """Play zfs."""
        for name in ("zfs", "zpool"):
            path = self.folder / "bin" / name
            fresh = path.with_suffix(".new")  # the old one may be running
            fresh.write_text(f"#!/bin/sh\n{script}\n")
            fresh.chmod(0o755)
            fresh.rename(path)

    @property
    def environment(self) -> dict[str, str]:
        """What a process of this node sees."""
        return {
            **os.environ,
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            "ZSR_CONFIG": f"{self.folder}/zsr.toml",
        }

    def argv(self, *arguments: str) -> list[str]:
        """The argv of a ``zsr`` command."""
        return [sys.executable, "-m", "replicator.cli.main", *arguments]

    def zsr(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run ``zsr`` to its end."""
        return subprocess.run(
            self.argv(*arguments), env=self.environment, capture_output=True, text=True, check=False, timeout=PATIENCE
        )

    def start(self, *options: str) -> subprocess.Popen[str]:
        """A daemon that answers."""
        daemon = subprocess.Popen(
            self.argv("daemon", *options), env=self.environment, stderr=subprocess.PIPE, text=True
        )
        wait_for(lambda: (self.folder / "control.sock").exists() or daemon.poll() is not None)
        return daemon

    @property
    def log(self) -> Path:
        """What daemons of `logging_daemon` wrote."""
        return self.folder / "daemon.log"

    @contextmanager
    def logging_daemon(self, *, answers: bool = True) -> Iterator[subprocess.Popen[bytes]]:
        """A daemon that writes `log`, while the body runs."""
        with self.log.open("ab") as log:
            daemon = subprocess.Popen(self.argv("daemon"), env=self.environment, stderr=log)
        with ended(daemon) as process:
            if answers:
                wait_for(lambda: (self.folder / "control.sock").exists() or process.poll() is not None)
            yield process

    def asked(self, verb: str = "status", **request: object) -> Any:
        """What the daemon answers to a request."""
        return asyncio.run(call(self.folder / "control.sock", {"verb": verb, **request}))

    def failures(self) -> int:
        """How many runs have failed in a row, as the daemon says."""
        (job,) = self.asked()["jobs"]
        return int(job["fail_count"])

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[str]]:
        """A daemon while the body runs, then SIGTERM if it still lives."""
        with ended(self.start()) as process:
            yield process

    def job(self) -> dict[str, object]:
        """The job as ``zsr status`` shows it."""
        (job,) = json.loads(self.zsr("status", "--format", "json").stdout)
        assert isinstance(job, dict)
        return job

    def state(self) -> closing[State]:
        """What the node remembers."""
        return closing(State.open(self.folder / "state" / "state.db"))

    def running(self) -> bool:
        """Whether a run is going on, or was cut off."""
        with self.state() as state:
            return bool(state.runs.unfinished())


@contextmanager
def ended(process: subprocess.Popen[Any]) -> Iterator[subprocess.Popen[Any]]:
    """End a process after the body, by force if SIGTERM does not do it."""
    with process:
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()


def wait_for(true: Callable[[], object]) -> None:
    """Wait for something that comes by itself."""
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.05)
