"""Options of all tests: seconds by folder, samples of slow tests, and how many examples property tests try."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from pathlib import PurePath
from typing import Any

import pytest
from hypothesis import settings

from tests.support.budget import BUDGET_SECONDS, table
from tests.support.sample import in_sample

# No deadline: a busy machine must not fail a test. Not derandomized in CI either: the seed is the commit (Makefile).
settings.register_profile("zsr", deadline=None, derandomize=False)
settings.load_profile("zsr")

ORDER = ("tests/monitoring", "tests/lab", "tests/zfs", "tests/packaging", "tests/unit")
"""The order of the folders: slow tests first, so that short ones fill the gaps between the processes at the end.

Those in the lab begin when its kernel, built meanwhile where it is missing, is probably there.
"""

EXAMPLES_TIMES = int(os.environ.get("ZSR_EXAMPLES_TIMES") or "1")
"""By how much `make proof` multiplies the examples of each property test."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--budget", action="store_true", help="Print the seconds of each folder of tests.")
    parser.addoption("--sample-seed", type=int, help="Try a sample of the slow tests: which ones, and which faults.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    _take_sample(config, items)
    items.sort(key=_place)
    if EXAMPLES_TIMES != 1:
        _multiply_examples(items)


def _take_sample(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests with the mark ``sampled`` that are not in the sample; without a seed all are run."""
    seed = config.getoption("--sample-seed")
    if seed is None:
        return
    marks = {item.nodeid: item.get_closest_marker("sampled") for item in items}
    marked = {name: int(mark.args[0]) for name, mark in marks.items() if mark is not None}
    left = set(marked) - in_sample(marked, seed)
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid in left])
    items[:] = [item for item in items if item.nodeid not in left]


def _place(item: pytest.Item) -> int:
    folder = _folder(item.nodeid)
    return ORDER.index(folder) if folder in ORDER else len(ORDER)


def _folder(nodeid: str) -> str:
    return "/".join(PurePath(nodeid.partition("::")[0]).parts[:2])


def _multiply_examples(items: list[pytest.Item]) -> None:
    for item in items:
        test: Any = getattr(item, "obj", None)
        known = getattr(test, "_hypothesis_internal_use_settings", None)
        if known is not None:
            more = settings(known, max_examples=known.max_examples * EXAMPLES_TIMES)
            getattr(test, "__func__", test)._hypothesis_internal_use_settings = more


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if not config.getoption("--budget"):
        return
    seconds: defaultdict[str, float] = defaultdict(float)
    tests: Counter[str] = Counter()
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                folder = _folder(report.nodeid)
                seconds[folder] += report.duration
                tests[folder] += report.when == "call"
    terminalreporter.section("seconds by folder")
    terminalreporter.write(table(tests, seconds, BUDGET_SECONDS))
