"""The dashboards while all is well: no panel is empty, no number is red, nothing is marked."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from grafana.build import DASHBOARDS, render
from tests.support.dashboards import panels_of
from tests.support.fleet import Fleet, calm

pytestmark = [pytest.mark.prometheus, pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

BOARDS: dict[str, dict[str, Any]] = {name: json.loads(render(name)) for name in DASHBOARDS}
GOOD = {"green", "blue"}
ABSENT = re.compile(r"zsr_target_|zsr_asides|zsr_drill_clones")
"""Metrics of targets that run no zsr, of what is kept aside, and of clones left by drills; none are here."""
NOT_CALM = "Fullest pool"
"""The scripted pools (tests/support/statuses.py) are nearly full, always."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scraper(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    async with calm(tmp_path_factory.mktemp("prometheus")) as running:
        yield running


def shown(name: str) -> list[dict[str, Any]]:
    return list(panels_of(BOARDS[name]))


def guest(name: str) -> dict[str, str]:
    return {"guest": "100"} if name == "guest.json" else {}


@pytest.mark.parametrize("name", BOARDS)
async def test_no_panel_is_without_data(scraper: Fleet, name: str) -> None:
    empty = [
        (panel["title"], target["refId"])
        for panel in shown(name)
        for target in panel["targets"]
        if not ABSENT.search(target["expr"]) and not await scraper.ask(target["expr"], **guest(name))
    ]
    assert empty == []


@pytest.mark.parametrize("name", BOARDS)
async def test_no_number_has_the_colour_of_trouble(scraper: Fleet, name: str) -> None:
    colors = {}
    for panel in shown(name):
        if panel["type"] != "stat" or panel["title"] == NOT_CALM:
            continue
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        for found in await scraper.ask(panel["targets"][0]["expr"], **guest(name)):
            passed = [step["color"] for step in steps if step["value"] is None or found.value >= step["value"]]
            colors[panel["title"]] = passed[-1]
    assert {title: color for title, color in colors.items() if color not in GOOD} == {}


@pytest.mark.parametrize("name", BOARDS)
async def test_no_failure_is_marked(scraper: Fleet, name: str) -> None:
    for mark in BOARDS[name]["annotations"]["list"]:
        if mark["enable"]:
            assert await scraper.ask(mark["expr"]) == []
