"""A real Prometheus scrapes the real exporter: what it stores is what the core says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest
from aiohttp import ClientSession

from tests.monitoring.conftest import running_exporter
from tests.monitoring.prometheus import Prometheus
from tests.statuses import FakeCore, every_state, failing, healthy, status, syncing

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120)]


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
    core.set_status(healthy())

    (series,) = await scraper.until("zsr_job_consecutive_failures")

    assert series.labels["job"] == "zsr"
    assert series.labels["zsr_job"] == "100-0"
    assert "exported_job" not in series.labels


async def test_the_first_failure_is_seen_as_an_increase(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(healthy())
    await scraper.until("zsr_job_errors_total")
    await scraper.scraped_again()

    core.set_status(failing(consecutive=1))

    seen = await scraper.until("increase(zsr_job_errors_total[1m]) > 0")
    assert [each.labels["class"] for each in seen] == ["network"]


async def test_a_removed_jobs_series_end_at_once(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(healthy("100-0"), healthy("101-0"))
    await scraper.until('{zsr_job="101-0"}')

    core.set_status(healthy("100-0"))

    await scraper.until('{zsr_job="101-0"}', lambda found: not found)
    assert await scraper.query('{zsr_job="100-0"}')


async def test_the_bytes_of_a_transfer_grow_in_its_middle(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(syncing(done=1_000_000))
    await scraper.until("zsr_job_transfer_bytes == 1e6")
    await scraper.scraped_again()

    core.set_status(syncing(done=5_000_000))

    await scraper.until("zsr_job_transfer_bytes == 5e6")
    await scraper.until("delta(zsr_job_sent_bytes_total[1m]) > 0")


async def test_numbers_are_right_at_the_first_scrape_after_a_restart(
    core: FakeCore, exporter_address: str, scraper: Prometheus
) -> None:
    core.set_status(failing(consecutive=3))
    await scraper.until("zsr_job_runs_total")
    port = int(exporter_address.rpartition(":")[2])

    async with running_exporter(core) as second, ClientSession() as session:
        assert port != int(second.rpartition(":")[2])
        first_answer = await _metrics(session, second)
        steady_answer = await _metrics(session, exporter_address)

    assert _of_jobs(first_answer) == _of_jobs(steady_answer)


async def test_prometheus_negotiates_openmetrics(core: FakeCore, scraper: Prometheus) -> None:
    core.set_status(healthy())
    await scraper.until("zsr_job_info")

    metadata = await scraper.api("metadata", metric="zsr_job_last_sync_timestamp_seconds")

    assert metadata["zsr_job_last_sync_timestamp_seconds"][0]["unit"] == "seconds", "UNIT exists in OpenMetrics only"


async def test_awkward_names_arrive_unharmed(core: FakeCore, scraper: Prometheus) -> None:
    name = 'büro "nord"\\\nzeile 2 ✓'
    core.set_status(healthy(guest_name=name))

    assert (await scraper.until("zsr_job_info"))[0].labels["guest_name"] == name


@pytest.mark.parametrize("accept", ["text/plain;version=0.0.4", ""])
async def test_promtool_finds_nothing_to_complain_about(
    core: FakeCore, exporter_address: str, promtool: str, accept: str
) -> None:
    core.picture = status(*every_state(), reachable={"beta": True, "gamma": False})
    core.memory("notify").put("counters", '{"mail": {"success": 3, "failure": 0}}')
    async with ClientSession(headers={"Accept": accept}) as session:
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


def _of_jobs(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.startswith("zsr_job_")]
