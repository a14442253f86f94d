"""The alert rules before the real promtool: no remark from the linter, and every story in zsr_test.yml holds."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.prometheus

RULES = Path(__file__).parents[2] / "alerts" / "rules"


@pytest.fixture(scope="module")
def promtool() -> str:
    """The promtool of this machine. Without it the tests are skipped by name; in CI they fail."""
    found = shutil.which("promtool")
    if found is None:
        if os.environ.get("CI") == "true":
            pytest.fail("promtool is missing and this is CI: apt-get install prometheus")
        pytest.skip("promtool is missing: apt-get install prometheus")
    return found


def test_rules_lint_without_a_remark(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", "--lint=all", "--lint-fatal", RULES / "zsr.yml"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_tells_its_story(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "test", "rules", RULES / "zsr_test.yml"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
