"""The dashboards as Grafana's own libraries draw them from a running demo: what each panel shows, and docs/*.png.

Not part of `make test`, hence the name: it needs node, npm (450 MB of packages), chromium, pngquant, and MINUTES of a
running demo. ``make dashboards`` runs it. The pictures go into docs/ when everything on them is right.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from grafana.build import DASHBOARDS, OUTPUT
from tests.support.dashboards import panels_of
from tests.support.gallery import SCRAPE, Gallery, gallery
from tests.support.prometheus import PATIENCE

MINUTES = float(os.environ.get("MINUTES", "8"))
ROOT = Path(__file__).parents[2]
RENDER = ROOT / "grafana/render"
LARGEST = 300_000
GREEN, RED, ORANGE = "#73BF69", "#F2495C", "#FF9830"
BROKEN = "102-1"
JOBS = {"101-0", "102-0", "102-1", "103-0"}

pytestmark = [pytest.mark.zfs, pytest.mark.prometheus, pytest.mark.asyncio(loop_scope="module")]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One picture and what the page said it shows; ``panels`` by title, of several with one title the first."""

    picture: Path
    report: Mapping[str, Any]

    @property
    def panels(self) -> dict[str, dict[str, Any]]:
        return {each["title"]: each for _, each in sorted(self.report["panels"].items(), reverse=True)}

    def shown(self, title: str) -> list[tuple[str, str]]:
        """The texts and colours of a number."""
        return [(text, color) for _, text, color in self.panels[title]["display"]]


Drawings = Mapping[str, Drawing]

PICTURES = {
    "dashboard": ("replication", "dark", "", ""),
    "dashboard-light": ("replication", "light", "", ""),
    "dashboard-guest": ("guest", "dark", "var-guest=102", ""),
    "dashboard-guest-light": ("guest", "light", "var-guest=102", ""),
    "dashboard-node": ("node", "dark", "", ""),
    "dashboard-node-light": ("node", "light", "", ""),
    "dashboard-phone": ("guest", "dark", "var-guest=102", "412x915"),
}
"""Each picture below docs/: of which dashboard, in which colours, with which variables, how large if not whole."""


async def _draw(scene: Gallery, name: str, directory: Path) -> Drawing:
    dashboard, theme, variables, size = PICTURES[name]
    picture = directory / f"{name}.png"
    settings = {
        "PROM": scene.prometheus.url,
        "DASHBOARD": str(OUTPUT / f"{dashboard}.json"),
        "FROM": f"now-{round(MINUTES) + 2}m",  # with the beginning, when the broken job failed first
        "SCRAPE": str(SCRAPE),
        "VARIABLES": variables,
    } | dict(zip(("WIDTH", "HEIGHT"), size.split("x"), strict=False) if size else ())
    done = await asyncio.to_thread(
        subprocess.run,
        [str(RENDER / "render.sh"), str(picture), theme],
        env=os.environ | settings,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return Drawing(picture, json.loads(picture.with_suffix(".json").read_text()))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def scene(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Gallery]:
    """The demo after it has run for MINUTES, and at least until the broken job's promise is broken."""
    async with gallery(tmp_path_factory.mktemp("prometheus")) as running:
        await asyncio.sleep(MINUTES * 60)
        old = "time() - zsr_job_created_timestamp_seconds > zsr_job_rpo_seconds"
        failing = "zsr_job_consecutive_failures > 0"
        await running.prometheus.until(f"{old} and on (zsr_job) {failing}", patience=180)
        await running.prometheus.until("count(zsr_replica_last_sync_timestamp_seconds) == 3", patience=PATIENCE * 6)
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def drawings(scene: Gallery, tmp_path_factory: pytest.TempPathFactory) -> Drawings:
    directory = tmp_path_factory.mktemp("pictures")
    return {name: await _draw(scene, name, directory) for name in PICTURES}


@pytest.fixture
def replication(drawings: Drawings) -> Drawing:
    return drawings["dashboard"]


@pytest.fixture
def guest(drawings: Drawings) -> Drawing:
    return drawings["dashboard-guest"]


@pytest.fixture
def node(drawings: Drawings) -> Drawing:
    return drawings["dashboard-node"]


async def test_the_json_is_a_dashboard_by_grafana_s_own_types() -> None:
    argv = [str(RENDER / "types.sh")]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", PICTURES)
async def test_every_panel_is_drawn_without_an_error(drawings: Drawings, name: str) -> None:
    drawing = drawings[name]
    board = json.loads((OUTPUT / f"{PICTURES[name][0]}.json").read_text())
    assert drawing.report["errors"] == []
    assert {int(number) for number in drawing.report["panels"]} == {panel["id"] for panel in panels_of(board)}
    assert {each["state"] for each in drawing.report["panels"].values()} == {"Done"}


@pytest.mark.parametrize("name", PICTURES)
async def test_no_panel_is_empty_but_where_there_is_nothing_to_know(
    scene: Gallery, drawings: Drawings, name: str
) -> None:
    empty = {each["title"] for each in drawings[name].report["panels"].values() if not each["frames"]}
    unknown = set()
    if not await scene.prometheus.query("zsr_job_unreplicated_bytes"):
        unknown.add("Written since the last copy")  # an old ZFS does not know it
    if not await scene.prometheus.query("zsr_node_clock_skew_seconds"):
        unknown.add("Clocks of the others")  # both nodes of the demo are this machine
    assert empty <= unknown


async def test_the_first_glance_says_that_one_of_four_promises_is_broken(replication: Drawing) -> None:
    assert replication.shown("Promises broken") == [("1", RED)]
    assert replication.shown("Promises kept") == [("3", GREEN)]
    assert replication.shown("Failing now") == [("1", ORANGE)]
    assert replication.shown("Never copied") == [("1", ORANGE)]
    assert replication.shown("Daemons silent") == [("0", GREEN)]
    ((used, color),) = replication.shown("Worst promise used up")
    assert (used[-1], color) == ("%", RED)
    assert int(used.removesuffix("%")) > 100


async def test_the_table_says_of_each_job_what_its_daemon_says(scene: Gallery, replication: Drawing) -> None:
    rows = {row["Job"]: row for row in replication.panels["Jobs, worst first"]["rows"]}
    told = await scene.jobs()
    assert set(rows) == set(told) == JOBS
    for job, row in rows.items():
        assert row["To"] == told[job]["target"]
        assert row["Promised"] == "2.0 mins"
        assert (row["State"] == "FAILED") is (job == BROKEN)
        assert (row["Last success"] == "never") is (job == BROKEN)
        assert (row["Age of copy"] == "no copy yet") is (job == BROKEN)


async def test_a_click_on_a_job_leads_to_its_guest_and_on_a_daemon_to_its_node(replication: Drawing) -> None:
    panel = replication.panels["Jobs, worst first"]
    first = panel["rows"][0]
    ((to_guest,), (to_node,)) = (panel["links"][column] for column in ("Job", "Daemon"))
    assert to_guest.startswith("/d/zsr-guest?")
    assert f"var-guest={first['Guest']}" in to_guest
    assert to_node.startswith("/d/zsr-node?")
    assert f"var-instance={first['Daemon']}" in to_node
    for link in (to_guest, to_node):
        assert "var-datasource=prom" in link
        assert "var-cluster=$__all" in link
        assert "from=now-" in link


@pytest.mark.parametrize("name", PICTURES)
async def test_the_links_above_lead_to_the_other_dashboards_with_the_time_shown(drawings: Drawings, name: str) -> None:
    *inside, runbooks = drawings[name].report["links"]
    others = {f"/d/zsr-{each.removesuffix('.json')}" for each in DASHBOARDS} - {f"/d/zsr-{PICTURES[name][0]}"}
    assert {each["url"].partition("?")[0] for each in inside} == others
    assert all("from=now-" in each["url"] and "${" not in each["url"] for each in inside)
    assert runbooks["url"].endswith("/alerts/runbooks")


async def test_failed_runs_and_alerts_are_marked(replication: Drawing) -> None:
    marks = {(mark["name"], mark["title"]) for mark in replication.report["marks"]}
    assert ("Failed runs", f"Job {BROKEN} failed") in marks
    assert {title for name, title in marks if name == "Failed runs"} == {f"Job {BROKEN} failed"}
    assert all(title.startswith("Zsr") for name, title in marks if name == "Alerts")


async def test_who_cannot_be_reached_is_said_in_words_and_in_red(replication: Drawing) -> None:
    seen = {title: (text, color) for title, text, color in replication.panels["Can the targets be reached?"]["display"]}
    assert seen["beta"] == ("reachable", GREEN)
    assert seen["gamma"] == ("OUT OF REACH", RED)


async def test_graphs_name_the_jobs_and_not_their_labels(replication: Drawing) -> None:
    for title in ("Promise used up (broken above 100 %)", "What a dead node would lose, in time", "Sending, by job"):
        assert set(replication.panels[title]["names"]) == JOBS
    assert set(replication.panels["Runs"]["names"]) == {"success", "failure", "cancelled", "missed", "could not begin"}


async def test_the_guest_s_dashboard_is_of_that_guest_only(guest: Drawing) -> None:
    assert guest.panels["Guest"]["display"][0][0] == "mail on alpha"
    assert {row["Job"] for row in guest.panels["Jobs, worst first"]["rows"]} == {"102-0", BROKEN}
    assert guest.shown("Promises broken") == [("1", RED)]
    assert guest.shown("Promises kept") == [("1", GREEN)]
    assert set(guest.panels["Lag against promise"]["names"]) == {
        "102-0",
        BROKEN,
        "102-0 promised",
        f"{BROKEN} promised",
    }
    assert guest.panels["Lag against promise"]["last"]["102-0 promised"] == "2 mins"
    (copy,) = guest.panels["Held as a target, oldest first"]["rows"]
    assert (copy["Guest"], copy["From"], copy["Held by"]) == ("102", "alpha", "beta:9847")


async def test_the_node_s_dashboard_distinguishes_sources_and_targets(node: Drawing) -> None:
    assert [text for text, _ in node.shown("Jobs run here")] == ["4"]
    assert [text for text, _ in node.shown("Replicas held here")] == ["3"]
    assert {row["Guest"] for row in node.panels["Held as a target, oldest first"]["rows"]} == {"101", "102", "103"}
    assert {row["Held by"] for row in node.panels["Held as a target, oldest first"]["rows"]} == {"beta:9847"}
    assert set(node.panels["Memory"]["names"]) == {"alpha:9847", "beta:9847"}
    assert node.panels["Memory"]["last"]["alpha:9847"].endswith(("MiB", "GiB"))


async def test_the_pictures_are_small_enough_for_the_docs_and_go_there(
    drawings: Drawings, request: pytest.FixtureRequest
) -> None:
    sizes = {name: drawing.picture.stat().st_size for name, drawing in drawings.items()}
    assert {name: size for name, size in sizes.items() if size > LARGEST} == {}
    if request.session.testsfailed:
        pytest.skip("what is not right on them does not go into the docs")
    for drawing in drawings.values():
        shutil.copyfile(drawing.picture, ROOT / "docs" / drawing.picture.name)
