"""The numbers at the top of the dashboards, each with its good value and the runbook for a bad one."""

from __future__ import annotations

from grafana_foundation_sdk.builders import stat

from grafana.panel import BLUE, GREEN, ORANGE, PROMISE, ZERO_IS_GOOD, Panel, Query, stat_panel
from grafana.panels.common import Place
from grafana.promql import FAILING, GUEST, JOB, KEPT, LATE, SILENT, UNCOPIED, USED, count, total


def broken(number: int, place: Place) -> stat.Panel:
    """Promises broken."""
    return stat_panel(
        Panel(
            number,
            "Promises broken",
            "Jobs whose last proven copy is older than promised (RPO). Good: 0. A job without a copy counts from the "
            "moment it was made; disabled jobs promise nothing.",
            *place,
            unit="none",
            runbook="ZsrRpoBreached",
        ),
        Query(count(LATE)),
        steps=ZERO_IS_GOOD,
    )


def kept(number: int, place: Place) -> stat.Panel:
    """Promises kept."""
    return stat_panel(
        Panel(
            number,
            "Promises kept",
            "Jobs whose last proven copy is as fresh as promised. Good: all jobs that are not disabled.",
            *place,
            unit="none",
        ),
        Query(count(KEPT)),
        steps=((None, GREEN),),
    )


def worst_promise(number: int, place: Place) -> stat.Panel:
    """The worst promise."""
    return stat_panel(
        Panel(
            number,
            "Worst promise used up",
            "Age of the oldest copy as a part of its job's promise. Good: below 100 %, where every promise is kept; "
            "above, the job is the first line of the table.",
            *place,
            unit="percentunit",
            empty="no promise",
            runbook="ZsrRpoBreached",
        ),
        Query(f"max({USED})"),
        steps=PROMISE,
    )


def failing(number: int, place: Place) -> stat.Panel:
    """Jobs that fail."""
    return stat_panel(
        Panel(
            number,
            "Failing now",
            "Jobs whose last run failed. They are tried again by themselves; one for a short time is normal life. "
            "Good: 0.",
            *place,
            unit="none",
            runbook="ZsrJobFailing",
        ),
        Query(count(FAILING)),
        steps=((None, GREEN), (1, ORANGE)),
    )


def never_copied(number: int, place: Place) -> stat.Panel:
    """Jobs without a copy."""
    return stat_panel(
        Panel(
            number,
            "Never copied",
            "Jobs that have nothing at all on their target yet. Good: 0, except right after a job was made.",
            *place,
            unit="none",
            runbook="ZsrNeverReplicated",
        ),
        Query(count(UNCOPIED)),
        steps=((None, GREEN), (1, ORANGE)),
    )


def silent(number: int, place: Place) -> stat.Panel:
    """Daemons that do not answer."""
    return stat_panel(
        Panel(
            number,
            "Daemons silent",
            "zsr daemons that Prometheus cannot reach. All other numbers leave their jobs out! Good: 0.",
            *place,
            unit="none",
            runbook="ZsrDaemonDown",
        ),
        Query(count(SILENT)),
        steps=ZERO_IS_GOOD,
    )


def running(number: int, place: Place) -> stat.Panel:
    """Runs going on."""
    return stat_panel(
        Panel(
            number,
            "Running now",
            "Runs that are going on at this moment. Good: any number; a node runs one at a time by default.",
            *place,
            unit="none",
        ),
        Query(count(f"zsr_job_run_start_timestamp_seconds{{{JOB}}}")),
        steps=((None, BLUE),),
    )


def kept_aside(number: int, place: Place) -> stat.Panel:
    """Volumes kept aside."""
    return stat_panel(
        Panel(
            number,
            "Volumes kept aside",
            "Volumes that differed from their source and wait for an admin to decide ('zsr diverged list'). Good: 0.",
            *place,
            unit="none",
            runbook="ZsrDivergedVolumes",
        ),
        Query(total(f"zsr_diverged_volumes{{{GUEST}}}")),
        steps=((None, GREEN), (1, ORANGE)),
    )


def amount(panel: Panel, query: str, *, decimals: int = 0) -> stat.Panel:
    """A number that is neither good nor bad."""
    return stat_panel(panel, Query(query), steps=((None, BLUE),), decimals=decimals)
