"""How the exporter is reached: TLS and passwords, and changes of the web configuration while it runs."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import ClientConnectorError, ClientError, ClientSession, TCPConnector, encode_basic_auth

from exporter import server as server_module
from exporter.plugin import ExporterPlugin
from exporter.server import Server
from exporter.settings import Settings
from replicator.errors import ConfigError
from tests.support.exporter_server import (
    ALICE,
    LOOPBACK,
    Certificates,
    answer,
    body,
    hashed,
    logged,
    running,
    until_answered,
)
from tests.support.statuses import FakeCore


@pytest.fixture(autouse=True)
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LOOK_AGAIN_SECONDS", 0.02)


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


async def test_service_discovery_names_the_scheme(core: FakeCore, files: Certificates) -> None:
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


async def shown(server: Server, files: Certificates, value: str) -> None:
    """Wait until the metric about the web configuration has a value."""
    line = f"\nzsr_web_config_last_reload_successful {value}\n"
    async with asyncio.timeout(30):
        while line not in await body(server, tls=files.client()):  # noqa: ASYNC110 - another process would poll too
            await asyncio.sleep(0.02)


async def test_a_wrong_file_leaves_the_last_good_one_active_and_is_logged_once(
    core: FakeCore, files: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    files.write()
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        files.write("basic_auth_user: {}\n")
        await logged(caplog, "stays active")
        await asyncio.sleep(0.1)
        assert await answer(server, tls=files.client()) == 200
        await shown(server, files, "0")
        files.write("# as it was\n")
        await shown(server, files, "1")
    assert caplog.text.count("did you mean 'basic_auth_users'") == 1


async def test_a_file_that_the_new_configuration_names_is_waited_for(
    core: FakeCore, files: Certificates, caplog: pytest.LogCaptureFixture
) -> None:
    files.replace("")
    async with running(core, Settings((LOOPBACK,), web_config=files.config)) as server:
        files.replace("tls_server_config: {cert_file: late.crt, key_file: node.key}")
        await logged(caplog, "late.crt")
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
