"""``zsr config``: are the settings well?"""

from __future__ import annotations

import click

from replicator.cli.node import config_option, config_path, store
from replicator.config import load_settings


@click.group()
def config() -> None:
    """The settings of this node and of the cluster."""


@config.command()
@config_option
def check() -> None:
    """Say ``ok``, or all that is wrong with this node's settings and with the cluster's."""
    store(load_settings(config_path())).read()
    click.echo("ok")
