"""The dashboard "zsr / Replication": is every promise kept, which job is worst, and why.

From top to bottom: the answer at a glance, the jobs worst first, their history, the causes, the daemon itself.
Titles are for an admin who was woken by an alert.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import timeseries

from grafana.layout import REPLICATION, AnyPanel, Row, board, filled
from grafana.panel import Panel, Query, graph
from grafana.panels import common, jobs_table, stats, well
from grafana.panels.daemon import health
from grafana.panels.pools import used_over_time
from grafana.promql import JOB


def _together(number: int, place: common.Place) -> timeseries.Panel:
    return graph(
        Panel(
            number,
            "Sending, all together",
            "Bytes sent per second by all chosen jobs, as a sum. Good: peaks, and time between them; a plateau is a "
            "link that has no reserve left.",
            *place,
            unit="Bps",
        ),
        Query(f"sum(rate(zsr_job_sent_bytes_total{{{JOB}}}[$__rate_interval]))", "all jobs"),
    )


def dashboard() -> build.Dashboard:
    """The dashboard as the SDK's builder; ``grafana.build`` turns it into JSON."""
    top: list[AnyPanel] = [
        stats.broken(1, (0, 0, 4, 4)),
        stats.kept(2, (4, 0, 4, 4)),
        stats.worst_promise(3, (8, 0, 4, 4)),
        stats.failing(4, (12, 0, 4, 4)),
        stats.never_copied(5, (16, 0, 4, 4)),
        stats.silent(7, (20, 0, 4, 4)),
        jobs_table.jobs(10, (0, 4, 24, 10)),
    ]
    rows = [
        Row(103, "Everything is well because ...", 14, [well.checks(11, (0, 15, 24, 10))]),
        _history(),
        _causes(),
        Row(102, "Inside the daemons", 72, health(40, 73), collapsed=True),
    ]
    empty = board(
        REPLICATION, "zsr / Replication", "Is every replication promise kept, which job is worst, and why.", []
    )
    return filled(empty, top, rows)


def _history() -> Row:
    return Row(
        100,
        "How it came to be",
        25,
        [
            common.promise(20, (0, 26, 12, 8)),
            common.lost(21, (12, 26, 12, 8)),
            _together(25, (0, 34, 6, 8)),
            common.sending(22, (6, 34, 6, 8)),
            common.durations(23, (12, 34, 6, 8)),
            common.runs(24, (18, 34, 6, 8)),
        ],
    )


def _causes() -> Row:
    return Row(
        101,
        "Why",
        42,
        [
            common.failures(30, (0, 43, 8, 7)),
            common.queue(31, (8, 43, 8, 7)),
            common.wait(32, (16, 43, 8, 7)),
            common.reachable(33, (0, 50, 8, 6)),
            stats.running(6, (8, 50, 4, 6)),
            stats.kept_aside(35, (12, 50, 4, 6)),
            common.messages(34, (16, 50, 8, 6)),
            common.held_over_time(36, (0, 56, 12, 8)),
            used_over_time(37, (12, 56, 12, 8)),
            common.uncovered(38, (0, 64, 24, 8)),
        ],
    )
