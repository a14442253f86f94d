"""The exporter's HTTP server, asked over a real socket on the loopback."""

from __future__ import annotations

import asyncio
import gzip
import logging
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from aiohttp import ClientSession

from exporter.addresses import Listen
from exporter.exposition import Format
from exporter.plugin import ExporterPlugin
from exporter.routes import PATHS
from exporter.server import SHUTDOWN_TIMEOUT_SECONDS, serving
from exporter.settings import Settings
from replicator.api.status import Status
from replicator.errors import ConfigError
from replicator.models import Node
from tests.support.statuses import FakeCore, every_state, healthy, status

ANYWHERE = Settings(listen=(Listen("127.0.0.1", 0),))


@pytest.fixture
def core() -> FakeCore:
    return FakeCore(status(*every_state()))


@pytest.fixture
async def client(core: FakeCore) -> AsyncIterator[ClientSession]:
    async with (
        serving(core, ANYWHERE) as server,
        ClientSession(
            f"http://{server.addresses[0]}", auto_decompress=False, headers={"Accept-Encoding": "identity"}
        ) as session,
    ):
        yield session


@pytest.mark.parametrize("form", Format)
async def test_metrics_come_in_the_format_asked_for(client: ClientSession, form: Format) -> None:
    async with client.get("/metrics", headers={"Accept": form.value}) as response:
        body = await response.text()
    assert response.status == 200
    assert response.headers["Content-Type"] == form.value
    assert body.endswith("# EOF\n") == (form is Format.OPENMETRICS)
    assert "zsr_job_info" in body


async def test_a_cache_learns_what_the_answer_depends_on(client: ClientSession) -> None:
    async with client.get("/metrics") as response:
        assert response.headers["Vary"] == "Accept, Accept-Encoding"


async def test_gzip_comes_when_asked_for(client: ClientSession) -> None:
    async with client.get("/metrics", headers={"Accept-Encoding": "gzip, deflate"}) as response:
        body = await response.read()
    assert response.headers["Content-Encoding"] == "gzip"
    assert b"zsr_job_info" in gzip.decompress(body)


async def test_nothing_is_compressed_unasked(client: ClientSession) -> None:
    async with client.get("/metrics") as response:
        body = await response.read()
    assert "Content-Encoding" not in response.headers
    assert b"zsr_job_info" in body


@pytest.mark.parametrize("path", PATHS)
async def test_head_answers_without_a_body(client: ClientSession, path: str) -> None:
    async with client.head(path) as response:
        assert response.status == 200
        assert await response.read() == b""


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_refused(client: ClientSession, method: str, path: str) -> None:
    async with client.request(method, path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET, HEAD"
        assert "GET, HEAD" in await response.text()


async def test_an_unknown_path_names_the_known_ones(client: ClientSession) -> None:
    async with client.get("/metric") as response:
        assert response.status == 404
        text = await response.text()
    assert all(path in text for path in PATHS)


async def test_a_living_process_is_healthy_even_when_not_ready(client: ClientSession, core: FakeCore) -> None:
    core.picture = status(ready=False)
    async with client.get("/-/healthy") as response:
        assert response.status == 200


async def test_ready_says_so(client: ClientSession) -> None:
    async with client.get("/-/ready") as response:
        assert response.status == 200
        assert "Jobs: 6." in await response.text()


async def test_not_ready_says_why(client: ClientSession, core: FakeCore) -> None:
    core.picture = replace(status(ready=False), not_ready=("nodes: none is local",))
    async with client.get("/-/ready") as response:
        assert response.status == 503
        text = await response.text()
    assert "not ready" in text
    assert "nodes: none is local" in text


@pytest.mark.parametrize("host", ["[", "x:y", "a b", ""])
async def test_a_host_that_cannot_be_read_is_no_error(client: ClientSession, host: str) -> None:
    async with client.get("/http_sd", headers={"Host": host}) as response:
        assert response.status == 200


async def test_a_node_that_is_this_very_machine_is_found_where_it_was_asked(core: FakeCore) -> None:
    core.picture = replace(status(), nodes=(Node("alpha", "local"),))
    async with serving(core, ANYWHERE) as server, ClientSession() as session:
        (address,) = server.addresses
        async with session.get(f"http://{address}/http_sd", headers={"Host": "zsr.example.org:80"}) as response:
            (group,) = await response.json()
    assert isinstance(address, Listen)
    assert group["targets"] == [f"zsr.example.org:{address.port}"]


@pytest.mark.parametrize("path", [*PATHS, "/nowhere"])
async def test_every_answer_has_the_security_headers(client: ClientSession, path: str) -> None:
    async with client.get(path) as response:
        headers = response.headers
    assert headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Server"] == "zsr"


async def test_the_page_shows_the_jobs(client: ClientSession) -> None:
    async with client.get("/") as response:
        assert response.content_type == "text/html"
        text = await response.text()
    assert "100-0" in text
    assert "Node beta does not answer" in text


async def test_a_core_that_fails_is_an_error_and_not_an_empty_scrape(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeCore):
        def status(self) -> Status:
            raise RuntimeError("no status")

    with caplog.at_level(logging.ERROR):
        async with (
            serving(Broken(), ANYWHERE) as server,
            ClientSession() as session,
            session.get(f"http://{server.addresses[0]}/metrics") as response,
        ):
            assert response.status == 500
    assert "no status" in caplog.text


async def test_many_scrapes_at_once_are_all_answered(client: ClientSession, core: FakeCore) -> None:
    async def scrape() -> int:
        async with client.get("/metrics") as response:
            await response.read()
            return response.status

    assert await asyncio.gather(*(scrape() for _ in range(50))) == [200] * 50


async def test_each_scrape_shows_the_moment(client: ClientSession, core: FakeCore) -> None:
    core.set_status(healthy("200-0"))
    async with client.get("/metrics") as response:
        text = await response.text()
    assert 'zsr_job="200-0"' in text
    assert 'zsr_job="100-0"' not in text


async def test_an_address_in_use_is_named(core: FakeCore) -> None:
    async with serving(core, ANYWHERE) as server:
        with pytest.raises(ConfigError, match=f'exporter.listen = "{server.addresses[0]}".*in use'):
            await ExporterPlugin().run(core, {"exporter": {"listen": str(server.addresses[0])}})


async def test_settings_that_were_not_checked_are_refused_by_name(core: FakeCore) -> None:
    with pytest.raises(ConfigError, match=r"exporter\.listen = 'x'"):
        await ExporterPlugin().run(core, {"exporter": {"listen": "x"}})


async def test_switched_off_it_ends_at_once(core: FakeCore) -> None:
    await asyncio.wait_for(ExporterPlugin().run(core, {"exporter": {"enabled": False}}), timeout=5)


async def test_what_stopped_serving_has_freed_its_port(core: FakeCore) -> None:
    async with serving(core, ANYWHERE) as server:
        (address,) = server.addresses
    async with serving(core, Settings(listen=(address,))) as again:
        assert again.addresses == [address]


async def test_a_client_that_keeps_its_connection_does_not_delay_the_end(core: FakeCore) -> None:
    async with (
        ClientSession() as session,
        asyncio.timeout(SHUTDOWN_TIMEOUT_SECONDS),
        serving(core, ANYWHERE) as server,
        session.get(f"http://{server.addresses[0]}/-/healthy") as response,
    ):
        await response.read()


async def test_an_address_that_is_not_this_nodes_is_named(core: FakeCore) -> None:
    with pytest.raises(ConfigError, match=r'exporter.listen = "203.0.113.1:9847"'):
        await ExporterPlugin().run(core, {"exporter": {"listen": "203.0.113.1:9847"}})
