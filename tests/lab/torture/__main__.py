"""``python -m tests.lab.torture [N]``: N faults, drawn by seed; one line each, and a table at the end.

Settings (environment): SEED (of the first case; the others follow), CASE (only this one, as a line of a failed one
gives it, or by its seed), LANES (labs at once). A seed whose fault did not come where it was to come is replaced by
one more.
"""

from __future__ import annotations

import os
import random
import sys
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from queue import Empty, SimpleQueue

from tests.lab.lab import Lab
from tests.lab.torture.attempt import Result, try_case
from tests.lab.torture.cases import Case, Place, draw, forgotten, places, table
from tests.lab.torture.env import TortureEnv
from tests.lab.torture.steps import passed_steps

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
    if only := os.environ.get("CASE"):
        return report(Torture([int(only) if only.isdigit() else Case.parse(only)], extra=0).run(1), whole=False)
    lanes = 1 if count == 1 else int(os.environ.get("LANES") or "2")
    say(f"{count} faults, seeds from {first}, {lanes} lanes")
    return report(Torture(range(first, first + count), extra=count // 5 + 2).run(lanes), whole=True)


class Torture:
    """Cases, given whole or by their seed, are taken by the next free lab.

    For one whose fault did not come where it was to come the next seed is tried, at most ``extra`` times.
    """

    def __init__(self, cases: Sequence[Case | int], *, extra: int) -> None:
        self._seeds: SimpleQueue[Case | int] = SimpleQueue()
        for case in cases:
            self._seeds.put(case)
        self._all = len(cases)
        last = cases[-1]
        after = (last.seed if isinstance(last, Case) else last) + 1
        self._more = iter(range(after, after + extra))
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
                    for done in [threads.submit(self._work, TortureEnv(lab)) for lab in labs]:
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

    def _work(self, env: TortureEnv) -> None:
        env.begin()
        matrix = self._matrix(env)
        while True:
            try:
                seed = self._seeds.get_nowait()
            except Empty:
                return
            result = try_case(env, seed if isinstance(seed, Case) else draw(seed, matrix))
            with self._lock:
                self._results.append(result)
                if result.missed and (more := next(self._more, None)) is not None:
                    self._all += 1
                    self._seeds.put(more)
                say(_line(len(self._results), self._all, result))
                if result.broken:
                    evidence(result.case).write_text(f"{_line(0, 0, result)}\n\n{result.evidence}")

    @staticmethod
    def _matrix(env: TortureEnv) -> list[Place]:
        passed = passed_steps(env)
        if holes := forgotten(passed):
            raise AssertionError(f"no kind of run passes {', '.join(map(str, sorted(holes)))}: the matrix has a hole")
        return places(passed)


def _line(number: int, of: int, result: Result) -> str:
    verdict = f"BROKEN {result.broken}" if result.broken else f"missed: {result.missed}" if result.missed else "well"
    return f"{number}/{of} [{result.case}] {verdict} ({result.seconds:.1f} s)"


def evidence(case: Case) -> Path:
    """The file that says what was there when a case had failed."""
    return Path(f"/tmp/torture-{case.seed}.txt")


def report(results: list[Result], *, whole: bool) -> int:
    """Print the summary, save evidence and table; the exit status."""
    broken = [result for result in results if result.broken]
    for result in broken:
        say(f"make torture CASE='{result.case}'   # {result.broken[:200]}; evidence in {evidence(result.case)}")
    words = {"lost": "lost", "stuck": "stuck", "avoidable": "avoidable full resends", "left over": "left over"}
    counts = {word: sum(result.broken.startswith(word) for result in broken) for word in words}
    drawn: list[Case] = [result.case for result in results if not result.missed]
    summary = ", ".join([f"{len(drawn)} faults", *(f"{counts[word]} {words[word]}" for word in words)])
    summary += f", {len(broken) - sum(counts.values())} other"
    say(f"{table(drawn)}\n{summary} ({len(results) - len(drawn)} missed their place and were replaced)")
    if whole and DOCUMENT.is_file() and len(drawn) >= 100:
        text = DOCUMENT.read_text()
        head, _, rest = text.partition(_BEGIN)
        tail = rest.partition(_END)[2]
        seeds = f"seeds {min(c.seed for c in drawn)} to {max(c.seed for c in drawn)}"
        DOCUMENT.write_text(f"{head}{_BEGIN}\n{summary} ({seeds}).\n\n{table(drawn)}\n{_END}{tail}")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
