"""Find the installed plugins and their sections of ``zsr.toml``."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import entry_points

from replicator.api.plugin import ENTRY_POINT_GROUP, Plugin
from replicator.errors import ConfigError


def load_plugins() -> dict[str, Plugin]:
    """Return the installed plugins by the names of their entry points."""
    plugins: dict[str, Plugin] = {}
    for entry in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda entry: entry.name):
        try:
            plugin = entry.load()()
        except (ImportError, AttributeError) as error:
            raise ConfigError(f"The plugin '{entry.name}' ({entry.value}) cannot be loaded: {error}.") from error
        plugins[entry.name] = plugin
    return plugins


def sections_of(plugin: Plugin, sections: Mapping[str, object]) -> dict[str, object]:
    """Return the sections that belong to a plugin; other sections may hold secrets that it must not see."""
    return {name: sections[name] for name in plugin.sections if name in sections}
