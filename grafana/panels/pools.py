"""Panels about the pools that hold sources and replicas."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table, timeseries

from grafana.layout import to_node
from grafana.panel import FULL, Panel, Query, graph, stat_panel
from grafana.panels.common import Place
from grafana.panels.tables import Column, table_panel
from grafana.promql import NODE, POOL_USED, STORAGE_USED, TARGET_POOL_USED, per_daemon, worst

UNKNOWN = "no pool known"


def fullest(number: int, place: Place) -> stat.Panel:
    """The pool with the least space."""
    return stat_panel(
        Panel(
            number,
            "Fullest pool",
            "Used part of the fullest pool that holds sources or replicas. Good: below 80 %.",
            *place,
            unit="percentunit",
            empty=UNKNOWN,
            runbook="ZsrTargetPoolNearlyFull",
        ),
        Query(f"max({POOL_USED})"),
        steps=FULL,
    )


def pools(number: int, place: Place) -> table.Panel:
    """All pools, the fullest first."""
    columns = [
        Column("Pool", label="pool", width=150),
        Column("Role", label="role", width=90),
        Column("Node", label="instance", link=to_node("${__data.fields.Node}"), hint="This node"),
        Column("Used", per_daemon(POOL_USED, "pool", "role"), unit="percentunit", decimals=0, width=90, steps=FULL),
        Column("Free", _bytes("zsr_pool_free_bytes"), unit="bytes", decimals=1, width=100),
        Column("Size", _bytes("zsr_pool_size_bytes"), unit="bytes", decimals=1, width=100),
        Column("Cluster", label="cluster", width=90),
    ]
    return table_panel(
        Panel(
            number,
            "Pools, fullest first",
            "The pools that hold sources or replicas. A target without space fails every run with 'no_space'. "
            "Good: below 80 %.",
            *place,
            unit="none",
            empty=UNKNOWN,
            runbook="ZsrTargetPoolNearlyFull",
        ),
        columns,
        sort="Used",
    )


def _bytes(metric: str) -> str:
    return per_daemon(f"{metric}{{{NODE}}}", "pool", "role")


def used_over_time(number: int, place: Place) -> timeseries.Panel:
    """How the pools fill."""
    return graph(
        Panel(
            number,
            "How full the pools are",
            "Used part of each pool, and of each storage by its quota, the 15 fullest. Good: flat, below 80 %; a line "
            "that climbs each day is a retention that does not hold or a pool that is too small.",
            *place,
            unit="percentunit",
            empty=UNKNOWN,
            runbook="ZsrTargetPoolNearlyFull",
        ),
        Query(worst(POOL_USED), "{{pool}} on {{instance}} ({{role}})"),
        Query(worst(STORAGE_USED), "storage {{storage}} on {{instance}} ({{role}})"),
        Query(worst(TARGET_POOL_USED), "{{pool}} on {{node}}, which runs no zsr"),
        steps=((None, "transparent"), *FULL[1:]),
        top=1,
    )
