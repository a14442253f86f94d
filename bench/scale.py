"""What grows with the number of jobs: a daemon's memory, processor time and scrapes, and a simulated day.

`python -m bench.scale`. The daemon is `zsr daemon`, with the played ``zfs`` of `bench.scrape`. ``quiet_share`` is its
processor time while nothing happens, with a look at ZFS in it, as a part of a core; ``idle_share`` is the same while
another process notes 11 runs a second in its state.db. ``first`` is the first scrape, ``usual`` the median of the next.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from asyncio.subprocess import DEVNULL
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any
from zoneinfo import ZoneInfo

from aiohttp import ClientSession

from bench.env import save
from bench.scrape import IDLE_SECONDS, PAUSE, child, memory_of, prepare, ready, scrape
from demo.servers import free_port
from replicator.models import JobId
from replicator.schedule.calendar import CalendarEvent
from replicator.schedule.simulation import Scenario, SimulatedJob, Simulation

DAY = 86400.0
_SCRAPES = 5
BEGIN = 1_800_000_000.0


async def daemon(jobs: int) -> dict[str, Any]:
    """The figures of a daemon with so many jobs."""
    with TemporaryDirectory() as temporary:
        folder, port = Path(temporary), free_port()
        await asyncio.to_thread(prepare, folder, jobs, port)
        environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
        words = ("-m", "replicator.cli.main", "--config", str(folder / "zsr.toml"), "daemon")
        zsr = await asyncio.create_subprocess_exec(sys.executable, *words, env=environment, stderr=DEVNULL)
        try:
            async with ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as session:
                await ready(session)
                first, _, _ = await scrape(session, "gzip")
                await asyncio.sleep(PAUSE)  # what the start has left to do is no idling
                quiet = await _share(zsr.pid)
                async with child(folder, "--note-runs", temporary, "--jobs", str(jobs)):
                    idle = await _share(zsr.pid)
                usual = median([(await scrape(session, "gzip"))[0] for _ in range(_SCRAPES)])
                memory = memory_of(zsr.pid)
        finally:
            zsr.terminate()
            await zsr.wait()
    return {
        "jobs": jobs,
        "memory_mib": round(memory / 2**20),
        "quiet_share": quiet,
        "idle_share": idle,
        "first_scrape_seconds": round(first, 3),
        "first_to_usual": round(first / usual, 2),
    }


async def _share(pid: int) -> float:
    """The part of a core that a process uses while it is left alone."""
    before = _processor_seconds(pid)
    await asyncio.sleep(IDLE_SECONDS)
    return round((_processor_seconds(pid) - before) / IDLE_SECONDS, 4)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def simulated_day(jobs: int) -> dict[str, Any]:
    """The time of a simulated day of so many jobs, a quarter of an hour each, and how many runs it had."""
    event, zone = CalendarEvent.parse("*/15"), ZoneInfo("Europe/Vienna")
    simulation = Simulation(
        Scenario(
            start=BEGIN,
            end=BEGIN + DAY,
            jobs=tuple(SimulatedJob(JobId(100 + n, 0), "beta", event, zone, duration=0.05) for n in range(jobs)),
            max_parallel=1,
        )
    )
    begin = time.perf_counter()
    runs = sum(1 for _ in simulation.play())
    return {"jobs": jobs, "runs": runs, "seconds": round(time.perf_counter() - begin, 2)}


def main() -> None:
    """Measure and write bench/results/scale.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, nargs="+", default=[100, 1000, 10_000])
    arguments = parser.parse_args()
    days = [simulated_day(count) for count in arguments.jobs]
    sys.stdout.write(f"{days}\n")
    daemons = []
    for count in arguments.jobs:
        daemons.append(asyncio.run(daemon(count)))
        sys.stdout.write(f"{daemons[-1]}\n")
        sys.stdout.flush()
    save("scale", {"daemons": daemons, "simulated_days": days})


if __name__ == "__main__":
    main()
