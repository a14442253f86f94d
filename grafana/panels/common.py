"""Panels that several dashboards use: the table of jobs, and graphs of runs over time."""

from __future__ import annotations

from typing import TypeAlias

from grafana_foundation_sdk.builders import stat, table, timeseries

from grafana.layout import to_guest, to_node
from grafana.panel import GREEN, GREY, ORANGE, RED, Panel, Query, graph, stat_panel, words
from grafana.panels.tables import Column, table_panel
from grafana.promql import (
    GUEST,
    HELD_AGE,
    JOB,
    LINES,
    NODE,
    PROMISING,
    TARGET_HELD_AGE,
    UNPROTECTED,
    USED,
    count,
    events,
    per_daemon,
    worst,
)

Place: TypeAlias = tuple[int, int, int, int]
"""x, y, width and height on the grid of 24 columns."""


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
            "Runs that ended, by outcome, slots of the schedule that passed without a start, and runs of the node that "
            "could not begin. Good: only green.",
            *place,
            unit="none",
            runbook="ZsrJobFailing",
        ),
        Query(f"sum by (outcome) (increase(zsr_job_runs_total{{{JOB}}}[$__rate_interval]))", "{{outcome}}"),
        Query(f"sum(increase(zsr_job_missed_runs_total{{{JOB}}}[$__rate_interval])) or vector(0)", "missed"),
        Query(
            f"sum(increase(zsr_run_start_failures_total{{{NODE}}}[$__rate_interval])) or vector(0)", "could not begin"
        ),
        bars=True,
        decimals=0,
        colors={"success": GREEN, "failure": RED, "cancelled": GREY, "missed": ORANGE, "could not begin": RED},
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


_OLDEST_POINT = "zsr_replica_oldest_restore_point_timestamp_seconds"


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
        Column("Volumes", per_daemon(f"zsr_replica_volumes{{{GUEST}}}", *labels), unit="none", width=80),
        Column("Points", per_daemon(f"zsr_replica_restore_points{{{GUEST}}}", *labels), unit="none", width=80),
        Column("Missing", per_daemon(f"zsr_replica_restore_points_missing{{{GUEST}}}", *labels), unit="none", width=80),
        Column("Back to", per_daemon(f"{_OLDEST_POINT}{{{GUEST}}} * 1000", *labels), unit="dateTimeAsIso", width=170),
        Column("Cluster", label="cluster", width=90),
    ]
    return table_panel(
        Panel(
            number,
            "Held as a target, oldest first",
            "The replicas on each node according to its own ZFS, so known also when the sender is silent or dead; 200 "
            "lines at most. 'Takes' is with their snapshots; restore points go 'Back to' a time, and those 'Missing' "
            "are gone although the job's keep asks for them. Good: no older than the sender says; if older, the sender "
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
            "Age of replicas held as a target",
            "Age of the replicas according to the node that holds them, the 15 oldest. Good: saw teeth; a line "
            "that only climbs is a replica that no job updates.",
            *place,
            unit="s",
            empty="holds no replicas",
            runbook="ZsrReplicaStale",
        ),
        Query(worst(HELD_AGE), "{{guest}} {{storage}} on {{instance}}"),
        Query(worst(TARGET_HELD_AGE), "{{guest}} {{storage}} on {{node}}, which runs no zsr"),
    )


def aside(number: int, place: Place) -> timeseries.Panel:
    """Volumes that were kept aside."""
    return graph(
        Panel(
            number,
            "Volumes kept aside",
            "Volumes that differed from their source and wait for an admin to decide, by node and guest, "
            "the 15 highest; and all that is set aside, by kind, with the days since then and the GiB that only that "
            "holds. Good: 0. See them with 'zsr diverged list'.",
            *place,
            unit="none",
            empty="none known",
            runbook="ZsrDivergedVolumes",
        ),
        Query(worst(f"sum by (node, guest) (zsr_diverged_volumes{{{GUEST}}})"), "{{guest}} on {{node}}"),
        Query(worst(f"zsr_asides{{{GUEST}}}"), "{{guest}} on {{instance}}, {{kind}}"),
        Query(worst(f"(time() - zsr_asides_oldest_timestamp_seconds{{{GUEST}}}) / 86400"), "{{guest}} {{kind}}: days"),
        Query(worst(f"zsr_asides_bytes{{{GUEST}}} / 2^30"), "{{guest}} {{kind}}: GiB"),
        steps=((None, "transparent"), (1, ORANGE)),
        decimals=0,
    )


def uncovered(number: int, place: Place) -> timeseries.Panel:
    """Volumes and guests that no job replicates."""
    nothing = f'label_replace(0 * max by (guest) (zsr_guest_jobs{{{GUEST}}}), "reason", "nothing", "", "")'
    return graph(
        Panel(
            number,
            "Not protected",
            "Volumes that no job replicates, by guest and reason, the 15 highest, guests without a job, and jobs that "
            "are gone from the cluster file though nobody removed them. Good: none but those excluded on purpose. "
            "Name them with 'zsr coverage' and 'zsr check'.",
            *place,
            unit="none",
            empty="not known yet",
            runbook="ZsrGuestUncovered",
        ),
        Query(
            worst(f"max by (guest, reason) (zsr_guest_uncovered_volumes{{{GUEST}}}) or {nothing}"),
            "{{guest}} {{reason}}",
        ),
        Query(f"sum(zsr_guest_jobs{{{GUEST}}} == bool 0)", "guests without a job"),
        Query(count(f"zsr_job_vanished_since_timestamp_seconds{{{JOB}}}"), "jobs that vanished"),
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
            "zsr's own notifications by target and outcome, and plugins that ended with an error and were restarted. "
            "Good: no failure, no end; a target that fails sends nothing.",
            *place,
            unit="none",
            runbook="ZsrNotificationsFailing",
        ),
        Query(events("zsr_notifications_total", "target", "outcome", rest=NODE), "{{target}}: {{outcome}}"),
        Query(events("zsr_plugin_restarts_total", "plugin", rest=NODE), "plugin {{plugin}}: ended"),
        bars=True,
        decimals=0,
        colors={"none: none": GREY, "/: success$/": GREEN, "/: failure$/": RED},
    )
