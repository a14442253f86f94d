"""Write the generated tables of pages of docs/: ``python -m tools.docs_tables PAGE...``.

The metrics come from the exporter's catalogue, the panels from the dashboards, the states from their tests. A test
fails when a page and the code differ.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from exporter.catalogue import CATALOGUE
from exporter.metric import Metric
from grafana.build import DASHBOARDS, render
from tools.states_table import states_table

METRICS_BEGIN = "<!-- metrics: written by python -m tools.docs_tables -->"
METRICS_END = "<!-- end of metrics -->"
STATES_BEGIN = "<!-- states: written by python -m tools.docs_tables -->"
STATES_END = "<!-- end of states -->"
PANELS_END = "<!-- end of panels -->"


def panels_begin(name: str) -> str:
    """The line above the table of a dashboard."""
    return f"<!-- panels of {name}: written by python -m tools.docs_tables -->"


def metrics_table() -> str:
    """All metrics as one Markdown table."""
    head = "| metric | type | labels | meaning | example |\n|---|---|---|---|---|\n"
    return head + "".join(_metric_row(metric) for metric in CATALOGUE)


def panels_table(name: str) -> str:
    """All panels of a dashboard as one Markdown table, in reading order, with the rows as headings."""
    board = json.loads(render(name))
    head = "| panel | what it shows, and what is good | if it is not |\n|---|---|---|\n"
    return head + "".join(_panel_row(panel) for panel in _panels(board))


def with_metrics(page: str) -> str:
    """The page with its table of metrics renewed. Raises ValueError if a mark is missing."""
    return _between(page, METRICS_BEGIN, METRICS_END, metrics_table())


def with_panels(page: str) -> str:
    """The page with its tables of panels renewed. Raises ValueError if a dashboard has no place in it."""
    for name in DASHBOARDS:
        page = _between(page, panels_begin(name), PANELS_END, panels_table(name))
    return page


def with_states(page: str) -> str:
    """The page with its table of states renewed. Raises ValueError if a mark is missing."""
    return _between(page, STATES_BEGIN, STATES_END, states_table())


PAGES: dict[str, Callable[[str], str]] = {
    "metrics.md": with_metrics,
    "dashboards.md": with_panels,
    "states.md": with_states,
}
"""The pages with tables, and the function that renews them."""


def _between(page: str, begin: str, end: str, table: str) -> str:
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"The page must contain the lines {begin} and {end}, in this order.")
    return f"{before}{begin}\n{table}{end}{after}"


def _metric_row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
    absent = f" Absent {metric.absent}." if metric.absent else ""
    example = metric.example.replace("|", "\\|")
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.help}{absent} | `{example}` |\n"


def _panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def _panel_row(panel: dict[str, Any]) -> str:
    if panel["type"] == "row":
        folded = " (folded)" if panel["collapsed"] else ""
        return f"| **{panel['title']}**{folded} | | |\n"
    alerts = [re.sub(r".*/(\w+)\.md", r"\1", link["url"]) for link in panel.get("links", [])]
    runbooks = ", ".join(f"[{alert}](../alerts/runbooks/{alert}.md)" for alert in alerts)
    return f"| {panel['title']} | {panel['description']} | {runbooks} |\n".replace("  |", " |")


def main(arguments: list[str]) -> int:
    """Rewrite the pages that are named; 2 when none is, or one that has no tables."""
    pages = [Path(argument) for argument in arguments]
    if not pages or any(page.name not in PAGES for page in pages):
        sys.stderr.write("usage: python -m tools.docs_tables docs/metrics.md docs/dashboards.md docs/states.md\n")
        return 2
    for page in pages:
        page.write_text(PAGES[page.name](page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
