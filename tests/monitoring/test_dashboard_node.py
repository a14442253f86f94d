"""The Node dashboard before a real Prometheus: a source, a target and a node with pools, each on its own."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from grafana.build import render
from tests.support.dashboards import panels_of
from tests.support.fleet import Fleet, fleet
from tests.support.prometheus import Found

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

BOARD: dict[str, Any] = json.loads(render("node.json"))
POOLS = {("rpool", "source"): (10**12, 4 * 10**11), ("tank", "both"): (10**13, 10**12)}
"""Size and free bytes by pool and role, as tests/support/statuses.py has them."""


PANELS = {panel["title"]: panel for panel in panels_of(BOARD)}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraper(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


async def answer(scraper: Fleet, title: str, query: int = 0, **variables: str) -> list[Found]:
    return await scraper.ask(PANELS[title]["targets"][query]["expr"], **variables)


async def test_what_a_node_runs_and_what_it_holds_are_two_numbers(scraper: Fleet) -> None:
    found = {
        node: [
            (await answer(scraper, title, instance=node))[0].value for title in ("Jobs run here", "Replicas held here")
        ]
        for node in (scraper.alpha, scraper.beta)
    }
    assert found == {scraper.alpha: [7, 1], scraper.beta: [0, 3]}


async def test_the_table_of_replicas_is_what_the_node_holds(scraper: Fleet) -> None:
    rows = await answer(scraper, "Held as a target, oldest first", instance=scraper.beta)
    assert {each.labels["guest"] for each in rows} == {"100", "102", "110"}
    assert max(rows, key=lambda each: each.value).labels["guest"] == "110"


async def test_a_node_without_runs_has_none_at_the_same_time_and_not_no_data(scraper: Fleet) -> None:
    streams = {each.labels["instance"]: each.value for each in await answer(scraper, "Runs at the same time")}
    assert streams == {scraper.alpha: 1, scraper.beta: 0}


async def test_only_the_node_whose_run_ended_was_busy(scraper: Fleet) -> None:
    busy = {each.labels["instance"]: each.value for each in await answer(scraper, "How busy with runs")}
    assert busy[scraper.alpha] > 0
    assert busy[scraper.beta] == 0


async def test_only_the_node_that_sent_is_said_to_send(scraper: Fleet) -> None:
    sent = {each.labels["instance"]: each.value for each in await answer(scraper, "Sending")}
    assert sent.keys() == {scraper.alpha}
    assert sent[scraper.alpha] > 0


async def test_reachability_is_shown_with_who_tried(scraper: Fleet) -> None:
    seen = {
        (each.labels["instance"], each.labels["node"]): each.value
        for each in await answer(scraper, "Reachability of the others")
    }
    assert seen == {
        (scraper.alpha, "beta"): 1,
        (scraper.alpha, "gamma"): 0,
        (scraper.beta, "alpha"): 1,
    }


async def test_kept_aside_is_shown_by_node_and_guest(scraper: Fleet) -> None:
    aside = {
        (each.labels["node"], each.labels["guest"]): each.value for each in await answer(scraper, "Volumes kept aside")
    }
    assert aside == {("alpha", "300"): 0, ("alpha", "301"): 2, ("beta", "100"): 0, ("beta", "102"): 1}


async def test_the_fullest_pool_is_the_one_with_the_least_space_for_its_size(scraper: Fleet) -> None:
    (fullest,) = await answer(scraper, "Fullest pool")
    assert fullest.value == pytest.approx(max(1 - free / size for size, free in POOLS.values()))


async def test_the_table_of_pools_has_a_line_for_each_pool_and_role(scraper: Fleet) -> None:
    used, free, size = [
        {
            (each.labels["pool"], each.labels["role"]): each.value
            for each in await answer(scraper, "Pools, fullest first", query, instance=scraper.alpha)
        }
        for query in range(3)
    ]
    assert used == pytest.approx({key: 1 - free / size for key, (size, free) in POOLS.items()})
    assert free == {key: free for key, (_, free) in POOLS.items()}
    assert size == {key: size for key, (size, _) in POOLS.items()}


async def test_clocks_are_apart_whichever_of_them_is_ahead(scraper: Fleet) -> None:
    apart = await answer(scraper, "Clocks of the others", instance=scraper.alpha)
    assert [(each.labels["node"], each.value) for each in apart] == [("beta", 0.25)]


async def test_the_process_is_shown_in_base_units(scraper: Fleet) -> None:
    memory = await answer(scraper, "Memory", instance=scraper.alpha)
    age = await answer(scraper, "Time since the daemon's start", instance=scraper.alpha)
    files = await answer(scraper, "Open files", instance=scraper.alpha)
    assert [each.value > 1024**2 for each in memory] == [True]
    assert [0 < each.value < 86_400 for each in age] == [True]
    assert [0 < each.value < 1 for each in files] == [True]
