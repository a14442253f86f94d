"""Commands that a user wrote into the cluster file: hooks, what starts and stops a guest, a guest's own check."""

from __future__ import annotations

from collections.abc import Sequence

from replicator.hosts.host import Completed, Host
from replicator.hosts.local import LocalHost


async def run_configured(host: Host, argv: Sequence[str], *, limit: float) -> Completed:
    """Run a user's command on a node; on this one without the restrictions of the daemon's unit. See `Host.run`."""
    if isinstance(host, LocalHost):
        return await host.run_configured(argv, limit=limit)
    return await host.run(argv, limit=limit)
