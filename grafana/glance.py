"""The top of the replication dashboard: the answer in one glance, and the table of jobs with the worst one first."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat, table

from grafana.parts import (
    BLUE,
    GREEN,
    GREY,
    NEUTRAL,
    ORANGE,
    PROMISE,
    RED,
    ZERO_IS_GOOD,
    Column,
    Panel,
    Query,
    stat_panel,
    table_panel,
    words,
)
from grafana.promql import JOB, KEY, LAG, NODE, PROMISING, RPO, UNPROTECTED, USED, count, per_job

STATES = {
    "ok": ("ok", GREEN),
    "syncing": ("running", BLUE),
    "error": ("FAILED", RED),
    "pending": ("waiting", BLUE),
    "disabled": ("disabled", GREY),
    "removing": ("being removed", GREY),
}


def glance() -> list[stat.Panel]:
    """The answer in one row of numbers."""
    late = f"({UNPROTECTED} > {KEY} {RPO}) {PROMISING}"
    kept = f"({UNPROTECTED} <= {KEY} {RPO}) {PROMISING}"
    failing = (
        f'(zsr_job_consecutive_failures{{{JOB}}} > 0) unless {KEY} (zsr_job_state{{{JOB}, state="disabled"}} == 1)'
    )
    copied = f"zsr_job_last_sync_timestamp_seconds{{{JOB}}}"
    uncopied = f"zsr_job_created_timestamp_seconds{{{JOB}}} unless {KEY} {copied} {PROMISING}"
    return [
        stat_panel(
            Panel(
                1,
                "Promises broken",
                "Jobs whose last proven copy is older than promised (RPO). Good: 0. A job without a copy counts from "
                "the moment it was made; disabled jobs promise nothing.",
                *(0, 0, 4, 4),
                unit="none",
            ),
            Query(count(late)),
            steps=ZERO_IS_GOOD,
        ),
        stat_panel(
            Panel(
                2,
                "Promises kept",
                "Jobs whose last proven copy is as fresh as promised. Good: all jobs that are not disabled.",
                *(4, 0, 4, 4),
                unit="none",
            ),
            Query(count(kept)),
            steps=((None, GREEN),),
        ),
        stat_panel(
            Panel(
                3,
                "Worst promise used up",
                "Age of the oldest copy as a part of its job's promise. Below 100 % every promise is kept; above, the "
                "job is the first line of the table.",
                *(8, 0, 4, 4),
                unit="percentunit",
            ),
            Query(f"max({USED})"),
            steps=PROMISE,
        ),
        stat_panel(
            Panel(
                4,
                "Failing now",
                "Jobs whose last run failed. They are tried again by themselves; one for a short time is normal life. "
                "Good: 0.",
                *(12, 0, 3, 4),
                unit="none",
            ),
            Query(count(failing)),
            steps=((None, GREEN), (1, ORANGE)),
        ),
        stat_panel(
            Panel(
                5,
                "Never copied",
                "Jobs that have nothing at all on their target yet. Good: 0, except right after a job was made.",
                *(15, 0, 3, 4),
                unit="none",
            ),
            Query(count(uncopied)),
            steps=((None, GREEN), (1, ORANGE)),
        ),
        stat_panel(
            Panel(
                6,
                "Running now",
                "Runs that are going on at this moment. Good: any number; a node runs one at a time by default.",
                *(18, 0, 3, 4),
                unit="none",
            ),
            Query(count(f"zsr_job_run_start_timestamp_seconds{{{JOB}}}")),
            steps=((None, BLUE),),
        ),
        stat_panel(
            Panel(
                7,
                "Daemons silent",
                "zsr daemons that Prometheus cannot reach. All other numbers leave their jobs out! Good: 0.",
                *(21, 0, 3, 4),
                unit="none",
            ),
            Query(count(f"up{{{NODE}}} == 0")),
            steps=ZERO_IS_GOOD,
        ),
    ]


def jobs() -> table.Panel:
    """One line a job, the worst promise on top."""
    info = per_job(f"zsr_job_info{{{JOB}}}", "guest_name", "source", "target")
    state = per_job(f"zsr_job_state{{{JOB}}} == 1", "state")
    columns = [
        Column("Job", label="zsr_job", width=90),
        Column("Guest", info, label="guest_name", width=130),
        Column("From", label="source", width=90),
        Column("To", label="target", width=90),
        Column("State", state, label="state", width=110, steps=NEUTRAL),
        Column("Used up", per_job(USED), unit="percentunit", width=90, steps=PROMISE, decimals=0),
        Column("Age of last copy", per_job(LAG), unit="s", decimals=1, empty="no copy yet", width=125),
        Column("Promised", per_job(RPO), unit="s", decimals=1, width=100),
        Column(
            "Last success",
            per_job(f"zsr_job_last_sync_timestamp_seconds{{{JOB}}} * 1000"),
            unit="dateTimeAsIso",
            empty="never",
            width=160,
        ),
        Column(
            "Last took", per_job(f"zsr_job_last_duration_seconds{{{JOB}}}"), unit="s", decimals=1, empty="-", width=90
        ),
        Column(
            "Last sent", per_job(f"zsr_job_last_sent_bytes{{{JOB}}}"), unit="decbytes", decimals=1, empty="-", width=100
        ),
        Column(
            "Written since",
            per_job(f"zsr_job_unreplicated_bytes{{{JOB}}}"),
            unit="decbytes",
            decimals=1,
            empty="-",
            width=100,
        ),
        Column(
            "Next run",
            per_job(f"zsr_job_next_run_timestamp_seconds{{{JOB}}} * 1000"),
            unit="dateTimeFromNow",
            empty="none",
            width=125,
        ),
        Column(
            "Failures",
            per_job(f"zsr_job_consecutive_failures{{{JOB}}}"),
            unit="none",
            width=80,
            steps=((None, "transparent"), (1, ORANGE), (3, RED)),
        ),
        Column("Daemon", label="instance"),
    ]
    return table_panel(
        Panel(
            10,
            "Jobs, worst first",
            "One line a job, the one with the most used-up promise on top. 'Age of last copy' is what would be lost if "
            "the source died now, 'Written since' the same in bytes. Good: nothing red, no failures.",
            *(0, 4, 24, 10),
            unit="none",
        ),
        columns,
        sort="Used up",
        mappings={"State": words(STATES)},
    )
