"""The scheduler of a daemon feeds systemd's watchdog, and a daemon that hangs does not."""

from __future__ import annotations

import asyncio
import configparser
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from replicator.common.durations import parse_duration
from replicator.common.service_socket import ServiceSocket
from replicator.daemon import daemon as module
from replicator.daemon.daemon import LOOK_AGAIN_SECONDS
from replicator.daemon.planned_jobs import PlannedJobs
from tests.support.daemon_env import DaemonEnv, RunScript, play, until

UNIT = Path(__file__).parents[4] / "packaging" / "zsr.service"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> RunScript:
    return play(monkeypatch)


@pytest.fixture
def systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """Systemd's side of the socket of every daemon that is made."""
    address = str(tmp_path / "notify")
    monkeypatch.setattr(module, "ServiceSocket", lambda: ServiceSocket(address))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.setblocking(False)
        yield listener


def received(listener: socket.socket) -> list[bytes]:
    """What has arrived since the last time."""
    found = []
    while True:
        try:
            found.append(listener.recv(100))
        except BlockingIOError:
            return found


async def test_it_is_ready_once_and_alive_with_each_turn_of_the_scheduler(
    tmp_path: Path, script: RunScript, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_SECONDS", 0.01)
    seen: list[bytes] = []
    async with DaemonEnv(tmp_path, script).running():
        async with asyncio.timeout(30):
            while len(seen) <= 5:
                seen += received(systemd)
                await asyncio.sleep(0.01)
    assert seen[:2] == [b"READY=1", b"WATCHDOG=1"]
    assert set(seen[1:]) == {b"WATCHDOG=1"}


async def test_a_scheduler_that_hangs_is_not_alive_although_the_event_loop_goes_on(
    tmp_path: Path, script: RunScript, systemd: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_AGAIN_SECONDS", 0.01)
    hangs = asyncio.Event()

    async with DaemonEnv(tmp_path, script).running():
        await until(lambda: bool(received(systemd)))

        async def update(_: PlannedJobs) -> None:
            hangs.set()
            await asyncio.Event().wait()

        monkeypatch.setattr(PlannedJobs, "update", update)
        await hangs.wait()
        received(systemd)
        begin = time.monotonic()
        await asyncio.sleep(0.2)
        assert time.monotonic() - begin >= 0.2
        assert received(systemd) == []


def test_the_shipped_unit_waits_many_turns_before_it_restarts_the_daemon() -> None:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment, method-assign]
    unit.read(UNIT)
    service = unit["Service"]
    assert service["Type"] == "notify"
    assert service["Restart"] in {"on-failure", "always"}
    assert parse_duration(service["WatchdogSec"].removesuffix("in")) >= 100 * LOOK_AGAIN_SECONDS
