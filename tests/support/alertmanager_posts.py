"""Builders of what Alertmanager posts to a webhook."""

from __future__ import annotations

from typing import Any


def alert(name: str = "DiskFull", status: str = "firing", **labels: str) -> dict[str, Any]:
    annotations = {"summary": f"{name} on {labels.get('instance', 'host1')}", "description": "It is full.\nReally."}
    return {"status": status, "labels": {"alertname": name, **labels}, "annotations": annotations, "fingerprint": name}


def post(*alerts: dict[str, Any], status: str = "firing", **more: object) -> dict[str, Any]:
    return {"version": "4", "status": status, "groupKey": "{}:{}", "receiver": "zsr", "alerts": list(alerts), **more}
