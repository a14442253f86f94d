"""Transfer of volumes: prepare, send, receive (contract: One run, step 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from replicator.common.sizes import size
from replicator.errors import (
    DivergedError,
    ErrorClass,
    InternalError,
    ZsrError,
)
from replicator.hosts.stream import Limits, stream
from replicator.models import Encryption, Job
from replicator.replication.keys import described_plain, is_below_encrypted, is_raw, plain_below_encrypted
from replicator.replication.plan import Conflict, Full, Incremental, TagForeignSnapshots, VolumePair, set_aside
from replicator.replication.prepare_target import prepare
from replicator.replication.progress import Log, Progress, Step
from replicator.replication.snapshot_sets import unreplicated_bytes
from replicator.replication.stream_faults import StreamFault, fault_of
from replicator.replication.streams import marks, needs_properties, replica_properties, send_argv
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.fence import Fence
from replicator.zfs.model import Snapshot

NODE_FAILED = (ErrorClass.NETWORK, ErrorClass.AUTH, ErrorClass.TIMEOUT, ErrorClass.SUPERSEDED)
"""Classes of failures that the other volumes of the same run would meet too."""


class Transfers:
    """Moves volumes from one node's ZFS to another's for one job."""

    def __init__(
        self,
        job: Job,
        source: ZfsClient,
        target: ZfsClient,
        limits: Limits,
        progress: Progress,
        log: Log,
        clock: Callable[[], float],
        *,
        fence: Fence | None = None,
    ) -> None:
        self._fence = fence
        self._job = job
        self._source = source
        self._target = target
        self._limits = limits
        self._progress = progress
        self._log = log
        self._clock = clock

    async def transfer_all(self, actions: Iterable[Full | Incremental], name: str) -> None:
        """Transfer the snapshot ``name`` of every volume; one that fails does not keep the others from the target.

        Raises:
            ZsrError: the first failure, after all other volumes were tried.
        """
        failures: list[ZsrError] = []
        for action in actions:
            try:
                await self._transfer(action, name)
            except ZsrError as error:
                failures.append(error)
                if error.error_class in NODE_FAILED:
                    break
                self._log("error", f"{action.pair.volume}: {error.what}")
        if failures:
            raise failures[0]

    async def _transfer(self, action: Full | Incremental, name: str) -> None:
        """Transfer one volume; a replica that receive finds written to is set aside, and a clone of it receives."""
        await self._prepare(action)
        await self._progress.begin(Step.TRANSFER)
        try:
            await self._send(action, name)
        except DivergedError as error:
            plain = all(isinstance(step, TagForeignSnapshots) for step in action.preparations)
            if action.pair.target is None or not plain or not isinstance(action, Incremental):
                raise
            self._log("warning", error.what)
            instead = set_aside(action.pair, action.base)
            if isinstance(instead, Conflict):
                raise instead.error from error
            if not isinstance(instead, Incremental):
                raise InternalError("A replica that is set aside needs an incremental send.") from error
            await self._prepare(instead)
            await self._send(instead, name)

    async def _prepare(self, action: Full | Incremental) -> None:
        if action.preparations:
            await self._progress.begin(Step.ASIDE)
            properties = replica_properties(self._job, self._source.node, action.pair.source, fence=self._fence)
            await prepare(action, self._target, properties, self._clock(), self._log, self._fence)

    async def _send(self, action: Full | Incremental, name: str) -> None:
        """Send one volume's new snapshot to the target; its preparations are done."""
        pair = action.pair
        source = pair.source
        base = action.base if isinstance(action, Incremental) else None
        raw = is_raw(self._job, action)
        if raw and self._job.encryption is Encryption.DECRYPTED:
            self._log("warning", f"{pair.volume}: the replica was begun raw and stays raw")
        if (plain := plain_below_encrypted(action, raw=raw)) is not None:
            self._log("warning", described_plain(self._job, pair, plain))
        common = (await self._source.features()).common(await self._target.features())
        argv = send_argv(self._job, common, action, name, raw=raw)
        if base is None:
            await self._target.create_parents(pair.target_path, pair.target_name.removeprefix(f"{pair.target_path}/"))
        # The snapshots that are left do not say how much was written since a bookmark.
        counted = isinstance(base, Snapshot)
        expected = unreplicated_bytes(source, base) if counted else await self._source.estimate(argv)
        kind = f"incremental from {base.name}" if base else "full"
        self._log("info", f"{pair.volume}: {kind}, {_bytes(expected)} expected")
        portable = needs_properties(source, raw=raw)
        extra = await self._source.portable_properties(source.name) if portable else {}
        encrypt = base is None and not raw and is_below_encrypted(pair)
        if (fault := await self.attempt(pair, argv, expected, extra, encrypt=encrypt)) is not None:
            raise fault.error
        unmarked = base is None or pair.target is None or pair.target.job is None
        if unmarked and not (await self._target.features()).receive_properties:
            fence = self._fence if base is None else None
            properties = replica_properties(self._job, self._source.node, source, fence=fence)
            await self._target.set_properties(pair.target_name, properties)

    async def attempt(
        self, pair: VolumePair, send: list[str], expected: int | None, properties: Mapping[str, str] | None = None,
        *, encrypt: bool = False,
    ) -> StreamFault | None:  # fmt: skip
        """Run one send and its receive; return the fault of the side that failed first, None if it went well.

        ``properties`` are set on the replica as well as zsr's own; ``encrypt``: with the key of the dataset above it.

        Raises:
            ZsrError: a connection broke, or the stream stood still.
        """
        receive = commands.receive(
            await self._target.features(),
            pair.target_name,
            is_volume=pair.source.is_volume,
            properties={**(properties or {}), **self._stamps_of(pair), **marks(self._job, self._source.node)},
            encrypt=encrypt,
        )
        self._log("info", f"{' '.join(send)} | {' '.join(receive)}")
        progress = self._progress
        before = progress.sent_bytes
        progress.done_bytes, progress.expected_bytes, progress.transferring = 0, expected, True

        def on_progress(moved: int) -> None:
            progress.done_bytes, progress.sent_bytes = moved, before + moved

        try:
            end = await stream(
                self._source.host, send, self._target.host, receive,
                limits=self._limits, expected_bytes=expected, on_progress=on_progress,
            )  # fmt: skip
        finally:
            progress.transferring = False
        for side in (end.sender, end.receiver):
            if side.stderr.strip():
                self._log("raw", f"{' '.join(side.argv[:2])}: {side.stderr.strip()}")
        fault = fault_of(end, pair.volume, self._source.node, self._target.node)
        if fault is None:
            self._log("info", f"{pair.volume}: {size(end.moved)} sent")
        return fault

    def _stamps_of(self, pair: VolumePair) -> Mapping[str, str]:
        """Return the stamps that the receive sets: on a new replica only, or a late one would undo those of others."""
        is_new = pair.target is None or not pair.target.snapshots
        return self._fence.stamps if is_new and self._fence is not None else {}


def _bytes(count: int | None) -> str:
    return "an unknown number of bytes" if count is None else size(count)
