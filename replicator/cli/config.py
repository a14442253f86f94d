"""``zsr config``: are the settings well?"""

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
    """Say ``ok``, or all that is wrong with this node's settings and with the cluster's."""
    path = config_path()
    readings = (
        lambda: load_settings(path),
        lambda: open_store(cluster_settings(path)).read(),
        lambda: _find_this_node(load_settings(path)),
        lambda: inspect_plugins(load_settings(path)),
    )
    told = [text for text in map(_wrong_with, readings) if text]
    if told:
        raise ConfigError("\n".join(dict.fromkeys(told)))
    click.echo("ok")


def _find_this_node(node: Settings) -> None:
    """Refuse settings of a node that the cluster does not have."""
    nodes = store(node).read().nodes
    if node.node not in nodes:
        known = ", ".join(sorted(nodes)) or "none yet"
        allowed = f"there is no such node in {node.cluster.path}; known: {known}"
        raise SettingsError(node.path, [Problem("node", repr(node.node), allowed)])


def _wrong_with(read: Callable[[], object]) -> str | None:
    """What is wrong with what is read, or None; as far as can be seen, however much else is wrong."""
    try:
        read()
    except ConfigError as error:
        return str(error)
    return None
