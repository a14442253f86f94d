"""Mutants of rules change one thing each, and are tried with the rules that have to do with it."""

from __future__ import annotations

from tests.support.rule_cases import Case
from tests.support.rule_mutants import Mutant, downstream, file_of, metrics_behind, mutants, read_rules, upstream

GROUPS = {
    "groups": [
        {
            "name": "some",
            "interval": "30s",
            "rules": [
                {"record": "zsr_a:b", "expr": 'zsr_a{state!="x>y"} > 0'},
                {"record": "zsr_c:d", "expr": "zsr_c"},
                {"alert": "A", "expr": "zsr_a:b and on (job) zsr_c:d unless up == 0", "for": "5m"},
                {"alert": "B", "expr": "zsr_c:d > 1"},
            ],
        }
    ]
}
RECORDED, OTHER, ALERT, SECOND = read_rules([GROUPS])


def changes(number: int) -> dict[str, object]:
    rule = read_rules([GROUPS])[number]
    return {mutant.change: mutant.body and mutant.body["expr"] for mutant in mutants(rule)}


def test_a_comparison_is_flipped_but_not_within_a_matcher() -> None:
    assert changes(0) == {
        "deleted": None,
        "> 1 is <": 'zsr_a{state!="x>y"} < 0',
        "without zsr_a": 'zsr_a_dropped{state!="x>y"} > 0',
    }


def test_each_operator_and_each_metric_is_changed_on_its_own() -> None:
    found = changes(2)
    assert found["and 1 is unless"] == "zsr_a:b unless on (job) zsr_c:d unless up == 0"
    assert found["unless 2 is and"] == "zsr_a:b and on (job) zsr_c:d and up == 0"
    assert found["== 1 is !="] == "zsr_a:b and on (job) zsr_c:d unless up != 0"
    assert found["without up"] == "zsr_a:b and on (job) zsr_c:d unless up_dropped == 0"
    assert "for is 10d" in found
    assert "without zsr_a" not in found, "it is read through a recorded series"


def test_a_label_is_no_metric() -> None:
    (rule,) = read_rules([{"groups": [{"name": "g", "rules": [{"alert": "A", "expr": "up and on (zsr_job) zsr_a"}]}]}])
    assert [mutant.change for mutant in mutants(rule)] == ["deleted", "and 1 is unless", "without up", "without zsr_a"]


def test_the_rules_that_have_to_do_with_one_are_those_that_read_it_and_what_they_read() -> None:
    rules = [RECORDED, OTHER, ALERT, SECOND]
    assert downstream(RECORDED, rules) == {0, 2}
    assert upstream({0, 2}, rules) == {0, 1, 2}
    assert downstream(SECOND, rules) == {3}


def test_a_name_at_the_beginning_of_a_line_is_read() -> None:
    rules = [{"record": "zsr_a:b", "expr": "zsr_a"}, {"alert": "A", "expr": "zsr_c:d\n/ on (job)\nzsr_a:b\n> 1"}]
    recorded, alert = read_rules([{"groups": [{"name": "g", "rules": rules}]}])
    assert downstream(recorded, [recorded, alert]) == {0, 1}


def test_a_case_is_read_without_the_series_that_nobody_asks_for() -> None:
    names = ["zsr_a", "zsr_b", "zsr_c", "zsr_d"]
    series = [{"series": f'{name}{{job="x"}}', "values": "1"} for name in names]
    case = Case("one", "30s", {"input_series": series, "promql_expr_test": [{"expr": "sum(zsr_b)"}]})
    rules = {"groups": [{"rules": [{"alert": "A", "expr": "up\nand zsr_a", "annotations": {"d": "`zsr_c{x=%q}`"}}]}]}
    assert case.read_by(rules).test["input_series"] == series[:3]


def test_a_rule_needs_the_metrics_that_it_reads_directly_or_through_others() -> None:
    rules = [RECORDED, OTHER, ALERT, SECOND]
    assert metrics_behind(ALERT, rules) == {"zsr_a", "zsr_c", "up"}
    kept = {"record": "zsr_k:k", "expr": "zsr_k or zsr_k:k and on (job) silent:s"}
    silent, known = read_rules(
        [{"groups": [{"name": "g", "rules": [{"record": "silent:s", "expr": "up == 0"}, kept]}]}]
    )
    assert metrics_behind(silent, [silent, known]) == {"up"}
    assert metrics_behind(known, [silent, known]) == {"zsr_k"}
    case = Case("one", "30s", {"input_series": [{"series": 'zsr_c{job="x"}', "values": "1"}]})
    assert case.has_any({"zsr_c"})
    assert not case.has_any({"zsr_a"})


def test_a_deleted_rule_is_not_in_the_file() -> None:
    found = file_of([RECORDED, OTHER, ALERT, SECOND], {0, 1, 2}, Mutant(RECORDED, "deleted", None))
    assert [rule.get("alert") or rule["record"] for rule in found["groups"][0]["rules"]] == ["zsr_c:d", "A"]


def test_a_case_is_reduced_to_what_it_expects_of_some_alerts() -> None:
    test = {
        "input_series": [{"series": "up", "values": "1"}],
        "alert_rule_test": [{"alertname": "A", "eval_time": "5m"}, {"alertname": "B", "eval_time": "5m"}],
        "promql_expr_test": [
            {"expr": "zsr_x:y", "eval_time": "1m"},
            {
                "expr": "count by (alertname) (ALERTS)",
                "eval_time": "1m",
                "exp_samples": [
                    {"labels": '{alertname="A"}', "value": 1},
                    {"labels": '{alertname="B"}', "value": 1},
                ],
            },
        ],
    }
    found = Case("one", "30s", test).about({"A"}, {"zsr_a:b"})
    assert found is not None
    assert [each["alertname"] for each in found.test["alert_rule_test"]] == ["A"]
    assert [each["expr"] for each in found.test["promql_expr_test"]] == ["count by (alertname) (ALERTS)"]
    assert found.test["promql_expr_test"][0]["exp_samples"] == [{"labels": '{alertname="A"}', "value": 1}]
    assert (
        Case("none", "30s", {"input_series": [], "alert_rule_test": test["alert_rule_test"]}).about({"C"}, set())
        is None
    )
