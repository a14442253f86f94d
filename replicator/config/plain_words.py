"""The errors that pydantic finds, in the words of those who write settings: which values a key may have. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_ALLOWED = {
    "string_type": "text in quotes",
    "string_unicode": "text in UTF-8",
    "list_type": 'a list in brackets, like ["one", "two"]',
    "tuple_type": 'a list in brackets, like ["one", "two"]',
    "bool_type": "true or false, without quotes",
    "dict_type": "a table, with keys of its own",
    "model_type": "a table, with keys of its own",
    "model_attributes_type": "a table, with keys of its own",
    "finite_number": "a number",
    "greater_than_equal": "{ge} or more",
    "greater_than": "more than {gt}",
    "less_than_equal": "{le} or less",
    "less_than": "less than {lt}",
    "literal_error": "{expected}",
    "string_too_short": "text that is not empty",
    "string_too_long": "text of at most {max_length} characters",
    "too_short": "a list that is not empty",
}
"""The allowed values, by pydantic's type of error; ``{...}`` is from an error's context."""

_NUMBERS = frozenset({"float_type", "float_parsing", "int_type", "int_parsing", "int_from_float"})


def allowed_by(detail: Mapping[str, Any]) -> str:
    """Return what a setting has to be, of one error as pydantic's ``errors()`` gives it."""
    kind = detail["type"]
    if kind in _NUMBERS:
        return _number_like(detail["input"])
    if kind in _ALLOWED:
        return _ALLOWED[kind].format_map(detail.get("ctx") or {})
    message: str = detail["msg"]
    return message.removeprefix("Value error, ").removeprefix("Input should be ")


def _number_like(value: object) -> str:
    """Return what a number has to look like, with the digits of a text that has quotes or a unit."""
    digits = re.match(r"\s*(\d+(?:\.\d+)?)", value) if isinstance(value, str) else None
    return f"a number without quotes and unit{f', like {digits[1]}' if digits else ''}"
