"""What is allowed is said as it is written in TOML: no word of Python or of pydantic."""

from __future__ import annotations

from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replicator.config.problems import kind_of, problems_of


class _Table(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")


class _Settings(_Table):
    text: str = ""
    short: Annotated[str, Field(min_length=1, max_length=3)] = "a"
    number: Annotated[int, Field(ge=1, le=32)] = 1
    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    switch: bool = False
    many: list[str] = []
    table: _Table = _Table()
    choice: Literal["raw", "decrypted"] = "raw"


@pytest.mark.parametrize(
    ("key", "value", "allowed"),
    [
        ("text", 5, "text in quotes"),
        ("short", "\udcff", "text in UTF-8"),
        ("short", "", "text that is not empty"),
        ("short", "long", "text of at most 3 characters"),
        ("number", 0, "1 or more"),
        ("number", 33, "32 or less"),
        ("number", "7 jobs", "a number without quotes and unit, like 7"),
        ("share", 0.0, "more than 0.0"),
        ("share", 1.0, "less than 1.0"),
        ("switch", "yes", "true or false, without quotes"),
        ("many", "one", 'a list in brackets, like ["one", "two"]'),
        ("table", 5, "a table, with keys of its own"),
        ("choice", "row", "'raw' or 'decrypted'"),
    ],
)
def test_a_wrong_value_meets_what_is_allowed(key: str, value: object, allowed: str) -> None:
    with pytest.raises(ValidationError) as caught:
        _Settings.model_validate({key: value})
    [problem] = problems_of(caught.value, _Settings)
    assert (problem.key, problem.allowed) == (key, allowed)


def test_a_very_long_key_and_value_are_cut() -> None:
    with pytest.raises(ValidationError) as caught:
        _Settings.model_validate({"k" * 5000: 1, "text": 5})
    assert all(len(str(problem)) < 500 for problem in problems_of(caught.value, _Settings))


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({}, "(a table)"),
        ([], "(a list)"),
        ("x", "(a text)"),
        (True, "(true or false)"),
        (1, "(a number)"),
        (1.5, "(a number)"),
    ],
)
def test_a_value_that_is_not_shown_is_named_by_its_kind(value: object, kind: str) -> None:
    assert kind_of(value) == kind
