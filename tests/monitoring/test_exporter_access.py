"""A real Prometheus finds all nodes by asking one of them, and scrapes them by TLS with certificate and password."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path

import bcrypt
import pytest
import trustme

from demo.servers import free_port
from exporter.plugin import ExporterPlugin
from replicator.models import Node
from tests.support.prometheus import prometheus
from tests.support.statuses import FakeCore, healthy, status

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120)]


@pytest.fixture
def core() -> FakeCore:
    """One daemon that plays both nodes of a cluster, each on an address of the loopback."""
    nodes = (Node("alpha", "127.0.0.1"), Node("beta", "127.0.0.2"))
    return FakeCore(replace(status(healthy("100-0")), nodes=nodes))


@asynccontextmanager
async def exporting(core: FakeCore, settings: dict[str, object]) -> AsyncIterator[None]:
    """The exporter by these settings, while the context lasts."""
    task = asyncio.ensure_future(ExporterPlugin().run(core, {"exporter": settings}))
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_every_node_is_found_and_scraped_by_tls_and_password(core: FakeCore, tmp_path: Path) -> None:
    port, ca = free_port(), trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.crt")
    for name, identity in (("node", ("127.0.0.1", "127.0.0.2")), ("prometheus", ("prometheus.example.org",))):
        issued = ca.issue_cert(*identity)
        issued.private_key_pem.write_to_path(tmp_path / f"{name}.key")
        issued.cert_chain_pems[0].write_to_path(tmp_path / f"{name}.crt")
    hashed = bcrypt.hashpw(b"wonderland", bcrypt.gensalt(4)).decode()
    (tmp_path / "web-config.yml").write_text(
        "tls_server_config:\n  cert_file: node.crt\n  key_file: node.key\n  client_ca_file: ca.crt\n"
        "  client_auth_type: RequireAndVerifyClientCert\n  client_allowed_sans: [prometheus.example.org]\n"
        f"basic_auth_users: {{prometheus: {hashed}}}\n"
    )
    access = {
        "basic_auth": {"username": "prometheus", "password": "wonderland"},
        "tls_config": {f"{key}_file": str(tmp_path / name) for key, name in
                       (("ca", "ca.crt"), ("cert", "prometheus.crt"), ("key", "prometheus.key"))},
    }  # fmt: skip
    scrape = {
        **access,
        "http_sd_configs": [
            {"url": f"https://{host}:{port}/http_sd", "refresh_interval": "1s", **access}
            for host in ("127.0.0.1", "127.0.0.2")
        ],
        "relabel_configs": [{"source_labels": ["__meta_zsr_node"], "target_label": "instance"}],
    }
    settings: dict[str, object] = {
        "listen": [f"127.0.0.1:{port}", f"127.0.0.2:{port}"],
        "web_config": str(tmp_path / "web-config.yml"),
    }
    async with exporting(core, settings), prometheus(tmp_path / "prometheus", [], scrape=scrape) as server:
        found = await server.until("up == 1", lambda found: len(found) > 1)
        assert sorted(each.labels["instance"] for each in found) == ["alpha", "beta"], "each once, asked for twice"

        reachable = await server.until("zsr_node_reachable")
        assert {each.labels["node"] for each in reachable} == {"beta"}
        assert not any("exported_node" in each.labels for each in reachable), "the metric's own label stays its own"
        assert {target["scrapeUrl"].partition(":")[0] for target in await server.targets()} == {"https"}


async def test_a_node_that_joins_is_found(core: FakeCore, tmp_path: Path) -> None:
    port = free_port()
    core.picture = replace(core.picture, nodes=core.picture.nodes[:1])
    scrape = {
        "http_sd_configs": [{"url": f"http://127.0.0.1:{port}/http_sd", "refresh_interval": "1s"}],
        "relabel_configs": [{"source_labels": ["__meta_zsr_node"], "target_label": "instance"}],
    }
    settings: dict[str, object] = {"listen": [f"127.0.0.1:{port}", f"127.0.0.2:{port}"]}
    async with exporting(core, settings), prometheus(tmp_path / "prometheus", [], scrape=scrape) as server:
        await server.until("up == 1")
        core.picture = replace(core.picture, nodes=(*core.picture.nodes, Node("beta", "127.0.0.2")))

        await server.until('up{instance="beta"} == 1')
