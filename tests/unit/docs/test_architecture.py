"""docs/architecture.md and docs/adding.md are right: packages, files, names in them, and the contract's headings."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from replicator.errors import ErrorClass
from replicator.replication.progress import Step
from tests.support.pages import ROOT, files_in, name, section

ARCHITECTURE, ADDING = ROOT / "docs" / "architecture.md", ROOT / "docs" / "adding.md"
CODE = [path for top in ("replicator", "exporter", "alerts", "grafana") for path in (ROOT / top).rglob("*.py")]
RECIPES = [
    "A verb of the command line",
    "A metric",
    "An alert rule",
    "A kind of notice",
    "A channel",
    "A cluster store",
    "A setting of a job",
]


def listed(package: str) -> list[str]:
    """The parts of a package, in the order of the page's table."""
    begin, end = f"<!-- packages of {package} -->", "<!-- end of packages -->"
    table = ARCHITECTURE.read_text().split(begin)[1].split(end)[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)


def reserved(package: str) -> set[str]:
    return set(re.findall(r"^\| `(\w+)` \| reserved:", section(ARCHITECTURE, f"Inside `{package}`"), re.MULTILINE))


@pytest.mark.parametrize("package", ["replicator", "alerts"])
def test_every_part_of_a_package_is_on_the_map(package: str) -> None:
    parts = {path.relative_to(ROOT / package).parts[0].removesuffix(".py") for path in (ROOT / package).rglob("*.py")}

    assert set(listed(package)) - reserved(package) == parts - {"__init__"}


@pytest.mark.parametrize("package", ["replicator", "alerts"])
def test_a_part_imports_only_what_stands_above_it_on_the_map(package: str) -> None:
    order = listed(package)
    for path in (ROOT / package).rglob("*.py"):
        part = path.relative_to(ROOT / package).parts[0].removesuffix(".py")
        used = set(re.findall(rf"^\s*from {package}\.(\w+)", path.read_text(), re.MULTILINE))
        below = {each for each in used if part in order and order.index(each) > order.index(part)}
        assert below == set(), name(path)


def test_the_way_of_a_job_names_each_file_once() -> None:
    named = Counter(files_in(section(ARCHITECTURE, "The way of a job")))

    assert len(named) > 40
    assert [file for file, times in named.items() if times > 1] == []


def headings() -> set[str]:
    return set(re.findall(r"^### (.*)$", section(ARCHITECTURE, "The contract"), re.MULTILINE))


def references() -> list[tuple[str, str]]:
    """The files that refer to the contract, each with the text behind ``contract:``."""
    texts = ((name(path), " ".join(path.read_text().split())) for path in CODE)
    return [(file, found) for file, text in texts for found in re.findall(r"\bcontract: ([A-Z][^)]*)", text)]


def test_the_code_refers_to_headings_of_the_contract() -> None:
    wrong = [(file, found) for file, found in references() if re.sub(r", step \d$", "", found) not in headings()]

    assert wrong == []


def test_the_steps_of_a_run_to_which_the_code_refers_exist() -> None:
    steps = re.findall(r"^(\d+)\. \*\*", section(ARCHITECTURE, "One run"), re.MULTILINE)
    wanted = {step for _, found in references() for step in re.findall(r", step (\d+)$", found)}

    assert wanted <= set(steps)


def test_the_contract_lists_all_error_classes() -> None:
    classes = re.findall(r"`([a-z_]+)`", section(ARCHITECTURE, "Errors").split(". Each has a sentence")[0])

    assert classes == [str(each) for each in ErrorClass]


def test_the_page_on_replication_has_the_steps_of_a_run_in_their_order() -> None:
    shown = re.findall(r"^\| (\w+) \| [a-z`]", section(ROOT / "docs" / "replication.md", "One run"), re.MULTILINE)

    assert [step for step in map(str, Step) if step in shown] == shown[1:]


def test_the_code_refers_to_no_page_outside_the_project() -> None:
    numbered = re.compile("DESIGN" + r" \d")

    assert [name(path) for path in CODE if numbered.search(path.read_text())] == []


def steps_of(recipe: str) -> list[str]:
    return re.findall(r"^\d+\. (.*?)(?=^\d+\. |\n\n|\Z)", section(ADDING, recipe), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_has_its_steps_and_says_which_test_fails(recipe: str) -> None:
    assert len(steps_of(recipe)) >= 5
    assert "| forgotten | test that fails |" in section(ADDING, recipe)


def named_in(step: str) -> set[str]:
    """The names of code in a step: `_COMMANDS`, `@config_option`, `NoticeKind`, `send()`."""
    return set(re.findall(r"`[@_]?([A-Za-z_]*[A-Z_][A-Za-z_]*|\w+(?=\(\)))(?:\(\))?`", step)) - {"SEVERITY", "VERB"}


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_name_in_a_recipe_stands_in_a_file_of_its_step(recipe: str) -> None:
    for step in steps_of(recipe):
        files = [ROOT / file for file in files_in(step) if file.endswith(".py")]
        text = "\n".join(file.read_text() for file in files)
        missing = {each for each in named_in(step) if files and not re.search(rf"\b_?{each}\b", text)}
        assert missing == set(), step
