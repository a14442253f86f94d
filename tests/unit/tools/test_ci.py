"""The end of .ci/run: the seconds by folder, then pytest's own count as the last line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / ".ci/run"
COUNT = "=================== 2 failed, 40 passed, 1 skipped in 61.20s (0:01:01) ==================="
OUTPUT = f"""\
ruff found nothing
=============== seconds by folder ===============
folder                tests  seconds  budget
tests/unit               40       60     300
all                      40       60     300
=========================== short test summary info ============================
SKIPPED [1] tests/lab/conftest.py:44: no root
{COUNT}
make: *** [Makefile:60: pytest] Error 1
"""


def ci(folder: Path, status: int) -> subprocess.CompletedProcess[str]:
    """Run .ci/run with a make that writes `OUTPUT` and ends with this status."""
    make = folder / "make"
    make.write_text(f"#!/bin/sh\ncat <<'EOF'\n{OUTPUT}EOF\nexit {status}\n")
    make.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run([SCRIPT], env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("status", [0, 2])
def test_the_last_line_is_the_count_of_pytest_and_the_status_that_of_make(tmp_path: Path, status: int) -> None:
    done = ci(tmp_path, status)
    assert done.stdout.splitlines()[-1] == COUNT
    assert done.returncode == status


def test_the_seconds_by_folder_are_repeated_at_the_end(tmp_path: Path) -> None:
    end = ci(tmp_path, 0).stdout.partition("Error 1\n")[2]
    assert [line.split()[0] for line in end.splitlines()[1:4]] == ["folder", "tests/unit", "all"]
