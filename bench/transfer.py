"""One large step: so many megabytes that do not compress are written over, and sent; `python -m bench.transfer`.

Every way has its own volume; the ways take turns, so that a slow minute hits all of them. All of a step is timed:
looks, snapshot, stream, proof, tidying, and the login where a way makes one.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from statistics import median

from bench import peers, ways
from bench.env import BenchEnv, booted, save
from bench.latency import WAYS, Way, prepare, tree_of

PIPES: dict[str, Way] = {
    "zsr": WAYS["zsr"],
    "pipe": lambda tree, changed: ways.by_hand(tree, changed=changed, login=True),
    "hand": WAYS["hand"],
}
"""zsr, the pipe as people write it (``ssh`` logs in), and the same over a connection that is open already."""
_MEMORY = "ps -o rss= -p $(pgrep -f 'replicator.cli.main daemon' | head -1)"
_ONLY_THE_NEWEST = (  # what a way does not tidy itself would fill the pool
    "for s in $(zfs list -Hrt snap -o name -S createtxg {name} | tail -n +2); do "
    "for h in $(zfs holds -H $s | cut -f2); do zfs release $h $s; done; zfs destroy $s; done; zpool sync"
)


@contextmanager
def _memory(stage: BenchEnv) -> Iterator[list[int]]:
    """What the daemon takes while the body runs, in KiB, every second."""
    seen: list[int] = []
    done = threading.Event()

    def look() -> None:
        while not done.wait(1.0):
            seen.append(int(stage.source.out(_MEMORY)))

    watch = threading.Thread(target=look)
    seen.append(int(stage.source.out(_MEMORY)))
    watch.start()
    try:
        yield seen
    finally:
        done.set()
        watch.join()


def _step(stage: BenchEnv, way: str, line: Way, megabytes: int) -> float:
    tree = tree_of(way, 1)
    stage.change(tree, kilobytes=megabytes * 1024)
    seconds = stage.timed(line(tree, True))
    if way in ("bzfs", "zfs-autobackup"):
        for node in (stage.source, stage.target):
            node.run(_ONLY_THE_NEWEST.format(name=tree.names[0]), timeout=120)
    else:
        stage.target.run("zpool sync")
    return round(seconds, 2)


def measure(stage: BenchEnv, chosen: Mapping[str, Way], megabytes: int, rounds: int) -> dict[str, object]:
    """Rounds of all ways; zsr's rate by each other's of the same round, as median: above 1 zsr is faster."""
    prepare(stage, chosen, [1])
    seconds: dict[str, list[float]] = {way: [] for way in chosen}
    for number in range(rounds + 1):
        for way, times in seconds.items():
            took = _step(stage, way, chosen[way], megabytes)
            sys.stdout.write(f"{way} {took} s\n")
            sys.stdout.flush()
            if number:  # the first step has the least to write over, and warms everything up
                times.append(took)
    with _memory(stage) as seen:
        _step(stage, "zsr", chosen["zsr"], megabytes)
    own = seconds["zsr"]
    return {
        "megabytes": megabytes,
        "rounds": rounds,
        "seconds": seconds,
        "rate_of_zsr_to": {
            way: round(median(time / mine for time, mine in zip(times, own, strict=True)), 2)
            for way, times in seconds.items()
            if way != "zsr"
        },
        "daemon_kib": seen,
    }


def main() -> None:
    """Boot the lab, measure, write bench/results/transfer.json and transfer-pipe.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=160, help="with all ways; the pools are small")
    parser.add_argument("--large", type=int, default=960, help="megabytes with zsr and the pipes by hand only")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", choices=("peers", "pipe"))
    options = parser.parse_args()
    runs = {"transfer": (WAYS, options.megabytes), "transfer-pipe": (PIPES, options.large)}
    if options.only:
        runs.pop("transfer" if options.only == "pipe" else "transfer-pipe")
    with booted() as lab:
        for name, (chosen, megabytes) in runs.items():
            stage = BenchEnv(lab)
            versions = peers.put(stage.source) if chosen is WAYS else {}
            result = measure(stage, chosen, megabytes, options.rounds)
            sys.stdout.write(f"{result}\nwritten: {save(name, {'versions': versions, 'transfer': result})}\n")


if __name__ == "__main__":
    main()
