"""The table 'Jobs, worst first'."""

from __future__ import annotations

from grafana_foundation_sdk.builders import table

from grafana.layout import to_guest, to_node
from grafana.panel import BLUE, GREEN, GREY, NEUTRAL, ORANGE, PROMISE, RED, Panel, words
from grafana.panels.common import Place
from grafana.panels.tables import Column, table_panel
from grafana.promql import (
    JOB,
    LAG,
    RPO,
    USED,
    in_table,
)

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
