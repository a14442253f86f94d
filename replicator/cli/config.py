"""``zsr config``: check the settings."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from shutil import which

import click

from replicator.api.problem import Problem
from replicator.cli.context import config_option, config_path, store
from replicator.cluster.checks import doubtful_schedules, long_names, refused_hooks, unattended
from replicator.cluster.model import Cluster
from replicator.cluster.store import open_store
from replicator.config.problems import SettingsError
from replicator.config.settings import Settings, cluster_settings, inspect_plugins, load_settings, plugin_notes
from replicator.errors import ConfigError
from replicator.hosts.local import c_locale_environment
from replicator.models import Guest
from replicator.schedule.scheduler import weakness

_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]+")
"""A word that is a program's name; whatever else a shell may read is not judged."""
_SHELL = ". : [ ! cd command eval exec exit export for if read set source test trap true umask unset until wait while"
"""Words that a shell knows without a program."""


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
    errors = [error for error in map(_error_of, readings) if error is not None]
    if errors:
        first, *others = errors  # a wrong [cluster] is wrong again for whoever reads only that section
        more = [each for each in others if not (isinstance(each, SettingsError) and each.path == path)]
        own = [first, *(more if isinstance(first, SettingsError) and first.path == path else others)]
        raise ConfigError("\n".join(dict.fromkeys(map(str, own))))
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
    yield from (f"There is no SSH key '{key}' (ssh.key)." for key in node.ssh.keys if not Path(key).is_file())
    yield from _missing_programs(node, cluster)
    own = {guest.id for guest in cluster.guests.values() if guest.node == node.node}
    yield from plugin_notes(node, [job for job in jobs if job.id.guest in own])


def _missing_programs(node: Settings, cluster: Cluster) -> Iterator[str]:
    """Yield sentences about commands of this node's guests whose program is not here."""
    path = c_locale_environment()["PATH"]
    for guest in cluster.guests.values():
        for name, command in _commands(guest) if guest.node == node.node else ():
            program = command.split(maxsplit=1)[0] if command.strip() else ""
            if _PROGRAM.fullmatch(program) and program not in _SHELL.split() and which(program, path=path) is None:
                yield f"guests.{guest.id}.{name}: '{program}' is no program that can be run on {node.node}."


def _commands(guest: Guest) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of the commands that run on a guest's node."""
    yield from ((hook.value, command) for hook, command in guest.hooks.items())
    if guest.runtime is not None:
        yield from (("start", guest.runtime.start), ("stop", guest.runtime.stop), ("status", guest.runtime.status))


def _find_this_node(node: Settings) -> None:
    """Refuse settings of a node that the cluster does not have."""
    nodes = store(node).read().nodes
    if node.node not in nodes:
        known = ", ".join(sorted(nodes)) or "none yet"
        allowed = f"there is no such node in {node.cluster.path}; known: {known}"
        raise SettingsError(node.path, [Problem("node", repr(node.node), allowed)])


def _error_of(read: Callable[[], object]) -> ConfigError | None:
    """Return the error of a reading, or None."""
    try:
        read()
    except ConfigError as error:
        return error
    return None
