"""``python -m grafana``: write the dashboards' JSON."""

from __future__ import annotations

import sys

from grafana.build import write

for path in write():
    sys.stdout.write(f"{path}\n")
