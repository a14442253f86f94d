"""A stream from a process on one host to a process on another, watched for stalls, counted, and always cleaned up."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass

from replicator.common.tasks import finish_despite_cancel, first_exception
from replicator.errors import DeadlineError
from replicator.hosts.compression import NO_COMPRESSOR, decompressed_by, start_compressor
from replicator.hosts.host import Completed, Host, StreamProcess
from replicator.hosts.pump import Line, Pump, sized_pipe

RECEIVER_GRACE_SECONDS = 5.0
"""Seconds that a receiver gets to end by itself after its stream was cut, so that it can save what it has."""

FINISHING_FACTOR = 6
"""Times the stall limit that a receiver may take after the last byte: one that frees much, or has a slow pool."""

_WATCH_INTERVAL_SECONDS = 0.5
"""Seconds between two looks at the pump's counter."""

_Processes = tuple[StreamProcess, StreamProcess, StreamProcess]
"""The sender, what compresses its stream, and the receiver."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The results of a stream's three processes, and the bytes that went over the wire.

    ``cut_by_receiver``: the receiver failed while there was more to come; the failures of the others follow from that.
    """

    sender: Completed
    receiver: Completed
    compressor: Completed
    moved: int
    cut_by_receiver: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """``rate``: bytes per second (None: unlimited); ``stall``: seconds without a byte after which to give up.

    When all bytes were handed over, the receiver gets `FINISHING_FACTOR` times as long to write what it has.
    ``lines``: those of the nodes, which other streams use too; each limits this one as well.
    ``silence``: seconds without a byte after which the hosts' connections are checked.
    """

    rate: float | None
    stall: float
    silence: float = 5.0
    lines: tuple[Line, ...] = ()


async def stream(
    source: Host,
    send: Sequence[str],
    sink: Host,
    receive: Sequence[str],
    *,
    limits: Limits,
    expected_bytes: int | None,
    on_progress: Callable[[int], None],
) -> StreamEnd:
    """Run both processes with a pump between them until both have ended.

    Counting, rate limit and stall watch apply to the bytes on the wire: fewer than expected where it is compressed.

    Raises:
        DeadlineError: not a byte moved for ``limits.stall`` seconds.
        NetworkError, AuthError: a connection was lost or could not be opened, or no byte moves and a host is gone.
        ConfigError: the stream should be compressed and this node has no zstd.
    """
    processes, reader, writer = await _start(source, send, sink, receive, expected_bytes=expected_bytes)
    pump = Pump(reader, writer, rate=limits.rate, lines=limits.lines)
    return await _supervise(processes, pump, _watch(pump, limits, (source, sink), on_progress), on_progress)


async def _start(
    source: Host, send: Sequence[str], sink: Host, receive: Sequence[str], *, expected_bytes: int | None
) -> tuple[_Processes, int, int]:
    """Start the receiver, the sender and, if the stream is compressed, zstd; none is left behind if one fails.

    Returns them with the two descriptors between which the pump moves bytes: what it reads from, what it writes to.
    """
    send_reader, send_writer = sized_pipe()
    receive_reader, receive_writer = sized_pipe()
    compressing = sink.compression != "none"
    try:
        argv = decompressed_by(receive) if compressing else receive
        receiver = await sink.start_sink(argv, receive_reader, expected_bytes=expected_bytes)
    except BaseException:
        _close(send_reader, send_writer, receive_writer)
        raise
    try:
        sender = await source.start_source(send, send_writer)
    except BaseException:
        _close(send_reader, receive_writer)
        await receiver.kill()
        raise
    if not compressing:
        return (sender, NO_COMPRESSOR, receiver), send_reader, receive_writer
    try:
        compressor, compressed_reader = await start_compressor(source.name, send_reader)
    except BaseException:
        _close(receive_writer)
        await sender.kill()
        await receiver.kill()
        raise
    return (sender, compressor, receiver), compressed_reader, receive_writer


async def _supervise(
    processes: _Processes,
    pump: Pump,
    watching: Coroutine[None, None, None],
    on_progress: Callable[[int], None],
) -> StreamEnd:
    sender, compressor, receiver = processes
    try:
        async with asyncio.TaskGroup() as group:
            watch = group.create_task(watching)
            moving = group.create_task(pump.run())
            sent = group.create_task(sender.wait())
            received = group.create_task(receiver.wait())
            compressed = group.create_task(compressor.wait())
            await received
            # A receiver that ended well has read all it needs, and the sender is about to end by itself.
            cut_by_receiver = not pump.exhausted and not received.result().ok
            if cut_by_receiver:
                await sender.kill()
                await compressor.kill()
            await sent
            await compressed
            moving.cancel()
            watch.cancel()
    except BaseExceptionGroup as errors:
        raise first_exception(errors) from None
    finally:
        # A second cancel must not leave a process or a descriptor behind.
        await finish_despite_cancel(_clean_up(processes, pump))
        on_progress(pump.moved)
    return StreamEnd(sent.result(), received.result(), compressed.result(), pump.moved, cut_by_receiver)


async def _clean_up(processes: _Processes, pump: Pump) -> None:
    sender, compressor, receiver = processes
    try:
        await sender.kill()
        await compressor.kill()
        await _end_receiver(receiver)
    finally:
        pump.close()


async def _watch(pump: Pump, limits: Limits, hosts: Sequence[Host], on_progress: Callable[[int], None]) -> None:
    loop = asyncio.get_running_loop()
    seen, since = pump.moved, loop.time()
    while True:
        await asyncio.sleep(_WATCH_INTERVAL_SECONDS)
        on_progress(pump.moved)
        if pump.moved != seen:
            seen, since = pump.moved, loop.time()
        elif loop.time() - since > limits.stall * (FINISHING_FACTOR if pump.exhausted else 1):
            raise DeadlineError(f"The transfer stalled for {loop.time() - since:.0f} s and was ended.")
        elif loop.time() - since > limits.silence:
            for host in hosts:
                await host.reach()


async def _end_receiver(receiver: StreamProcess) -> None:
    try:
        async with asyncio.timeout(RECEIVER_GRACE_SECONDS):
            await receiver.ended()
    except TimeoutError:
        await receiver.kill()


def _close(*descriptors: int) -> None:
    for descriptor in descriptors:
        os.close(descriptor)
