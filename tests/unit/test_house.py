"""The rules of the house, read from the code itself: where arrows point, what is pure, what every file has."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROOMS = ("replicator", "exporter", "alerts", "grafana", "demo")
LONGEST_FILE = 450

OUTER = {"exporter", "alerts", "grafana", "demo", "tests", "aiohttp", "apprise", "prometheus_client"}
"""What the core must not know: the three rooms around it, the stage, and their libraries."""

EFFECTS = {"subprocess", "os", "asyncio", "time", "socket", "threading", "random", "sqlite3"}
"""Modules that read a clock, start something, or touch the outside."""

PURE = (
    "replicator/calendar.py",
    "replicator/schedule.py",
    "replicator/replication/keep.py",
    "replicator/replication/plan.py",
    "replicator/zfs/parse.py",
    "replicator/zfs/facts.py",
    "replicator/zfs/errors.py",
)


def code(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def imports(path: Path) -> set[str]:
    """The top-level names of all modules that a file imports, wherever in the file."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: what is tracked is not known")
    return [ROOT / file for file in listed.stdout.decode().split("\0") if file and (ROOT / file).is_file()]


@pytest.mark.parametrize("path", code("replicator"), ids=name)
def test_the_core_imports_nothing_from_the_rooms_around_it(path: Path) -> None:
    assert imports(path) & OUTER == set()


@pytest.mark.parametrize("path", code("exporter", "alerts", "grafana"), ids=name)
def test_what_is_shipped_imports_neither_the_stage_nor_the_tests(path: Path) -> None:
    assert imports(path) & {"demo", "tests"} == set()


@pytest.mark.parametrize("file", PURE)
def test_decisions_and_parsers_have_no_effects(file: str) -> None:
    assert imports(ROOT / file) & EFFECTS == set()


@pytest.mark.parametrize("file", PURE)
def test_decisions_and_parsers_read_no_clock(file: str) -> None:
    asked = {
        node.attr for node in ast.walk(ast.parse((ROOT / file).read_text())) if isinstance(node, ast.Attribute)
    } & {"now", "utcnow", "today"}

    assert asked == set()


@pytest.mark.parametrize("path", code(*ROOMS, "tests"), ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    text = path.read_text()

    assert not text.strip() or ast.get_docstring(ast.parse(text))


@pytest.mark.parametrize("path", code(*ROOMS), ids=name)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def dependencies() -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    requirements = [*project["project"]["dependencies"], *project["dependency-groups"]["dev"]]
    return [re.split(r"[<>=!~ \[;]", requirement)[0] for requirement in requirements]


@pytest.mark.parametrize("dependency", dependencies())
def test_every_dependency_has_its_reason_written_down(dependency: str) -> None:
    rows = re.findall(r"^\| `([^`]+)` \| \S", (ROOT / "docs/dependencies.md").read_text(), re.MULTILINE)

    assert dependency in rows


@pytest.mark.parametrize("lock", ["dev.txt", "runtime.txt"])
def test_the_locks_name_hashes_and_no_registry(lock: str) -> None:
    text = (ROOT / "requirements" / lock).read_text()

    assert "--hash=sha256:" in text
    assert not re.search(r"https?://|--(extra-)?index-url|--find-links|file:", text)


def test_nothing_tracked_names_the_machine_it_was_written_on() -> None:
    # put together here, so that this file does not name them either
    places = ["/wo" + "rk/", "/root/." + "pyenv", "/opt/" + "pypi", "/opt/" + "wheels"]
    guilty = {
        (name(path), place)
        for path in tracked()
        for place in places
        if place.encode() in path.read_bytes() and path != Path(__file__)
    }

    assert guilty == set()


@pytest.mark.parametrize("script", ["tools/setup", ".ci/run"])
def test_a_script_can_be_run_and_has_no_mistake_of_grammar(script: str) -> None:
    path = ROOT / script
    shell = path.read_text().splitlines()[0].split("/")[-1].split()[-1]

    assert path.stat().st_mode & 0o100
    assert subprocess.run([shell, "-n", str(path)], check=False, capture_output=True).returncode == 0
