"""``python -m tools.proof --hours N``: the tests that take hours, round after round until the time is over.

A round runs the property tests with many times their usual examples (schedules simulated over years, restore points,
the calendar, plans), a day of a healthy fleet of 200 jobs (`tests.monitoring.healthy_fleet`), all mutants of the alert
rules (`tests.monitoring.mutate_rules`), all slow tests of which `make test` runs a part (mark ``sampled``), steps in
drawn configurations (`tests.lab.fuzz`), and faults at random steps of real runs between real nodes
(`tests.lab.torture`). Each round has its own seed, which is printed; the same seed repeats it. `make test` runs a
sample of the same with the commit as the seed.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAULTS = 60
"""Faults in a round: about half an hour on two processors."""

FUZZ_STEPS = 5000
"""Steps of the fuzz in a round."""

EXAMPLES_TIMES = 20
"""How many times the usual number of examples a property test tries."""


@dataclass(frozen=True, slots=True)
class Part:
    """One command of a round, with what it needs in its environment."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Done:
    """How a part ended, with its round's seed."""

    part: str
    seed: int
    seconds: float
    status: int

    def __str__(self) -> str:
        ended = "well" if self.status == 0 else f"FAILED (status {self.status})"
        return f"{self.part:<13} seed {self.seed:<12} {self.seconds:>6.0f} s  {ended}"


def property_tests(root: Path = ROOT) -> list[str]:
    """The test files that have property tests."""
    files = sorted((root / "tests/unit").rglob("test_*.py"))
    return [str(path.relative_to(root)) for path in files if "from hypothesis import" in path.read_text()]


def parts(seed: int, files: Sequence[str]) -> list[Part]:
    """The parts of the round with this seed."""
    return [
        Part(
            "properties",
            ["-m", "pytest", "-q", f"--hypothesis-seed={seed}", *files],
            {"ZSR_EXAMPLES_TIMES": str(EXAMPLES_TIMES)},
        ),
        Part("healthy fleet", ["-m", "tests.monitoring.healthy_fleet", f"--seed={seed}"], {}),
        Part("mutants", ["-m", "tests.monitoring.mutate_rules"], {}),
        Part("slow tests", ["-m", "pytest", "-q", "-m", "sampled", "tests/lab", "tests/monitoring", "tests/zfs"], {}),
        Part("fuzz", ["-m", "tests.lab.fuzz", str(FUZZ_STEPS)], {"SEED": str(seed * 1000)}),
        Part("faults", ["-m", "tests.lab.torture", str(FAULTS)], {"SEED": str(seed)}),
    ]


def run(part: Part) -> int:
    """Run a part to its end; its exit status."""
    environment = {**os.environ, **part.environment}
    return subprocess.run([sys.executable, *part.argv], cwd=ROOT, env=environment, check=False).returncode


def rounds(
    seed: int, seconds: float, files: Sequence[str], run: Callable[[Part], int], clock: Callable[[], float]
) -> list[Done]:
    """Round after round; no part is begun when the time is over, and the first round is run in any case."""
    ended: list[Done] = []
    began = clock()
    number = 0
    while number == 0 or clock() - began < seconds:
        for part in parts(seed + number * FAULTS * 2, files):
            if number and clock() - began >= seconds:
                break
            before = clock()
            status = run(part)
            ended.append(Done(part.name, seed + number * FAULTS * 2, clock() - before, status))
        number += 1
    return ended


def main(arguments: Sequence[str]) -> int:
    """Run until the hours are over; 1 if any part failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.proof")
    parser.add_argument("--hours", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**8))
    options = parser.parse_args(arguments)
    ended = rounds(options.seed, options.hours * 3600, property_tests(), run, time.monotonic)
    sys.stdout.write("".join(f"{done}\n" for done in ended))
    return int(any(done.status for done in ended))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
