"""``zsr config``: check the settings."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import click

from replicator.cli.context import config_option, config_path, store
from replicator.cluster.checks import (
    doubtful_schedules,
    forgotten_jobs,
    long_names,
    refused_hooks,
    same_places,
    shared_volumes,
    unattended,
)
from replicator.cluster.model import Cluster
from replicator.config.settings import Settings, load_settings, plugin_notes
from replicator.doctor.programs import path_of, programs_of
from replicator.doctor.settings_problems import settings_problems
from replicator.errors import ConfigError
from replicator.ids import entry_of
from replicator.schedule.scheduler import haste, weakness


@click.group()
def config() -> None:
    """The settings of this node and of the cluster."""


@config.command()
@config_option
def check() -> None:
    """Print ``ok``, or all problems of this node's settings and of the cluster's."""
    path = config_path()
    if problems := settings_problems(path):
        raise ConfigError("\n".join(problems))
    node = load_settings(path)
    for note in _notes(node, store(node).read()):
        click.echo(f"Note: {note}", err=True)
    click.echo("ok")


def _notes(node: Settings, cluster: Cluster) -> Iterator[str]:
    """Return what is valid and hardly meant."""
    jobs = [job for _, job in sorted(cluster.jobs.items())]
    now = time.time()
    yield from (note for job in jobs for judge in (weakness, haste) if (note := judge(job, now)))
    yield from doubtful_schedules(cluster, now, node.timezone)
    yield from forgotten_jobs(cluster)
    yield from same_places(cluster)
    yield from refused_hooks(cluster)
    yield from (f"Job {job.id}: {sentence}" for job in jobs for sentence in long_names(cluster, job))
    yield from unattended(cluster)
    yield from shared_volumes(cluster)
    yield from (f"There is no SSH key '{key}' (ssh.key)." for key in node.ssh.keys if not Path(key).is_file())
    yield from _missing_programs(node, cluster)
    own = {guest.id for guest in cluster.guests.values() if guest.node == node.node}
    yield from plugin_notes(node, [job for job in jobs if job.id.guest in own])


def _missing_programs(node: Settings, cluster: Cluster) -> Iterator[str]:
    """Yield sentences about commands of this node's guests whose program is not here."""
    for guest in cluster.guests.values():
        for name, program in programs_of(guest) if guest.node == node.node else ():
            if path_of(program) is None:
                yield f"{entry_of(guest.id)}.{name}: '{program}' is no program that can be run on {node.node}."
