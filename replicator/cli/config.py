"""``zsr config``: check the settings."""

from __future__ import annotations

from collections.abc import Callable

import click

from replicator.api.problem import Problem
from replicator.cli.context import config_option, config_path, store
from replicator.cluster.store import open_store
from replicator.config.problems import SettingsError
from replicator.config.settings import Settings, cluster_settings, inspect_plugins, load_settings
from replicator.errors import ConfigError


@click.group()
def config() -> None:
    """The settings of this node and of the cluster."""


@config.command()
@config_option
def check() -> None:
    """Print ``ok``, or all problems of this node's settings and of the cluster's."""
    path = config_path()
    readings = (
        lambda: load_settings(path),
        lambda: open_store(cluster_settings(path)).read(),
        lambda: _find_this_node(load_settings(path)),
        lambda: inspect_plugins(load_settings(path)),
    )
    problems = [text for text in map(_problem_of, readings) if text]
    if problems:
        raise ConfigError("\n".join(dict.fromkeys(problems)))
    click.echo("ok")


def _find_this_node(node: Settings) -> None:
    """Refuse settings of a node that the cluster does not have."""
    nodes = store(node).read().nodes
    if node.node not in nodes:
        known = ", ".join(sorted(nodes)) or "none yet"
        allowed = f"there is no such node in {node.cluster.path}; known: {known}"
        raise SettingsError(node.path, [Problem("node", repr(node.node), allowed)])


def _problem_of(read: Callable[[], object]) -> str | None:
    """Return the error of a reading, or None."""
    try:
        read()
    except ConfigError as error:
        return str(error)
    return None
