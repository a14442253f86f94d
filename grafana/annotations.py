"""Marks in the graphs of all dashboards: failed runs, firing alerts, and settings that were read again.

The SDK's class for annotations does not know the keys that belong to Prometheus, so these are the JSON objects.
"""

from __future__ import annotations

from typing import Any

from grafana.promql import JOB, KEY, NODE

_FAILED = (
    f"zsr_job_last_try_timestamp_seconds{{{JOB}}} * 1000 and {KEY} (zsr_job_consecutive_failures{{{JOB}}} > 0) "
    f"unless {KEY} zsr_job_run_start_timestamp_seconds{{{JOB}}}"
)
"""When each failed run began. A retry that is going on has not failed yet, so it is left out."""

_ALERTS = (
    "max by (alertname, severity, instance, zsr_job) "
    '(ALERTS{alertname=~"Zsr.+", alertname!="ZsrWatchdog", alertstate="firing"})'
)
"""Without the one that always fires."""


def _annotation(name: str, expr: str, color: str, title: str, text: str, *, at_value: bool, on: bool) -> dict[str, Any]:
    """One kind of mark; ``at_value``: the query's value is the time in milliseconds, one mark for each such time."""
    return {
        "datasource": {"type": "prometheus", "uid": "${datasource}"},
        "enable": on,
        "expr": expr,
        "hide": False,
        "iconColor": color,
        "name": name,
        "tagKeys": "zsr_job,instance",
        "textFormat": text,
        "titleFormat": title,
        "useValueForTime": at_value,
    }


def marks() -> dict[str, Any]:
    """The ``annotations`` of a dashboard's JSON."""
    return {
        "list": [
            _annotation(
                "Failed runs",
                _FAILED,
                "red",
                "Job {{zsr_job}} failed",
                "The reason: zsr log {{zsr_job}} on {{instance}}",
                at_value=True,
                on=True,
            ),
            _annotation(
                "Alerts",
                _ALERTS,
                "orange",
                "{{alertname}}",
                "{{severity}} {{zsr_job}} {{instance}}",
                at_value=False,
                on=True,
            ),
            _annotation(
                "Settings read",
                f"zsr_config_last_reload_success_timestamp_seconds{{{NODE}}} * 1000",
                "blue",
                "Settings read",
                "{{instance}}",
                at_value=True,
                on=False,
            ),
        ]
    }
