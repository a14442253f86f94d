"""Half-received states on the target: resume the interrupted transfer by its token, or drop it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from replicator.errors import ZsrError
from replicator.models import Job
from replicator.replication.destruction import decide_half_received
from replicator.replication.half_received import BASE_GONE, PastFailure, base_is_gone, examine, judged
from replicator.replication.plan import VolumePair, made_there
from replicator.replication.progress import Log
from replicator.replication.provenance import Direction, is_marked
from replicator.replication.streams import resumed_limits
from replicator.replication.transfer import NODE_FAILED, Transfers
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.model import MADE_HERE, Dataset
from replicator.zfs.resume_token import ResumeToken


@dataclass(frozen=True, slots=True)
class HalfReceived:
    """Finishes what earlier runs of a job began.

    ``way`` is the job's, with what this node remembers of it. ``failures``: the job's last runs, newest first, up to
    the last one that did not fail. ``started``: when this run began (unix time).
    """

    job: Job
    way: Direction
    transfers: Transfers
    source: ZfsClient
    target: ZfsClient
    failures: Sequence[PastFailure]
    started: float
    log: Log

    async def resume_all(self, volumes: Iterable[VolumePair]) -> None:
        """Resume the transfers that earlier runs began; drop the states that are proven useless.

        Raises:
            TargetActiveError: a half-received state is another tool's; nothing was done with it.
            ZsrError: the first failure, after all volumes were tried. The state stays; the next run tries again.
        """
        failures: list[ZsrError] = []
        for pair in volumes:
            if pair.target is None or pair.target.token is None:
                continue
            try:
                await self._resume(pair, pair.target, pair.target.token)
            except ZsrError as error:
                failures.append(error)
                if error.error_class in NODE_FAILED:
                    break
                self.log("error", f"{pair.volume}: {error.what}")
        if failures:
            raise failures[0]

    async def _resume(self, pair: VolumePair, replica: Dataset, text: str) -> None:
        token, useless = examine(self.job, pair, self.target.node)
        await self._mark_made_there(pair, replica)
        useless = useless or await self._attempt(pair, token)
        if useless is not None:
            self.log("warning", f"{pair.volume}: the half-received state is dropped: {useless}")
            if not await self.target.abort_receive(decide_half_received(replica, text, useless)):
                nothing = "ZFS shows a resume token, but finds no half-received state to drop; the run goes on"
                self.log("warning", f"{pair.volume}: {nothing}")

    async def _mark_made_there(self, pair: VolumePair, replica: Dataset) -> None:
        """Mark what was created on the replica after the run that was cut had listed it; no later run can tell."""
        for name in made_there(self.way, pair) if is_marked(self.way, replica) else ():
            self.log("info", f"{pair.volume}: the snapshot {name} was created on the replica itself; it is kept")
            await self.target.set_properties(f"{replica.name}@{name}", {"zsr:job": MADE_HERE})

    async def _attempt(self, pair: VolumePair, token: ResumeToken) -> str | None:
        """Resume one transfer; return why its state turned out to be useless, None if it is finished."""
        try:
            remaining = await self.source.remaining(token.text)
        except ZsrError as error:
            if base_is_gone(token, pair, error):
                return BASE_GONE
            raise
        self.log("info", f"{pair.volume}: resuming the interrupted transfer of {token.to_name}")
        limits = {}
        if not pair.source.is_volume:
            limits = resumed_limits(await self.source.portable_properties(pair.source.name), token.to_guid)
        fault = await self.transfers.attempt(pair, commands.send_resume(token.text), remaining, limits)
        if fault is None:
            return None
        failed, drop = judged(fault, token, pair, self.target.node, self.failures, self.started)
        if not drop:
            raise failed
        return f"the target's ZFS refuses it. {failed.what}"
