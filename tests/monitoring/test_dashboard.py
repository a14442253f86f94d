"""Every panel's query before a real Prometheus that scraped the real exporter: the numbers are what the state says."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from grafana.build import render
from tests.dashboards import panels_of, substituted
from tests.monitoring.conftest import running_exporter
from tests.monitoring.prometheus import Found, Prometheus, prometheus
from tests.statuses import FakeCore, every_state, failing, status

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

BOARD: dict[str, Any] = json.loads(render("replication.json"))
PANELS = {panel["title"]: panel for panel in panels_of(BOARD)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraper(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Prometheus]:
    """One job in each condition, and 110-0 that failed from the start and has no copy at all."""
    now = time.time()
    jobs = (*every_state(now=now), failing("110-0", now=now, ever_synced=False))
    core = FakeCore(
        status(*jobs, now=now, reachable={"beta": True, "gamma": False}, queue_length=2, scheduler_lag=70.0)
    )
    async with (
        running_exporter(core) as address,
        prometheus(tmp_path_factory.mktemp("prometheus"), [address]) as server,
    ):
        await server.until("count_over_time(zsr_job_info[1m]) > 2")
        yield server


async def answer(scraper: Prometheus, title: str, query: int = 0, **variables: str) -> list[Found]:
    return await scraper.query(substituted(PANELS[title]["targets"][query]["expr"], **variables))


@pytest.mark.parametrize("title", PANELS)
async def test_every_query_of_a_panel_has_data(scraper: Prometheus, title: str) -> None:
    for target in PANELS[title]["targets"]:
        assert await scraper.query(substituted(target["expr"])), target["expr"]


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Promises broken", 2),  # 102-0 is too old, 110-0 has no copy though it is a week old
        ("Promises kept", 3),  # 100-0, 101-0 and 103-0, which is new; 104-0 and 105-0 promise nothing
        ("Failing now", 2),
        ("Never copied", 2),  # 103-0 and 110-0
        ("Running now", 1),
        ("Daemons silent", 0),
    ],
)
async def test_the_glance_counts_what_the_state_says(scraper: Prometheus, title: str, expected: int) -> None:
    assert [each.value for each in await answer(scraper, title)] == [expected]


async def test_the_worst_promise_is_the_one_without_a_copy(scraper: Prometheus) -> None:
    (worst,) = await answer(scraper, "Worst promise used up")
    assert worst.value == pytest.approx(7 * 86_400 / 1800, rel=0.01)


@pytest.mark.parametrize(("title", "expected"), [("Promises broken", 1), ("Promises kept", 0), ("Running now", 0)])
async def test_a_chosen_guest_restricts_the_counts_while_all_jobs_are_chosen(
    scraper: Prometheus, title: str, expected: int
) -> None:
    assert [each.value for each in await answer(scraper, title, guest="102")] == [expected]


async def test_with_nothing_to_show_the_counts_are_zero_and_not_empty(scraper: Prometheus) -> None:
    for title in ("Promises broken", "Promises kept", "Failing now", "Never copied", "Running now"):
        assert [each.value for each in await answer(scraper, title, instance="nowhere")] == [0], title


async def test_the_table_has_one_line_for_each_job_with_its_state(scraper: Prometheus) -> None:
    states = {each.labels["zsr_job"]: each.labels["state"] for each in await answer(scraper, "Jobs, worst first", 1)}
    assert states == {
        "100-0": "ok",
        "101-0": "syncing",
        "102-0": "error",
        "103-0": "pending",
        "104-0": "disabled",
        "105-0": "removing",
        "110-0": "error",
    }
    info = {each.labels["zsr_job"] for each in await answer(scraper, "Jobs, worst first", 0)}
    assert info == set(states)


async def test_the_table_s_columns_never_have_two_lines_for_a_job(scraper: Prometheus) -> None:
    for query in range(len(PANELS["Jobs, worst first"]["targets"])):
        jobs = [each.labels["zsr_job"] for each in await answer(scraper, "Jobs, worst first", query)]
        assert len(jobs) == len(set(jobs))


async def test_disabled_jobs_have_no_used_up_promise(scraper: Prometheus) -> None:
    jobs = {
        each.labels["zsr_job"]: each.value for each in await answer(scraper, "Promise used up (broken above 100 %)")
    }
    assert set(jobs) == {"100-0", "101-0", "102-0", "103-0", "110-0"}
    assert jobs["102-0"] == pytest.approx(3, rel=0.05)


async def test_reachability_names_the_node(scraper: Prometheus) -> None:
    nodes = {each.labels["node"]: each.value for each in await answer(scraper, "Can the targets be reached?")}
    assert nodes == {"beta": 1, "gamma": 0}


async def test_queue_and_wait_are_those_of_the_daemon(scraper: Prometheus) -> None:
    assert [each.value for each in await answer(scraper, "Jobs waiting for their turn")] == [2]
    assert [each.value for each in await answer(scraper, "Longest wait")] == [70]
