"""The Guest dashboard before a real Prometheus: what it says is what the state says of that one guest."""

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

BOARD: dict[str, Any] = json.loads(render("guest.json"))
PANELS = {panel["id"]: panel for panel in panels_of(BOARD)}
TITLES = {panel["title"]: panel for panel in reversed(list(panels_of(BOARD)))}  # the first of a name, so the number


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraper(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with fleet(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


async def answer(scraper: Fleet, title: str, guest: str, query: int = 0) -> list[Found]:
    return await scraper.ask(TITLES[title]["targets"][query]["expr"], guest=guest)


@pytest.mark.parametrize("guest", ["100", "101", "102", "103", "104", "110"])
async def test_only_the_chosen_guest_is_shown(scraper: Fleet, guest: str) -> None:
    for panel in PANELS.values():
        for target in panel["targets"]:
            for found in await scraper.ask(target["expr"], guest=guest):
                assert found.labels.get("guest", guest) == guest, target["expr"]
                assert found.labels.get("zsr_job", f"{guest}-0") == f"{guest}-0", target["expr"]


@pytest.mark.parametrize(
    ("guest", "broken", "kept", "failing", "never", "running", "aside"),
    [
        ("100", 0, 1, 0, 0, 0, 0),
        ("101", 0, 1, 0, 0, 1, 0),
        ("102", 1, 0, 1, 0, 0, 1),
        ("103", 0, 1, 0, 1, 0, 0),  # new, so its promise still stands without a copy
        ("104", 0, 0, 0, 0, 0, 0),  # disabled
        ("110", 1, 0, 1, 1, 0, 0),
    ],
)
async def test_the_glance_is_of_this_guest(
    scraper: Fleet, guest: str, broken: int, kept: int, failing: int, never: int, running: int, aside: int
) -> None:
    expected = {
        "Promises broken": broken,
        "Promises kept": kept,
        "Failing now": failing,
        "Never copied": never,
        "Running now": running,
        "Volumes kept aside": aside,
    }
    found = {title: [each.value for each in await answer(scraper, title, guest)] for title in expected}
    assert found == {title: [value] for title, value in expected.items()}


async def test_the_guest_s_name_and_node_are_shown(scraper: Fleet) -> None:
    (found,) = await answer(scraper, "Guest", "102")
    assert found.labels == {"guest_name": "guest-102", "source": "alpha"}


async def test_the_newest_copy_is_as_old_as_its_last_sync(scraper: Fleet) -> None:
    (found,) = await answer(scraper, "Newest copy", "102")
    (now,) = await scraper.ask("time()")
    assert found.value == pytest.approx(now.value - (scraper.now - 5400), abs=60)


async def test_a_guest_without_a_copy_has_no_age_and_not_57_years(scraper: Fleet) -> None:
    assert await answer(scraper, "Newest copy", "110") == []
    (lag,) = await answer(scraper, "Lag against promise", "110")
    assert lag.value == pytest.approx(7 * 86_400, abs=60)  # since the job was made


async def test_lag_is_drawn_with_the_promise(scraper: Fleet) -> None:
    (lag,) = await answer(scraper, "Lag against promise", "102", 0)
    (promise,) = await answer(scraper, "Lag against promise", "102", 1)
    assert promise.value == 1800
    assert lag.value / promise.value == pytest.approx(3, rel=0.05)


async def test_what_the_target_holds_is_its_own_account_not_the_sender_s(scraper: Fleet) -> None:
    """The sender of 110 knows of no copy; beta holds an old one."""
    (row,) = await answer(scraper, "Held as a target, oldest first", "110")
    assert row.labels == {"guest": "110", "source": "alpha", "storage": "local-zfs", "instance": scraper.beta}
    (now,) = await scraper.ask("time()")
    assert row.value == pytest.approx(now.value - (scraper.now - 200_000), abs=60)


async def test_progress_is_a_part_of_the_estimate_and_0_while_nothing_is_sent(scraper: Fleet) -> None:
    assert [each.value for each in await answer(scraper, "Progress of transfers", "101")] == [0.25]
    assert [each.value for each in await answer(scraper, "Progress of transfers", "100")] == [0]


async def test_bytes_and_runs_are_counted_for_the_guest_that_ran(scraper: Fleet) -> None:
    for title in ("Bytes sent", "Sent in the shown time"):
        assert [each.value > 0 for each in await answer(scraper, title, "100")] == [True]
        assert [each.value > 0 for each in await answer(scraper, title, "102")] == [False]
    outcomes = {each.labels["outcome"] for each in await answer(scraper, "Runs", "102") if each.value > 0}
    assert outcomes == {"failure"}


async def test_failures_in_a_row_are_those_since_the_last_success(scraper: Fleet) -> None:
    assert [each.value for each in await answer(scraper, "Failures in a row", "102")] == [4]
    assert [each.value for each in await answer(scraper, "Failures in a row", "100")] == [0]


async def test_snapshots_on_the_source_are_shown_by_job(scraper: Fleet) -> None:
    (found,) = await answer(scraper, "Snapshots on the source", "100")
    assert (found.labels["zsr_job"], found.value) == ("100-0", 3)
