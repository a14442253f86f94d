"""Clock skew: by how many seconds another node's clock is ahead of this one's."""

from __future__ import annotations

import time
from collections.abc import Callable

from replicator.errors import ZsrError
from replicator.hosts.host import Host

CLOCK_TIMEOUT_SECONDS = 5.0
"""Seconds that reading a node's clock may take; the result is off by at most half of that."""


async def clock_skew(host: Host, clock: Callable[[], float]) -> float | None:
    """Return the seconds by which a host's clock is ahead of ``clock`` (unix time); None if it could not be read.

    The host's time is compared with the middle of the time that reading it took.
    """
    before, begin = clock(), time.monotonic()
    try:
        done = await host.run(["date", "+%s.%N"], limit=CLOCK_TIMEOUT_SECONDS)
        theirs = float(done.stdout)
    except (ZsrError, ValueError):
        return None
    passed = time.monotonic() - begin
    return theirs - (before + passed / 2)
