"""Build the JSON that Grafana reads from the dashboards in code: the same code gives the same bytes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from grafana_foundation_sdk.cog.encoder import JSONEncoder

from grafana.annotations import marks
from grafana.guest import dashboard as guest
from grafana.node import dashboard as node
from grafana.replication import dashboard as replication

OUTPUT = Path(__file__).parent / "dashboards"

DASHBOARDS = {"replication.json": replication, "guest.json": guest, "node.json": node}


UNASKED = {"repeatDirection": "h", "auto": False, "auto_min": "10s", "auto_count": 30, "transparent": False}
"""Defaults that the SDK writes into everything, also where Grafana itself has no such key."""


def _tidy(value: Any, parent: str = "") -> Any:
    """Drop what the SDK writes without being asked.

    The one null that means something stays: the open lower end of a threshold's first step.
    """
    if isinstance(value, dict):
        return {
            key: _tidy(item, key)
            for key, item in value.items()
            if (item is not None or (parent == "steps" and key == "value"))
            and not (key in UNASKED and item == UNASKED[key])
        }
    if isinstance(value, list):
        return [_tidy(item, parent) for item in value]
    return value


def render(name: str) -> str:
    """The JSON text of a dashboard, e.g. of ``dashboard.json``; raises KeyError for a name that is not ours."""
    built = DASHBOARDS[name]().build()
    tidy = _tidy(json.loads(json.dumps(built, cls=JSONEncoder))) | {"annotations": marks()}
    return json.dumps(tidy, indent=2, ensure_ascii=False) + "\n"


def write(directory: Path = OUTPUT) -> list[Path]:
    """Write all dashboards below a directory and say which files they are."""
    directory.mkdir(parents=True, exist_ok=True)
    written = []
    for name in DASHBOARDS:
        path = directory / name
        path.write_text(render(name), encoding="utf-8")
        written.append(path)
    return written
