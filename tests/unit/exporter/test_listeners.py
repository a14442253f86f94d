"""Where the exporter listens: TCP, unix sockets, and sockets that systemd passes."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession, UnixConnector

from exporter import listeners
from exporter.addresses import Activated, Listen, UnixListen
from exporter.plugin import ExporterPlugin
from exporter.server import serving
from exporter.settings import Settings
from replicator.errors import ConfigError
from tests.support.exporter_server import LOOPBACK, Certificates, answer, hashed, logged, running
from tests.support.statuses import FakeCore


async def test_all_addresses_are_those_of_both_families(core: FakeCore) -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    async with running(core, Settings((Listen(None, port),))) as server:
        for host in ("127.0.0.1", "[::1]")[: len(server.addresses)]:  # one on a machine without IPv6
            async with ClientSession() as session, session.get(f"http://{host}:{port}/metrics") as response:
                assert response.status == 200


async def test_it_listens_on_several_addresses(core: FakeCore, tmp_path: Path) -> None:
    path = tmp_path / "exporter.sock"
    async with running(core, Settings((LOOPBACK, Listen("127.0.0.1", 0), UnixListen(str(path))))) as server:
        first, second, third = server.addresses
        assert first != second
        assert str(third) == f"unix:{path}"
        for address in (first, second):
            async with ClientSession() as session, session.get(f"http://{address}/metrics") as response:
                assert response.status == 200


async def asked_over(path: Path) -> int:
    async with (
        ClientSession(connector=UnixConnector(str(path))) as session,
        session.get("http://zsr/metrics") as response,
    ):
        return response.status


async def test_a_unix_socket_speaks_no_tls_and_asks_for_the_password(core: FakeCore, files: Certificates) -> None:
    path = files.folder / "exporter.sock"
    files.write(f"basic_auth_users: {{alice: {hashed('wonderland')}}}")
    async with running(core, Settings((UnixListen(str(path)),), web_config=files.config)):
        assert await asked_over(path) == 401


async def test_a_unix_socket_is_for_owner_and_group_and_goes_with_the_server(core: FakeCore, tmp_path: Path) -> None:
    path = tmp_path / "a b ü.sock"
    async with running(core, Settings((UnixListen(str(path)),))):
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        assert await asked_over(path) == 200
    assert not path.exists()


async def test_what_a_killed_daemon_left_is_replaced(core: FakeCore, tmp_path: Path) -> None:
    path = tmp_path / "exporter.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    async with running(core, Settings((UnixListen(str(path)),))):
        assert await asked_over(path) == 200


async def test_a_socket_that_is_served_is_not_taken_away(core: FakeCore, tmp_path: Path) -> None:
    listen = UnixListen(str(tmp_path / "exporter.sock"))
    async with running(core, Settings((listen,))):
        with pytest.raises(ConfigError, match="in use"):
            async with serving(core, Settings((LOOPBACK, listen))):
                pass
        assert await asked_over(Path(listen.path)) == 200


async def test_a_file_that_is_no_socket_is_never_removed(core: FakeCore, tmp_path: Path) -> None:
    path = tmp_path / "precious"
    path.write_text("precious")
    with pytest.raises(ConfigError, match="no socket"):
        await ExporterPlugin().run(core, {"exporter": {"listen": f"unix:{path}"}})
    assert path.read_text() == "precious"


@pytest.fixture
def passed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[list[socket.socket]]:
    """Two sockets that listen, handed to this process as systemd does; their numbers begin elsewhere than at 3."""
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "systemd.sock"))
    unix.listen()
    first = 900
    for number, made in enumerate((tcp, unix)):
        os.dup2(made.fileno(), first + number)
    monkeypatch.setattr(listeners, "FIRST_PASSED", first)
    monkeypatch.setenv("LISTEN_PID", str(os.getpid()))
    monkeypatch.setenv("LISTEN_FDS", "2")
    yield [tcp, unix]
    for number in range(2):
        os.close(first + number)
    tcp.close()
    unix.close()


async def test_sockets_of_systemd_are_served(core: FakeCore, passed: list[socket.socket], tmp_path: Path) -> None:
    for _ in range(2):  # the plugin may be restarted, systemd passes them once
        async with running(core, Settings((Activated(),))) as server:
            assert server.addresses == [Listen(*passed[0].getsockname()), UnixListen(str(tmp_path / "systemd.sock"))]
            assert await answer(server) == 200
            assert await asked_over(tmp_path / "systemd.sock") == 200
    assert (tmp_path / "systemd.sock").exists(), "it is systemd's"


@pytest.mark.parametrize(("pid", "count"), [("1", "1"), ("", ""), ("our own", "0"), ("our own", "x")])
async def test_without_sockets_of_systemd_it_says_what_to_do(
    core: FakeCore, monkeypatch: pytest.MonkeyPatch, pid: str, count: str
) -> None:
    monkeypatch.setenv("LISTEN_PID", pid.replace("our own", str(os.getpid())))
    monkeypatch.setenv("LISTEN_FDS", count)
    with pytest.raises(ConfigError, match=r"systemctl enable --now zsr-exporter\.socket"):
        await ExporterPlugin().run(core, {"exporter": {"listen": "systemd"}})


async def test_the_log_says_where(core: FakeCore, caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    path = tmp_path / "exporter.sock"
    with caplog.at_level(logging.INFO):
        task = asyncio.ensure_future(ExporterPlugin().run(core, {"exporter": {"listen": [f"unix:{path}"]}}))
        await logged(caplog, "Metrics are served")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert f"unix:{path}" in caplog.text
