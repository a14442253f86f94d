"""``zsr config``: are the settings well?"""

from __future__ import annotations

from collections.abc import Callable

import click

from replicator.cli.node import config_option, config_path, store_in
from replicator.config import cluster_path, load_settings
from replicator.errors import ConfigError


@click.group()
def config() -> None:
    """The settings of this node and of the cluster."""


@config.command()
@config_option
def check() -> None:
    """Say ``ok``, or all that is wrong with this node's settings and with the cluster's."""
    path = config_path()
    wrong = [_wrong_with(lambda: load_settings(path)), _wrong_with(lambda: store_in(cluster_path(path)).read())]
    told = [text for text in wrong if text]
    if told:
        raise ConfigError("\n".join(dict.fromkeys(told)))
    click.echo("ok")


def _wrong_with(read: Callable[[], object]) -> str | None:
    """What is wrong with what is read, or None; as far as can be seen, however much else is wrong."""
    try:
        read()
    except ConfigError as error:
        return str(error)
    return None
