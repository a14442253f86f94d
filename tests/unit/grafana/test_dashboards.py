"""The dashboards as committed: they are what the code builds, they fit together, and nothing falls off the grid.

The rules of dashboard-linter are test_dashboards_linter.py; what a query answers: tests/monitoring/test_dashboard*.py.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.build import DASHBOARDS, OUTPUT, render, write
from tests.support.dashboards import panels_of
from tools.docs_tables import PANELS_END, panels_begin, with_panels

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs/dashboards.md"
NARROWEST = 4
LOWEST = 4


@pytest.fixture(params=DASHBOARDS, ids=str)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(render(request.param))
    return loaded


@pytest.mark.parametrize("name", DASHBOARDS)
def test_the_committed_json_is_what_the_code_builds(name: str) -> None:
    committed = (OUTPUT / name).read_text(encoding="utf-8")
    assert committed == render(name), "run: python -m grafana"


def test_no_json_is_left_over() -> None:
    assert {path.name for path in OUTPUT.glob("*.json")} == set(DASHBOARDS)


def test_building_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in write(tmp_path)]
    assert first == [path.read_bytes() for path in write(tmp_path)]


def test_it_cannot_be_edited_away_and_has_a_fixed_uid(board: dict[str, Any]) -> None:
    assert board["editable"] is False
    assert re.fullmatch(r"zsr-[a-z]+", board["uid"])
    assert board["title"].startswith("zsr / ")


def test_it_opens_on_a_day_refreshes_each_minute_and_shares_the_crosshair(board: dict[str, Any]) -> None:
    assert board["time"] == {"from": "now-24h", "to": "now"}
    assert board["refresh"] == "1m"
    assert board["graphTooltip"] == 1


def test_ids_are_unique_and_never_zero(board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in panels_of(board, rows=True)]
    assert all(ids)
    assert len(ids) == len(set(ids))


def test_panels_stay_on_the_grid_and_do_not_overlap(board: dict[str, Any]) -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in panels_of(board, rows=True):
        grid = panel["gridPos"]
        assert grid["x"] >= 0
        assert grid["x"] + grid["w"] <= 24
        for cell in (
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        ):
            assert cell not in taken, f"'{panel['title']}' lies on '{taken[cell]}'"
            taken[cell] = panel["title"]


def boards() -> dict[str, dict[str, Any]]:
    return {loaded["uid"]: loaded for loaded in (json.loads(render(name)) for name in DASHBOARDS)}


def links_of(board: dict[str, Any]) -> list[str]:
    """Every address on a dashboard: of the dashboard, of its panels, of the cells of its tables."""
    return re.findall(r'"url": "([^"]+)"', json.dumps(board))


def test_every_panel_says_what_it_is_and_what_good_looks_like(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        assert panel["title"]
        assert "Good: " in panel["description"], panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_every_panel_says_why_it_may_be_empty(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        assert panel["fieldConfig"]["defaults"]["noValue"], panel["title"]


def test_no_panel_is_too_small_to_be_read(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        width = NARROWEST if panel["type"] == "stat" else NARROWEST + 2
        assert panel["gridPos"]["w"] >= width, panel["title"]
        assert panel["gridPos"]["h"] >= LOWEST, panel["title"]


def test_the_answer_comes_first_and_the_table_above_the_graphs(board: dict[str, Any]) -> None:
    kinds = [panel["type"] for panel in panels_of(board)]
    assert kinds[0] == "stat"
    assert kinds.index("table") < kinds.index("timeseries")


def test_reading_order_on_a_phone_is_that_of_the_grid(board: dict[str, Any]) -> None:
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in panels_of(board, rows=True)]
    assert places == sorted(places)


def test_no_panel_is_left_to_the_default_threshold_of_80(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert all(step["value"] != 80 for step in steps)


def test_nothing_is_null_but_the_lower_end_of_a_threshold(board: dict[str, Any]) -> None:
    assert json.dumps(board).count("null") == json.dumps(board).count('"value": null')


def test_every_dashboard_leads_to_the_others_and_to_the_runbooks(board: dict[str, Any]) -> None:
    titles = {"zsr-replication": "Replication", "zsr-guest": "Guest", "zsr-node": "Node"}
    others = [title for uid, title in titles.items() if uid != board["uid"]]
    assert [link["title"] for link in board["links"]] == [*others, "Runbooks"]


def test_a_link_between_dashboards_leads_to_one_that_exists_and_sets_only_its_variables(board: dict[str, Any]) -> None:
    known = boards()
    inside = [url for url in links_of(board) if url.startswith("/d/")]
    assert inside
    for url in inside:
        uid, _, query = url.removeprefix("/d/").partition("?")
        variables = {variable["name"] for variable in known[uid]["templating"]["list"]}
        carried = re.findall(r"\$\{(\w+):queryparam\}", query) + re.findall(r"var-(\w+)=", query)
        assert set(carried) <= variables
        assert "datasource" in carried
        assert "${__url_time_range}" in query


def test_a_cell_s_link_speaks_of_columns_that_its_table_has(board: dict[str, Any]) -> None:
    for table in (panel for panel in panels_of(board) if panel["type"] == "table"):
        columns = set(table["transformations"][1]["options"]["renameByName"].values())
        for one, other in re.findall(r"\$\{__data\.fields(?:\.(\w+)|\['([^']+)'\])\}", json.dumps(table)):
            assert (one or other) in columns, table["title"]


def test_every_runbook_that_is_linked_exists(board: dict[str, Any]) -> None:
    runbooks = [url for url in links_of(board) if "/alerts/runbooks/" in url]
    assert runbooks
    for url in runbooks:
        name = url.rpartition("/")[2]
        assert (ROOT / "alerts/runbooks" / name).is_file(), url


def test_failures_and_alerts_are_marked_in_the_graphs(board: dict[str, Any]) -> None:
    marks = {mark["name"]: mark for mark in board["annotations"]["list"]}
    assert [name for name, mark in marks.items() if mark["enable"]] == ["Failed runs", "Alerts"]
    assert all(mark["datasource"]["uid"] == "${datasource}" for mark in marks.values())


@pytest.mark.parametrize("path", sorted((OUTPUT.parent / "provisioning").rglob("*.yml")), ids=lambda path: path.name)
def test_provisioning_examples_are_yaml_of_the_known_version(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["apiVersion"] == 1


def test_the_page_about_them_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_panels(text) == text, "run: python -m tools.docs_tables docs/dashboards.md"


def test_a_page_without_a_place_for_a_dashboard_is_refused() -> None:
    page = "".join(f"{panels_begin(name)}\n{PANELS_END}\n" for name in list(DASHBOARDS)[1:])
    with pytest.raises(ValueError, match="panels of replication"):
        with_panels(page)


def test_every_picture_on_the_page_is_there_and_small_enough() -> None:
    pictures = re.findall(r'(?:src|srcset)="([^"]+)"', PAGE.read_text(encoding="utf-8"))
    assert len(pictures) == 2 * len(DASHBOARDS) + 1
    for picture in pictures:
        assert 20_000 < (PAGE.parent / picture).stat().st_size < 300_000, picture
