"""Panels about the drills of a guest."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from grafana.panel import Panel, Query, graph
from grafana.panels import common
from grafana.promql import GUEST

_NAME = "guest {{guest}} on {{node}}"
_NEVER = "not drilled"


def _each(expression: str) -> str:
    return f"max by (guest, node) ({expression})"


def awaited(number: int, place: common.Place) -> timeseries.Panel:
    """Since when a drill that passes is awaited, and how long it may be."""
    since = f"zsr_drill_awaited_since_timestamp_seconds{{{GUEST}}}"
    return graph(
        Panel(
            number,
            "Since a drill passed",
            "How long ago the last drill passed on each target, and how long that may be, as a dashed line. Good: saw "
            "teeth below the dashed line.",
            *place,
            unit="s",
            empty=_NEVER,
            runbook="ZsrDrillOverdue",
        ),
        Query(_each(f"time() - {since}"), _NAME),
        Query(_each(f"zsr_drill_limit_seconds{{{GUEST}}}"), f"{_NAME} limit"),
        Query(_each(f"time() - zsr_drill_last_success_timestamp_seconds{{{GUEST}}}"), f"{_NAME} passed"),
        limits="limit$",
    )


def results(number: int, place: common.Place) -> timeseries.Panel:
    """How drills ended, by time."""
    counts = f"increase(zsr_drills_total{{{GUEST}}}[$__rate_interval])"
    return graph(
        Panel(
            number,
            "Drills",
            "How drills ended, by time: passed, failed, or undone (it could not be done). Good: passed ones only.",
            *place,
            unit="none",
            empty=_NEVER,
            runbook="ZsrDrillFailed",
        ),
        Query(f"sum by (guest, node, result) ({counts})", f"{_NAME} {{{{result}}}}"),
        bars=True,
    )


def last(number: int, place: common.Place) -> timeseries.Panel:
    """Whether the last drill failed, or could not be done."""
    return graph(
        Panel(
            number,
            "Last drill",
            "1 while the last drill that could be done failed, and while the last one could not be done. Good: 0.",
            *place,
            unit="none",
            empty=_NEVER,
            runbook="ZsrDrillFailed",
        ),
        Query(_each(f"zsr_drill_failed{{{GUEST}}}"), f"{_NAME} failed"),
        Query(_each(f"zsr_drill_undone{{{GUEST}}}"), f"{_NAME} not done"),
        decimals=0,
    )


def times(number: int, place: common.Place) -> timeseries.Panel:
    """How long drills took, how old their sets were, and when the last one was."""
    return graph(
        Panel(
            number,
            "Times of drills",
            "How long the last drill took, how old its set was, how long ago it ended, and for how long clones of one "
            "have been left. Good: no clones left, and a set that is no older than the promise.",
            *place,
            unit="s",
            empty=_NEVER,
        ),
        Query(_each(f"zsr_drill_last_duration_seconds{{{GUEST}}}"), f"{_NAME} took"),
        Query(_each(f"zsr_drill_last_set_age_seconds{{{GUEST}}}"), f"{_NAME} set"),
        Query(_each(f"time() - zsr_drill_last_timestamp_seconds{{{GUEST}}}"), f"{_NAME} ended"),
        Query(_each(f"time() - zsr_drill_clones_since_timestamp_seconds{{{GUEST}}}"), f"{_NAME} clones left"),
    )
