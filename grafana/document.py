"""Writes the tables of docs/dashboards.md from the panels: ``python -m grafana.document docs/dashboards.md``.

A test fails when the page and the dashboards differ.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from grafana.build import DASHBOARDS, render

END = "<!-- end of panels -->"


def begin(name: str) -> str:
    """The line above the table of a dashboard."""
    return f"<!-- panels of {name}: written by python -m grafana.document -->"


def table(name: str) -> str:
    """All panels of a dashboard as one Markdown table, in reading order, with the rows as headings."""
    board = json.loads(render(name))
    head = "| panel | what it shows, and what is good | if it is not |\n|---|---|---|\n"
    return head + "".join(_line(panel) for panel in _panels(board))


def filled(page: str) -> str:
    """The page with its tables written anew. Raises ValueError if a dashboard has no place in it."""
    for name in DASHBOARDS:
        before, mark, rest = page.partition(begin(name))
        _, end, after = rest.partition(END)
        if not mark or not end:
            raise ValueError(f"The page must contain the lines {begin(name)} and {END}, in this order.")
        page = f"{before}{mark}\n{table(name)}{end}{after}"
    return page


def _panels(board: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for panel in board["panels"]:
        yield panel
        yield from panel.get("panels", [])


def _line(panel: dict[str, Any]) -> str:
    if panel["type"] == "row":
        folded = " (folded)" if panel["collapsed"] else ""
        return f"| **{panel['title']}**{folded} | | |\n"
    alerts = [re.sub(r".*/(\w+)\.md", r"\1", link["url"]) for link in panel.get("links", [])]
    runbooks = ", ".join(f"[{alert}](../alerts/runbooks/{alert}.md)" for alert in alerts)
    return f"| {panel['title']} | {panel['description']} | {runbooks} |\n".replace("  |", " |")


def main(arguments: list[str]) -> int:
    """Rewrite the page that is named; 2 when none is."""
    if len(arguments) != 1:
        sys.stderr.write("usage: python -m grafana.document docs/dashboards.md\n")
        return 2
    page = Path(arguments[0])
    page.write_text(filled(page.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
