"""House rules for the alert rules that promtool does not check: words, runbooks, stories, reasons, inhibitions."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from exporter.catalogue import CATALOGUE
from tests.support.rules_labels import nodes_of
from tests.support.rules_lint import lint

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "alerts"
RULE_FILES = sorted((ALERTS / "rules").glob("*.yml"))
STORY_FILES = sorted((ALERTS / "rules" / "tests").glob("*.yml"))
RUNBOOK_BASE = "https://github.com/zsr-project/zsr/blob/main/alerts/runbooks"


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text())


DOCUMENTS = [load(path) for path in RULE_FILES]
RULES: list[dict[str, Any]] = [rule for doc in DOCUMENTS for group in doc["groups"] for rule in group["rules"]]
FIRING: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in RULES if "alert" in rule}
RECORDED = {rule["record"] for rule in RULES if "record" in rule}
WATCHERS = {"ZsrRulesBlind", "ZsrRulesMissing"}
"""Alerts about the rules of other groups; half a minute does not matter to them."""
ALWAYS = "ZsrWatchdog"
"""The alert that always fires, for a service outside; it alone is of no severity."""
IN_EACH_FILE = "ZsrRulesMissing"
"""The one alert that is not in one file: each asks for the others."""
PARTLY_LOADED = "missing_test.yml"
"""The stories in which a file of rules is not loaded."""
QUIET = ("quiet_test.yml", "clocks_test.yml")
STORIES: list[dict[str, Any]] = [story for path in STORY_FILES for story in load(path)["tests"]]
CASES: list[dict[str, Any]] = [case for story in STORIES for case in story.get("alert_rule_test", [])]
SETTINGS = load(ALERTS / "alertmanager" / "alertmanager.yml")
MONITORING = (ROOT / "docs" / "monitoring.md").read_text()
COMMANDS = (ROOT / "docs" / "commands.md").read_text()


@pytest.fixture(params=FIRING, ids=str)
def alert(request: pytest.FixtureRequest) -> dict[str, Any]:
    return FIRING[request.param]


@pytest.fixture
def runbook(alert: dict[str, Any]) -> str:
    return (ALERTS / "runbooks" / f"{alert['alert']}.md").read_text()


def metrics_of(expression: str) -> set[str]:
    selectors = (node for node in nodes_of(promql_parser.parse(expression)))
    names = (getattr(node, "vector_selector", node) for node in selectors)
    return {str(node.name) for node in names if isinstance(node, promql_parser.VectorSelector)}


USED = set().union(*(metrics_of(rule["expr"]) for rule in RULES))


def test_pint_would_have_no_remark() -> None:
    assert [str(remark) for remark in lint(DOCUMENTS)] == []


def test_name_starts_with_the_product(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"Zsr[A-Z][A-Za-z]+", alert["alert"])


def test_no_name_is_given_twice() -> None:
    others = [rule["alert"] for rule in RULES if rule.get("alert", IN_EACH_FILE) != IN_EACH_FILE]
    assert sorted(others) == sorted(FIRING.keys() - {IN_EACH_FILE})


def test_each_file_asks_for_the_others_in_the_same_words() -> None:
    rules = {
        path.name: next(r for g in document["groups"] for r in g["rules"] if r.get("alert") == IN_EACH_FILE)
        for path, document in zip(RULE_FILES, DOCUMENTS, strict=True)
    }
    assert len({json.dumps(rule | {"expr": ""}) for rule in rules.values()}) == 1
    for name, rule in rules.items():
        assert set(re.findall(r'absent\(file:zsr_rules:loaded\{file="(.*?)"\}\)', rule["expr"])) == rules.keys() - {
            name
        }


def test_each_file_says_as_its_last_record_that_it_is_loaded() -> None:
    for path, document in zip(RULE_FILES, DOCUMENTS, strict=True):
        group, *_ = document["groups"]
        *_, marker, alert = group["rules"]
        assert alert["alert"] == IN_EACH_FILE
        assert marker == {"record": "file:zsr_rules:loaded", "expr": "vector(1)", "labels": {"file": path.name}}


def test_severity_is_one_that_routes(alert: dict[str, Any]) -> None:
    severities = {"none"} if alert["alert"] == ALWAYS else {"critical", "warning", "info"}
    assert alert["labels"]["severity"] in severities


def test_summary_is_one_static_sentence_so_that_a_group_has_one_headline(alert: dict[str, Any]) -> None:
    assert re.fullmatch(r"[A-Z][^{}\n]*\.", alert["annotations"]["summary"])


def test_description_tells_of_this_one_case(alert: dict[str, Any]) -> None:
    has_no_labels = "absent(" in alert["expr"] or alert["alert"] == ALWAYS
    assert "$labels" in alert["annotations"]["description"] or has_no_labels


def test_values_are_humanized(alert: dict[str, Any]) -> None:
    description = alert["annotations"]["description"]
    for use in re.findall(r"\{\{[^{}]*(?:\$value|\bvalue\b)[^{}]*\}\}", description):
        assert "humanize" in use or 'printf "%.0f"' in use


def test_the_reasons_for_its_severity_and_its_time_stand_above_it(alert: dict[str, Any]) -> None:
    text = next(path.read_text() for path in RULE_FILES if f"alert: {alert['alert']}\n" in path.read_text())
    above = text.split(f"      - alert: {alert['alert']}\n")[0].rsplit("\n\n", 1)[1]
    assert f"      # {alert['labels']['severity']}: " in above
    assert "      # for: " in above if "for" in alert else "No `for`" in above
    assert ("keep_firing_for: " in above) is ("keep_firing_for" in alert)


def test_each_alert_has_its_runbook(alert: dict[str, Any], runbook: str) -> None:
    name = alert["alert"]
    assert alert["annotations"]["runbook_url"] == f"{RUNBOOK_BASE}/{name}.md"
    assert runbook.startswith(f"# {name}\n")
    headings = ["What it means", "How bad", "What to look at", "What to do", "When to page someone"]
    assert re.findall(r"^## (.*)$", runbook, re.MULTILINE) == headings
    assert f"**Severity:** {alert['labels']['severity']} · **Fires:** " in runbook


def test_a_runbook_names_only_commands_that_exist(runbook: str) -> None:
    known = {tuple(verb.split()) for verb in re.findall(r"`zsr ([a-z][a-z-]*(?: [a-z][a-z-]*)*)", COMMANDS)}
    used = re.findall(r"(?:`|^    )zsr ([a-z][a-z-]*(?: [a-z][a-z-]*)?)(?=[ `\n])", runbook, re.MULTILINE)
    for command in used:
        words = tuple(command.split())
        assert words in known or words[:1] in known, f"zsr {command}"


def test_a_runbook_names_only_options_that_exist(runbook: str) -> None:
    lines = re.findall(r"(?:`|^    )(zsr [^`\n#]*)", runbook, re.MULTILINE)
    assert {option for line in lines for option in re.findall(r"--[a-z-]+", line) if option not in COMMANDS} == set()


def test_links_of_a_runbook_lead_somewhere(runbook: str) -> None:
    for link in re.findall(r"\]\(([^)]*)\)", runbook):
        assert (ALERTS / "runbooks" / link).is_file(), link


def test_no_runbook_is_left_over() -> None:
    assert {path.stem for path in (ALERTS / "runbooks").glob("*.md")} == set(FIRING)


def test_the_dashboard_link_gives_values_to_variables_that_the_dashboard_has(alert: dict[str, Any]) -> None:
    path, _, given = alert["annotations"]["dashboard_url"].partition("?")
    board = next(b for b in map(_board, (ROOT / "grafana" / "dashboards").glob("*.json")) if path == f"/d/{b['uid']}/")
    variables = {f"var-{variable['name']}" for variable in board["templating"]["list"]}
    pairs = dict(pair.split("=", 1) for pair in given.split("&") if pair)
    assert pairs.keys() <= variables
    assert all(value == f"{{{{ $labels.{name[4:]} | urlquery }}}}" for name, value in pairs.items())


def _board(path: Path) -> dict[str, Any]:
    board: dict[str, Any] = json.loads(path.read_text())
    return board


def test_absence_is_given_time(alert: dict[str, Any]) -> None:
    if "absent(" in alert["expr"]:
        assert alert["for"] == "15m"


def test_each_alert_has_a_story_in_which_it_fires_with_all_its_words(alert: dict[str, Any]) -> None:
    told = [one for case in CASES if case["alertname"] == alert["alert"] for one in case["exp_alerts"]]
    assert told
    assert all(set(one["exp_annotations"]) == set(alert["annotations"]) for one in told)


def test_each_alert_has_a_moment_of_silence_in_the_story_in_which_it_fires(alert: dict[str, Any]) -> None:
    silent = [
        story
        for story in STORIES
        for cases in [[c for c in story.get("alert_rule_test", []) if c["alertname"] == alert["alert"]]]
        if any(case["exp_alerts"] for case in cases) and any(not case["exp_alerts"] for case in cases)
    ]
    # In the story of ZsrClockSkew one clock is well next to two that are not.
    assert silent or alert["alert"] in {"ZsrClockSkew", ALWAYS}


@pytest.mark.parametrize("path", STORY_FILES, ids=lambda path: path.stem)
def test_a_story_is_told_with_all_rules_loaded_so_that_silence_means_something(path: Path) -> None:
    loaded = {(path.parent / name).resolve() for name in load(path)["rule_files"]}
    assert loaded < set(RULE_FILES) if path.name == PARTLY_LOADED else loaded == set(RULE_FILES)


def test_every_alert_is_silent_through_a_quiet_life() -> None:
    lives = [story for path in STORY_FILES if path.name in QUIET for story in load(path)["tests"]]
    series = " ".join(each["series"] for story in lives for each in story["input_series"])
    events = " ".join(story["name"] for story in lives)
    for event in ("restart", "made again", "clocks are changed", "deleted", "disabled", "absent"):
        assert event in events
    for story in lives:
        quiet = f'ALERTS{{alertname!="{ALWAYS}"}}'
        assert any(case["expr"] == quiet and not case["exp_samples"] for case in story["promql_expr_test"])
    asked = {name for name in USED - RECORDED if not re.search(rf"\b{name}\b", series)}
    assert asked == set(), "a metric that a rule asks for is in no quiet life, so nothing shows that the rule is quiet"


def test_rules_use_only_metrics_that_the_exporter_has() -> None:
    known = {metric.name for metric in CATALOGUE} | RECORDED | {"up", "process_start_time_seconds"}
    assert not USED - known, f"unknown: {USED - known}"


def test_every_recorded_series_is_used() -> None:
    assert not RECORDED - USED


def test_an_alert_waits_in_a_group_with_what_it_reads() -> None:
    for document in DOCUMENTS:
        for group in document["groups"]:
            here = {rule["record"] for rule in group["rules"] if "record" in rule}
            rules = [rule for rule in group["rules"] if rule.get("alert") not in WATCHERS]
            read = set().union(*(metrics_of(rule["expr"]) for rule in rules)) & RECORDED
            assert read <= here, f"{group['name']} reads what another group records, half a minute late"


def test_a_rule_reads_only_what_is_recorded_above_it() -> None:
    seen: set[str] = set()
    for rule in (rule for rule in RULES if rule.get("alert") not in WATCHERS):
        seen |= {rule["record"]} if "record" in rule else set()  # its own last value may be read
        assert metrics_of(rule["expr"]) & RECORDED <= seen, rule.get("alert", rule.get("record"))


@pytest.mark.parametrize("inhibition", SETTINGS["inhibit_rules"], ids=lambda rule: rule["source_matchers"][0])
def test_an_inhibition_names_alerts_that_exist_and_holds_back_no_page_by_less(inhibition: dict[str, Any]) -> None:
    sources, targets = _named(inhibition["source_matchers"]), _named(inhibition["target_matchers"])
    assert sources
    assert targets
    pages = {name for name in targets if FIRING[name]["labels"]["severity"] == "critical"}
    assert not pages or all(FIRING[name]["labels"]["severity"] == "critical" for name in sources)


@pytest.mark.parametrize("inhibition", SETTINGS["inhibit_rules"], ids=lambda rule: rule["source_matchers"][0])
def test_what_an_inhibition_compares_are_labels_that_its_source_has(inhibition: dict[str, Any]) -> None:
    for name in _named(inhibition["source_matchers"]):
        labels = {
            label
            for case in CASES
            if case["alertname"] == name
            for one in case["exp_alerts"]
            for label in one["exp_labels"]
        }
        assert set(inhibition["equal"]) - {"cluster"} <= labels, "two lacking labels are equal: it would hold back all"


def _named(matchers: list[str]) -> set[str]:
    """The alerts that a list of matchers speaks of."""
    found = set(FIRING)
    for matcher in matchers:
        label, operator, value = re.fullmatch(r'(\w+)(=~|!~|!=|=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
        if label == "alertname":
            hits = {name for name in FIRING if re.fullmatch(value, name)}
            found &= (set(FIRING) - hits) if operator in {"!=", "!~"} else hits
    return found


def test_the_page_on_monitoring_lists_every_alert_with_its_severity() -> None:
    rows = re.findall(r"^\| \[(Zsr\w+)\]\(\.\./alerts/runbooks/Zsr\w+\.md\) \| (\w+) \|", MONITORING, re.MULTILINE)
    assert sorted(rows) == sorted((name, rule["labels"]["severity"]) for name, rule in FIRING.items())
