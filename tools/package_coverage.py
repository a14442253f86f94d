"""``python -m tools.package_coverage``: which part of each package the tests ran, from the data in ``.coverage``."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePath
from typing import Any


def package_of(file: str) -> str:
    """The package that a file is counted to: its folder, ``replicator/zfs`` say."""
    return str(PurePath(file).parent)


def by_package(files: Mapping[str, Mapping[str, Any]]) -> list[tuple[str, int, int]]:
    """Each package with its lines and those that were run; ``files`` is that of coverage's JSON report."""
    lines: Counter[str] = Counter()
    run: Counter[str] = Counter()
    for file, found in files.items():
        lines[package_of(file)] += found["summary"]["num_statements"]
        run[package_of(file)] += found["summary"]["covered_lines"]
    return [(package, lines[package], run[package]) for package in sorted(lines) if lines[package]]


def table(rows: Iterable[tuple[str, int, int]]) -> str:
    """The packages as a table, with the sum as its last line."""
    known = list(rows)
    total = ("all", sum(row[1] for row in known), sum(row[2] for row in known))
    head = f"{'package':<28}{'lines':>8}{'run':>8}{'%':>7}\n"
    return head + "".join(
        f"{package:<28}{lines:>8}{run:>8}{100 * run / max(lines, 1):>7.1f}\n" for package, lines, run in (*known, total)
    )


def main() -> int:
    """Print the table; coverage's own exit status if it has no data."""
    done = subprocess.run(
        [sys.executable, "-m", "coverage", "json", "--quiet", "-o", "-"], stdout=subprocess.PIPE, text=True, check=False
    )
    if done.returncode != 0:
        return done.returncode
    sys.stdout.write(table(by_package(json.loads(done.stdout)["files"])))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
