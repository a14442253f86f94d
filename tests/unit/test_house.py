"""The rules of the house, read from the code itself: where arrows point, what is pure, what every file has."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SHIPPED = ("replicator", "exporter", "alerts", "grafana")
ROOMS = (*SHIPPED, "demo", "bench", "tools")

LONGEST_FILE = 400
LONGEST_FUNCTION = 40


def ordered(names: str) -> list[str]:
    return names.split()


ORDER = {
    "replicator": ordered(
        "display errors ids job_choices models events common api schedule config hosts zfs cluster state replication "
        "guests daemon doctor setup cli"
    ),
    "exporter": ordered(
        "addresses metric guest_metrics job_metrics node_metrics replica_metrics target_metrics catalogue families "
        "process exposition service_discovery settings web_config certificates auth tls job_series collectors "
        "status_page listeners routes server doctor plugin"
    ),
    "alerts": ordered(
        "text redaction secrets foreign subject notice routing grouping render channels inbound delivery targets "
        "settings messages test_message prometheus doctor plugin cli_log cli"
    ),
    "grafana": ordered("promql panel layout panels annotations guest node replication build __main__"),
}
"""The parts of each package, the innermost first: a part imports only parts that stand before it."""

AROUND = {
    "replicator": {"exporter", "alerts", "grafana", "aiohttp", "apprise", "prometheus_client"},
    "exporter": {"alerts", "grafana", "apprise"},
    "alerts": {"exporter", "grafana", "prometheus_client"},
    "grafana": {"replicator", "exporter", "alerts", "aiohttp", "apprise", "prometheus_client"},
}
"""What a package must not know: the rooms around it, and their libraries."""

NEVER_SHIPPED = {"demo", "bench", "tools", "tests"}

EFFECTS = {"subprocess", "asyncio", "time", "socket", "threading", "random", "sqlite3"}
"""Modules that read a clock, start something, or touch the outside."""

IMPURE_ATTRIBUTES = {
    "datetime": {"now", "utcnow", "today"},
    "os": {"environ", "listdir", "remove", "rename", "open", "getenv"},
}


def code(*rooms: str) -> list[Path]:
    return sorted(path for room in rooms for path in (ROOT / room).rglob("*.py"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imported_modules(path: Path) -> Iterator[str]:
    """The modules that a file imports, wherever in the file; of ``from a import b`` both ``a`` and ``a.b``."""
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def imports(path: Path) -> set[str]:
    """The top-level names of all modules that a file imports."""
    return {module.partition(".")[0] for module in imported_modules(path)}


@cache
def modules() -> Mapping[str, Path]:
    return {name(path).removesuffix(".py").removesuffix("/__init__").replace("/", "."): path for path in code(*SHIPPED)}


@cache
def graph() -> Mapping[str, frozenset[str]]:
    """Which modules of ours each of them imports; a package counts only if a name of its own ``__init__`` is
    imported.
    """
    found = {}
    for module, path in modules().items():
        named = {each for each in imported_modules(path) if each in modules() and each != module}
        found[module] = frozenset(
            each
            for each in named
            if modules()[each].name != "__init__.py" or not any(other.startswith(f"{each}.") for other in named)
        )
    return found


def circles(arrows: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """The groups of nodes that reach each other."""

    @cache
    def reached(start: str) -> frozenset[str]:
        seen: set[str] = set()
        waiting = list(arrows.get(start, ()))
        while waiting:
            node = waiting.pop()
            if node not in seen:
                seen.add(node)
                waiting += arrows.get(node, ())
        return frozenset(seen)

    found = {tuple(sorted(b for b in reached(a) if a in reached(b))) for a in arrows if a in reached(a)}
    return [list(circle) for circle in sorted(found)]


def part(module: str) -> tuple[str, str]:
    """The top-level package of a module, and which of its parts it is in or is."""
    top, _, rest = module.partition(".")
    return top, rest.partition(".")[0]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=False)
    if listed.returncode != 0:
        pytest.skip("not a git checkout: what is tracked is not known")
    return [ROOT / file for file in listed.stdout.decode().split("\0") if file and (ROOT / file).is_file()]


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circles(graph()) == []


@pytest.mark.parametrize("module", sorted(modules()))
def test_a_module_imports_only_parts_that_stand_before_its_own(module: str) -> None:
    top, own = part(module)
    allowed = {"", *ORDER[top][: ORDER[top].index(own) + 1]} if own else {""}
    wrong = {each for each in graph()[module] if part(each)[0] == top and part(each)[1] not in allowed}

    assert wrong == set()


@pytest.mark.parametrize("path", code(*SHIPPED), ids=name)
def test_a_package_imports_nothing_from_the_rooms_around_it(path: Path) -> None:
    assert imports(path) & (AROUND[path.relative_to(ROOT).parts[0]] | NEVER_SHIPPED) == set()


def pure() -> list[Path]:
    """The modules whose docstring says that they are pure, without reservation."""
    return [path for path in code(*SHIPPED) if re.search(r"\b[Pp]ure\b(?! but)", ast.get_docstring(parsed(path)) or "")]


def test_modules_say_that_they_are_pure() -> None:
    assert len(pure()) >= 40


@pytest.mark.parametrize("path", pure(), ids=name)
def test_a_pure_module_has_no_effects(path: Path) -> None:
    assert imports(path) & EFFECTS == set()


@pytest.mark.parametrize("path", pure(), ids=name)
def test_a_pure_module_reads_no_clock_and_no_environment(path: Path) -> None:
    asked = {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.attr in IMPURE_ATTRIBUTES.get(node.value.id, ())
    }

    assert asked == set()


@pytest.mark.parametrize("path", code(*ROOMS, "tests"), ids=name)
def test_every_module_says_what_it_is(path: Path) -> None:
    text = path.read_text()

    assert not text.strip() or ast.get_docstring(parsed(path))


@pytest.mark.parametrize("path", code(*ROOMS, "tests"), ids=name)
def test_no_file_is_too_long_to_read(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST_FILE


def long_functions(path: Path) -> set[str]:
    return {
        f"{name(path)}:{node.name}"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > LONGEST_FUNCTION
    }


@pytest.mark.parametrize("path", code(*ROOMS, "tests"), ids=name)
def test_no_function_is_too_long_to_read(path: Path) -> None:
    assert long_functions(path) == set()


@pytest.mark.parametrize("path", code("tests"), ids=name)
def test_no_test_imports_from_a_test_module(path: Path) -> None:
    assert [
        module for module in imported_modules(path) if re.match(r"tests\.(?:\w+\.)*(?:test_\w+|conftest)\b", module)
    ] == []


@pytest.mark.parametrize(
    "folder", sorted(p for p in (ROOT / "tests/unit").rglob("*") if (p / "__init__.py").is_file()), ids=name
)
def test_a_folder_of_unit_tests_is_named_as_what_it_tests(folder: Path) -> None:
    tested = folder.relative_to(ROOT / "tests/unit")

    assert (ROOT / tested).is_dir() or (ROOT / "tests" / tested).is_dir()


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
