"""House rules for the alert rules that promtool does not check: annotations, runbooks, tests, known metrics."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.catalogue import CATALOGUE

ALERTS = Path(__file__).parents[2] / "alerts"
RUNBOOK_BASE = "https://github.com/zsr-project/zsr/blob/main/alerts/runbooks"


def load(name: str) -> Any:
    return yaml.safe_load((ALERTS / "rules" / name).read_text())


RULES: list[dict[str, Any]] = [rule for group in load("zsr.yml")["groups"] for rule in group["rules"]]
FIRING: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}


@pytest.fixture(params=FIRING, ids=str)
def alert(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FIRING[request.param]


def metrics_of(expression: str) -> set[str]:
    return set(re.findall(r"\bzsr_[a-z_:]+", str(promql_parser.parse(expression)))) - {"zsr_job"}  # that is a label


def test_name_starts_with_the_product(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"Zsr[A-Z][A-Za-z]+", alert["alert"])


def test_severity_is_one_that_routes(alert: dict[str, Any]) -> None:
    assert alert["labels"]["severity"] in {"critical", "warning", "info"}


def test_summary_is_one_static_sentence_so_that_a_group_has_one_headline(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z][^{}\n]*\.", alert["annotations"]["summary"])


def test_values_are_in_annotations_only_because_a_label_that_changes_is_a_new_alert(alert: dict[str, Any]) -> None:
    assert "$value" not in str(alert["labels"])


def test_values_are_humanized(alert: dict[str, Any]) -> None:
    description = alert["annotations"]["description"]
    for use in re.findall(r"\{\{[^{}]*(?:\$value|\bvalue\b)[^{}]*\}\}", description):
        assert "humanize" in use


def test_each_alert_has_its_runbook(alert: dict[str, Any]) -> None:
    name = alert["alert"]
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOK_BASE}/{name}.md"
    text = (ALERTS / "runbooks" / f"{name}.md").read_text()
    assert text.startswith(f"# {name}\n")
    for heading in (
        "What it means",
        "How bad",
        "What to look at",
        "What to do",
        "When to wake somebody",
    ):
        assert f"\n## {heading}\n" in text, f"{name}.md lacks '{heading}'"
    assert f"**Severity:** {alert['labels']['severity']} " in text


def test_absence_is_given_time(alert: dict[str, Any]) -> None:
    if "absent(" in alert["expr"]:
        assert alert["for"] == "15m"


def test_no_runbook_is_left_over() -> None:
    assert {path.stem for path in (ALERTS / "runbooks").glob("*.md")} == set(FIRING)


def test_each_alert_is_tested_in_full_at_least_once() -> None:
    told = {
        case["alertname"]
        for test in load("zsr_test.yml")["tests"]
        for case in test.get("alert_rule_test", [])
        if case["exp_alerts"]
    }
    assert told == set(FIRING)


def test_rules_use_only_metrics_that_the_exporter_has() -> None:
    known = {metric.name for metric in CATALOGUE} | RECORDED
    used = set().union(*(metrics_of(rule["expr"]) for rule in RULES))
    assert used <= known, f"unknown: {used - known}"


def test_every_recorded_series_is_used() -> None:
    used = set().union(*(metrics_of(rule["expr"]) for rule in RULES))
    assert used >= RECORDED


def test_no_raw_counter_is_compared() -> None:
    for rule in RULES:
        for counter in re.finditer(r"([a-z_]+)\(zsr_\w+_total|zsr_\w+_total", rule["expr"]):
            assert counter[1] in {"rate", "increase"}
