"""The format of a cluster file: older ones are brought to the present one, newer ones are refused. Pure.

The key ``format`` at the top says it; a file without it has format 1. A key that a version adds is no new format: a
format is new where an older file would mean something else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import tomlkit

from replicator.errors import ConfigError

FORMAT_KEY = "format"

Upgrade = Callable[[tomlkit.TOMLDocument], None]
"""Changes a document of a format so that it means the same in the next one."""

UPGRADES: Mapping[int, Upgrade] = {}
"""What brings a file of each format to the next one. There is only one format so far."""


def format_of(raw: Mapping[str, object], name: str, upgrades: Mapping[int, Upgrade]) -> int:
    """Return the format of a file's values.

    Raises:
        ConfigError: it is no number, or that of a newer zsr. ``name``: the file's.
    """
    found, known = raw.get(FORMAT_KEY, 1), max(upgrades, default=0) + 1
    if isinstance(found, bool) or not isinstance(found, int) or found < 1:
        raise ConfigError(f"'{name}' has a format that is no number: {found!r}.", advice="Take the line out.")
    if found > known:
        raise ConfigError(
            f"'{name}' was written for a newer zsr (format {found}, this one knows {known}).",
            advice="Install the version that the other nodes have.",
        )
    return found


def upgraded(text: str, format_: int, upgrades: Mapping[int, Upgrade]) -> str:
    """Return the text of a file of a format in the present format; comments and order stay."""
    known = max(upgrades, default=0) + 1
    if format_ == known:
        return text
    document = tomlkit.parse(text)
    for earlier in range(format_, known):
        upgrades[earlier](document)
    document[FORMAT_KEY] = known
    return tomlkit.dumps(document)
