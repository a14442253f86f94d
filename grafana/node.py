"""The dashboard "zsr / Node": a node as the source of its jobs and as the target of others'.

From top to bottom: the answer at a glance, its throughput and queue, the targets it reaches, the replicas it holds for
others, its pools, and the daemon as a process.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import timeseries

from grafana.layout import NODES, AnyPanel, Row, board, filled
from grafana.panel import ORANGE, RED, Panel, Query, graph
from grafana.panels import common, jobs_table, pools, stats
from grafana.panels.daemon import health, process
from grafana.promql import GUEST, JOB, NODE, count, per_daemon, worst


def _streams(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Runs at the same time",
            "Runs that are going on, by node. Good: 0 in between, and at most the node's max_parallel; full copies "
            "come on top.",
            *place,
            unit="none",
        ),
        Query(
            f"count by (cluster, instance) (zsr_job_run_start_timestamp_seconds{{{JOB}}}) "
            f"or 0 * {per_daemon(f'zsr_scheduler_queue_length{{{NODE}}}')}",
            "{{instance}}",
        ),
        decimals=0,
    )


def _busy(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "How busy with runs",
            "Time spent in runs that ended in the last hour, as a part of that hour. Good: below half; near 100 % "
            "times max_parallel the node cannot keep its schedules.",
            *place,
            unit="percentunit",
        ),
        Query(
            f"sum by (instance) (increase(zsr_run_duration_seconds_sum{{{NODE}}}[1h])) / 3600",
            "{{instance}}",
        ),
        steps=((None, "transparent"), (0.8, ORANGE)),
        top=1,
    )


def _throughput(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Sending",
            "Bytes per second that the node's jobs send. Good: peaks, and time between them.",
            *place,
            unit="Bps",
        ),
        Query(
            f"sum by (instance) (rate(zsr_job_sent_bytes_total{{{JOB}}}[$__rate_interval]))",
            "{{instance}}",
        ),
    )


def _peers(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Reachability of the others",
            "1 while the last contact of a node with another succeeded, 0 while it failed; the 15 worst. Good: 1.",
            *place,
            unit="none",
            empty="no contact yet",
            runbook="ZsrTargetUnreachable",
        ),
        Query(f"bottomk(15, zsr_node_reachable{{{NODE}}})", "{{node}} from {{instance}}"),
        decimals=0,
    )


def _clocks(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Clocks of the others",
            "How far the clocks of two nodes are apart, the 15 furthest. Good: below a second. Ages are differences of "
            "two clocks, so they are wrong by as much.",
            *place,
            unit="s",
            empty="no contact yet",
            runbook="ZsrClockSkew",
        ),
        Query(worst(f"abs(zsr_node_clock_skew_seconds{{{NODE}}})"), "{{node}} from {{instance}}"),
        steps=((None, "transparent"), (30, RED)),
        top=1,
    )


def _slots(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Slots missed",
            "Times of the schedules that passed without a start, by job, the 15 highest. Good: 0.",
            *place,
            unit="none",
        ),
        Query(
            worst(f"sum by (zsr_job) (increase(zsr_job_missed_runs_total{{{JOB}}}[$__rate_interval]))"), "{{zsr_job}}"
        ),
        bars=True,
        decimals=0,
    )


def _top() -> list[AnyPanel]:
    mine = Panel(
        2,
        "Jobs run here",
        "Jobs whose source is this node. Good: as many as you made.",
        *(4, 0, 4, 4),
        unit="none",
    )
    others = Panel(
        3,
        "Replicas held here",
        "Guests' replicas that this node holds for others, by storage. Good: as many as there are jobs to it.",
        *(8, 0, 4, 4),
        unit="none",
    )
    return [
        stats.silent(1, (0, 0, 4, 4)),
        stats.amount(mine, count(f"zsr_job_info{{{JOB}}}")),
        stats.amount(others, count(f"zsr_replica_last_sync_timestamp_seconds{{{GUEST}}}")),
        stats.broken(4, (12, 0, 4, 4)),
        stats.failing(5, (16, 0, 4, 4)),
        pools.fullest(6, (20, 0, 4, 4)),
    ]


def _rows() -> list[Row]:
    return [
        Row(
            100,
            "As a source",
            4,
            [
                jobs_table.jobs(10, (0, 5, 24, 8)),
                common.queue(11, (0, 13, 8, 7)),
                common.wait(12, (8, 13, 8, 7)),
                _slots(13, (16, 13, 8, 7)),
                _throughput(14, (0, 20, 8, 7)),
                _streams(15, (8, 20, 8, 7)),
                _busy(16, (16, 20, 8, 7)),
                common.runs(17, (0, 27, 8, 7)),
                common.failures(18, (8, 27, 8, 7)),
                common.durations(19, (16, 27, 8, 7)),
            ],
        ),
        Row(
            101,
            "Whom it reaches",
            34,
            [common.reachable(30, (0, 35, 8, 7)), _peers(31, (8, 35, 8, 7)), _clocks(32, (16, 35, 8, 7))],
        ),
        Row(
            102,
            "As a target",
            42,
            [
                common.held(40, (0, 43, 24, 8)),
                common.held_over_time(41, (0, 51, 12, 8)),
                common.aside(42, (12, 51, 12, 8)),
            ],
        ),
        Row(103, "Pools", 59, [pools.pools(50, (0, 60, 12, 8)), pools.used_over_time(51, (12, 60, 12, 8))]),
        Row(104, "The daemon", 68, [*process(60, 69), *health(70, 76), common.messages(80, (0, 88, 24, 6))]),
    ]


def dashboard() -> build.Dashboard:
    """The dashboard as the SDK's builder; ``grafana.build`` turns it into JSON."""
    empty = board(
        NODES,
        "zsr / Node",
        "A node as source and as target: its jobs, whether it keeps up, what it holds, its pools, its daemon.",
        ["node"],
    )
    return filled(empty, _top(), _rows())
