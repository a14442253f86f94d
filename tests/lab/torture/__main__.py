"""``python -m tests.lab.torture [N]``: N faults, drawn by seed; one line each, and a table at the end.

Settings (environment): SEED (of the first case; the others follow), CASE (this one only), LANES (labs at once).
"""

from __future__ import annotations

import os
import random
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.lab.lab import Lab
from tests.lab.torture.cases import Case, Place, draw, forgotten, places, table
from tests.lab.torture.lane import Lane, Result
from tests.lab.torture.survey import passed_steps

DOCUMENT = Path(__file__).parents[3] / "docs" / "reliability.md"
_BEGIN, _END = "<!-- torture: begin -->", "<!-- torture: end -->"


def say(line: str) -> None:
    """Write a line at once, also into a pipe."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def main() -> int:
    """Try the faults; exit status 1 if a promise is broken."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    first = int(os.environ.get("SEED") or random.SystemRandom().randrange(10**6) * 1000)
    seeds = [int(os.environ["CASE"])] if os.environ.get("CASE") else list(range(first, first + count))
    lanes = 1 if len(seeds) == 1 else int(os.environ.get("LANES", "2"))
    say(f"{len(seeds)} faults, seeds {seeds[0]} to {seeds[-1]}, {lanes} lanes")
    results = Torture(seeds).run(lanes)
    return report(results, whole="CASE" not in os.environ)


class Torture:
    """Seeds are taken by whichever lane is free."""

    def __init__(self, seeds: list[int]) -> None:
        self._seeds: SimpleQueue[int] = SimpleQueue()
        for seed in seeds:
            self._seeds.put(seed)
        self._all = len(seeds)
        self._results: list[Result] = []
        self._lock = threading.Lock()

    def run(self, lanes: int) -> list[Result]:
        """All results, once all seeds are tried."""
        labs = [Lab(f"zsr-torture-{os.getpid()}-{number}") for number in range(lanes)]
        try:
            for lab in labs:
                lab.up(2, memory_mb=768)
            with ThreadPoolExecutor(lanes) as threads:
                try:
                    for done in [threads.submit(self._work, Lane(lab)) for lab in labs]:
                        done.result()
                except KeyboardInterrupt:  # what was tried is reported
                    self._forget_the_rest()
        finally:
            for lab in labs:
                lab.down()
        return self._results

    def _forget_the_rest(self) -> None:
        with suppress(Empty):
            while True:
                self._seeds.get_nowait()

    def _work(self, lane: Lane) -> None:
        lane.begin()
        matrix = self._matrix(lane)
        while True:
            try:
                seed = self._seeds.get_nowait()
            except Empty:
                return
            result = lane.try_case(draw(seed, matrix))
            with self._lock:
                self._results.append(result)
                say(_line(len(self._results), self._all, result))
                if result.broken:
                    evidence(result.case).write_text(f"{_line(0, 0, result)}\n\n{result.evidence}")

    @staticmethod
    def _matrix(lane: Lane) -> list[Place]:
        passed = passed_steps(lane)
        if holes := forgotten(passed):
            raise AssertionError(f"no kind of run passes {', '.join(map(str, sorted(holes)))}: the matrix has a hole")
        return places(passed)


def _line(number: int, of: int, result: Result) -> str:
    case = result.case
    place = f"{case.place.kind}, {case.place.step} {case.place.nth}{' at a byte' if case.place.at_byte else ''}"
    verdict = f"BROKEN {result.broken}" if result.broken else "well"
    return f"{number}/{of} seed {case.seed}: {place}: {case.fault}: {verdict} ({result.seconds:.1f} s)"


def evidence(case: Case) -> Path:
    """The file that says what was there when a case had failed."""
    return Path(f"/tmp/torture-{case.seed}.txt")


def report(results: list[Result], *, whole: bool) -> int:
    """Print the summary, save evidence and table; the exit status."""
    broken = [result for result in results if result.broken]
    for result in broken:
        path = Path(f"/tmp/torture-{result.case.seed}.txt")
        path.write_text(f"{_line(0, 0, result)}\n\n{result.evidence}")
        say(f"make torture CASE={result.case.seed}   # {result.broken[:200]}; evidence in {path}")
    counts = {word: sum(result.broken.startswith(word) for result in broken) for word in ("lost", "stuck", "avoidable")}
    others = len(broken) - sum(counts.values())
    summary = (
        f"{len(results)} faults, {counts['lost']} lost, {counts['stuck']} stuck, "
        f"{counts['avoidable']} avoidable full resends, {others} other"
    )
    drawn: list[Case] = [result.case for result in results]
    say(f"{table(drawn)}\n{summary}")
    if whole and DOCUMENT.is_file() and len(results) >= 100:
        text = DOCUMENT.read_text()
        head, _, rest = text.partition(_BEGIN)
        tail = rest.partition(_END)[2]
        seeds = f"seeds {min(c.seed for c in drawn)} to {max(c.seed for c in drawn)}"
        DOCUMENT.write_text(f"{head}{_BEGIN}\n{summary} ({seeds}).\n\n{table(drawn)}\n{_END}{tail}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
