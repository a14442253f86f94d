"""Panels about the freeze and thaw hooks of a guest."""

from __future__ import annotations

from grafana_foundation_sdk.builders import timeseries

from grafana.panel import Panel, Query, graph
from grafana.panels import common
from grafana.promql import GUEST, JOB

_NONE = f"0 * max by (guest) (zsr_job_info{{{JOB}}})"
"""A guest without hooks, or one that is not frozen, has no series of its own."""


def frozen(number: int, place: common.Place) -> timeseries.Panel:
    """How long the guest has been frozen."""
    since = f"zsr_guest_frozen_since_timestamp_seconds{{{GUEST}}}"
    return graph(
        Panel(
            number,
            "Frozen for",
            "How long the guest has been frozen for a snapshot, as of each scrape. Good: 0, or points of some seconds. "
            "A line that climbs is a guest that stands still.",
            *place,
            unit="s",
            runbook="ZsrGuestFrozen",
        ),
        Query(f"max by (guest) (time() - {since}) or {_NONE}", "guest {{guest}}"),
    )


def failures(number: int, place: common.Place) -> timeseries.Panel:
    """How often its hooks failed, by time."""
    return graph(
        Panel(
            number,
            "Failed hooks",
            "How often the guest's freeze and thaw hooks failed, by time. Good: none.",
            *place,
            unit="none",
            runbook="ZsrFreezeFailing",
        ),
        Query(
            f"sum by (guest, hook) (increase(zsr_hook_failures_total{{{GUEST}}}[$__rate_interval])) or {_NONE}",
            "guest {{guest}} {{hook}}",
        ),
        bars=True,
    )


def failed_freezes(number: int, place: common.Place) -> timeseries.Panel:
    """How many of its last freezes failed."""
    return graph(
        Panel(
            number,
            "Failed of the last five freezes",
            "In how many of its last five runs the guest's freeze hook failed. Good: 0; at 3 the alert fires.",
            *place,
            unit="none",
            runbook="ZsrFreezeFailing",
        ),
        Query(f"max by (guest) (zsr_guest_failed_freezes{{{GUEST}}}) or {_NONE}", "guest {{guest}}"),
        decimals=0,
    )
