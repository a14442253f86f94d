"""A case as the source of a test. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import MISSING, fields, is_dataclass

from tests.lab.fuzz.configuration import Configuration
from tests.lab.fuzz.steps import Step


def as_test(configuration: Configuration, steps: Sequence[Step], name: str = "what_this_is_about") -> str:
    """A test that plays the case, for tests/lab/test_fuzz_found.py."""
    lines = [
        f"def test_{name}(fuzz: Driver) -> None:",
        f"    configuration = {constructed(configuration)}",
        "    steps = [",
        *(f"        {constructed(step)}," for step in steps),
        "    ]",
        "    assert fuzz.play(configuration, steps).violations == []",
    ]
    return "\n".join(lines) + "\n"


def constructed(value: object) -> str:
    """The expression that makes a value of frozen facts; what stands at its default is left out."""
    if is_dataclass(value) and not isinstance(value, type):
        given = [
            f"{each.name}={constructed(getattr(value, each.name))}"
            for each in fields(value)
            if each.default is MISSING or getattr(value, each.name) != each.default
        ]
        return f"{type(value).__name__}({', '.join(given)})"
    if isinstance(value, tuple):
        inside = ", ".join(constructed(each) for each in value)
        return f"({inside},)" if len(value) == 1 else f"({inside})"
    return f'"{value}"' if isinstance(value, str) and '"' not in value else repr(value)
