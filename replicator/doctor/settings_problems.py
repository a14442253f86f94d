"""All problems of this node's settings, of the cluster's, and of the files that plugins name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from replicator.api.problem import Problem
from replicator.cluster.model import Cluster
from replicator.cluster.store import open_store
from replicator.config.problems import SettingsError
from replicator.config.settings import Settings, cluster_settings, inspect_plugins, load_settings
from replicator.errors import ConfigError


def settings_problems(path: Path) -> list[str]:
    """Return the errors of all settings, each once; ``path``: of this node's."""
    readings = (
        lambda: load_settings(path),
        lambda: open_store(cluster_settings(path)).read(),
        lambda: _find_this_node(load_settings(path)),
        lambda: inspect_plugins(load_settings(path)),
    )
    errors = [error for error in map(_error_of, readings) if error is not None]
    if not errors:
        return []
    first, *others = errors  # a wrong [cluster] is wrong again for whoever reads only that section
    if isinstance(first, SettingsError) and first.path == path:
        others = [each for each in others if not (isinstance(each, SettingsError) and each.path == path)]
    return list(dict.fromkeys(map(str, [first, *others])))


def _find_this_node(node: Settings) -> None:
    refuse_unknown_node(node, open_store(node.cluster, node.timezone).read())


def refuse_unknown_node(node: Settings, cluster: Cluster) -> None:
    """Refuse settings of a node that the cluster does not have."""
    if node.node not in cluster.nodes:
        known = ", ".join(sorted(cluster.nodes)) or "none yet"
        allowed = f"there is no such node in {node.cluster.path}; known: {known}"
        raise SettingsError(node.path, [Problem("node", repr(node.node), allowed)])


def _error_of(read: Callable[[], object]) -> ConfigError | None:
    """Return the error of a reading, or None."""
    try:
        read()
    except ConfigError as error:
        return error
    return None
