"""The linter for alert rules: each test breaks one property of a good rule."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.rules_lint import lint, main

GOOD: dict[str, Any] = {
    "alert": "ZsrAny",
    "expr": "zsr_job_consecutive_failures >= 3",
    "labels": {"severity": "warning"},
    "annotations": {"description": "{{ $labels.zsr_job }} on {{ $labels.instance }}"},
}


def checks(interval: str = "30s", **changes: Any) -> list[str]:
    document = {"groups": [{"name": "g", "interval": interval, "rules": [GOOD | changes]}]}
    return [remark.check for remark in lint([document])]


def test_a_good_rule_has_no_remark() -> None:
    assert checks() == []


def test_a_counter_may_be_asked_whether_it_ever_counted() -> None:
    assert checks(expr="zsr_job_runs_total > 0") == []


@pytest.mark.parametrize(
    ("expression", "check"),
    [
        ("zsr_job_consecutive_failures", "alerts/comparison"),
        ('absent(up{job="zsr"})', "alerts/absent"),
        ("zsr_job_runs_total > 5", "promql/counter"),
        ("sum by (job, instance, zsr_job) (zsr_job_runs_total) > 5", "promql/counter"),
        ("rate(zsr_job_rpo_seconds[5m]) > 0", "promql/counter"),
        ("increase(zsr_job_missed_runs_total[1m]) > 0", "promql/range_query"),
        ("increase(zsr_job_missed_runs_total[90d]) > 0", "promql/range_query"),
        ('zsr_job_state{state=~"disabled"} == 1', "promql/regexp"),
        ('zsr_job_state{state=~"^(ok|error)$"} == 1', "promql/regexp"),
        ('zsr_job_state{state="paused"} == 1', "promql/series"),
        ('zsr_job_rpo_seconds{node="a"} == 1', "promql/series"),
        ("zsr_job_age_seconds > 1", "promql/series"),
        ("sum(zsr_job_unreplicated_bytes) > 5", "promql/aggregate"),
        ("sum by (job, instance, zsr_job, pool) (zsr_job_rpo_seconds) > 5", "promql/aggregate"),
        ("sum without (job) (zsr_job_rpo_seconds) > 5", "promql/aggregate"),
        ("zsr_job_rpo_seconds > on (job, node, zsr_job) zsr_job_last_duration_seconds", "promql/vector_matching"),
        ("zsr_job_rpo_seconds > zsr_job_info", "promql/vector_matching"),
        (
            "zsr_job_rpo_seconds > on (job, instance, zsr_job) group_left (pool) zsr_job_last_duration_seconds",
            "promql/vector_matching",
        ),
        (
            "zsr_job_rpo_seconds > 5 or zsr_job_last_duration_seconds > 5 unless zsr_job_run_start_timestamp_seconds",
            "promql/precedence",
        ),
        ("zsr_node_reachable == 0", "alerts/template"),
        ("zsr_job_rpo_seconds > on (job, zsr_job) zsr_job_last_duration_seconds", "alerts/template"),
    ],
)
def test_a_spoiled_expression_is_found(expression: str, check: str) -> None:
    assert check in checks(expr=expression)


def test_a_value_in_a_label_is_found() -> None:
    assert checks(labels={"severity": "warning", "lag": "{{ $value }}"}) == ["alerts/template"]


def test_a_query_in_an_annotation_that_cannot_be_read_is_found() -> None:
    broken = "{{ with printf `zsr_job_info{job=%q` $labels.job | query }}{{ end }}"
    assert checks(annotations={"description": broken}) == ["alerts/template"]


def test_a_group_that_is_evaluated_too_seldom_for_its_own_memory_is_found() -> None:
    assert checks(interval="10m") == ["group/interval"]


def test_what_a_rule_records_is_known_with_its_labels_to_the_next() -> None:
    record = {
        "record": "zsr_job:zsr_job_rpo_seconds:known",
        "expr": "zsr_job_rpo_seconds or zsr_job:zsr_job_rpo_seconds:known",
    }
    reader = GOOD | {
        "expr": "zsr_job:zsr_job_rpo_seconds:known > on (job, instance, zsr_job) zsr_job_last_duration_seconds"
    }
    assert lint([{"groups": [{"name": "g", "interval": "30s", "rules": [record, reader]}]}]) == []


def test_the_status_says_whether_there_are_remarks(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "rules.yml"
    rule = '{"alert": "A", "expr": "up", "labels": {}, "annotations": {}}'
    file.write_text(f'{{"groups": [{{"name": "g", "rules": [{rule}]}}]}}')
    assert main([str(file)]) == 1
    assert (
        capsys.readouterr().out
        == "g/A: alerts/comparison: it has no condition, so it fires as long as the series exists\n"
    )
