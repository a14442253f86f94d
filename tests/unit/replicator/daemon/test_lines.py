"""The lines of nodes: streams share one, and its rate changes while they go on."""

from __future__ import annotations

import asyncio
import os
import time
from datetime import UTC, datetime

from replicator.daemon.lines import Lines
from replicator.hosts.pump import Line, Pump, sized_pipe
from replicator.models import Node
from tests.support.daemon_env import Clock

MB = 10**6


def test_a_line_is_one_for_all_streams_and_follows_the_hour_and_the_cluster_file() -> None:
    clock = Clock()
    clock.now = datetime(2026, 11, 30, 17, 59, 59, tzinfo=UTC).timestamp()
    lines = Lines(clock, UTC)
    nodes = {"alpha": Node("alpha", "local"), "beta": Node("beta", "10.0.0.2", rate=("10 mon..fri 8..18", "50"))}
    alpha, beta = lines.of(nodes, "alpha", "beta")
    assert lines.of(nodes, "beta") == (beta,)
    assert (alpha._rate, beta._rate) == (None, 10 * MB)
    clock.now += 2
    beta.grant(1, time.monotonic() + 5)
    assert beta._rate == 50 * MB
    lines.of({"beta": Node("beta", "10.0.0.2", rate=("3",))}, "beta")
    beta.grant(1, time.monotonic() + 50)
    assert beta._rate == 3 * MB


async def test_two_streams_over_one_line_are_as_fast_as_the_line_and_one_with_a_rate_of_its_own_obeys_it() -> None:
    line = Line(lambda: 8.0 * MB, time.monotonic())

    async def move(rate: float | None, size: int) -> float:
        reader, writer = sized_pipe()
        sink = os.open("/dev/null", os.O_WRONLY)
        source = asyncio.get_running_loop().run_in_executor(None, _fill, writer, size)
        out_reader, out_writer = sized_pipe()
        drain = asyncio.get_running_loop().run_in_executor(None, _drain, out_reader)
        os.close(sink)
        pump, begin = Pump(reader, out_writer, rate=rate, lines=(line,)), time.monotonic()
        await pump.run()
        pump.close()
        await source
        await drain
        return time.monotonic() - begin

    both = await asyncio.gather(move(None, 4 * MB), move(None, 4 * MB))
    assert 0.7 < max(both) < 5
    assert await move(2.0 * MB, 2 * MB) > 0.7


def _fill(writer: int, size: int) -> None:
    with os.fdopen(writer, "wb") as file:
        file.write(bytes(size))


def _drain(reader: int) -> None:
    with os.fdopen(reader, "rb") as file:
        while file.read(65536):
            pass
