"""The alert rules before the real promtool: no remark from the linter, and every story in alerts/rules/tests holds."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.prometheus import binary

pytestmark = pytest.mark.prometheus

RULES = Path(__file__).parents[2] / "alerts" / "rules"
RULE_FILES = sorted(RULES.glob("*.yml"))
STORY_FILES = sorted((RULES / "tests").glob("*.yml"))
TIMEOUT = 600
"""Seconds for a file of stories; the longest takes ten on an idle machine."""


def test_rules_lint_without_a_remark() -> None:
    done = subprocess.run(
        [binary("promtool"), "check", "rules", "--lint=all", "--lint-fatal", *RULE_FILES],
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("stories", STORY_FILES, ids=lambda path: path.stem)
def test_every_alert_passes_its_story(stories: Path) -> None:
    done = subprocess.run(
        [binary("promtool"), "test", "rules", stories], capture_output=True, text=True, check=False, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stdout + done.stderr
