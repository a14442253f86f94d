"""Reading a dashboard's JSON in tests: its panels, their queries, and what Grafana would put in for the variables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import promql_parser

ALL = {
    "$cluster": ".*",
    "$job": ".+",
    "$instance": ".+",
    "$guest": ".+",
    "$zsr_job": ".+",
    "$__rate_interval": "1h",
    "$__interval": "15s",
    "$__range": "1h",
}
"""Windows are so long that what was counted at a test's beginning is still in them when a slow machine comes to ask."""


def panels_of(board: dict[str, Any], *, rows: bool = False) -> Iterator[dict[str, Any]]:
    """The panels, also those inside collapsed rows; the rows themselves only if asked for."""
    for panel in board["panels"]:
        if panel["type"] != "row" or rows:
            yield panel
        yield from panel.get("panels", [])


def expressions(board: dict[str, Any]) -> Iterator[str]:
    """The queries of all panels and of the marks in the graphs."""
    for panel in panels_of(board):
        for target in panel["targets"]:
            yield target["expr"]
    for mark in board["annotations"]["list"]:
        yield mark["expr"]


def substituted(expression: str, **values: str) -> str:
    """The query with the variables filled in; "All" where no value is given."""
    chosen = ALL | {f"${name}": value for name, value in values.items()}
    for name in sorted(chosen, key=len, reverse=True):
        expression = expression.replace(name, chosen[name])
    return expression


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """All vector selectors below a node of a query's syntax tree."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if child is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or []:
        yield from selectors(child)
