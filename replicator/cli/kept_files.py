"""What the commands say of the files of a guest that its targets keep."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import tzinfo

from replicator.cli.output import local_time
from replicator.common.kept_files import Kept
from replicator.common.tasks import result_or_error
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.hosts.version_folder import list_versions
from replicator.models import Guest, JobId
from replicator.replication.file_keeper import guest_files_of
from replicator.zfs.node_clients import Nodes

KeptOrError = Kept | ZsrError


async def ask_kept(
    node: Settings, guest: Guest, targets: Mapping[JobId, str], nodes: Nodes
) -> dict[JobId, KeptOrError]:
    """Return what the targets of a guest's jobs keep of its files; no node is asked if it has none."""
    if not guest.files:
        return {}
    where = guest_files_of(node)
    async with asyncio.TaskGroup() as group:
        asked = {
            job: group.create_task(result_or_error(list_versions(nodes.client(target).host, where.of_job(job))))
            for job, target in targets.items()
        }
    return {job: task.result() for job, task in asked.items()}


def times_of(guest: Guest, kept: Kept, set_time: int | None) -> dict[str, int | None]:
    """Return when each file of a guest was read that a node keeps for a set; None where it keeps none."""
    found = {path: None if set_time is None else kept.of_set(path, set_time) for path in guest.files}
    return {path: None if version is None else version.read for path, version in found.items()}


def described_kept(target: str, guest: Guest, kept: KeptOrError, set_time: int | None, zone: tzinfo) -> str:
    """Return a sentence about the files that a target keeps for a set."""
    if isinstance(kept, ZsrError):
        return f"Files on {target}: not known: {kept.what}"
    times = times_of(guest, kept, set_time)
    each = (f"{path} ({'none' if at is None else f'of {local_time(at, zone)}'})" for path, at in times.items())
    return f"Files on {target}: {', '.join(each)}."
