"""The program on the source node instead of ``zsr daemon``: the same daemon, whose runs can be held at a step.

The test talks to it over TCP, a JSON object each way: ``{"do": "stop", "step": "transfer", "nth": 2}``, ``go``,
``now``, ``status``, ``die``.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

from replicator.cluster.store import open_store
from replicator.config.settings import load_settings
from replicator.daemon.control import call
from replicator.daemon.daemon import Daemon
from replicator.replication.progress import Progress, Step
from replicator.state.stores import State

PORT = 9900
JOB = "100-0"


class Gate:
    """Where runs are held: ``held`` is the step at which one waits now."""

    def __init__(self) -> None:
        self.wanted: tuple[str, int] | None = None
        self.held: str | None = None
        self.passed: list[str] = []
        self._go = asyncio.Event()

    def stop_at(self, step: str, nth: int) -> None:
        """Hold the next run at the nth beginning of a step."""
        self.wanted, self.passed = (step, nth), []

    def go(self) -> None:
        """Let it go on, and hold nothing any more."""
        self.wanted = None
        self._go.set()

    async def wait(self, step: Step, count: int) -> None:
        """Called at each beginning of a step."""
        self.passed.append(str(step))
        if self.wanted == (str(step), count):
            self.held, self.wanted = str(step), None
            self._go.clear()
            await self._go.wait()
            self.held = None


class HeldProgress(Progress):
    """A run's progress that passes the gate at each step."""

    __slots__ = ("_count", "_gate")

    def __init__(self, gate: Gate) -> None:
        super().__init__()
        self._gate = gate
        self._count: Counter[Step] = Counter()

    async def begin(self, step: Step) -> None:
        await super().begin(step)
        self._count[step] += 1
        await self._gate.wait(step, self._count[step])


async def main() -> None:
    """Serve until killed or terminated."""
    settings = load_settings(Path("/etc/zsr/zsr.toml"))
    gate = Gate()
    memory = State.open(settings.state_dir / "state.db")
    daemon = Daemon(
        settings, open_store(settings.cluster, settings.timezone), memory, progress=lambda: HeldProgress(gate)
    )

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = json.loads(await reader.readline())
        reply: Any = None
        match request["do"]:
            case "die":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                gate.stop_at(request["step"], request["nth"])
            case "go":
                gate.go()
            case "now":
                await call(settings.control, {"verb": "schedule-now", "job": JOB})
            case "status":
                reply = _status(daemon, gate, settings.state_dir / "state.db")
        writer.write(json.dumps(reply).encode() + b"\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "0.0.0.0", PORT)
    try:
        async with server:
            await daemon.run()
    finally:
        memory.close()


def _status(daemon: Daemon, gate: Gate, database: Path) -> dict[str, Any]:
    job = next((job for job in daemon.status().jobs if str(job.job.id) == JOB), None)
    transfer = job.transfer if job else None
    db = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    try:
        fulls = db.execute("SELECT run, text FROM run_log WHERE text LIKE '%: full, %'").fetchall()
        run = db.execute("SELECT coalesce(max(id), 0) FROM runs").fetchone()[0]
        rows = db.execute("SELECT text FROM run_log WHERE level != 'info' ORDER BY run DESC, number DESC LIMIT 8")
        words = [row[0] for row in rows]
    finally:
        db.close()
    return {
        "held": gate.held,
        "passed": gate.passed,
        "fulls": fulls,
        "run": run,
        "words": words,
        "error_class": str(job.state.failure.error_class) if job and job.state.failure else None,
        "job": job is not None,
        "active": transfer is not None,
        "transferring": transfer is not None and transfer.transferring,
        "done": transfer.done_bytes if transfer else 0,
        "expected": (transfer.expected_bytes or 0) if transfer else 0,
        "state": str(job.condition) if job else None,
        "succeeded": job.state.runs_succeeded if job else 0,
        "failed": job.state.runs_failed if job else 0,
        "last_set": job.state.last_set if job else None,
        "last_sync": job.state.last_sync if job else None,
    }


if __name__ == "__main__":
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    asyncio.run(main())
