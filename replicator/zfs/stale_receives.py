"""The command that ends receives for a job that an earlier run left running. Pure."""

from __future__ import annotations

import re

from replicator.models import JobId

_END_AND_WAIT = """
pkill -KILL -x -f "$1" || exit 1
n=0; while pgrep -x -f "$1" >/dev/null && [ $n -lt 50 ]; do sleep 0.1; n=$((n + 1)); done
"""


def end_stale_receives(job: JobId, source: str) -> list[str]:
    """Kill the receives of a job from a source node, and wait for their end; job and source are in their arguments."""
    pattern = "zfs receive .*" + re.escape(f"-o zsr:source={source} -o zsr:job={job} ") + ".*"
    return ["sh", "-c", _END_AND_WAIT, "sh", pattern]
