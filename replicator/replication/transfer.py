"""Transfer of volumes: prepare, send, receive (contract: One run, step 5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from replicator.common.sizes import size
from replicator.errors import (
    BusyError,
    DivergedError,
    ErrorClass,
    InternalError,
    ZsrError,
)
from replicator.hosts.stream import Limits, StreamEnd, stream
from replicator.job_choices import Encryption
from replicator.models import Job
from replicator.replication.clones import described_clone
from replicator.replication.expected_bytes import estimated
from replicator.replication.foreign_names import described_blocked
from replicator.replication.keys import described_plain, is_below_encrypted, is_raw, plain_below_encrypted
from replicator.replication.legs import Route, outdated_name, route
from replicator.replication.plan import (
    Conflict,
    Full,
    Incremental,
    TagForeignSnapshots,
    VolumePair,
    choose_base,
    set_aside,
)
from replicator.replication.prepare_target import bring_back, make_room, prepare
from replicator.replication.progress import Log, Progress, Step
from replicator.replication.refused_properties import described_refusals
from replicator.replication.snapshot_sets import unreplicated_bytes
from replicator.replication.stream_faults import Side, StreamFault, fault_of
from replicator.replication.stream_flags import flags_of, needs_large, record
from replicator.replication.streams import marks, needs_properties, replica_properties, send_argv, without_limits
from replicator.replication.trees import BringBack
from replicator.zfs import commands
from replicator.zfs.client import ZfsClient
from replicator.zfs.errors import is_half_received, is_name_taken
from replicator.zfs.features import Features
from replicator.zfs.fence import Fence
from replicator.zfs.model import Dataset, Snapshot

NODE_FAILED = (ErrorClass.NETWORK, ErrorClass.AUTH, ErrorClass.TIMEOUT, ErrorClass.SUPERSEDED)
"""Classes of failures that the other volumes of the same run would meet too."""


_DETOURS = 3
"""How often one transfer goes round names that the replica got since it was listed."""


@dataclass(frozen=True, slots=True)
class _Sending:
    """What the legs of a transfer have in common; ``done``: the expected bytes that were moved before them.

    ``large``: the replica turned out to need -L.
    """

    action: Full | Incremental
    name: str
    features: Features
    raw: bool
    expected: int | None
    properties: Mapping[str, str]
    done: int = 0
    large: bool = False


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
        missing: list[str] = []
        for action in actions:
            if above := next((each for each in missing if action.pair.target_name.startswith(each)), None):
                self._log("error", f"{action.pair.volume}: it waits for '{above[:-1]}', below which its replica lies")
                continue
            try:
                await self._transfer(action, name)
            except ZsrError as error:
                failures.append(error)
                missing += [f"{action.pair.target_name}/"] if action.pair.target is None or action.preparations else []
                if error.error_class in NODE_FAILED:
                    break
                self._log("error", f"{action.pair.volume}: {error.what}")
        if failures:
            raise failures[0]

    async def _transfer(self, action: Full | Incremental, name: str) -> None:
        """Transfer one volume; a replica that can receive no more is set aside, and a clone of it receives."""
        asides = await self._prepare(action)
        await self._progress.begin(Step.TRANSFER)
        try:
            await self._send(action, name)
        except (BusyError, DivergedError) as error:
            plain = all(isinstance(step, TagForeignSnapshots | BringBack) for step in action.preparations)
            replica = action.pair.target
            if (
                replica is None
                or not plain
                or not isinstance(action, Incremental)
                or not _receives_no_more(replica, error)
            ):
                raise
            self._log("warning", error.what)
            instead = set_aside(action.pair, action.base)
            if isinstance(instead, Conflict):
                raise instead.error from error
            if not isinstance(instead, Incremental):
                raise InternalError("A replica that is set aside needs an incremental send.") from error
            await self._prepare(instead)
            await self._send(instead, name)
        await bring_back(asides, action.pair.target_name, self._target, str(self._job.id), self._log)

    async def _prepare(self, action: Full | Incremental) -> Sequence[str]:
        if not action.preparations:
            return ()
        await self._progress.begin(Step.ASIDE)
        properties = replica_properties(self._job, self._source.node, action.pair.source, fence=self._fence)
        return await prepare(action, self._target, properties, self._clock(), self._log, self._fence)

    async def _send(self, action: Full | Incremental, name: str) -> None:
        """Send one volume's new snapshot to the target; its preparations are done."""
        pair = action.pair
        source = pair.source
        base = action.base if isinstance(action, Incremental) else None
        raw = is_raw(self._job, action)
        if raw and self._job.encryption is Encryption.DECRYPTED:
            why = "the one above it is" if isinstance(action, Full) else "it was begun so and stays so"
            self._log("warning", f"{pair.volume}: its replica is raw, since {why}")
        if (plain := plain_below_encrypted(action, raw=raw)) is not None:
            self._log("warning", described_plain(self._job, pair, plain))
        common = (await self._source.features()).common(await self._target.features())
        if base is None:
            await make_room(pair, self._target, self._source.node)
        action = await self._give_way(action)
        sent = route(action, name, self._job.snapshots)
        # The snapshots that are left do not say how much was written since a bookmark.
        counted = isinstance(base, Snapshot)
        asked = None if counted else await estimated(self._source, common, action, sent, raw=raw)
        expected = unreplicated_bytes(source, base) if counted else asked
        kind = f"incremental from {base.name}" if base else "full"
        self._log("info", f"{pair.volume}: {kind}, {_bytes(expected)} expected")
        if (clone := described_clone(action, expected)) is not None:
            self._log("info", clone)
        portable = needs_properties(source, raw=raw)
        found = await self._source.portable_properties(source.name) if portable else {}
        extra = without_limits(found, is_volume=source.is_volume)
        await self._send_around(_Sending(action, name, common, raw, expected, extra), sent)
        unmarked = base is None or pair.target is None or pair.target.job is None
        if unmarked and not (await self._target.features()).receive_properties:
            fence = self._fence if base is None else None
            properties = replica_properties(self._job, self._source.node, source, fence=fence)
            await self._target.set_properties(pair.target_name, properties)

    async def _give_way(self, action: Full | Incremental) -> Full | Incremental:
        """Rename the outdated snapshots; those that cannot be are gone round."""
        if isinstance(action, Full) or not action.outdated:
            return action
        replica, done = action.pair.target_name, []
        for each in action.outdated:
            name = outdated_name(replica, each)
            try:
                await self._target.rename(f"{replica}@{each.name}", f"{replica}@{name}")
            except ZsrError as error:
                if error.error_class in NODE_FAILED:
                    raise
                self._log("info", f"{action.pair.volume}: {error.what}")
                continue
            done.append(each)
            what = f"the source has another snapshot {each.name} now; the old one is {name}"
            self._log("info", f"{action.pair.volume}: {what}")
        return replace(action, outdated=tuple(done))

    async def _send_around(self, sending: _Sending, sent: Route) -> None:
        """Send all legs, around the names that the replica has; also around those that it got in the meantime."""
        pair, detours = sending.action.pair, 0
        if sent.blocked:
            self._log("info", described_blocked(pair, sent.blocked, self._target.node))
        while (fault := await self._send_legs(sending, sent)) is not None:
            detours += 1
            if not sending.large and fault.side is Side.RECEIVER and needs_large(fault.receiver.stderr):
                self._log("info", f"{pair.volume}: the replica was begun with -L, and goes on so")
                sending = replace(sending, large=True)
                continue
            taken = fault.side is Side.RECEIVER and is_name_taken(fault.receiver.stderr)
            found = await self._replica_now(pair) if taken and detours <= _DETOURS else None
            base = None if found is None else choose_base(pair.source, found)
            if base is None:
                raise fault.error
            action = Incremental(replace(pair, target=found), base)
            sending = replace(sending, action=action, done=self._progress.done_bytes)
            sent = route(action, sending.name, self._job.snapshots)
            self._log("info", described_blocked(pair, sent.blocked, self._target.node))

    async def _replica_now(self, pair: VolumePair) -> Dataset | None:
        return (await self._target.inventory(pair.target_name, depth=1)).get(pair.target_name)

    async def _send_legs(self, sending: _Sending, sent: Route) -> StreamFault | None:
        pair, done, raw = sending.action.pair, sending.done, sending.raw
        flags = flags_of(sending.features, sending.action, raw=raw, large=sending.large)
        properties = {**sending.properties, **record(flags, pair.target_name)}
        for leg in sent.legs:
            argv = send_argv(sending.features, sending.action, leg, raw=sending.raw, large=sending.large)
            first = leg.base is None
            encrypt = first and not sending.raw and is_below_encrypted(pair)
            fault = await self.attempt(
                pair, argv, sending.expected, properties, encrypt=encrypt, done=done, begins=first
            )
            if fault is not None:
                return fault
            done = self._progress.done_bytes
        return None

    async def attempt(
        self, pair: VolumePair, send: list[str], expected: int | None, properties: Mapping[str, str] | None = None,
        *, encrypt: bool = False, done: int = 0, begins: bool | None = None,
    ) -> StreamFault | None:  # fmt: skip
        """Run one send and its receive; return the fault of the side that failed first, None if it went well.

        ``properties`` are set on the replica as well as zsr's own; ``encrypt``: with the key of the dataset above it.
        ``done``: of the expected bytes, those that earlier streams moved. ``begins``: this stream makes the replica.

        Raises:
            ZsrError: a connection broke, or the stream stood still.
        """
        own = {**self._stamps_of(pair, begins), **marks(self._job, self._source.node)}
        receive = commands.receive(
            await self._target.features(), pair.target_name, is_volume=pair.source.is_volume,
            properties={**(properties or {}), **own}, encrypt=encrypt,
        )  # fmt: skip
        self._log("info", f"{' '.join(send)} | {' '.join(receive)}")
        progress = self._progress
        before = progress.sent_bytes
        progress.done_bytes, progress.expected_bytes, progress.transferring = done, expected, True

        def on_progress(moved: int) -> None:
            progress.done_bytes, progress.sent_bytes = done + moved, before + moved

        try:
            end = await stream(
                self._source.host, send, self._target.host, receive,
                limits=self._limits, expected_bytes=expected, on_progress=on_progress,
            )  # fmt: skip
        finally:
            progress.transferring = False
        return self._judged(pair, end)

    def _judged(self, pair: VolumePair, end: StreamEnd) -> StreamFault | None:
        """Log what a stream that has ended says; return its fault, None if it went well."""
        for side in (end.sender, end.receiver):
            if side.stderr.strip():
                self._log("raw", f"{' '.join(side.argv[:2])}: {side.stderr.strip()}")
        fault = fault_of(end, pair.volume, self._source.node, self._target.node)
        if fault is None:
            self._log("info", f"{pair.volume}: {size(end.moved)} sent")
            for words in described_refusals(pair, end.receiver.stderr, self._target.node):
                self._log("warning", words)
        return fault

    def _stamps_of(self, pair: VolumePair, begins: bool | None) -> Mapping[str, str]:
        """Return the stamps that the receive sets: on a new replica only, or a late one would undo those of others."""
        is_new = (pair.target is None or not pair.target.snapshots) if begins is None else begins
        return self._fence.stamps if is_new and self._fence is not None else {}


def _receives_no_more(replica: Dataset, error: ZsrError) -> bool:
    """Return whether a replica that refused a stream will refuse all: it was written to, or half-received for good.

    A state that is still shown after the run resumed or dropped all of them is one that ZFS cannot drop.
    """
    return isinstance(error, DivergedError) or (replica.token is not None and is_half_received(error.raw))


def _bytes(count: int | None) -> str:
    return "an unknown number of bytes" if count is None else size(count)
