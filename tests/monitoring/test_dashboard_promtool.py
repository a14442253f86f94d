"""What the dashboards' queries make of fleets that are hard to come by: promtool evaluates them on written series."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from grafana.annotations import marks
from grafana.promql import JOB, LATE, LINES, RPO, SILENT, USED, count, in_table
from tests.support.dashboards import substituted

pytestmark = pytest.mark.prometheus

Samples = dict[str, str]


@pytest.fixture
def evaluate(promtool: str, tmp_path: Path) -> Any:
    """Fails unless promtool finds these samples when it evaluates the expression at this time."""

    def run(expression: str, series: Samples, expected: list[dict[str, Any]], at: str, **variables: str) -> None:
        test = {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {"expr": substituted(expression, **variables), "eval_time": at, "exp_samples": expected}
            ],
        }
        path = tmp_path / "test.yml"
        path.write_text(yaml.safe_dump({"rule_files": [], "tests": [test]}))
        done = subprocess.run([promtool, "test", "rules", str(path)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    return run


def test_what_is_down_in_the_same_prometheus_but_is_not_zsr_is_not_counted(evaluate: Any) -> None:
    series = {
        'up{job="zsr", instance="alpha:9847"}': "1x10",
        'up{job="zsr", instance="beta:9847"}': "1x4 0x5",
        'up{job="node", instance="printer:9100"}': "0x10",
        'zsr_build_info{job="zsr", instance="alpha:9847"}': "1x10",
        'zsr_build_info{job="zsr", instance="beta:9847"}': "1x4 _x5",
    }
    evaluate(count(SILENT), series, [{"labels": "{}", "value": 1}], "9m")


def test_a_daemon_that_has_been_dead_for_days_is_still_silent_when_it_is_chosen(evaluate: Any) -> None:
    series = {
        'up{job="zsr", instance="alpha:9847"}': "1x3000",
        'up{job="zsr", instance="beta:9847"}': "0x3000",
        'zsr_build_info{job="zsr", instance="alpha:9847"}': "1x3000",
    }
    evaluate(count(SILENT), series, [{"labels": "{}", "value": 1}], "48h", instance="beta:9847")


def job(cluster: str, *, sync: int) -> Samples:
    labels = f'{{job="zsr", instance="alpha:9847", cluster="{cluster}", zsr_job="100-0"'
    return {
        f"zsr_job_last_sync_timestamp_seconds{labels}}}": f"{sync}x60",
        f"zsr_job_created_timestamp_seconds{labels}}}": "1x60",
        f"zsr_job_rpo_seconds{labels}}}": "1800x60",
        f'zsr_job_state{labels}, state="disabled"}}': "0x60",
    }


def test_a_promise_is_late_in_its_own_cluster_only(evaluate: Any) -> None:
    series = job("north", sync=600) | job("south", sync=3500)
    evaluate(count(LATE), series, [{"labels": "{}", "value": 1}], "1h")
    evaluate(count(LATE), series, [{"labels": "{}", "value": 0}], "1h", cluster="south")


def test_a_used_up_promise_has_a_value_for_each_cluster(evaluate: Any) -> None:
    series = job("north", sync=1800) | job("south", sync=2700)
    expected = [
        {"labels": f'{{job="zsr", instance="alpha:9847", cluster="{cluster}", zsr_job="100-0"}}', "value": value}
        for cluster, value in (("north", 1.0), ("south", 0.5))
    ]
    evaluate(USED, series, expected, "1h")


def test_a_table_of_many_has_the_worst_lines_and_all_its_columns_have_the_same_ones(evaluate: Any) -> None:
    """250 jobs: 100-0 to 339-0 equally late, ten more are fresh and one of those is disabled."""
    series: Samples = {}
    for guest in range(100, 350):
        labels = f'{{job="zsr", instance="alpha:9847", zsr_job="{guest}-0"'
        series |= {
            f"zsr_job_last_sync_timestamp_seconds{labels}}}": f"{600 if guest < 340 else 3000}x60",
            f"zsr_job_rpo_seconds{labels}}}": "1800x60",
            f'zsr_job_state{labels}, state="disabled"}}': f"{int(guest == 349)}x60",
        }
    columns = [in_table(f"zsr_job_last_sync_timestamp_seconds{{{JOB}}}"), in_table(RPO), in_table(USED)]
    for column in columns:
        evaluate(f"count({column})", series, [{"labels": "{}", "value": LINES}], "1h")
        evaluate(f"count({column} and {columns[0]})", series, [{"labels": "{}", "value": LINES}], "1h")
    late = [{"labels": "{}", "value": 600}]
    evaluate(f"max({columns[0]})", series, late, "1h")


def test_a_job_that_promises_nothing_has_its_line_while_there_is_room(evaluate: Any) -> None:
    labels = '{job="zsr", instance="alpha:9847", zsr_job="100-0"'
    series = {
        f"zsr_job_last_sync_timestamp_seconds{labels}}}": "600x60",
        f"zsr_job_rpo_seconds{labels}}}": "1800x60",
        f'zsr_job_state{labels}, state="disabled"}}': "1x60",
    }
    line = [{"labels": '{instance="alpha:9847", zsr_job="100-0"}', "value": 1800}]
    evaluate(in_table(RPO), series, line, "1h")
    evaluate(in_table(USED), series, [], "1h")


def test_a_retry_that_is_going_on_is_not_marked_as_a_failure(evaluate: Any) -> None:
    failed = marks()["list"][0]
    labels = '{job="zsr", instance="alpha:9847", zsr_job="100-0"}'
    series = {
        f"zsr_job_last_try_timestamp_seconds{labels}": "60x4 300x5",
        f"zsr_job_consecutive_failures{labels}": "1x9",
        f"zsr_job_run_start_timestamp_seconds{labels}": "_x5 300x4",
    }
    evaluate(failed["expr"], series, [{"labels": labels, "value": 60_000}], "4m")
    evaluate(failed["expr"], series, [], "7m")
