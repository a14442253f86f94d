"""One full send of a volume that does not compress, and the daemon's memory meanwhile; `python -m bench.transfer`.

Every round each way begins from nothing on the target; the ways take turns, so that a slow minute hits all of them.
"""

from __future__ import annotations

import argparse
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from statistics import median

from bench import peers, ways
from bench.latency import WAYS
from bench.stage import Stage, booted, save
from bench.ways import Tree

GUEST = 100
_MEMORY = "ps -o rss= -p $(pgrep -f 'replicator.cli.main daemon' | head -1)"


def _tree(way: str) -> Tree:
    return Tree(f"tank/{way}", GUEST, 1)


def _line(way: str) -> str:
    """The full transfer of a way; the one by hand is taken from a snapshot and two processes."""
    return ways.by_hand_first(_tree(way)) if way == "hand" else WAYS[way](_tree(way), True)


def _prepare(stage: Stage, megabytes: int) -> None:
    """The same bytes in every way's volume: made once, then copied inside the pool."""
    for way in WAYS:
        tree = _tree(way)
        name = tree.names[0]
        stage.source.run(f"zfs create {tree.root}; zfs create {name}")
        stage.target.run(f"zfs create {tree.root}")
        copy = "head -c {}M /dev/urandom >/{}/file" if way == "zsr" else "cp /tank/zsr/subvol-100-disk-0/file /{1}/file"
        stage.source.run(copy.format(megabytes, name), timeout=600)
        stage.source.run(f"zfs set autobackup:zfs-autobackup=child {tree.root}" if way == "zfs-autobackup" else "true")
    stage.source.run("zpool sync", timeout=120)
    stage.daemon([GUEST])


def _from_nothing(stage: Stage, way: str) -> None:
    """Take away what the way made on both sides."""
    name = _tree(way).names[0]
    stage.target.run(f"zfs destroy -r {name} 2>/dev/null; zpool sync", timeout=120, check=False)
    snapshots = f"for s in $(zfs list -Hrt snap -o name {name})"
    release = "for h in $(zfs holds -H $s | cut -f2); do zfs release $h $s; done"  # zfs-autobackup holds its own
    stage.source.run(f"{snapshots}; do {release}; zfs destroy $s; done; zpool sync", timeout=120)
    if way == "zsr":  # so that the daemon's connection is there, as it is by hand
        stage.source.run(f"for b in $(zfs list -Hrt bookmark -o name {name}); do zfs destroy $b; done")


@contextmanager
def _memory(stage: Stage) -> Iterator[list[int]]:
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


def measure(stage: Stage, megabytes: int, rounds: int) -> dict[str, object]:
    """Rounds of all ways; ratios of medians: zsr's rate by the other's, above 1 zsr is faster."""
    _prepare(stage, megabytes)
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    memory: list[list[int]] = []
    for _ in range(rounds):
        for way, times in seconds.items():
            _from_nothing(stage, way)
            times.append(round(stage.timed(_line(way)), 2))
            sys.stdout.write(f"{way} {times[-1]} s\n")
            sys.stdout.flush()
    _from_nothing(stage, "zsr")
    with _memory(stage) as seen:
        stage.timed(_line("zsr"))
    memory.append(seen)
    own = median(seconds["zsr"])
    return {
        "megabytes": megabytes,
        "rounds": rounds,
        "seconds": seconds,
        "rate_of_zsr_to": {way: round(median(times) / own, 2) for way, times in seconds.items() if way != "zsr"},
        "daemon_kib": memory[0],
    }


def main() -> None:
    """Boot the lab, measure, write bench/results/transfer.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with booted() as lab:
        stage = Stage(lab)
        versions = peers.put(stage.source)
        result = measure(stage, options.megabytes, options.rounds)
    sys.stdout.write(f"{result}\nwritten: {save('transfer', {'versions': versions, 'transfer': result})}\n")


if __name__ == "__main__":
    main()
