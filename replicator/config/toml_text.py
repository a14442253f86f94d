"""Reads TOML, and says in words of its users what keeps a text from being TOML. Pure."""

from __future__ import annotations

import re
from typing import Any

import tomli

_TWICE = re.compile(r"Cannot declare \((.*?),?\) twice")
_PLAINER = {
    "Cannot overwrite a value": "this key or section is there already",
    "Cannot mutate immutable namespace": "this section is there already",
    "Invalid value": "no value; text has to stand in quotes",
    "Illegal character '\\n'": "a text has no closing quote",
    "Unterminated string": "a text has no closing quote",
}
"""The beginnings of a parser's messages that only a programmer understands, and what they mean."""


class NotTomlError(ValueError):
    """A text is no TOML; the message says why and where, and goes behind ``is``."""


def parse_toml(data: bytes) -> dict[str, Any]:
    """Return the values of a TOML file's bytes; raises NotTomlError."""
    return parse_toml_text(decode_toml(data))


def decode_toml(data: bytes) -> str:
    """Return a file's text, with its line ends as they are; raises NotTomlError if it is no UTF-8."""
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise NotTomlError(f"not UTF-8 text (byte 0x{data[error.start]:02x} in line {line})") from None


def parse_toml_text(text: str) -> dict[str, Any]:
    """Return the values of a TOML text; raises NotTomlError."""
    if text.startswith("\ufeff"):
        raise NotTomlError("not TOML: it begins with a byte order mark; save it as UTF-8 without one")
    try:
        return tomli.loads(text)
    except tomli.TOMLDecodeError as error:
        raise NotTomlError(f"not TOML: {_plain(str(error))}") from None
    except RecursionError:
        raise NotTomlError("not TOML that zsr reads: its lists or tables are nested too deeply") from None


def _plain(message: str) -> str:
    if match := _TWICE.match(message):
        name = ".".join(re.findall(r"'([^']*)'", match[1]))
        return f"[{name}] is there twice{message[match.end() :]}"
    for beginning, meaning in _PLAINER.items():
        if message.startswith(beginning):
            return f"{meaning}{message.removeprefix(beginning)}"
    return message
