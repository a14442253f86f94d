"""Probes targets that do not answer, so that their jobs run as soon as they do again."""

from __future__ import annotations

import asyncio
import logging

from replicator.daemon.planned_jobs import PlannedJobs
from replicator.errors import ZsrError
from replicator.schedule.scheduler import PROBE_INTERVAL_SECONDS
from replicator.zfs.node_clients import Nodes

_log = logging.getLogger("zsr.daemon")


async def probe_targets(jobs: PlannedJobs, nodes: Nodes, wake: asyncio.Event) -> None:
    """Connect once per interval to each target that did not answer, until cancelled; sets ``wake`` when one does."""
    while True:
        await asyncio.sleep(PROBE_INTERVAL_SECONDS)
        async with asyncio.TaskGroup() as group:  # a slow one does not keep the others waiting
            for node in jobs.silent_targets():
                group.create_task(_probe(node, jobs, nodes, wake))


async def _probe(node: str, jobs: PlannedJobs, nodes: Nodes, wake: asyncio.Event) -> None:
    try:
        answers = await nodes.probe(node)
    except ZsrError as error:  # removed from the cluster meanwhile
        _log.warning("Could not probe node %s: %s", node, error)
        return
    except Exception:  # noqa: BLE001 - a task's outermost frame: the other nodes' jobs go on
        _log.exception("Could not probe node %s (class internal).", node)
        return
    if answers:
        _log.info("Node %s answers again.", node)
        jobs.target_answers(node)
        wake.set()
