"""A real Prometheus scrapes the real exporter: what it stores is what the core says.

Prometheus needs five seconds to take up a target, so one serves all tests here, and each test has guests of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import ClientSession

from demo.servers import free_port
from tests.support.exporting import running_exporter
from tests.support.prometheus import Prometheus, prometheus
from tests.support.statuses import FakeCore, every_state, failing, healthy, status, syncing

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


@pytest.fixture(scope="module")
def core() -> FakeCore:
    return FakeCore()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def exporter_address(core: FakeCore) -> AsyncIterator[str]:
    async with running_exporter(core) as address:
        yield address


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraper(exporter_address: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    async with prometheus(tmp_path_factory.mktemp("prometheus"), [exporter_address]) as server:
        yield server


async def test_the_target_is_up(scraper: Prometheus) -> None:
    assert (await scraper.until("up == 1"))[0].labels["job"] == "zsr"


async def test_every_state_arrives_with_its_values(core: FakeCore, scraper: Prometheus) -> None:
    now = time.time()
    core.set_status(*every_state(now=now), now=now)
    await scraper.until("zsr_job_info")

    states = {each.labels["zsr_job"]: each.labels["state"] for each in await scraper.query("zsr_job_state == 1")}
    lag = {each.labels["zsr_job"]: each.value for each in await scraper.query("zsr_job_last_sync_timestamp_seconds")}

    assert states == {
        "100-0": "ok",
        "101-0": "syncing",
        "102-0": "error",
        "103-0": "pending",
        "104-0": "disabled",
        "105-0": "removing",
    }
    assert lag["100-0"] == pytest.approx(now - 300)
    assert "103-0" not in lag


async def test_the_label_job_stays_that_of_prometheus(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(healthy("300-0"))

    (series,) = await scraper.until('zsr_job_consecutive_failures{zsr_job="300-0"}')

    assert series.labels["job"] == "zsr"
    assert series.labels["zsr_job"] == "300-0"
    assert "exported_job" not in series.labels


async def test_the_first_failure_is_seen_as_an_increase(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(healthy("400-0"))
    await scraper.until('zsr_job_errors_total{zsr_job="400-0"}')
    await scraper.scraped_again()

    core.set_status(failing("400-0", consecutive=1))

    seen = await scraper.until('increase(zsr_job_errors_total{zsr_job="400-0"}[1m]) > 0')
    assert [each.labels["class"] for each in seen] == ["network"]


async def test_a_removed_jobs_series_end_at_once(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(healthy("500-0"), healthy("501-0"))
    await scraper.until('{zsr_job="501-0"}')

    core.set_status(healthy("500-0"))

    await scraper.until('{zsr_job="501-0"}', lambda found: not found)
    assert await scraper.query('{zsr_job="500-0"}')


async def test_the_bytes_of_a_transfer_grow_in_its_middle(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(syncing("600-0", done=1_000_000))
    await scraper.until("zsr_job_transfer_bytes == 1e6")
    await scraper.scraped_again()

    core.set_status(syncing("600-0", done=5_000_000))

    await scraper.until("zsr_job_transfer_bytes == 5e6")
    await scraper.until('delta(zsr_job_sent_bytes_total{zsr_job="600-0"}[1m]) > 0')


async def test_a_restart_resets_no_counter(tmp_path: Path) -> None:
    core, port = FakeCore(status(failing("700-0", consecutive=3))), free_port()
    async with prometheus(tmp_path, [f"127.0.0.1:{port}"]) as scraper:
        async with running_exporter(core, port):
            await scraper.until("up == 1")
        await scraper.until("up == 0")
        async with running_exporter(core, port):
            await scraper.until("up == 1")

            assert not await scraper.query("resets(zsr_job_runs_total[5m]) > 0")
            assert not await scraper.query("resets(zsr_job_sent_bytes_total[5m]) > 0")
            assert [each.value for each in await scraper.query("zsr_job_consecutive_failures")] == [3]


async def test_prometheus_negotiates_openmetrics(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(healthy("800-0"))
    await scraper.until('zsr_job_info{zsr_job="800-0"}')

    metadata = await scraper.api("metadata", metric="zsr_job_last_sync_timestamp_seconds")

    assert metadata["zsr_job_last_sync_timestamp_seconds"][0]["unit"] == "seconds", "UNIT exists in OpenMetrics only"


async def test_awkward_names_arrive_unharmed(core: FakeCore, scraper: Prometheus) -> None:
    name = 'büro "nord"\\\nzeile 2 ✓'
    core.set_status(healthy("900-0", guest_name=name))

    assert (await scraper.until('zsr_job_info{zsr_job="900-0"}'))[0].labels["guest_name"] == name


async def test_promtool_finds_nothing_to_complain_about(core: FakeCore, exporter_address: str, promtool: str) -> None:
    core.picture = status(*every_state(), reachable={"beta": True, "gamma": False})
    core.memory("notify").put("counters", '{"mail": {"success": 3, "failure": 0}}')
    async with ClientSession() as session:
        body = await _metrics(session, exporter_address)

    process = await asyncio.create_subprocess_exec(
        promtool,
        "check",
        "metrics",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate(body.encode())

    assert (process.returncode, output.decode()) == (0, "")


async def test_a_late_settings_error_is_seen(core: FakeCore, scraper: Prometheus) -> None:
    await scraper.until("zsr_config_last_reload_successful == 1")
    core.picture = replace(core.picture, config=replace(core.picture.config, ok=False))

    await scraper.until("zsr_config_last_reload_successful == 0")


async def _metrics(session: ClientSession, address: str) -> str:
    async with session.get(f"http://{address}/metrics") as response:
        assert response.status == 200
        return await response.text()
