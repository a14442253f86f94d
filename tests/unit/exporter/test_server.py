"""Where and how the exporter is reached: TCP, unix and systemd's sockets, TLS, passwords; and what changes then."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import bcrypt
import pytest
import trustme
from aiohttp import ClientConnectorError, ClientError, ClientSession, TCPConnector, UnixConnector, encode_basic_auth

from exporter import listeners
from exporter import server as server_module
from exporter.addresses import Activated, Listen, UnixListen
from exporter.plugin import ExporterPlugin
from exporter.server import Server, serving
from exporter.settings import Settings
from replicator.errors import ConfigError
from tests.support.statuses import FakeCore

LOOPBACK = Listen("127.0.0.1", 0)
ALICE = encode_basic_auth("alice", "wonderland")


def hashed(password: str) -> str:
    return bcrypt.hashpw(password.encode(), bcrypt.gensalt(4)).decode()


@pytest.fixture
def core() -> FakeCore:
    return FakeCore()


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LOOK_AGAIN_SECONDS", 0.02)


class Certificates:
    """A CA, a certificate of this machine from it, and a web-config.yml that names them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "web-config.yml"
        self.ca = trustme.CA()
        self.renew()

    def renew(self) -> None:
        """Put a certificate of a new CA in the place of the old one."""
        self.ca = trustme.CA()
        self.ca.cert_pem.write_to_path(self.folder / "ca.crt")
        issued = self.ca.issue_cert("127.0.0.1")
        for name, blob in (("node.key", issued.private_key_pem), ("node.crt", issued.cert_chain_pems[0])):
            blob.write_to_path(self.folder / f"{name}.new")
            (self.folder / f"{name}.new").replace(self.folder / name)

    def write(self, text: str = "", more_tls: str = "") -> Path:
        """Write the file: TLS with these certificates, and more."""
        tls = f"tls_server_config:\n  cert_file: node.crt\n  key_file: node.key\n{more_tls}"
        return self.replace(tls + text)

    def replace(self, text: str) -> Path:
        """Another file in the place of the old one, as an editor does it."""
        fresh = self.folder / "fresh"
        fresh.write_text(text)
        return fresh.replace(self.config)

    def client(self, *names: str) -> ssl.SSLContext:
        """A client that trusts the CA; with a certificate of these names if there are any."""
        context = ssl.create_default_context()
        self.ca.configure_trust(context)
        if names:
            self.ca.issue_cert(*names).configure_cert(context)
        return context


@pytest.fixture
def files(tmp_path: Path) -> Certificates:
    return Certificates(tmp_path)


@asynccontextmanager
async def running(core: FakeCore, settings: Settings) -> AsyncIterator[Server]:
    """The server with what it does while it runs."""
    async with serving(core, settings) as server:
        following = asyncio.ensure_future(server.follow())
        try:
            yield server
            assert not following.done()
        finally:
            following.cancel()
            with suppress(asyncio.CancelledError):
                await following


async def answer(
    server: Server, path: str = "/metrics", *, tls: ssl.SSLContext | None = None, auth: str | None = None
) -> int:
    """The status of an answer over a connection of its own."""
    url = f"{'https' if tls else 'http'}://{server.addresses[0]}{path}"
    headers = {"Authorization": auth} if auth else {}
    async with (
        ClientSession(connector=TCPConnector(ssl=tls or True)) as session,
        session.get(url, headers=headers) as response,
    ):
        return response.status


async def until_answered(server: Server, status: int, *, tls: ssl.SSLContext | None, auth: str | None = None) -> None:
    """Wait until a new connection is answered so."""
    async with asyncio.timeout(10):
        while True:
            with suppress(ClientError):
                if await answer(server, tls=tls, auth=auth) == status:
                    return
            await asyncio.sleep(0.02)


async def told(log: pytest.LogCaptureFixture, words: str) -> None:
    """Wait until the log says so."""
    async with asyncio.timeout(10):
        while words not in log.text:  # noqa: ASYNC110 - a log wakes nobody
            await asyncio.sleep(0.02)


# --- TLS and passwords


async def test_metrics_are_served_by_tls(core: FakeCore, files: Certificates) -> None:
    files.write()
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        assert server.urls[0].startswith("https://")
        assert await answer(server, tls=files.client()) == 200
        with pytest.raises(ClientError):
            await answer(server)


async def test_a_certificate_may_stand_in_the_file_itself(core: FakeCore, files: Certificates) -> None:
    issued = files.ca.issue_cert("127.0.0.1")
    lines = {"cert": issued.cert_chain_pems[0].bytes().decode(), "key": issued.private_key_pem.bytes().decode()}
    files.replace(
        "tls_server_config:\n" + "".join(f"  {key}: {text!r}\n".replace("'", '"') for key, text in lines.items())
    )
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        assert await answer(server, tls=files.client()) == 200


async def test_a_password_is_asked_for_everywhere_but_at_healthy(core: FakeCore, files: Certificates) -> None:
    files.replace(f"basic_auth_users: {{alice: {hashed('wonderland')}}}")
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        for path in ("/", "/metrics", "/-/ready", "/http_sd", "/nowhere"):
            assert await answer(server, path) == 401
            assert await answer(server, path, auth=encode_basic_auth("alice", "x")) == 401
            assert await answer(server, path, auth=ALICE) in (200, 404)
        assert await answer(server, "/-/healthy") == 200


async def test_who_has_no_password_is_asked_for_one(core: FakeCore, files: Certificates) -> None:
    files.replace(f"basic_auth_users: {{alice: {hashed('wonderland')}}}")
    async with (
        running(core, Settings((LOOPBACK,), web_config=files.config)) as server,
        ClientSession() as session,
        session.get(f"http://{server.addresses[0]}/metrics") as response,
    ):
        assert response.headers["WWW-Authenticate"].startswith("Basic ")


async def test_a_client_needs_a_certificate_where_that_is_asked_for(core: FakeCore, files: Certificates) -> None:
    files.write(more_tls="  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n")
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        assert await answer(server, tls=files.client("anybody.example.org")) == 200
        with pytest.raises((ClientError, ConnectionError)):
            await answer(server, tls=files.client())


async def test_the_names_in_a_clients_certificate_can_be_limited(core: FakeCore, files: Certificates) -> None:
    files.write(
        more_tls="  client_ca_file: ca.crt\n  client_auth_type: RequireAndVerifyClientCert\n"
        "  client_allowed_sans: [prometheus.example.org]\n"
    )
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        assert await answer(server, tls=files.client("prometheus.example.org")) == 200
        assert await answer(server, tls=files.client("anybody.example.org")) == 403


async def test_headers_that_are_set_take_the_place_of_our_own(core: FakeCore, files: Certificates) -> None:
    files.replace("http_server_config: {headers: {X-Frame-Options: sameorigin}}")
    async with (
        running(core, Settings((LOOPBACK,), web_config=files.config)) as server,
        ClientSession() as session,
        session.get(f"http://{server.addresses[0]}/") as response,
    ):
        assert response.headers.getall("X-Frame-Options") == ["sameorigin"]


async def test_service_discovery_tells_the_scheme(core: FakeCore, files: Certificates) -> None:
    files.write()
    async with (
        running(core, Settings((LOOPBACK,), web_config=files.config, sd_target="{address}:1")) as server,
        ClientSession(connector=TCPConnector(ssl=files.client())) as session,
        session.get(f"https://{server.addresses[0]}/http_sd") as response,
    ):
        assert response.content_type == "application/json"
        groups = await response.json()
    assert [group["targets"] for group in groups] == [["10.0.0.1:1"], ["10.0.0.2:1"]]
    assert {group["labels"]["__scheme__"] for group in groups} == {"https"}


# --- what changes while it runs


async def test_a_renewed_certificate_is_served_without_a_restart(core: FakeCore, files: Certificates) -> None:
    files.write()
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        old = files.client()
        assert await answer(server, tls=old) == 200
        files.renew()
        await until_answered(server, 200, tls=files.client())
        with pytest.raises(ClientConnectorError):
            await answer(server, tls=old)


async def test_a_changed_password_counts_without_a_restart(core: FakeCore, files: Certificates) -> None:
    files.write(f"basic_auth_users: {{alice: {hashed('wonderland')}}}")
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        assert await answer(server, tls=files.client(), auth=ALICE) == 200
        files.write(f"basic_auth_users: {{alice: {hashed('other')}}}")
        await until_answered(server, 401, tls=files.client(), auth=ALICE)
        assert await answer(server, tls=files.client(), auth=encode_basic_auth("alice", "other")) == 200


async def test_a_connection_that_is_kept_is_asked_for_the_new_password(core: FakeCore, files: Certificates) -> None:
    files.replace("")
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server, ClientSession() as session:
        url = f"http://{server.addresses[0]}/metrics"
        async with session.get(url) as response:
            assert response.status == 200
        files.replace(f"basic_auth_users: {{alice: {hashed('wonderland')}}}")
        await until_answered(server, 401, tls=None)
        async with session.get(url) as response:
            assert response.status == 401


async def test_a_wrong_file_leaves_the_last_good_one_in_force_and_is_told_once(
    core: FakeCore, files: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    files.write()
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        files.write("basic_auth_user: {}\n")
        await told(caplog, "stays in force")
        await asyncio.sleep(0.1)
        assert await answer(server, tls=files.client()) == 200
    assert caplog.text.count("did you mean 'basic_auth_users'") == 1


async def test_a_file_that_the_new_configuration_names_is_waited_for(
    core: FakeCore, files: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    files.replace("")
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        files.replace("tls_server_config: {cert_file: late.crt, key_file: node.key}")
        await told(caplog, "late.crt")
        (files.folder / "node.crt").rename(files.folder / "late.crt")
        await until_answered(server, 200, tls=files.client())


async def test_a_key_that_comes_after_its_certificate_is_waited_for(core: FakeCore, files: Certificates) -> None:
    files.write()
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        key = (files.folder / "node.key").read_bytes()
        files.renew()
        fresh = (files.folder / "node.key").read_bytes()
        (files.folder / "node.key").write_bytes(key)
        await asyncio.sleep(0.1)
        (files.folder / "node.key").write_bytes(fresh)
        await until_answered(server, 200, tls=files.client())


async def test_a_wrong_file_at_the_start_is_an_error(core: FakeCore, files: Certificates) -> None:
    files.replace("basic_auth_users: {alice: wonderland}")
    with pytest.raises(ConfigError, match="htpasswd"):
        await ExporterPlugin().run(core, {"exporter": {"web_config": str(files.config)}})


async def test_a_key_of_another_certificate_is_an_error(core: FakeCore, files: Certificates) -> None:
    files.write()
    files.ca.issue_cert("x").private_key_pem.write_to_path(files.folder / "node.key")
    with pytest.raises(ConfigError, match=r"node\.crt and key node\.key cannot be used"):
        await ExporterPlugin().run(core, {"exporter": {"web_config": str(files.config)}})


# --- where it listens


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


async def test_a_socket_that_somebody_serves_is_not_taken_away(core: FakeCore, tmp_path: Path) -> None:
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
    for _ in range(2):  # the plugin may be begun anew, systemd hands them over once
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
        await told(caplog, "Metrics are served")
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert f"unix:{path}" in caplog.text
