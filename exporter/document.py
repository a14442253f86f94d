"""Writes the tables of docs/metrics.md from the catalogue: ``python -m exporter.document docs/metrics.md``.

A test fails when the page and the catalogue differ.
"""

from __future__ import annotations

import sys
from pathlib import Path

from exporter.catalogue import CATALOGUE, Metric

BEGIN = "<!-- metrics: written by python -m exporter.document -->"
END = "<!-- end of metrics -->"


def table() -> str:
    """All metrics as one Markdown table."""
    head = "| metric | type | labels | meaning | example |\n|---|---|---|---|---|\n"
    return head + "".join(_row(metric) for metric in CATALOGUE)


def filled(page: str) -> str:
    """The page with what lies between its two marks replaced by the table. Raises ValueError if a mark is missing."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"The page must contain the lines {BEGIN} and {END}, in this order.")
    return f"{before}{BEGIN}\n{table()}{END}{after}"


def _row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
    absent = f" Absent {metric.absent}." if metric.absent else ""
    example = metric.example.replace("|", "\\|")
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help}{absent} | `{example}` |\n"


def main(arguments: list[str]) -> int:
    """Rewrite the page that is named; 2 when none is."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m exporter.document docs/metrics.md\n")
        return 2
    page = Path(arguments[0])
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
