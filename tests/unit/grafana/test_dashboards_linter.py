"""The rules of dashboard-linter that make sense here, read from the dashboards' JSON. Left out, with the reason:

the fixed list of units is checked as our own shorter list; a `cluster` that no scraper sets must match nothing at all,
so its "All" is `.*`; the Guest dashboard has exactly one guest.
"""

from __future__ import annotations

import json
import re
from typing import Any

import promql_parser
import pytest

from exporter.catalogue import CATALOGUE
from grafana.build import DASHBOARDS, render
from grafana.promql import FLEET
from tests.support.dashboards import expressions, panels_of, selectors, substituted

NOT_OURS = {"up", "ALERTS"}
PROCESS = re.compile(r"process_[a-z_]+")
UNITS = {"none", "s", "percentunit", "Bps", "bytes", "decbytes", "dateTimeAsIso", "dateTimeFromNow"}
VARIABLES = ["datasource", "cluster", "job", "instance", "guest", "zsr_job"]
SIBLINGS = f"zsr_build_info{{{FLEET}}}"
"""The one selector that must not obey the chosen instance: which scrape jobs are zsr's at all."""
OF_WHOLE_CLUSTERS = tuple(
    f'{name}{{cluster=~"$cluster", job=~"$job"}}' for name in ("zsr_cluster_node", "zsr_cluster_info", "zsr_node_info")
)
"""Whether a node is missing, or of another view, is not to be asked of the chosen nodes alone."""


@pytest.fixture(params=DASHBOARDS, ids=str)
def board(request: pytest.FixtureRequest) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(render(request.param))
    return loaded


def variables_of(board: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {variable["name"]: variable for variable in board["templating"]["list"]}


def test_the_data_source_comes_through_the_variable_only(board: dict[str, Any]) -> None:
    found = re.findall(r'"uid": "([^"]*)"', json.dumps([board["panels"], board["templating"], board["annotations"]]))
    assert set(found) == {"${datasource}"}


def test_the_variables_are_the_same_everywhere_and_each_has_its_name_on_the_screen(board: dict[str, Any]) -> None:
    variables = variables_of(board)
    assert list(variables) == VARIABLES
    assert variables["datasource"]["query"] == "prometheus"
    labels = [variable["label"] for variable in variables.values()]
    assert labels == ["Data source", "Cluster", "Job", "Instance", "Guest", "Replication job"]


def test_variables_can_be_all_and_all_is_not_a_list_of_thousands(board: dict[str, Any]) -> None:
    one = {"guest"} if board["uid"] == "zsr-guest" else set()
    for name, variable in variables_of(board).items():
        if name == "datasource" or name in one:
            continue
        every = ".*" if name == "cluster" else ".+"
        assert (variable["multi"], variable["includeAll"], variable["allValue"]) == (True, True, every)


def test_the_guest_dashboard_has_exactly_one_guest() -> None:
    guest = variables_of(json.loads(render("guest.json")))["guest"]
    assert not guest.get("multi")
    assert not guest.get("includeAll")


def test_variables_are_read_again_with_the_time_range_and_depend_on_those_before(board: dict[str, Any]) -> None:
    variables = variables_of(board)
    for place, name in enumerate(VARIABLES[1:], start=1):
        assert variables[name]["refresh"] == 2
        series = re.fullmatch(rf"label_values\((.+), {name}\)", variables[name]["query"])
        assert series
        promql_parser.parse(substituted(series[1]))
        asked = re.findall(r"\$(\w+)", series[1])
        assert set(asked) == set(VARIABLES[1:place])


def test_every_panel_asks_something(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        assert panel["targets"]


def test_units_are_ones_that_are_meant_for_base_units(board: dict[str, Any]) -> None:
    used = set(re.findall(r'"unit": "(\w+)"', json.dumps(board)))
    used |= set(re.findall(r'"id": "unit", "value": "(\w+)"', json.dumps(board)))
    assert used <= UNITS


def test_a_graph_of_many_names_its_series(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        for target in panel["targets"]:
            assert panel["type"] != "timeseries" or target["legendFormat"], panel["title"]


def test_a_number_and_a_table_are_of_now_and_a_graph_is_of_the_whole_time(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        for target in panel["targets"]:
            assert target.get("instant", False) is (panel["type"] != "timeseries"), panel["title"]


def test_every_query_is_promql(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        promql_parser.parse(substituted(expression))


def test_every_selector_obeys_the_variables(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        if expression.startswith("max by (alertname"):
            continue  # alerts carry the labels that their rules left them
        found = re.findall(r"\b((?:zsr_[a-z_]+|up|process_[a-z_]+)\{[^}]*\})", expression)
        assert found, expression
        for selector in set(found) - {SIBLINGS, *OF_WHOLE_CLUSTERS}:
            assert 'cluster=~"$cluster", job=~"$job", instance=~"$instance"' in selector
            if re.match(r"zsr_(job|source)_", selector):
                assert 'zsr_job=~"$zsr_job", zsr_job=~"($guest)-.+"' in selector
            if re.match(r"zsr_(replica|diverged)_", selector):
                assert 'guest=~"$guest"' in selector


def test_nothing_is_selected_without_matchers(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        for found in selectors(promql_parser.parse(substituted(expression))):
            assert found.matchers.matchers, expression


def test_every_metric_exists_in_the_catalogue(board: dict[str, Any]) -> None:
    known = {metric.name for metric in CATALOGUE} | NOT_OURS
    known |= {f"{name}_{part}" for name in known for part in ("sum", "count", "bucket")}
    for expression in expressions(board):
        used = {str(found.name) for found in selectors(promql_parser.parse(substituted(expression)))}
        assert used
        assert {name for name in used if not PROCESS.fullmatch(name)} <= known


def test_every_metric_of_the_catalogue_is_shown_somewhere() -> None:
    everything = " ".join(expression for name in DASHBOARDS for expression in expressions(json.loads(render(name))))
    assert [metric.name for metric in CATALOGUE if not re.search(rf"\b{metric.name}(_sum)?\b", everything)] == []


def test_joins_keep_clusters_apart(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        for labels in re.findall(r"\bon \(([^)]*)\)", expression):
            assert labels.startswith(("cluster, job", "instance")), expression


def test_rates_use_the_rate_interval_and_counters_nothing_else(board: dict[str, Any]) -> None:
    for expression in expressions(board):
        assert not re.search(r"rate\([^[]*\[(?!\$__rate_interval\])", expression)
        for counter in re.finditer(r"(\w*)\(?(?:zsr|process)_\w+_total", expression):
            assert counter[1] in {"rate", "increase"}


def test_counts_over_time_are_not_drawn_narrower_than_what_they_count(board: dict[str, Any]) -> None:
    for panel in panels_of(board):
        counted = [target["expr"] for target in panel["targets"] if "[$__rate_interval]" in target["expr"]]
        if any("increase(" in expression for expression in counted):
            assert panel["interval"] == "2m", panel["title"]
