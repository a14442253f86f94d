"""Turns a webhook post of Alertmanager (version "4") into a notice. Pure.

Alerts that zsr posted itself (label ``sender="zsr"``) are left out: they were reported already. So is the alert that
always fires: it is for a service that alarms when its messages stop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from alerts.foreign import Foreign
from alerts.notice import Notice, NoticeKind, Severity
from alerts.text import one_line

VERSION = "4"
LISTED = 20
"""Alerts that a message lists."""
OWN = "zsr"
ALWAYS_FIRING = "ZsrWatchdog"

_SEVERITIES = {
    "critical": Severity.CRITICAL,
    "page": Severity.CRITICAL,
    "error": Severity.CRITICAL,
    "warning": Severity.WARNING,
    "info": Severity.INFO,
    "none": Severity.INFO,
}
_ORDER = tuple(Severity)


class ForeignError(Exception):
    """A post is not one of Alertmanager's; the message says why."""


def notice_of_post(post: Any, node: str, time: float) -> Notice | None:
    """The notice of a post that came at a time to a node; None if there is nothing to report.

    Raises:
        ForeignError: it is not a post of Alertmanager.
    """
    if not isinstance(post, dict) or post.get("version") != VERSION:
        raise ForeignError(f'Only posts of Alertmanager are accepted, "version": "{VERSION}".')
    status, group = post.get("status"), post.get("groupKey")
    if status not in {"firing", "resolved"} or not isinstance(group, str):
        raise ForeignError("'status' must be firing or resolved, and 'groupKey' a text.")
    alerts = post.get("alerts")
    if not isinstance(alerts, list) or not all(_is_alert(alert) for alert in alerts):
        raise ForeignError("'alerts' must be a list of alerts with labels and annotations.")
    foreign = [alert for alert in alerts if _is_news(alert["labels"])]
    if not foreign:
        return None
    firing = [alert for alert in foreign if alert["status"] == "firing"]
    truncated = post.get("truncatedAlerts")
    thread = hashlib.sha256(group.encode()).hexdigest()[:24]
    mark = repr((group, time, sorted((str(alert.get("fingerprint")), alert["status"]) for alert in foreign)))
    return Notice(
        key=f"alertmanager/{hashlib.sha256(mark.encode()).hexdigest()[:32]}",
        kind=NoticeKind.ALERTMANAGER,
        severity=_severity(firing or foreign) if firing else Severity.INFO,
        time=time,
        node=node,
        thread=f"alertmanager/{thread}",
        opens=False,
        closes=not firing,
        foreign=Foreign(_title(foreign, firing), _text(foreign, truncated), _labels(post, foreign, status)),
    )


def _is_news(labels: Mapping[str, str]) -> bool:
    return labels.get("sender") != OWN and labels.get("alertname") != ALWAYS_FIRING


def _is_alert(alert: object) -> bool:
    if not isinstance(alert, dict) or alert.get("status") not in {"firing", "resolved"}:
        return False
    parts = [alert.get("labels"), alert.get("annotations", {})]
    return all(
        isinstance(part, dict) and all(isinstance(text, str) for pair in part.items() for text in pair)
        for part in parts
    )


def _severity(alerts: Sequence[Mapping[str, Any]]) -> Severity:
    found = [_SEVERITIES.get(alert["labels"].get("severity", "").lower(), Severity.WARNING) for alert in alerts]
    return max(found, key=_ORDER.index)


def _title(alerts: Sequence[Mapping[str, Any]], firing: Sequence[Mapping[str, Any]]) -> str:
    """``Firing: Guest 100: promise broken``; of several alerts ``2 firing: DiskFull, HostDown``."""
    word = "firing" if firing else "resolved"
    shown = firing or alerts
    if len(shown) == 1:
        return one_line(f"{word.capitalize()}: {_summary(shown[0])}")
    names = sorted({alert["labels"].get("alertname", "?") for alert in shown})
    return one_line(f"{len(shown)} {word}: {', '.join(names)}")


def _summary(alert: Mapping[str, Any]) -> str:
    annotations, labels = alert.get("annotations", {}), alert["labels"]
    if found := annotations.get("summary"):
        return str(found)
    where = labels.get("instance") or labels.get("node") or labels.get("job") or ""
    return f"{labels.get('alertname', 'an alert without a name')}{f' on {where}' if where else ''}"


def _text(alerts: Sequence[Mapping[str, Any]], truncated: object) -> str:
    lines = []
    for alert in alerts[:LISTED]:
        lines.append(f"{alert['status'].capitalize()}: {one_line(_summary(alert))}")
        annotations = alert.get("annotations", {})
        for name in ("description", "runbook_url"):
            if text := annotations.get(name):
                lines.append(one_line(text))
        lines.append("Labels: " + ", ".join(f"{name}={one_line(value)}" for name, value in alert["labels"].items()))
    more = len(alerts) - min(len(alerts), LISTED) + (truncated if isinstance(truncated, int) else 0)
    return "\n".join([*lines, *([f"and {more} more"] if more else [])])


def _labels(post: Mapping[str, Any], alerts: Sequence[Mapping[str, Any]], status: str) -> tuple[tuple[str, str], ...]:
    """What routes can match: the labels that all alerts share, and status and receiver."""
    shared = set.intersection(*(set(alert["labels"].items()) for alert in alerts))
    extra = {"status": status, "receiver": str(post.get("receiver", ""))}
    return tuple(sorted((dict(shared) | extra).items()))
