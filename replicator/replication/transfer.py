"""The transfer of volumes: send, stream, receive; and what a cut one left behind (DESIGN 4, step 5)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from replicator.common.sizes import size
from replicator.errors import EncryptionError, ErrorClass, TargetActiveError, ZfsError, ZsrError
from replicator.hosts.stream import Limits, StreamEnd, stream
from replicator.models import Encryption, Job, Travelling
from replicator.replication.plan import Full, Incremental, VolumePair
from replicator.replication.progress import Progress
from replicator.replication.snapshot_sets import unreplicated_bytes
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.errors import classify, is_broken_pipe, is_incomplete_stream
from replicator.zfs.model import Bookmark, Dataset, ResumeToken, Snapshot

_MAY_PASS = (ErrorClass.NETWORK, ErrorClass.AUTH, ErrorClass.TIMEOUT, ErrorClass.NO_SPACE, ErrorClass.BUSY)
"""Classes of failures that leave a half-received state worth to be gone on with."""

Log = Callable[[str, str], None]
"""Writes one line of the run's log: level (info, warning, error, raw) and text."""


class Transfers:
    """Moves volumes from one node's ZFS to another's for one job."""

    def __init__(
        self, job: Job, source: ZfsClient, target: ZfsClient, limits: Limits, progress: Progress, log: Log
    ) -> None:
        self._job = job
        self._source = source
        self._target = target
        self._limits = limits
        self._progress = progress
        self._log = log

    async def finish_half_received(self, volumes: Sequence[VolumePair]) -> None:
        """Go on with what an earlier run began, or drop it where it can no longer be finished."""
        for pair in volumes:
            target = pair.target
            if target is None or target.token is None:
                continue
            token = await self._source.resume_token(target.token)
            fits = token is not None and _belongs(token, pair) and (token.raw or not self._is_raw(pair, target))
            if not fits and target.job is None:
                raise TargetActiveError(
                    f"'{target.name}' on node {self._target.node} is half received by somebody else.",
                    node=self._target.node,
                    volume=str(pair.volume),
                    advice="Finish or abort it there (zfs receive -A).",
                )
            if token is None or not fits:
                self._log("warning", f"{pair.volume}: a half-received state can no longer be finished; it is dropped")
                await self._target.abort_receive(target.name)
                continue
            self._log("info", f"{pair.volume}: going on with the interrupted transfer of {token.to_name}")
            try:
                await self._stream(pair, commands.send_resume(token.token), token.remaining)
            except ZsrError as error:
                if error.error_class in _MAY_PASS:
                    raise
                # Somebody took a snapshot of the replica meanwhile, say: ZFS then refuses with whatever words.
                self._log("warning", f"{error.what} The half-received state is dropped.")
                await self._target.abort_receive(target.name)

    async def send(self, action: Full | Incremental, name: str) -> None:
        """Bring one volume's new snapshot to the target, whose preparations were done."""
        pair = action.pair
        source = pair.source
        base = action.base if isinstance(action, Incremental) else None
        raw = self.is_raw(action)
        if raw and self._job.encryption is Encryption.DECRYPTED:
            self._log("warning", f"{pair.volume}: the replica stays raw, as it was begun")
        argv = commands.send(
            (await self._source.features()).common(await self._target.features()),
            source.name,
            name,
            None if base is None else f"{'#' if isinstance(base, Bookmark) else '@'}{base.name}",
            raw=raw,
            properties=raw or not source.encrypted,
            all_between=self._job.snapshots is Travelling.ALL,
        )
        if base is None:
            await self._target.create_parents(pair.target_path, pair.volume.name)
        # What was written since a bookmark is not known from the snapshots that are left.
        counted = isinstance(base, Snapshot)
        expected = unreplicated_bytes(source, base) if counted else await self._source.estimate(argv)
        kind = f"incremental from {base.name}" if base else "full"
        self._log("info", f"{pair.volume}: {kind}, {_told(expected)} expected")
        extra = await self._source.portable_properties(source.name) if source.encrypted and not raw else {}
        await self._stream(pair, argv, expected, extra)
        unmarked = base is None or pair.target is None or pair.target.job is None
        if unmarked and not (await self._target.features()).receive_properties:
            await self._target.set_properties(pair.target_name, self.replica_properties(source))

    def is_raw(self, action: Full | Incremental) -> bool:
        """Return whether an action sends raw; raises EncryptionError as `_is_raw`."""
        return self._is_raw(action.pair, action.pair.target if isinstance(action, Incremental) else None)

    def _is_raw(self, pair: VolumePair, target: Dataset | None) -> bool:
        """Return whether a volume travels raw: an encrypted one always does when the job says so.

        What the target reports of its replica never makes a raw job send in the clear.

        Raises:
            EncryptionError: the job says raw, and the replica is not.
        """
        if not pair.source.encrypted:
            return False
        if target is None or not target.snapshots:
            return self._job.encryption is Encryption.RAW
        raw = target.encryption_root == target.name
        if self._job.encryption is Encryption.RAW and not raw:
            raise EncryptionError(
                f"Volume {pair.volume} is encrypted and the job sends it raw, but its replica '{target.name}' on node "
                f"{self._target.node} is not raw.",
                node=self._target.node,
                volume=str(pair.volume),
                advice="Rename it there (zfs rename), and the volume is sent raw in full. Or, if that node may "
                f"read it, send it in the clear: zsr update {self._job.id} --encryption decrypted.",
            )
        return raw

    async def _stream(
        self, pair: VolumePair, send: list[str], expected: int | None, properties: Mapping[str, str] | None = None
    ) -> None:
        receive = commands.receive(
            await self._target.features(),
            pair.target_name,
            is_volume=pair.source.is_volume,
            properties={**(properties or {}), **self._marks()},
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
        self._judge(pair, end)
        self._log("info", f"{pair.volume}: {size(end.moved)} sent")

    def _judge(self, pair: VolumePair, end: StreamEnd) -> None:
        """Raise the error of the side that failed first; the other only tells of the consequence."""
        sender, receiver = end.sender, end.receiver
        if sender.ok and receiver.ok:
            return
        volume = str(pair.volume)
        if end.packer.stderr.strip():  # the others only tell of the consequence
            what = f"The stream of {volume} could not be compressed: {end.packer.stderr.strip()}."
            raise ZfsError(what, node=self._source.node, volume=volume, raw=end.packer.stderr)
        sending = classify("send", sender.stderr, node=self._source.node, volume=volume, status=sender.status)
        receiving = classify("receive", receiver.stderr, node=self._target.node, volume=volume, status=receiver.status)
        if receiver.ok or (
            not sender.ok and not is_broken_pipe(sender.stderr) and is_incomplete_stream(receiver.stderr)
        ):
            raise sending
        raise receiving

    def _marks(self) -> dict[str, str]:
        # zsr:job is last: where properties are set one by one, a dataset that has it has the source too.
        return {"zsr:source": self._source.node, "zsr:job": str(self._job.id)}

    def replica_properties(self, source: Dataset) -> dict[str, str]:
        """What is set on a source's replica."""
        return commands.replica_properties(is_volume=source.is_volume, extra=self._marks())


def _belongs(token: ResumeToken, pair: VolumePair) -> bool:
    """Whether a token is for a snapshot that this very source volume still has."""
    dataset, _, snapshot = token.to_name.partition("@")
    found: Snapshot | None = pair.source.by_guid(token.to_guid)
    return dataset == pair.source.name and found is not None and found.name == snapshot


def _told(count: int | None) -> str:
    return "an unknown number of bytes" if count is None else size(count)
