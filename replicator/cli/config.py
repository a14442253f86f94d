"""``zsr config``: check the settings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import click

from replicator.api.problem import Problem
from replicator.cli.context import config_option, config_path, store
from replicator.cluster.checks import doubtful_schedules, long_names, refused_hooks, unattended
from replicator.cluster.model import Cluster
from replicator.cluster.store import open_store
from replicator.config.problems import SettingsError
from replicator.config.settings import Settings, cluster_settings, inspect_plugins, load_settings, plugin_notes
from replicator.errors import ConfigError
from replicator.schedule.scheduler import weakness


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
    node = load_settings(path)
    for note in _notes(node, store(node).read()):
        click.echo(f"Note: {note}", err=True)
    click.echo("ok")


def _notes(node: Settings, cluster: Cluster) -> Iterator[str]:
    """Return what is valid and hardly meant."""
    jobs = [job for _, job in sorted(cluster.jobs.items())]
    yield from (note for job in jobs if (note := weakness(job, time.time())))
    yield from doubtful_schedules(cluster)
    yield from refused_hooks(cluster)
    yield from (f"Job {job.id}: {sentence}" for job in jobs for sentence in long_names(cluster, job))
    yield from unattended(cluster)
    own = {guest.id for guest in cluster.guests.values() if guest.node == node.node}
    yield from plugin_notes(node, [job for job in jobs if job.id.guest in own])


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
