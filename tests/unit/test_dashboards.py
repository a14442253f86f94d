"""The dashboards as committed: they are what the code builds, and they keep the rules that dashboard-linter checks.

What a query answers is the business of tests/monitoring/test_dashboard.py.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.catalogue import CATALOGUE
from grafana.build import DASHBOARDS, OUTPUT, render, write
from tests.dashboards import expressions, panels_of, substituted

NOT_OURS = {"up"}


@pytest.fixture(params=DASHBOARDS, ids=str)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(render(request.param))
    return loaded


def selectors(node: Any) -> Iterator[promql_parser.VectorSelector]:
    """All vector selectors below a node of the syntax tree."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "param"):
        child = getattr(node, name, None)
        if child is not None:
            yield from selectors(child)
    for child in getattr(node, "args", None) or []:
        yield from selectors(child)


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


def test_every_panel_says_what_it_is_and_what_good_looks_like(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        assert panel["title"]
        assert "Good: " in panel["description"] or "kept" in panel["description"] or "goes on" in panel["description"]
        assert panel["fieldConfig"]["defaults"]["unit"]


def test_no_panel_is_left_to_the_default_threshold_of_80(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[0]["value"] is None
        assert all(step["value"] != 80 for step in steps)


def test_the_data_source_comes_through_the_variable_only(board: dict[str, Any]) -> None:
    found = re.findall(r'"uid": "([^"]*)"', json.dumps([board["panels"], board["templating"]]))
    assert set(found) == {"${datasource}"}


def test_nothing_is_null_but_the_lower_end_of_a_threshold(board: dict[str, Any]) -> None:
    assert json.dumps(board).count("null") == json.dumps(board).count('"value": null')


def test_variables_follow_the_linter(board: dict[str, Any]) -> None:
    variables = {variable["name"]: variable for variable in board["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance", "guest", "zsr_job"]
    assert variables.pop("datasource")["query"] == "prometheus"
    for variable in variables.values():
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, ".+")
        assert variable["refresh"] == 2
        series = re.fullmatch(r"label_values\((.+), \w+\)", variable["query"])
        assert series
        promql_parser.parse(substituted(series[1]))


def test_every_query_is_promql(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        promql_parser.parse(substituted(expression))


def test_every_selector_obeys_job_and_instance(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        found = list(re.findall(r"\b((?:zsr_[a-z_]+|up)\{[^}]*\})", expression))
        assert found
        for selector in found:
            assert 'job=~"$job", instance=~"$instance"' in selector
            if re.match(r"zsr_job_", selector):
                assert 'zsr_job=~"$zsr_job", zsr_job=~"($guest)-.+"' in selector


def test_every_metric_exists_in_the_catalogue(board: dict[str, Any]) -> None:
    known = {metric.name for metric in CATALOGUE} | NOT_OURS
    for expression in expressions(board):
        used = {str(found.name) for found in selectors(promql_parser.parse(substituted(expression)))}
        assert used
        assert used <= known


def test_rates_use_the_rate_interval_and_counters_nothing_else(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        assert "[$__rate_interval]" in expression or "[" not in expression
        for counter in re.finditer(r"(\w*)\(?zsr_\w+_total", expression):
            assert counter[1] in {"rate", "increase"}


@pytest.mark.parametrize("path", sorted((OUTPUT.parent / "provisioning").rglob("*.yml")), ids=lambda path: path.name)
def test_provisioning_examples_are_yaml_of_the_known_version(path: Path) -> None:
    assert yaml.safe_load(path.read_text())["apiVersion"] == 1
