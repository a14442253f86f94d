"""A daemon with 10,000 jobs that is scraped: time, size, how long the event loop stood still; `python -m bench.scrape`.

The daemon is the real one with its state.db, scheduler and exporter; ``zfs`` is a script that prints an inventory, and
another process notes 11 runs a second in state.db, as many as 10,000 jobs have that run every quarter of an hour. Then
a real Prometheus scrapes it, and is asked for its memory. Other load on the machine is part of all times: see ``load``
and the stalls of an idle process. ``idle`` is the daemon without scrapes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from aiohttp import ClientSession

from bench.env import save
from demo.servers import free_port
from exporter.exposition import Format
from replicator.cluster.store import open_store
from replicator.common.gc_tuning import freeze_long_lived
from replicator.config.settings import load_settings
from replicator.daemon.daemon import Daemon
from replicator.models import JobId
from replicator.state.stores import State
from replicator.zfs.commands import LISTED
from replicator.zfs.snapshot_names import snapshot_name
from tests.support.prometheus import prometheus

GOAL_SECONDS = 0.5
GOAL_STALL = 0.05
RUNS_A_SECOND = 11
PROBE = 0.002
PAUSE = 2.0
IDLE_SECONDS = 70
"""There is one look at ZFS in it."""
_DICE = random.Random(1)  # noqa: S311 - sizes to look at, no secret
_ZFS = """\
#!/bin/sh
case "$1" in
"") printf 'snapshot\\nlist [-Hp]\\nbookmark\\n' >&2; exit 2 ;;
version) echo zfs-2.3.0 ;;
list) cat {folder}/inventory ;;
get) printf 'tank\\tused\\t1000000000000\\ntank\\tavailable\\t500000000000\\n' ;;
esac
"""


def prepare(folder: Path, jobs: int, port: int) -> None:
    """Write settings, cluster, state.db and the played ``zfs`` of a node with so many jobs."""
    (folder / "zsr.toml").write_text(
        f'node = "alpha"\ntimezone = "Europe/Vienna"\nstate_dir = "{folder}"\ncontrol = "{folder}/control.sock"\n'
        f'[cluster]\npath = "{folder}/cluster.toml"\n[exporter]\nlisten = "127.0.0.1:{port}"\n'
    )
    guests = range(100, 100 + jobs)
    month = time.localtime(time.time() + 40 * 86400)  # no run comes while this is measured
    text = (
        '[nodes.alpha]\naddress = "local"\n[nodes.beta]\naddress = "127.0.0.1"\n[storages.tank]\npath = "tank/data"\n'
    )
    text += "".join(f'[guests.{guest}]\nname = "server-{guest}"\nnode = "alpha"\n' for guest in guests)
    text += "".join(
        f'[jobs.{guest}-0]\ntarget = "beta"\nschedule = "*-{month.tm_mon}-1 *:0/15"\nrpo = "30m"\n' for guest in guests
    )
    (folder / "cluster.toml").write_text(text)
    (folder / "zfs").write_text(_ZFS.format(folder=folder))
    (folder / "zfs").chmod(0o755)
    (folder / "inventory").write_text("".join(_volume(guest) for guest in guests))
    state = State.open(folder / "state.db")
    now = time.time()
    for guest in guests:
        state.jobs.ensure(JobId(guest, 0), now - 86400)
    state.close()
    _note_runs(folder, [f"{guest}-0" for guest in guests])


def _volume(guest: int) -> str:
    """The lines of ``zfs list`` for a guest's volume and its job's snapshot."""
    name, at = f"tank/data/vm-{guest}-disk-0", int(time.time()) - 300
    snapshot = f"{name}@{snapshot_name(JobId(guest, 0), at)}"
    return "".join(
        _line(name=name, type=kind, guid=guid, createtxg=guest, creation=at, written=_DICE.randrange(10**9))
        for name, kind, guid in ((name, "volume", f"{guest}1"), (snapshot, "snapshot", f"{guest}2"))
    )


def _line(**known: object) -> str:
    values = {"encryption": "off", "readonly": "on", "mounted": "no", "used": 10**9, **known}
    return "\t".join(str(values.get(column, "-")) for column in LISTED) + "\n"


def _note_runs(folder: Path, jobs: list[str]) -> None:
    """Write into state.db that these jobs have just run."""
    now = time.time()
    rows = [
        (now - 10, now - 10, now - 9.5, int(now) - 10, _DICE.expovariate(0.2), _DICE.randrange(10**9), job)
        for job in jobs
    ]
    db = sqlite3.connect(folder / "state.db", timeout=60)
    with db:
        db.executemany(
            "UPDATE job_state SET last_try = ?, last_start = ?, last_sync = ?, last_set = ?, last_duration = ?, "
            "last_sent_bytes = ?6, sent_bytes_total = sent_bytes_total + ?6, runs_succeeded = runs_succeeded + 1 "
            "WHERE job = ?7",
            rows,
        )
    db.close()


def keep_running(folder: Path, jobs: int) -> None:
    """Note runs, `RUNS_A_SECOND`, until ended."""
    while True:
        time.sleep(1)
        _note_runs(folder, [f"{guest}-0" for guest in _DICE.sample(range(100, 100 + jobs), RUNS_A_SECOND)])


class Stalls:
    """How long the event loop came late to a task that wakes every `PROBE` seconds, since the last `take`."""

    def __init__(self) -> None:
        self._longest = [0.0, 0.0, 0.0]

    async def watch(self) -> None:
        """Measure without end."""
        while True:
            before = time.perf_counter(), time.process_time(), time.thread_time()
            await asyncio.sleep(PROBE)
            after = time.perf_counter(), time.process_time(), time.thread_time()
            passed = [end - begin for begin, end in zip(before, after, strict=True)]
            self._longest = [max(known, new) for known, new in zip(self._longest, passed, strict=True)]

    def take(self) -> dict[str, float]:
        """The longest between two wakes, in seconds.

        ``stall``: that passed, whichever process had the processor; ``own``: that this process computed meanwhile, in
        any thread, so at most that much is our doing; ``loop``: that the loop's own thread computed.
        """
        names = ("longest_stall", "longest_own", "longest_loop")
        found = {name: round(seconds, 4) for name, seconds in zip(names, self._longest, strict=True)}
        self._longest = [0.0, 0.0, 0.0]
        return found


async def _serve_stalls(folder: Path, name: str, stalls: Stalls) -> asyncio.Server:
    """Report over a socket the measurements since the last request."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        facts = {**stalls.take(), "cpu": time.process_time(), "memory": memory_of(os.getpid())}
        writer.write(json.dumps(facts).encode() + b"\n")
        writer.close()

    return await asyncio.start_unix_server(answer, folder / name)


async def _idle(folder: Path) -> None:
    """A process that does nothing but measure: what stalls even it is the machine's doing."""
    stalls = Stalls()
    async with await _serve_stalls(folder, "idle.sock", stalls):
        await stalls.watch()


async def _serve(folder: Path) -> None:
    settings = load_settings(folder / "zsr.toml")
    state = State.open(folder / "state.db")
    stalls = Stalls()
    store = open_store(settings.cluster, settings.timezone)
    work = asyncio.ensure_future(Daemon(settings, store, state, cluster_changed=freeze_long_lived).run())
    watch = asyncio.ensure_future(stalls.watch())
    server = await _serve_stalls(folder, "stalls.sock", stalls)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, work.cancel)
    with suppress(asyncio.CancelledError):
        await work
    watch.cancel()
    server.close()
    state.close()


def memory_of(pid: int) -> int:
    """The resident memory of a process, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1]) * 1024


@asynccontextmanager
async def child(folder: Path, *words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """One of the processes of the measurement while the body runs; ended by its own pid."""
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    child = await asyncio.create_subprocess_exec(sys.executable, "-m", "bench.scrape", *words, env=environment)
    try:
        yield child
    finally:
        if child.returncode is None:
            child.terminate()
            await child.wait()


async def _told(folder: Path, name: str = "stalls.sock") -> dict[str, float]:
    reader, writer = await asyncio.open_unix_connection(folder / name)
    writer.write(b"\n")
    answer: dict[str, float] = json.loads(await reader.readline())
    writer.close()
    return answer


async def _stalls(folder: Path) -> dict[str, float]:
    """How the daemon's loop stood still since the last request, and how a process that does nothing did."""
    daemon, nobody = await _told(folder), await _told(folder, "idle.sock")
    found = {key: seconds for key, seconds in daemon.items() if key.startswith("longest")}
    return {**found, "longest_stall_of_an_idle_process": nobody["longest_stall"]}


async def scrape(session: ClientSession, encoding: str) -> tuple[float, int, int]:
    """Seconds, bytes on the wire, and series (0 when compressed) of one scrape."""
    begin = time.perf_counter()
    headers = {"Accept": Format.OPENMETRICS.value, "Accept-Encoding": encoding}
    async with session.get("/metrics", headers=headers) as response:
        body = await response.read()
    seconds = time.perf_counter() - begin
    series = 0 if encoding == "gzip" else sum(1 for line in body.splitlines() if not line.startswith(b"#"))
    return seconds, len(body), series


async def ready(session: ClientSession) -> None:
    """Wait until the daemon is ready."""
    async with asyncio.timeout(300):
        while True:
            with suppress(OSError):
                async with session.get("/-/ready") as response:
                    if response.status == 200:
                        return
            await asyncio.sleep(0.5)


async def _scrapes(session: ClientSession, folder: Path, encoding: str, count: int) -> dict[str, Any]:
    """The figures of ``count`` scrapes, some seconds apart, as Prometheus makes them."""
    await _stalls(folder)
    before, found = await _told(folder), []
    for _ in range(count):
        found.append(await scrape(session, encoding))
        await asyncio.sleep(PAUSE)
    stalls, after = await _stalls(folder), await _told(folder)
    times = sorted(seconds for seconds, _, _ in found)
    return {
        "scrapes": count,
        "seconds_median": round(median(times), 3),
        "seconds_worst": round(times[-1], 3),
        "bytes": found[-1][1],
        **({"series": found[-1][2]} if found[-1][2] else {}),
        **stalls,
        "processor_seconds": round((after["cpu"] - before["cpu"]) / count, 3),  # of a scrape and the pause after it
    }


async def _prometheus(folder: Path, port: int, seconds: float) -> dict[str, Any]:
    """What a real Prometheus needs for it, which scrapes every five seconds."""
    await _stalls(folder)
    address = f"127.0.0.1:{port}"
    async with prometheus(folder / "prometheus", [address], interval="5s") as server:
        await asyncio.sleep(seconds)
        worst = await server.query("max_over_time(scrape_duration_seconds[1h])")
        usual = await server.query("quantile_over_time(0.5, scrape_duration_seconds[1h])")
        async with ClientSession() as session, session.get(f"{server.url}/metrics") as response:
            lines = (await response.text()).splitlines()
        own = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
        stalls = await _stalls(folder)
        return {
            "seconds": seconds,
            "scrape_seconds_median": round(usual[0].value, 3),
            "scrape_seconds_worst": round(worst[0].value, 3),  # the first one, in which it makes all series
            "up": (await server.query("min_over_time(up[1h])"))[0].value,
            "head_series": int(float(own["prometheus_tsdb_head_series"])),
            "memory_mib": round(float(own["process_resident_memory_bytes"]) / 2**20),
            **stalls,
        }


async def measure(jobs: int, rounds: int, seconds: float) -> dict[str, Any]:
    """All of it, for so many jobs."""
    with TemporaryDirectory() as temporary:
        folder, port = Path(temporary), free_port()
        await asyncio.to_thread(prepare, folder, jobs, port)
        async with (
            child(folder, "--serve", temporary),
            child(folder, "--idle", temporary),
            child(folder, "--note-runs", temporary, "--jobs", str(jobs)),
            ClientSession(f"http://127.0.0.1:{port}", auto_decompress=False) as session,
        ):
            await ready(session)
            await _stalls(folder)
            first, begun = await scrape(session, "gzip"), await _stalls(folder)
            before = await _told(folder)
            await asyncio.sleep(IDLE_SECONDS)
            idle, after = await _stalls(folder), await _told(folder)
            result = {
                "jobs": jobs,
                "nice": os.nice(0),
                "goal_seconds": GOAL_SECONDS,
                "goal_stall": GOAL_STALL,
                "first_scrape": {"seconds": round(first[0], 3), **begun},
                "idle": {
                    **idle,
                    "processor_share": round((after["cpu"] - before["cpu"]) / IDLE_SECONDS, 3),
                },
                "gzip": await _scrapes(session, folder, "gzip", rounds),
                "plain": await _scrapes(session, folder, "identity", rounds),
                "prometheus": await _prometheus(folder, port, seconds),
            }
            return {**result, "daemon_memory_mib": round((await _told(folder))["memory"] / 2**20)}


def main() -> None:
    """Measure and write bench/results/scrape.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--nice", type=int, default=0, help="priority, where others keep the machine busy")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--idle", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--note-runs", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve is not None:
        asyncio.run(_serve(options.serve))
    elif options.idle is not None:
        asyncio.run(_idle(options.idle))
    elif options.note_runs is not None:
        keep_running(options.note_runs, options.jobs)
    else:
        os.nice(options.nice)
        result = asyncio.run(measure(options.jobs, options.rounds, options.seconds))
        sys.stdout.write(f"{json.dumps(result, indent=1)}\nwritten: {save('scrape', {'scrape': result})}\n")


if __name__ == "__main__":
    main()
