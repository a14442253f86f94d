"""docs/metrics.md says what the code exports, and its examples are PromQL about metrics that exist."""

from __future__ import annotations

import re
from pathlib import Path

import promql_parser
import pytest

from exporter.catalogue import CATALOGUE
from exporter.metric import Kind, Metric
from exporter.settings import DEFAULT_LISTEN
from tools.docs_tables import METRICS_BEGIN, METRICS_END, main, metrics_table, with_metrics

PAGE = Path(__file__).parents[3] / "docs" / "metrics.md"


def test_the_page_is_up_to_date() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert with_metrics(text) == text, "run: python -m tools.docs_tables docs/metrics.md"


def test_the_page_names_the_default_address() -> None:
    assert f'listen = "{DEFAULT_LISTEN}"' in PAGE.read_text(encoding="utf-8")


@pytest.mark.parametrize("metric", CATALOGUE, ids=lambda metric: metric.name)
def test_an_example_is_a_query_about_its_metric(metric: Metric) -> None:
    promql_parser.parse(metric.example)
    exported = {each.name for each in CATALOGUE}
    exported |= {f"{each.name}_bucket" for each in CATALOGUE if each.kind is Kind.HISTOGRAM}
    asked = set(re.findall(r"\bzsr_[a-z_]+", metric.example)) - {"zsr_job"}
    assert asked <= exported
    assert any(name.startswith(metric.name) for name in asked)


def test_every_row_has_five_cells() -> None:
    assert {len(re.split(r"(?<!\\)\|", row)) for row in metrics_table().splitlines()} == {7}


def test_a_page_without_marks_is_not_touched(tmp_path: Path) -> None:
    page = tmp_path / "metrics.md"
    page.write_text(f"{METRICS_END} {METRICS_BEGIN}")
    with pytest.raises(ValueError, match="must contain"):
        main([str(page)])
    assert page.read_text() == f"{METRICS_END} {METRICS_BEGIN}"


def test_without_a_page_the_usage_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "usage" in capsys.readouterr().err
