"""Every query of the dashboards before a real Prometheus that scraped real exporters: has it the right data?

Here what is common to all dashboards, and Replication; Guest and Node are in test_dashboard_guest.py and _node.py.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from grafana.build import DASHBOARDS, render
from tests.support.dashboards import panels_of
from tests.support.fleet import Fleet, fleet
from tests.support.prometheus import Found

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(render(name)) for name in DASHBOARDS}
PANELS = {panel["title"]: panel for panel in panels_of(BOARDS["replication.json"])}
EVERY = [(name, panel["title"]) for name, board in BOARDS.items() for panel in panels_of(board)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraper(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


async def answer(scraper: Fleet, title: str, query: int = 0, **variables: str) -> list[Found]:
    return await scraper.ask(PANELS[title]["targets"][query]["expr"], **variables)


@pytest.mark.parametrize(("name", "title"), EVERY)
async def test_every_query_of_a_panel_has_data(scraper: Fleet, name: str, title: str) -> None:
    panel = next(panel for panel in panels_of(BOARDS[name]) if panel["title"] == title)
    for target in panel["targets"]:
        assert await scraper.ask(target["expr"]), target["expr"]


@pytest.mark.parametrize(("name", "title"), EVERY)
async def test_nothing_is_shown_of_a_cluster_that_is_not_chosen(scraper: Fleet, name: str, title: str) -> None:
    panel = next(panel for panel in panels_of(BOARDS[name]) if panel["title"] == title)
    for target in panel["targets"]:
        assert all(found.value == 0 for found in await scraper.ask(target["expr"], cluster="elsewhere"))


@pytest.mark.parametrize("name", BOARDS)
async def test_every_variable_offers_what_is_there(scraper: Fleet, name: str) -> None:
    offered = {}
    for variable in BOARDS[name]["templating"]["list"][1:]:
        series = variable["query"].removeprefix("label_values(").rpartition(", ")[0]
        found = await scraper.ask(series)
        offered[variable["name"]] = {each.labels.get(variable["name"], "") for each in found}
    guests = {"100", "101", "102", "103", "104", "105", "110"}
    assert offered == {
        "cluster": {""},
        "job": {"zsr"},
        "instance": {scraper.alpha, scraper.beta},
        "guest": guests,
        "zsr_job": {f"{guest}-0" for guest in guests},
    }


@pytest.mark.parametrize("name", BOARDS)
async def test_failed_runs_are_marked_at_the_moment_they_began(scraper: Fleet, name: str) -> None:
    mark = next(mark for mark in BOARDS[name]["annotations"]["list"] if mark["name"] == "Failed runs")
    found = {each.labels["zsr_job"]: each.value for each in await scraper.ask(mark["expr"])}
    assert set(found) == {"102-0", "110-0"}
    assert found["102-0"] == pytest.approx((scraper.now - 120) * 1000, abs=1)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Promises broken", 2),  # 102-0 is too old, 110-0 has no copy though it is a week old
        ("Promises kept", 3),  # 100-0, 101-0 and 103-0, which is new; 104-0 and 105-0 promise nothing
        ("Failing now", 2),
        ("Never copied", 2),  # 103-0 and 110-0
        ("Running now", 1),
        ("Daemons silent", 0),
        ("Volumes kept aside", 3),
    ],
)
async def test_the_glance_counts_what_the_state_says(scraper: Fleet, title: str, expected: int) -> None:
    assert [each.value for each in await answer(scraper, title)] == [expected]


async def test_the_worst_promise_is_the_one_without_a_copy(scraper: Fleet) -> None:
    (worst,) = await answer(scraper, "Worst promise used up")
    assert worst.value == pytest.approx(7 * 86_400 / 1800, rel=0.01)


@pytest.mark.parametrize(("title", "expected"), [("Promises broken", 1), ("Promises kept", 0), ("Running now", 0)])
async def test_a_chosen_guest_restricts_the_counts_while_all_jobs_are_chosen(
    scraper: Fleet, title: str, expected: int
) -> None:
    assert [each.value for each in await answer(scraper, title, guest="102")] == [expected]


async def test_with_nothing_to_show_the_counts_are_zero_and_not_empty(scraper: Fleet) -> None:
    for title in (
        "Promises broken",
        "Promises kept",
        "Failing now",
        "Never copied",
        "Running now",
        "Volumes kept aside",
    ):
        assert [each.value for each in await answer(scraper, title, instance="nowhere")] == [0], title


async def test_the_table_has_one_line_for_each_job_with_its_state(scraper: Fleet) -> None:
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


async def test_the_table_s_columns_never_have_two_lines_for_a_job(scraper: Fleet) -> None:
    for query in range(len(PANELS["Jobs, worst first"]["targets"])):
        jobs = [each.labels["zsr_job"] for each in await answer(scraper, "Jobs, worst first", query)]
        assert len(jobs) == len(set(jobs))


async def test_disabled_jobs_have_no_used_up_promise(scraper: Fleet) -> None:
    jobs = {
        each.labels["zsr_job"]: each.value for each in await answer(scraper, "Promise used up (broken above 100 %)")
    }
    assert set(jobs) == {"100-0", "101-0", "102-0", "103-0", "110-0"}
    assert jobs["102-0"] == pytest.approx(3, rel=0.05)


async def test_reachability_names_the_node(scraper: Fleet) -> None:
    nodes = {each.labels["node"]: each.value for each in await answer(scraper, "Can the targets be reached?")}
    assert nodes == {"alpha": 1, "beta": 1, "gamma": 0}


async def test_queue_and_wait_are_those_of_the_daemons(scraper: Fleet) -> None:
    for title, value in (("Jobs waiting for their turn", 2), ("Longest wait", 70)):
        found = {each.labels["instance"]: each.value for each in await answer(scraper, title)}
        assert found == {scraper.alpha: value, scraper.beta: 0}


async def test_the_table_leads_to_the_guest_and_to_the_node_of_its_line(scraper: Fleet) -> None:
    found = {each.labels["zsr_job"]: each.labels for each in await answer(scraper, "Jobs, worst first")}
    assert (found["102-0"]["guest"], found["102-0"]["instance"]) == ("102", scraper.alpha)


async def test_sent_bytes_are_shown_of_the_job_and_of_all(scraper: Fleet) -> None:
    jobs = {each.labels["zsr_job"]: each.value for each in await answer(scraper, "Sending, by job")}
    (together,) = await answer(scraper, "Sending, all together")
    assert [job for job, value in jobs.items() if value > 0] == ["100-0"]
    assert together.value == pytest.approx(sum(jobs.values()), rel=0.2)


async def test_runs_are_counted_by_outcome_and_failures_by_class(scraper: Fleet) -> None:
    outcomes = {each.labels["outcome"]: each.value for each in await answer(scraper, "Runs")}
    assert {outcome for outcome, value in outcomes.items() if value > 0} == {"success", "failure"}
    (missed,) = await answer(scraper, "Runs", 1)
    assert missed.value > 0
    assert {each.labels["class"] for each in await answer(scraper, "Failures by cause") if each.value > 0} == {
        "network"
    }
