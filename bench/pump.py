"""The pump against a plain pipe on this machine, without ZFS, and the memory it takes; `python -m bench.pump`."""

from __future__ import annotations

import argparse
import asyncio
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from bench.env import save
from replicator.hosts.local import LocalHost
from replicator.hosts.stream import Limits, stream

GIB = 2**30
_PAGE = resource.getpagesize()


@dataclass(frozen=True, slots=True)
class Ran:
    """One transfer: seconds, processor seconds of zsr's own process, and by how many bytes its memory grew."""

    seconds: float
    own_cpu: float
    grown: int


def producer(size: int) -> list[str]:
    """Writes so many bytes; the page it comes from is always the same, so that only the pipe is measured."""
    return ["head", "-c", str(size), "/dev/zero"]


CONSUMER = ["cat"]


def resident() -> int:
    """Memory of the process that measures, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


async def pumped(size: int) -> Ran:
    """The producer and the consumer with zsr's stream between them."""
    here = LocalHost("here")
    most = before = resident()

    def look(_: int) -> None:
        nonlocal most
        most = max(most, resident())

    own, begin = time.process_time(), time.monotonic()
    end = await stream(
        here,
        producer(size),
        here,
        CONSUMER,
        limits=Limits(rate=None, stall=60.0),
        expected_bytes=size,
        on_progress=look,
    )
    if end.moved != size:
        raise AssertionError(f"{end.moved} of {size} bytes were moved")
    return Ran(time.monotonic() - begin, time.process_time() - own, most - before)


def piped(size: int) -> float:
    """Seconds of the same producer and consumer with one pipe between them."""
    begin = time.monotonic()
    with subprocess.Popen(producer(size), stdout=subprocess.PIPE) as sender:
        subprocess.run(CONSUMER, stdin=sender.stdout, stdout=subprocess.DEVNULL, check=True)
    return time.monotonic() - begin


def measure(size: int, rounds: int) -> dict[str, object]:
    """Rounds of both, one after the other; ratio of the medians: above 1 the pump is faster."""
    asyncio.run(pumped(size // 16))  # memory that is loaded once is no growth
    pairs = [(asyncio.run(pumped(size)), piped(size)) for _ in range(rounds)]
    ran = [pump for pump, _ in pairs]
    pipe = median(seconds for _, seconds in pairs)
    pump = median(one.seconds for one in ran)
    return {
        "gib": size / GIB,
        "rounds": rounds,
        "pipe_seconds": [round(seconds, 2) for _, seconds in pairs],
        "pump_seconds": [round(one.seconds, 2) for one in ran],
        "pump_to_pipe": round(pipe / pump, 2),
        "own_cpu_seconds_per_gib": round(median(one.own_cpu for one in ran) / size * GIB, 4),
        "grown_mib": [round(one.grown / 2**20, 2) for one in ran],
    }


def main() -> None:
    """Measure and write bench/results/pump.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gib", type=float, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    result = measure(int(options.gib * GIB), options.rounds)
    sys.stdout.write(f"{result}\nwritten: {save('pump', {'pump': result})} (pid {os.getpid()})\n")


if __name__ == "__main__":
    main()
