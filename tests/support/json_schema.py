"""As much of JSON Schema as docs/notification.schema.json uses; a word that is not known here is an error."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (int, float),
    "null": type(None),
}
_KNOWN = {"$schema", "$defs", "$ref", "title", "description", "type", "required", "properties", "additionalProperties"}
_KNOWN |= {"items", "enum", "const", "pattern", "minLength", "anyOf"}


def violations(value: Any, schema: dict[str, Any], root: dict[str, Any], place: str = "$") -> Iterator[str]:
    """Where a value is not what the schema says."""
    assert schema.keys() <= _KNOWN, schema.keys() - _KNOWN
    if "$ref" in schema:
        yield from violations(value, root["$defs"][schema["$ref"].removeprefix("#/$defs/")], root, place)
    if "anyOf" in schema and all(list(violations(value, each, root, place)) for each in schema["anyOf"]):
        yield f"{place}: none of anyOf"
    if "const" in schema and value != schema["const"]:
        yield f"{place}: not {schema['const']}"
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is none of {schema['enum']}"
    if "type" in schema and not _is(value, schema["type"]):
        yield f"{place}: {value!r} is no {schema['type']}"
        return
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value) or len(value) < schema.get("minLength", 0):
            yield f"{place}: {value!r} does not match"
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from violations(item, schema.get("items", {}), root, f"{place}[{index}]")
    elif isinstance(value, dict):
        yield from _of_object(value, schema, root, place)


def _of_object(value: dict[str, Any], schema: dict[str, Any], root: dict[str, Any], place: str) -> Iterator[str]:
    known = schema.get("properties", {})
    yield from (f"{place}.{name}: missing" for name in schema.get("required", []) if name not in value)
    further = schema.get("additionalProperties", {})
    for name, inner in value.items():
        if name in known:
            yield from violations(inner, known[name], root, f"{place}.{name}")
        elif further is False:
            yield f"{place}.{name}: not allowed"
        else:
            yield from violations(inner, further, root, f"{place}.{name}")


def _is(value: object, names: str | list[str]) -> bool:
    wanted = [names] if isinstance(names, str) else names
    return any(
        isinstance(value, _TYPES[name]) and (name == "boolean" or (value is not True and value is not False))
        for name in wanted
    )
