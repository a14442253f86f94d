"""Panels about the moves of a guest between nodes."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from grafana.panel import Panel, Query, graph
from grafana.panels import common
from grafana.promql import GUEST

_NEVER = "never moved"


def counts(number: int, place: common.Place) -> timeseries.Panel:
    """How often the guest was moved or recovered, by time."""
    moved = f"increase(zsr_guest_moves_total{{{GUEST}}}[$__rate_interval])"
    return graph(
        Panel(
            number,
            "Moves",
            "How often the guest was moved to another node, or recovered on one while its own was dead, by "
            "time. Good: moved, and only when a person wanted it.",
            *place,
            unit="none",
            empty=_NEVER,
        ),
        Query(f"sum by (guest, how) ({moved})", "guest {{guest}} {{how}}"),
        bars=True,
    )


def downtime(number: int, place: common.Place) -> timeseries.Panel:
    """How long the guest was off when it was last moved, and how long ago that was."""
    return graph(
        Panel(
            number,
            "Last move",
            "How long the guest was off when it was last moved, how long ago its last move or recovery was, and how "
            "long it has been moving now. Good: seconds off, and nothing that is moving for minutes.",
            *place,
            unit="s",
            empty=_NEVER,
            runbook="ZsrMoveUnfinished",
        ),
        Query(f"max by (guest) (zsr_guest_last_move_downtime_seconds{{{GUEST}}})", "guest {{guest}} off"),
        Query(f"max by (guest) (time() - zsr_guest_last_move_timestamp_seconds{{{GUEST}}})", "guest {{guest}} ago"),
        Query(
            f"max by (guest, node) (time() - zsr_guest_moving_since_timestamp_seconds{{{GUEST}}})",
            "guest {{guest}} moving to {{node}}",
        ),
    )
