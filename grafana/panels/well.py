"""The panel "Everything is well because ...": the checks, their exceptions, and the age of the facts.

Each line counts exceptions, so that 0 is good everywhere. Where no daemon is known there are no lines, and no zeros.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from grafana_foundation_sdk.builders import table

from grafana.panel import ZERO_IS_GOOD, Panel
from grafana.panels.common import Place
from grafana.panels.tables import Column, table_panel
from grafana.promql import FLEET, GUEST, JOB, LATE, NODE, SILENT, UNCOPIED

_KNOWN = f"count(zsr_node_info{{{NODE}}})"
_SCRAPED = f"max(time() - timestamp(zsr_node_info{{{NODE}}}))"
"""Seconds since the oldest of the last scrapes."""
_LOOKED = (
    f"max(time() - (zsr_last_inventory_timestamp_seconds{{{NODE}}} "
    f"and on (cluster, job, instance, node) zsr_node_info{{{NODE}}}))"
)
"""Seconds since the oldest of the nodes' last looks at their own ZFS."""
_MADE = f"min(time() - zsr_state_created_timestamp_seconds{{{NODE}}})"
"""Seconds since the newest state.db was made: of what was before it, it knows nothing."""


@dataclass(frozen=True, slots=True)
class _Check:
    """One line: what is the case when all is well, the series that are exceptions, and how old the facts are.

    ``sums``: the exceptions are the values of the series, and not their number.
    """

    well: str
    exceptions: str
    age: str = _SCRAPED
    sums: bool = False


def _checks() -> Iterator[_Check]:
    yield _Check("every daemon answers", SILENT)
    yield _Check(
        "every node of the clusters is scraped",
        f"group by (cluster, job, node) (zsr_cluster_node{{{FLEET}}}) "
        f"unless on (cluster, job, node) zsr_node_info{{{FLEET}}}",
    )
    yield _Check("every promise is kept", LATE)
    yield _Check("every job has a copy", UNCOPIED)
    yield _Check("no copy's age is unknown", f"zsr_job_promise_unknown_since_timestamp_seconds{{{JOB}}}")
    yield _Check("no state.db was damaged", f"zsr_state_damaged_files{{{NODE}}}", _MADE, sums=True)
    yield _Check("every state.db can be written", f"zsr_state_writable{{{NODE}}} == 0")
    yield _Check("every node reads its own ZFS", f"zsr_zfs_readable{{{NODE}}} == 0", _LOOKED)
    yield _Check("what waits to be sent is known", f"zsr_job_unreplicated_unknown{{{JOB}}}", _LOOKED)
    left = f'zsr_guest_uncovered_volumes{{{NODE}, reason!~"excluded|child"}}'
    yield _Check("every volume of a guest with a job is replicated", left, _LOOKED, sums=True)
    yield _Check("every guest is in the cluster file", f"zsr_unknown_guests{{{NODE}}}", _LOOKED, sums=True)
    yield _Check("nothing is kept aside", f"zsr_diverged_volumes{{{GUEST}}}", _LOOKED, sums=True)
    yield _Check("nothing is kept aside where no zsr runs", f"zsr_target_diverged_volumes{{{GUEST}}}", sums=True)
    yield _Check("nothing is disabled", f"zsr_job_disabled_since_timestamp_seconds{{{JOB}}}")
    yield _Check("no job is being removed", f"zsr_job_removal_since_timestamp_seconds{{{JOB}}}")
    yield _Check("old snapshots are destroyed", f"zsr_job_tidying_failing_since_timestamp_seconds{{{JOB}}}")
    yield _Check(
        "all nodes have the same view of their cluster",
        f"count by (cluster, job, store) (count by (cluster, job, store, digest) (zsr_cluster_info{{{FLEET}}})) > 1",
    )
    yield _Check("every target is a machine of its own", f"zsr_node_same_machine{{{NODE}}}")
    yield _Check(
        "the clocks are right",
        f"abs(zsr_clock_timestamp_seconds{{{NODE}}} - timestamp(zsr_clock_timestamp_seconds{{{NODE}}})) > 30",
    )
    yield _Check("the settings are in use", f"zsr_config_pending_restart{{{NODE}}}", sums=True)
    yield _Check("certificates and passwords are in use", f"zsr_web_config_last_reload_successful{{{NODE}}} == 0")
    ends, begins = (f"zsr_exporter_certificate_{which}_timestamp_seconds{{{NODE}}}" for which in ("expiry", "begin"))
    yield _Check("no certificate ends soon", f"{ends} - time() < clamp_max(({ends} - {begins}) / 4, 1209600)")
    yield _Check("every broken promise reaches a target", f"zsr_jobs_without_notification{{{NODE}}}", sums=True)
    yield _Check("every notification target is usable", f"zsr_notification_target_usable{{{NODE}}} == 0")


def _union(lines: Iterator[tuple[str, str]]) -> str:
    return " or ".join(f'label_replace({expression}, "check", "{name}", "", "")' for name, expression in lines)


def checks(number: int, place: Place) -> table.Panel:
    """What holds while all is well."""
    exceptions = (
        (each.well, f"({'sum' if each.sums else 'count'}({each.exceptions}) or 0 * {_KNOWN})") for each in _checks()
    )
    columns = [
        Column("Check", label="check"),
        Column("Exceptions", _union(exceptions), unit="none", decimals=0, width=110, steps=ZERO_IS_GOOD),
        Column("Facts are at most", _union((each.well, each.age) for each in _checks()), unit="s", width=150),
    ]
    return table_panel(
        Panel(
            number,
            "Everything is well because ...",
            "What holds while all is well, the exceptions first, and how old the oldest fact behind each line is. "
            "Good: no exceptions, and facts of minutes. That alerts arrive is not among them: a dead man's switch "
            "shows it (docs/monitoring.md).",
            *place,
            unit="none",
            empty="no daemon is known",
        ),
        columns,
        sort="Exceptions",
    )
