"""Stream between two processes: all bytes arrive, counted, limited and watched; nothing is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import shutil
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from replicator.errors import ConfigError, DeadlineError, NetworkError
from replicator.hosts import compression
from replicator.hosts import stream as stream_module
from replicator.hosts.host import STDERR_KEPT, StderrTail
from replicator.hosts.local import LocalHost
from replicator.hosts.pump import Pump, TokenBucket, sized_pipe
from replicator.hosts.stream import Limits, StreamEnd, stream

HOST = LocalHost("here")
UNLIMITED = Limits(rate=None, stall=20)


class GoneHost(LocalHost):
    """A host whose connection is lost and cannot be opened again; processes on it do not notice."""

    async def reach(self) -> None:
        """See `Host.reach`."""
        raise NetworkError("Node there cannot be reached.", node=self.name)


async def run(send: str, receive: str, limits: Limits = UNLIMITED, sink: LocalHost = HOST) -> StreamEnd:
    """Stream from one shell command to another."""
    return await stream(
        HOST, ["sh", "-c", send], sink, ["sh", "-c", receive],
        limits=limits, expected_bytes=None, on_progress=lambda moved: None,
    )  # fmt: skip


def open_descriptors() -> set[str]:
    """The descriptors that this process has open."""
    return {entry.name for entry in Path("/proc/self/fd").iterdir()}


def children() -> str:
    """The processes that this one has started and not yet waited for."""
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text()


def is_running(pid: int) -> bool:
    """Whether a process lives; one that only waits to be reaped does not."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


async def test_every_byte_arrives_and_is_counted(tmp_path: Path) -> None:
    data = os.urandom(3_000_001)
    (tmp_path / "in").write_bytes(data)
    end = await run(f"cat {tmp_path}/in", f"cat > {tmp_path}/out")
    assert (end.sender.status, end.receiver.status, end.moved) == (0, 0, len(data))
    assert hashlib.sha256((tmp_path / "out").read_bytes()).digest() == hashlib.sha256(data).digest()


async def test_the_plain_copy_does_the_same_where_splice_is_not_to_be_had(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "splice")
    data = os.urandom(3_000_001)
    (tmp_path / "in").write_bytes(data)
    end = await run(f"cat {tmp_path}/in", f"cat > {tmp_path}/out")
    assert end.moved == len(data)
    assert (tmp_path / "out").read_bytes() == data


async def test_an_empty_stream_ends_well() -> None:
    end = await run("true", "cat")
    assert (end.sender.ok, end.receiver.ok, end.moved) == (True, True, 0)


async def test_a_failing_sender_is_reported_with_its_message() -> None:
    end = await run("echo gone >&2; exit 3", "cat")
    assert (end.sender.status, end.sender.stderr, end.receiver.status) == (3, "gone\n", 0)


async def test_a_failing_receiver_ends_an_endless_sender() -> None:
    end = await run("cat /dev/zero", "head -c 100000 >/dev/null; echo full >&2; exit 4")
    assert (end.receiver.status, end.receiver.stderr) == (4, "full\n")
    assert not end.sender.ok


async def test_a_receiver_that_dies_before_the_first_byte_ends_a_silent_sender() -> None:
    end = await run("sleep 600", "exit 5")
    assert end.receiver.status == 5


@pytest.mark.parametrize(
    ("send", "receive", "cut"),
    [
        ("cat /dev/zero", "head -c 100000 >/dev/null; exit 4", True),
        ("sleep 600", "exit 5", True),
        ("echo part; kill -9 $$", "cat >/dev/null; exit 4", False),
        ("echo all", "cat >/dev/null; exit 4", False),
        ("echo all", "cat >/dev/null", False),
    ],
)
async def test_only_a_receiver_that_fails_before_its_stream_has_ended_cuts_it(
    send: str, receive: str, cut: bool
) -> None:
    assert (await run(send, receive)).cut_by_receiver is cut


async def test_a_sender_may_end_after_a_receiver_that_went_well() -> None:
    end = await run("echo all; sleep 0.5", "read line")
    assert (end.sender.ok, end.receiver.ok) == (True, True)


async def test_a_stalled_stream_is_ended() -> None:
    with pytest.raises(DeadlineError, match="stalled for"):
        await run("sleep 600", "cat", Limits(rate=None, stall=0.4))


async def test_a_receiver_that_has_all_bytes_gets_longer_to_write_them() -> None:
    end = await run("echo all", "cat >/dev/null; sleep 2", Limits(rate=None, stall=0.6))
    assert end.receiver.ok


async def test_a_receiver_that_has_all_bytes_does_not_hang_without_end() -> None:
    with pytest.raises(DeadlineError, match="stalled for"):
        await run("echo all", "cat >/dev/null; sleep 600", Limits(rate=None, stall=0.2))


async def test_a_stream_that_stands_still_because_a_host_has_gone_is_ended_before_it_counts_as_stalled() -> None:
    with pytest.raises(NetworkError, match="cannot be reached"):
        await run("sleep 600", "cat", Limits(rate=None, stall=600, silence=0.4), GoneHost("there"))


async def test_a_stream_that_flows_needs_no_other_sign_of_its_host() -> None:
    flowing = "for i in 1 2 3 4 5 6; do echo line; sleep 0.3; done"
    end = await run(flowing, "cat >/dev/null", Limits(rate=None, stall=600, silence=1.5), GoneHost("there"))
    assert end.receiver.ok


async def test_a_cancelled_stream_lets_the_receiver_save_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resumable receive keeps its state only if it sees the end of its stream and is not killed."""
    monkeypatch.setattr(stream_module, "RECEIVER_GRACE_SECONDS", 60.0)  # a machine may stand still for seconds
    started, saved = tmp_path / "started", tmp_path / "saved"
    task = asyncio.create_task(
        run("head -c 5000 /dev/zero; sleep 600", f"head -c 5000 >/dev/null; touch {started}; cat; touch {saved}")
    )
    async with asyncio.timeout(60):
        while not started.exists():  # noqa: ASYNC110 - another process makes it
            await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert saved.exists()


async def test_no_descriptor_is_left_open() -> None:
    await run("true", "cat")
    before = open_descriptors()
    await run("head -c 200000 /dev/zero", "cat >/dev/null")
    await run("cat /dev/zero", "exit 1")
    with pytest.raises(DeadlineError):
        await run("sleep 600", "cat", Limits(rate=None, stall=0.2))
    assert len(open_descriptors()) <= len(before)


async def test_two_hundred_streams_that_end_in_every_way_leave_nothing_behind() -> None:
    """No descriptor, no thread and no child, whether they end well, fail at either end, stall, or are cancelled."""
    dice = random.Random(200)
    ways = [("head -c 30000 /dev/zero", "cat >/dev/null"), ("cat /dev/zero", "exit 1"), ("exit 1", "cat")]

    async def one(number: int) -> None:
        try:
            async with asyncio.timeout(dice.uniform(0.0, 0.3) if number % 2 else None):
                await run(*(ways[number // 2 % 3] if number % 4 != 3 else ("cat /dev/zero", "cat >/dev/null")))
        except TimeoutError:
            pass

    await one(0)
    before, threads = len(open_descriptors()), threading.active_count()
    for start in range(0, 200, 10):
        async with asyncio.TaskGroup() as group:
            for number in range(start, start + 10):
                group.create_task(one(number))
    async with asyncio.timeout(60):
        while threading.active_count() > threads:  # noqa: ASYNC110 - a pump's thread ends right after its stream
            await asyncio.sleep(0.01)
    assert len(open_descriptors()) <= before
    assert children() == ""


async def test_a_pump_that_was_never_run_closes_its_ends() -> None:
    before = open_descriptors()
    (reader, writer), (reader2, writer2) = sized_pipe(), sized_pipe()
    pump = Pump(reader, writer2, rate=None)
    pump.close()
    os.close(writer)
    os.close(reader2)
    assert open_descriptors() == before


@given(
    rate=st.floats(1e6, 1e9),
    steps=st.lists(st.tuples(st.floats(0, 2), st.integers(1, 1 << 20)), min_size=1, max_size=200),
)
def test_no_more_than_the_rate_is_ever_granted(rate: float, steps: list[tuple[float, int]]) -> None:
    bucket, now, spent = TokenBucket(rate, 0.0), 0.0, 0
    for pause, wanted in steps:
        now += pause
        granted = bucket.grant(wanted, now)
        assert 0 <= granted <= wanted
        bucket.spend(granted)
        spent += granted
        assert spent <= rate * now + 1


def test_a_stream_that_paused_may_catch_up_a_tenth_of_a_second_and_no_more() -> None:
    bucket = TokenBucket(1e6, 0.0)
    assert bucket.grant(1 << 30, 3600.0) == 100_000


@given(st.floats(1e6, 1e9))
def test_a_busy_stream_gets_its_whole_rate(rate: float) -> None:
    bucket, now, spent = TokenBucket(rate, 0.0), 0.0, 0
    while now < 10:
        granted = bucket.grant(1 << 20, now)
        bucket.spend(granted)
        spent += granted
        now += bucket.wait() if granted == 0 else 0.0005
    assert spent >= min(0.95 * rate * 10, 0.9 * (1 << 20) * 10 / 0.0006)


def test_a_flood_of_words_on_stderr_is_kept_at_both_ends() -> None:
    tail = StderrTail()
    tail.feed(b"first\n")
    for _ in range(1000):
        tail.feed(b"x" * 1000)
    tail.feed(b"last\n")
    assert tail.text().startswith("first\n")
    assert tail.text().endswith("last\n")
    assert len(tail.text()) <= STDERR_KEPT


async def test_a_command_that_takes_too_long_is_ended_with_its_children(tmp_path: Path) -> None:
    with pytest.raises(DeadlineError, match="did not end within"):
        await HOST.run(["sh", "-c", f"sleep 600 & echo $! > {tmp_path}/pid; wait"], limit=0.5)
    assert not is_running(int((tmp_path / "pid").read_text()))


async def test_commands_run_in_the_c_locale_and_see_the_system_tools(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    done = await HOST.run(["sh", "-c", "echo $LC_ALL $PATH"], limit=10)
    assert done.stdout.startswith("C /usr/bin:/bin:")
    assert "/usr/sbin" in done.stdout


class PackingHost(LocalHost):
    """The same machine, as if it were behind a slow line."""

    @property
    def compression(self) -> str:
        return "zstd"


async def run_packed(send: str, receive: str) -> StreamEnd:
    """Stream from one shell command to another, compressed on the way."""
    return await stream(
        HOST, ["sh", "-c", send], PackingHost("far"), ["sh", "-c", receive],
        limits=UNLIMITED, expected_bytes=None, on_progress=lambda moved: None,
    )  # fmt: skip


needs_zstd = pytest.mark.skipif(shutil.which("zstd") is None, reason="zstd is not installed")


@needs_zstd
async def test_a_compressed_stream_arrives_whole_and_the_bytes_on_the_wire_are_counted(tmp_path: Path) -> None:
    end = await run_packed("yes | head -c 8000000", f"cat > {tmp_path}/out")
    assert (tmp_path / "out").read_bytes() == b"y\n" * 4_000_000
    assert (end.sender.ok, end.receiver.ok) == (True, True)
    assert end.moved < 100_000


@needs_zstd
async def test_the_receivers_own_failure_is_reported_through_the_decompression() -> None:
    end = await run_packed("cat /dev/urandom | head -c 3000000", "head -c 10 >/dev/null; echo full >&2; exit 7")
    assert (end.receiver.status, end.receiver.stderr.splitlines()[0]) == (7, "full")


@needs_zstd
async def test_a_sender_that_fails_in_a_compressed_stream_is_reported() -> None:
    end = await run_packed("head -c 100000 /dev/zero; exit 3", "cat >/dev/null")
    assert end.sender.status == 3


async def test_a_node_without_zstd_is_reported_before_anything_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "_COMPRESS", ("no-such-zstd",))
    before = open_descriptors()
    with pytest.raises(ConfigError, match="has no 'zstd'"):
        await run_packed("echo hello", "cat >/dev/null")
    assert open_descriptors() == before
