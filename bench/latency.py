"""The cost of one small step: time, processes, sessions, logins and round trips; `python -m bench.latency`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from statistics import median

from bench import peers, ways
from bench.env import BenchEnv, booted, save
from bench.ways import Tree

Way = Callable[[Tree, bool], str]

WAYS: dict[str, Way] = {
    "zsr": lambda tree, _: ways.zsr(tree),
    "hand": lambda tree, changed: ways.by_hand(tree, changed=changed),
    "syncoid": lambda tree, changed: ways.syncoid(tree, changed=changed),
    "bzfs": lambda tree, changed: ways.bzfs(tree, changed=changed),
    "zfs-autobackup": lambda tree, changed: ways.autobackup(tree, changed=changed),
}
BY_HAND = ("hand", "pipe")
DELAY = 0.3
"""Seconds by which the target's packets come later where round trips are counted."""


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def tree_of(way: str, volumes: int) -> Tree:
    """The volumes of a way's guest with so many of them."""
    return Tree("tank/zsr" if way == "zsr" else f"tank/{way}{volumes}", 100 + volumes, volumes)


def prepare(stage: BenchEnv, chosen: Mapping[str, Way], sizes: list[int]) -> None:
    """Make the trees of all ways, and let each have been replicated once."""
    for way, line in chosen.items():
        for volumes in sizes:
            tree = tree_of(way, volumes)
            stage.grow(tree)
            if way == "zfs-autobackup":
                stage.source.run(f"zfs set autobackup:{tree.root.rpartition('/')[2]}=child {tree.root}")
            if way in BY_HAND:
                stage.source.run(ways.by_hand_first(tree), timeout=300)
            elif way != "zsr":
                stage.source.run(line(tree, True), timeout=300)
    stage.daemon([100 + volumes for volumes in sizes])


def _step(stage: BenchEnv, way: str, volumes: int, *, changed: bool) -> str:
    """The line of a step, after what it is to find has been made."""
    tree = tree_of(way, volumes)
    if changed:
        stage.change(tree)
    return WAYS[way](tree, changed)


def _measure(
    stage: BenchEnv,
    chosen: dict[str, Way],
    sizes: list[int],
    rounds: int,
    keep: Callable[[list[dict[str, object]]], Path],
) -> None:
    """Rounds of all ways, one after the other, then one that is counted and one with a delay."""
    found: list[dict[str, object]] = []
    for changed in (True, False):
        for volumes in sizes:
            times: dict[str, list[float]] = {way: [] for way in chosen}
            for _ in range(rounds):
                for way in chosen:
                    times[way].append(stage.timed(_step(stage, way, volumes, changed=changed)))
            for way in chosen:
                row: dict[str, object] = {"way": way, "changed": changed, "volumes": volumes}
                row["seconds"] = [round(second, 2) for second in times[way]]
                if way == "zsr":  # the first of the ways: its newest runs are those that were timed
                    runs = stage.runs_since(0.0)[-rounds:]
                    row["own_seconds"] = [round(finish - start, 2) for start, finish in runs]
                row |= asdict(stage.counted(_step(stage, way, volumes, changed=changed)))
                if volumes == 1 and (changed or way in ("zsr", "hand")):
                    row["round_trips"] = _round_trips(stage, way, volumes, changed=changed, near=median(times[way]))
                _say(str(row))
                found.append(row)
                keep(found)  # what was found stays found


def _round_trips(stage: BenchEnv, way: str, volumes: int, *, changed: bool, near: float) -> float:
    line = _step(stage, way, volumes, changed=changed)
    with stage.delayed(DELAY):
        far = stage.timed(line)
    return round((far - near) / DELAY, 1)


def _together(stage: BenchEnv, guests: int) -> dict[str, object]:
    """Guests of one volume each that are due at the same moment with nothing changed: zsr."""
    for guest in range(100, 100 + guests):
        stage.grow(Tree("tank/zsr", guest, 1))
    stage.daemon(list(range(100, 100 + guests)))
    seconds = [round(stage.batch(guests, count=False)[0], 2) for _ in range(2)]
    _, cost = stage.batch(guests, count=True)
    return {"way": "zsr", "guests": guests, "seconds": seconds} | (asdict(cost) if cost else {})


def main() -> None:
    """Boot the lab, measure, write bench/results/latency.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--volumes", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS))
    parser.add_argument("--name", default="latency", help="of the result's file")
    parser.add_argument("--guests", type=int, default=20)
    parser.add_argument("--only", choices=("steps", "together"))
    options = parser.parse_args()
    with booted() as lab:
        if options.only != "together":
            stage = BenchEnv(lab)
            versions = peers.put(stage.source)
            chosen = {way: WAYS[way] for way in options.ways}
            prepare(stage, chosen, options.volumes)

            def keep(steps: list[dict[str, object]]) -> Path:
                return save(options.name, {"versions": versions, "delay": DELAY, "steps": steps})

            _measure(stage, chosen, options.volumes, options.rounds, keep)
        if options.only != "steps":
            together = _together(BenchEnv(lab), options.guests)
            _say(str(together))
            _say(f"written: {save('together', {'together': together})}")


if __name__ == "__main__":
    main()
