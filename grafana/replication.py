"""The dashboard "zsr / Replication": is every promise kept, which job is worst, and why.

From top to bottom: the answer in one glance, the jobs worst first, how it came to be, the causes, the daemon itself.
Titles are for somebody who was asleep a minute ago.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.builders import stat, table, timeseries
from grafana_foundation_sdk.models import dashboard as model

from grafana.glance import glance, jobs
from grafana.parts import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    RED,
    SOURCE,
    Panel,
    Query,
    graph,
    stat_panel,
    words,
)
from grafana.promql import JOB, LAG, NODE, PROMISING, USED, events, worst

UID = "zsr-replication"
RUNBOOKS = "https://github.com/zsr-project/zsr/tree/main/alerts/runbooks"

AnyPanel = stat.Panel | table.Panel | timeseries.Panel


def _over_time() -> list[AnyPanel]:
    return [
        graph(
            Panel(
                20,
                "Promise used up (broken above 100 %)",
                "Age of the last copy as a part of the job's promise, the 15 highest. Good: saw teeth that stay below "
                "the dashed line; a line that only climbs is a job that does not run. "
                "More than 300 % is drawn as 300 %.",
                *(0, 15, 12, 8),
                unit="percentunit",
            ),
            Query(worst(f"clamp_max({USED}, 3)"), "{{zsr_job}}"),
            steps=((None, "transparent"), (1, RED)),
        ),
        graph(
            Panel(
                21,
                "What a dead node would lose, in time",
                "Age of the last proven copy, the 15 highest. Good: never higher than the job's interval plus its run.",
                *(12, 15, 12, 8),
                unit="s",
            ),
            Query(worst(f"{LAG} {PROMISING}"), "{{zsr_job}}"),
        ),
        graph(
            Panel(
                22,
                "Sending now",
                "Bytes sent per second and job, the 15 highest. Good: peaks at each run. A run that is going on with "
                "nothing sent hangs.",
                *(0, 23, 8, 8),
                unit="Bps",
            ),
            Query(
                worst(f"sum by (zsr_job) (rate(zsr_job_sent_bytes_total{{{JOB}}}[$__rate_interval]))"), "{{zsr_job}}"
            ),
        ),
        graph(
            Panel(
                23,
                "How long a run takes",
                "Duration of each job's last finished run, the 15 longest. Good: well below the job's interval.",
                *(8, 23, 8, 8),
                unit="s",
            ),
            Query(worst(f"zsr_job_last_duration_seconds{{{JOB}}}"), "{{zsr_job}}"),
        ),
        graph(
            Panel(
                24,
                "Runs",
                "Runs that ended, by outcome, and slots of the schedule that passed without a start. Good: only green.",
                *(16, 23, 8, 8),
                unit="none",
            ),
            Query(
                f"sum by (outcome) (increase(zsr_job_runs_total{{{JOB}}}[$__rate_interval]))",
                "{{outcome}}",
            ),
            Query(f"sum(increase(zsr_job_missed_runs_total{{{JOB}}}[$__rate_interval])) or vector(0)", "missed"),
            bars=True,
            decimals=0,
            colors={"success": GREEN, "failure": RED, "cancelled": GREY, "missed": ORANGE},
        ),
    ]


def _causes() -> list[AnyPanel]:
    reach = words({"1": ("reachable", GREEN), "0": ("OUT OF REACH", RED)})
    return [
        graph(
            Panel(
                30,
                "Failures by cause",
                "Failed runs by class of error; the runbook of ZsrJobFailing says what each one means. Good: none.",
                *(0, 32, 8, 7),
                unit="none",
            ),
            Query(events("zsr_job_errors_total", "class"), "{{class}}"),
            bars=True,
            decimals=0,
        ),
        graph(
            Panel(
                31,
                "Jobs waiting for their turn",
                "Due jobs that wait for another run of their node to end. Good: back to 0 before the next slot.",
                *(8, 32, 8, 7),
                unit="none",
            ),
            Query(f"zsr_scheduler_queue_length{{{NODE}}}", "{{instance}}"),
            decimals=0,
        ),
        graph(
            Panel(
                32,
                "Longest wait",
                "How long the oldest due job has been waiting. Good: minutes. If it only grows, the node has more to "
                "do than its schedules have time for.",
                *(16, 32, 8, 7),
                unit="s",
            ),
            Query(f"zsr_scheduler_lag_seconds{{{NODE}}}", "{{instance}}"),
        ),
        stat_panel(
            Panel(
                33,
                "Can the targets be reached?",
                "From the last contact of any daemon with each node. Good: all reachable.",
                *(0, 39, 12, 6),
                unit="none",
            ),
            Query(f"min by (node) (zsr_node_reachable{{{NODE}}})", "{{node}}"),
            steps=((None, RED), (1, GREEN)),
            mappings=reach,
        ),
        graph(
            Panel(
                34,
                "Messages sent by zsr",
                "zsr's own notifications by target and outcome. Good: no failure; a target that fails tells nobody "
                "anything.",
                *(12, 39, 12, 6),
                unit="none",
            ),
            Query(events("zsr_notifications_total", "target", "outcome", rest=NODE), "{{target}}: {{outcome}}"),
            bars=True,
            decimals=0,
        ),
    ]


def _daemon() -> list[AnyPanel]:
    return [
        graph(
            Panel(
                40,
                "Event loop delay",
                "How late the daemon's event loop is. Good: below 0.1 s; above 1 s something blocks it.",
                *(0, 46, 8, 7),
                unit="s",
            ),
            Query(f"zsr_event_loop_lag_seconds{{{NODE}}}", "{{instance}}"),
        ),
        graph(
            Panel(
                41,
                "Collectors that failed",
                "Parts of the exporter that could not give their metrics at the last scrape. Good: 0.",
                *(8, 46, 8, 7),
                unit="none",
            ),
            Query(
                f"count by (instance) (zsr_collector_success{{{NODE}}}) - sum by (instance) "
                f"(zsr_collector_success{{{NODE}}})",
                "{{instance}}",
            ),
            decimals=0,
        ),
        graph(
            Panel(
                42,
                "Time to answer a scrape",
                "Seconds that the exporter's parts took for the last scrape, added up. Good: below 0.5 s.",
                *(16, 46, 8, 7),
                unit="s",
            ),
            Query(f"sum by (instance) (zsr_collector_duration_seconds{{{NODE}}})", "{{instance}}"),
        ),
        stat_panel(
            Panel(
                43,
                "Settings",
                "Whether the daemon's last reading of its settings succeeded. If not, it goes on with the last "
                "good ones.",
                *(0, 53, 12, 5),
                unit="none",
            ),
            Query(f"zsr_config_last_reload_successful{{{NODE}}}", "{{instance}}"),
            steps=((None, RED), (1, GREEN)),
            mappings=words({"1": ("accepted", GREEN), "0": ("REJECTED", RED)}),
        ),
        stat_panel(
            Panel(
                44,
                "Versions",
                "Daemons by version of zsr. Good: one version everywhere.",
                *(12, 53, 12, 5),
                unit="none",
            ),
            Query(f"count by (version) (zsr_build_info{{{NODE}}})", "zsr {{version}}"),
            steps=((None, BLUE),),
            names=True,
        ),
    ]


def _row(number: int, title: str, y: int, *, collapsed: bool = False) -> build.Row:
    return build.Row(title).id(number).collapsed(collapsed).grid_pos(model.GridPos(h=1, w=24, x=0, y=y))


def _query_variable(name: str, label: str, series: str, source: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .datasource(SOURCE)
        .query(f"label_values({series}, {source})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".+")
        .current(model.VariableOption(selected=True, text="All", value="$__all"))
    )


def _variables(board: build.Dashboard) -> build.Dashboard:
    source = build.DatasourceVariable("datasource").label("Data source").type("prometheus")
    jobs = 'zsr_job_info{job=~"$job", instance=~"$instance"'
    return (
        board.with_variable(source)
        .with_variable(_query_variable("job", "Job", "zsr_build_info", "job"))
        .with_variable(_query_variable("instance", "Instance", 'zsr_build_info{job=~"$job"}', "instance"))
        .with_variable(_query_variable("guest", "Guest", jobs + "}", "guest"))
        .with_variable(_query_variable("zsr_job", "Replication job", jobs + ', guest=~"$guest"}', "zsr_job"))
    )


def dashboard() -> build.Dashboard:
    """The dashboard as the SDK's builder; ``grafana.build`` turns it into JSON."""
    board = (
        build.Dashboard("zsr / Replication")
        .uid(UID)
        .description("Is every replication promise kept, which job is worst, and why.")
        .tags(["zsr", "zfs", "replication"])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-24h", "now")
        .refresh("1m")
        .timezone("browser")
        .link(
            build.DashboardLink("Runbooks")
            .type(model.DashboardLinkType.LINK)
            .url(RUNBOOKS)
            .icon("doc")
            .tooltip("What to do for each alert")
            .target_blank(True)
        )
    )
    board = _variables(board)
    for panel in [*glance(), jobs()]:
        board = board.with_panel(panel)
    board = board.with_row(_row(100, "How it came to be", 14))
    for panel in _over_time():
        board = board.with_panel(panel)
    board = board.with_row(_row(101, "Why", 31))
    for panel in _causes():
        board = board.with_panel(panel)
    row = _row(102, "Inside the daemon", 45, collapsed=True)
    for panel in _daemon():
        row = row.with_panel(panel)
    return board.with_row(row)
