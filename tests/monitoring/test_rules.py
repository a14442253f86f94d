"""The alert rules before the real promtool: no remark from the linter, and every story in alerts/rules/tests holds."""

from __future__ import annotations

import json
import subprocess
from itertools import combinations
from pathlib import Path

import pytest
from _pytest.mark import ParameterSet

from tests.support.prometheus import binary

pytestmark = pytest.mark.prometheus

RULES = Path(__file__).parents[2] / "alerts" / "rules"
RULE_FILES = sorted(RULES.glob("*.yml"))
STORY_FILES = sorted((RULES / "tests").glob("*.yml"))
TIMEOUT = 600
"""Seconds for a file of stories on a busy machine; the longest takes 40 on an idle one."""
LONG = frozenset(
    f"{name}_test"
    for name in ("clocks", "coverage", "daemon", "guests", "health", "idle", "jobs", "losses", "losses_over_days")
) | {"promises_test"}
"""Files of stories that take a quarter of a minute or more: each commit tries a sample of them."""


def _names(paths: set[Path]) -> str:
    return "+".join(sorted(path.stem for path in paths))


def _sampled_if_long(stories: Path) -> ParameterSet:
    long = stories.stem in LONG
    return pytest.param(stories, id=stories.stem, marks=[pytest.mark.sampled(3)] if long else [])


def test_rules_lint_without_a_remark() -> None:
    done = subprocess.run(
        [binary("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("stories", [_sampled_if_long(each) for each in STORY_FILES])
def test_every_alert_passes_its_story(stories: Path) -> None:
    done = subprocess.run(
        [binary("promtool"), "test", "rules", stories], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("loaded", [set(each) for n in (1, 2, 3) for each in combinations(RULE_FILES, n)], ids=_names)
def test_files_that_are_not_loaded_are_named_by_each_that_is(loaded: set[Path], tmp_path: Path) -> None:
    missing = sorted(path.name for path in set(RULE_FILES) - loaded)
    expression = 'count by (file) (ALERTS{alertname="ZsrRulesMissing",alertstate="firing"}) > bool 0'
    samples = [{"labels": f'{{file="{name}"}}', "value": 1} for name in missing]
    moments = [
        {"eval_time": time, "expr": expression, "exp_samples": found} for time, found in [("14m", []), ("16m", samples)]
    ]
    story = tmp_path / "story.json"
    files = [str(path) for path in sorted(loaded)]
    story.write_text(json.dumps({"rule_files": files, "tests": [{"interval": "1m", "promql_expr_test": moments}]}))
    done = subprocess.run(
        [binary("promtool"), "test", "rules", story], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stdout + done.stderr
