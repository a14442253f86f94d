"""Panels that several dashboards use: the table of jobs, and graphs of runs over time."""

from __future__ import annotations

from typing import TypeAlias

from grafana_foundation_sdk.builders import stat, table, timeseries

from grafana.layout import to_guest, to_node
from grafana.panel import BLUE, GREEN, GREY, NEUTRAL, ORANGE, PROMISE, RED, Panel, Query, graph, stat_panel, words
from grafana.panels.tables import Column, table_panel
from grafana.promql import (
    GUEST,
    HELD_AGE,
    JOB,
    LAG,
    LINES,
    NODE,
    PROMISING,
    RPO,
    UNPROTECTED,
    USED,
    events,
    in_table,
    per_daemon,
    worst,
)

Place: TypeAlias = tuple[int, int, int, int]
"""x, y, width and height on the grid of 24 columns."""

STATES = {
    "ok": ("ok", GREEN),
    "syncing": ("running", BLUE),
    "error": ("FAILED", RED),
    "pending": ("waiting", BLUE),
    "disabled": ("disabled", GREY),
    "removing": ("being removed", GREY),
}


def jobs(number: int, place: Place) -> table.Panel:
    """One line a job, the worst promise on top."""
    return table_panel(
        Panel(
            number,
            "Jobs, worst first",
            "One line a job, the one with the most used-up promise on top, 200 lines at most. 'Age of "
            "copy' is what would be lost if the source died now, 'Written since' the same in bytes. Good: nothing red, "
            "no failures.",
            *place,
            unit="none",
            runbook="ZsrRpoBreached",
        ),
        _job_columns(),
        sort="Used up",
        mappings={"State": words(STATES)},
    )


def _job_columns() -> list[Column]:
    info = in_table(f"zsr_job_info{{{JOB}}}", "guest", "guest_name", "source", "target")
    state = in_table(f"zsr_job_state{{{JOB}}} == 1", "state")
    its_guest, its_node = to_guest("${__data.fields.Guest}"), to_node("${__data.fields.Daemon}")
    return [
        Column("Job", label="zsr_job", width=70, link=its_guest, hint="This job's guest"),
        Column("Guest", info, label="guest", width=65, link=its_guest, hint="This guest"),
        Column("Name", label="guest_name", width=100, link=its_guest, hint="This guest"),
        Column("From", label="source", width=75, link=its_node, hint="The node that runs this job"),
        Column("To", label="target", width=75),
        Column("State", state, label="state", width=90, steps=NEUTRAL),
        Column("Used up", in_table(USED), unit="percentunit", width=75, steps=PROMISE, decimals=0, empty="-"),
        Column("Age of copy", in_table(LAG), unit="s", decimals=1, empty="no copy yet", width=100),
        Column("Promised", in_table(RPO), unit="s", decimals=1, width=85),
        _time("Last success", "zsr_job_last_sync_timestamp_seconds", "dateTimeAsIso", "never", 155),
        _figure("Last took", "zsr_job_last_duration_seconds", "s", 80),
        _figure("Last sent", "zsr_job_last_sent_bytes", "decbytes", 80),
        _figure("Written since", "zsr_job_unreplicated_bytes", "decbytes", 100),
        _time("Next run", "zsr_job_next_run_timestamp_seconds", "dateTimeFromNow", "none", 125),
        Column(
            "Failures",
            in_table(f"zsr_job_consecutive_failures{{{JOB}}}"),
            unit="none",
            width=70,
            steps=((None, "transparent"), (1, ORANGE), (3, RED)),
        ),
        Column("Daemon", label="instance", link=its_node, hint="This node"),
        Column("Cluster", label="cluster", width=90),
    ]


def _time(name: str, metric: str, unit: str, empty: str, width: int) -> Column:
    return Column(name, in_table(f"{metric}{{{JOB}}} * 1000"), unit=unit, empty=empty, width=width)


def _figure(name: str, metric: str, unit: str, width: int) -> Column:
    return Column(name, in_table(f"{metric}{{{JOB}}}"), unit=unit, decimals=1, empty="-", width=width)


def promise(number: int, place: Place) -> timeseries.Panel:
    """Lag as a part of what was promised."""
    return graph(
        Panel(
            number,
            "Promise used up (broken above 100 %)",
            "Age of the last copy as a part of the job's promise, the 15 highest. Good: saw teeth that stay below "
            "the dashed line; a line that only climbs is a job that does not run. More than 300 % is drawn as 300 %.",
            *place,
            unit="percentunit",
            runbook="ZsrRpoBreached",
        ),
        Query(worst(f"clamp_max({USED}, 3)"), "{{zsr_job}}"),
        steps=((None, "transparent"), (1, RED)),
        top=1.1,
    )


def sending(number: int, place: Place) -> timeseries.Panel:
    """Throughput by job."""
    return graph(
        Panel(
            number,
            "Sending, by job",
            "Bytes sent per second and job, the 15 highest. Good: peaks at each run. A run that is going on with "
            "nothing sent hangs.",
            *place,
            unit="Bps",
        ),
        Query(worst(f"sum by (zsr_job) (rate(zsr_job_sent_bytes_total{{{JOB}}}[$__rate_interval]))"), "{{zsr_job}}"),
    )


def durations(number: int, place: Place) -> timeseries.Panel:
    """How long runs take."""
    return graph(
        Panel(
            number,
            "How long a run takes",
            "Duration of each job's last finished run, the 15 longest. Good: well below the job's interval.",
            *place,
            unit="s",
            empty="no run has ended yet",
            runbook="ZsrReplicationFallingBehind",
        ),
        Query(worst(f"zsr_job_last_duration_seconds{{{JOB}}}"), "{{zsr_job}}"),
    )


def runs(number: int, place: Place) -> timeseries.Panel:
    """Runs by outcome."""
    return graph(
        Panel(
            number,
            "Runs",
            "Runs that ended, by outcome, and slots of the schedule that passed without a start. Good: only green.",
            *place,
            unit="none",
            runbook="ZsrJobFailing",
        ),
        Query(f"sum by (outcome) (increase(zsr_job_runs_total{{{JOB}}}[$__rate_interval]))", "{{outcome}}"),
        Query(f"sum(increase(zsr_job_missed_runs_total{{{JOB}}}[$__rate_interval])) or vector(0)", "missed"),
        bars=True,
        decimals=0,
        colors={"success": GREEN, "failure": RED, "cancelled": GREY, "missed": ORANGE},
    )


def failures(number: int, place: Place) -> timeseries.Panel:
    """Failed runs by class."""
    return graph(
        Panel(
            number,
            "Failures by cause",
            "Failed runs by class of error; the runbook of ZsrJobFailing says what each one means. Good: none.",
            *place,
            unit="none",
            runbook="ZsrJobFailing",
        ),
        Query(events("zsr_job_errors_total", "class"), "{{class}}"),
        bars=True,
        decimals=0,
        colors={"none": GREY},
        shades=RED,
    )


def in_a_row(number: int, place: Place) -> timeseries.Panel:
    """Failures since the last success."""
    return graph(
        Panel(
            number,
            "Failures in a row",
            "How many runs of each job have failed since its last success, the 15 highest. Good: 0; the alert comes "
            "with the third.",
            *place,
            unit="none",
            runbook="ZsrJobFailing",
        ),
        Query(worst(f"zsr_job_consecutive_failures{{{JOB}}}"), "{{zsr_job}}"),
        steps=((None, "transparent"), (3, RED)),
        decimals=0,
    )


def lost(number: int, place: Place) -> timeseries.Panel:
    """Lag in seconds."""
    return graph(
        Panel(
            number,
            "What a dead node would lose, in time",
            "Age of the last proven copy, the 15 highest; without one, since the job was made. Good: never "
            "higher than the job's interval plus its run.",
            *place,
            unit="s",
        ),
        Query(worst(f"{UNPROTECTED} {PROMISING}"), "{{zsr_job}}"),
    )


def held(number: int, place: Place) -> table.Panel:
    """What the targets hold, according to the targets."""
    labels = ("guest", "source", "storage")
    taken = per_daemon(f"zsr_replica_last_sync_timestamp_seconds{{{GUEST}}} * 1000", *labels)
    columns = [
        Column("Guest", label="guest", width=90, link=to_guest("${__data.fields.Guest}"), hint="This guest"),
        Column("From", label="source", width=120),
        Column("Storage", label="storage", width=150),
        Column("Held by", label="instance", link=to_node("${__data.fields['Held by']}"), hint="This node"),
        Column("Age", f"topk({LINES}, {per_daemon(HELD_AGE, *labels)})", unit="s", decimals=1, width=120),
        Column(
            "Taken",
            f"bottomk({LINES}, {taken})",
            unit="dateTimeAsIso",
            width=170,
        ),
        Column("Takes", per_daemon(f"zsr_replica_used_bytes{{{GUEST}}}", *labels), unit="bytes", decimals=1, width=100),
        Column("Cluster", label="cluster", width=90),
    ]
    return table_panel(
        Panel(
            number,
            "Held as a target, oldest first",
            "The replicas on each node according to its own ZFS, so known also when the sender is silent or dead; 200 "
            "lines at most. 'Takes' is with their snapshots. Good: no older than the sender says; if older, the sender "
            "is wrong about what is there.",
            *place,
            unit="none",
            empty="holds no replicas",
            runbook="ZsrReplicaStale",
        ),
        columns,
        sort="Age",
    )


def held_over_time(number: int, place: Place) -> timeseries.Panel:
    """Age of the replicas, by the target's own account."""
    return graph(
        Panel(
            number,
            "Age of what is held as a target",
            "Age of the replicas according to the node that holds them, the 15 oldest. Good: saw teeth; a line "
            "that only climbs is a replica that no job updates.",
            *place,
            unit="s",
            empty="holds no replicas",
            runbook="ZsrReplicaStale",
        ),
        Query(worst(HELD_AGE), "{{guest}} {{storage}} on {{instance}}"),
    )


def aside(number: int, place: Place) -> timeseries.Panel:
    """Volumes that were kept aside."""
    return graph(
        Panel(
            number,
            "Volumes kept aside",
            "Volumes that differed from their source and wait for an admin to decide, by node and guest, "
            "the 15 highest. Good: 0. See them with 'zsr diverged list'.",
            *place,
            unit="none",
            empty="none known",
            runbook="ZsrDivergedVolumes",
        ),
        Query(worst(f"sum by (node, guest) (zsr_diverged_volumes{{{GUEST}}})"), "{{guest}} on {{node}}"),
        steps=((None, "transparent"), (1, ORANGE)),
        decimals=0,
    )


def reachable(number: int, place: Place) -> stat.Panel:
    """The nodes that the daemons talk to."""
    return stat_panel(
        Panel(
            number,
            "Can the targets be reached?",
            "From the last contact of any chosen daemon with each node, the 12 worst. Good: all reachable.",
            *place,
            unit="none",
            empty="no contact yet",
            runbook="ZsrTargetUnreachable",
        ),
        Query(f"bottomk(12, min by (node) (zsr_node_reachable{{{NODE}}}))", "{{node}}"),
        steps=((None, RED), (1, GREEN)),
        mappings=words({"1": ("reachable", GREEN), "0": ("OUT OF REACH", RED)}),
    )


def queue(number: int, place: Place) -> timeseries.Panel:
    """Due jobs that wait."""
    return graph(
        Panel(
            number,
            "Jobs waiting for their turn",
            "Due jobs that wait for another run of their node to end, the 15 longest queues. Good: back to 0 "
            "before the next slot.",
            *place,
            unit="none",
        ),
        Query(worst(f"zsr_scheduler_queue_length{{{NODE}}}"), "{{instance}}"),
        decimals=0,
    )


def wait(number: int, place: Place) -> timeseries.Panel:
    """How late the scheduler is."""
    return graph(
        Panel(
            number,
            "Longest wait",
            "How long the oldest due job has been waiting, the 15 longest. Good: minutes. If it only grows, the node "
            "has more to do than its schedules have time for.",
            *place,
            unit="s",
            runbook="ZsrReplicationFallingBehind",
        ),
        Query(worst(f"zsr_scheduler_lag_seconds{{{NODE}}}"), "{{instance}}"),
    )


def messages(number: int, place: Place) -> timeseries.Panel:
    """The daemons' own notifications."""
    return graph(
        Panel(
            number,
            "Messages sent by zsr",
            "zsr's own notifications by target and outcome. Good: no failure; a target that fails sends nothing. "
            "anything.",
            *place,
            unit="none",
            runbook="ZsrNotificationsFailing",
        ),
        Query(events("zsr_notifications_total", "target", "outcome", rest=NODE), "{{target}}: {{outcome}}"),
        bars=True,
        decimals=0,
        colors={"none: none": GREY, "/: success$/": GREEN, "/: failure$/": RED},
    )
