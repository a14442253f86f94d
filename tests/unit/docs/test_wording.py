"""No page, runbook, rule, message or module docstring has a word that a reader has to decode; see CONTRIBUTING.md."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.pages import PAGES, ROOT, RUNBOOKS, name

DECODED = re.compile(
    r"\b(?:told|tells?|telling|anew|mend(?:s|ed|ing)?|whoever|somebody|beside|in force|for ever)\b", re.IGNORECASE
)
TEXTS = [*PAGES, *RUNBOOKS, ROOT / "CHANGELOG.md", *sorted((ROOT / "alerts").glob("rules/*.yml"))]
CODE = sorted(path for top in ("replicator", "exporter", "alerts", "grafana") for path in (ROOT / top).rglob("*.py"))


def sentences(path: Path) -> Iterator[str]:
    """The docstring of a module, and its texts of more than one word that are no docstrings."""
    tree = ast.parse(path.read_text())
    yield ast.get_docstring(tree) or ""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.value if " " in node.value.strip() else ""


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_a_text_for_people_has_plain_words(path: Path) -> None:
    lines = enumerate(path.read_text().splitlines(), start=1)
    assert [(number, line) for number, line in lines if DECODED.search(line)] == []


@pytest.mark.parametrize("path", CODE, ids=name)
def test_a_modules_docstring_and_its_messages_have_plain_words(path: Path) -> None:
    assert [text for text in sentences(path) if DECODED.search(text)] == []
