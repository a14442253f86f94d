"""Nothing is known to the log only: each warning and error of the daemon has what reports it, in docs/logged.md."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from alerts.notice import NoticeKind
from exporter.catalogue import CATALOGUE

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "logged.md"
LEVELS = {"warning", "error", "exception", "critical"}
METRICS = {metric.name for metric in CATALOGUE}
ALERTS = {
    rule["alert"]
    for path in sorted((ROOT / "alerts" / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text())["groups"]
    for rule in group["rules"]
    if "alert" in rule
}
REPORTS = METRICS | ALERTS | set(NoticeKind)
"""Whatever a person sees without reading a log."""
Functions = ast.FunctionDef | ast.AsyncFunctionDef


def logged() -> Iterator[tuple[str, str]]:
    """The file and the text of each call that logs a warning or worse."""
    for room in ("replicator", "exporter", "alerts"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for function in ast.walk(ast.parse(path.read_text())):
                if isinstance(function, Functions):
                    yield from ((str(path.relative_to(ROOT)), text) for text in texts_of(function))


def texts_of(function: Functions) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LEVELS:
            logger = node.func.value
            if isinstance(logger, ast.Name) and logger.id == "_log":
                yield text_of(node, function)


def text_of(call: ast.Call, function: Functions) -> str:
    """The text of a call, which may be in a variable that was set before it; on one line."""
    text = call.args[0]
    if isinstance(text, ast.Name):
        name = text.id
        values = {
            node.lineno: node.value
            for node in ast.walk(function)
            if isinstance(node, ast.Assign) and any(isinstance(to, ast.Name) and to.id == name for to in node.targets)
        }
        text = values[max(line for line in values if line < call.lineno)]
    assert isinstance(text, ast.Constant), f"line {call.lineno}: the text of a warning is a literal"
    return " ".join(str(text.value).split())


def rows() -> list[tuple[str, str, str]]:
    cells = re.findall(r"^\| `([^`]*)` \| `(.*?)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return [(file, text, reported) for file, text, reported in cells]


def test_each_warning_and_error_has_its_row() -> None:
    listed = Counter((file, text) for file, text, _ in rows())
    found = Counter(logged())
    assert set((found - listed).elements()) == set(), "say in docs/logged.md what reports it"
    assert set((listed - found).elements()) == set(), "nothing logs this any more"


def test_warnings_are_logged_by_the_module_s_own_logger() -> None:
    others = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for room in ("replicator", "exporter", "alerts")
        for path in sorted((ROOT / room).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in LEVELS
        and isinstance(node.func.value, ast.Name | ast.Attribute)
        and "log" in ast.unparse(node.func.value)
        and ast.unparse(node.func.value) != "_log"
    ]
    assert others == []


@pytest.mark.parametrize(("file", "text", "reported"), rows(), ids=[f"{file}-{text[:30]}" for file, text, _ in rows()])
def test_a_row_names_what_reports_it_or_why_nothing_has_to(file: str, text: str, reported: str) -> None:
    if reported.startswith("nothing: "):
        assert reported.endswith(".")
        assert len(reported) > len("nothing: ") + 20
        return
    names = re.findall(r"`([^`]*)`|\b(Zsr[A-Za-z]+)", reported)
    known = [one or two for one, two in names if not (one or two).startswith(("zsr ", "critical", "failure"))]
    assert known
    assert [name for name in known if name not in REPORTS] == []
