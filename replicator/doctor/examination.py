"""Does all checks at the same time: of this node, of other nodes, and of plugins. It changes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from replicator.api.doctor import Line, Notes, Subject, Visit
from replicator.api.plugin import DoctorPlugin
from replicator.cluster.model import Cluster
from replicator.config.plugins import load_plugins, sections_of
from replicator.config.settings import Settings
from replicator.doctor import catalogue, clocks, here
from replicator.doctor.cluster_state import own_jobs
from replicator.doctor.site import COMMAND_PART, Check, Site, all_lines
from replicator.doctor.there import look_there
from replicator.errors import ConfigError, ZsrError
from replicator.state.stores import State
from replicator.zfs.node_clients import Nodes


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked for.

    Attributes:
        nodes: the other nodes to look at; empty: all.
        prometheus: the URL of the Prometheus to ask; None: the one of the settings, if any.
        send: send test messages.
        limit: seconds that each check may take.
    """

    nodes: Sequence[str] = ()
    prometheus: str | None = None
    send: bool = False
    limit: float = 20.0


async def examine(
    settings: Settings, cluster: Cluster | None, wishes: Wishes, clock: clocks.Clock = time.time
) -> list[Line]:
    """Return all lines but those about the settings; ``cluster`` None: it cannot be read."""
    own = here.checks_without_cluster(settings, wishes.limit * COMMAND_PART)
    plugins = plugin_checks(settings, cluster, wishes)
    if cluster is None:
        text = "The cluster file is wrong, so this was not looked at."
        names = [name for name in catalogue.OF_HERE if name not in (catalogue.SETTINGS, *_names(own))]
        skipped = [Subject(name, settings.node).unknown(text) for name in names]
        return [*await all_lines([*own, *plugins], wishes.limit), *skipped]
    nodes = Nodes(settings.node, _hurried(settings, wishes).ssh, limit=wishes.limit * COMMAND_PART, clock=clock)
    site = Site(settings, cluster, nodes, wishes.limit)
    try:
        await nodes.update(cluster.nodes.values())
        async with asyncio.TaskGroup() as group:
            ours = group.create_task(all_lines([*own, *here.checks(site, clock)], wishes.limit))
            added = group.create_task(all_lines(plugins, wishes.limit))
            others = [group.create_task(look_there(site, name, clock)) for name in _others(cluster, settings, wishes)]
    finally:
        await nodes.close()
    in_order = sorted(ours.result(), key=lambda line: catalogue.OF_HERE.index(line.check))
    return [*in_order, *added.result(), *(line for other in others for line in other.result())]


def _names(checks: Iterable[Check]) -> Iterator[str]:
    return (name for check in checks for name in check.names)


def _others(cluster: Cluster, settings: Settings, wishes: Wishes) -> list[str]:
    """Return the other nodes to look at; raises ConfigError for one that is none."""
    others = sorted(cluster.nodes.keys() - {settings.node})
    if unknown := sorted(set(wishes.nodes) - {*others, settings.node}):
        known = ", ".join(others) or "none"
        raise ConfigError(f"There is no other node '{unknown[0]}'.", advice=f"Known: {known}.")
    return [name for name in others if not wishes.nodes or name in wishes.nodes]


def _hurried(settings: Settings, wishes: Wishes) -> Settings:
    """Return settings by which a login fails before its check has no time left."""
    longest = wishes.limit * COMMAND_PART / 2
    return replace(settings, ssh=replace(settings.ssh, connect_timeout=min(settings.ssh.connect_timeout, longest)))


def plugin_checks(settings: Settings, cluster: Cluster | None, wishes: Wishes) -> list[Check]:
    """Return the checks of the plugins."""
    jobs = 0 if cluster is None else len(own_jobs(cluster, settings.node))
    visit = Visit(
        settings.node,
        settings.timezone,
        prometheus=wishes.prometheus or settings.prometheus,
        send=wishes.send,
        limit=wishes.limit * COMMAND_PART,
        jobs=jobs,
    )
    return [
        _plugin_check(name, plugin, check, settings, visit)
        for name, plugin in load_plugins().items()
        if isinstance(plugin, DoctorPlugin)
        for check in plugin.doctor_checks
    ]


def _plugin_check(name: str, plugin: DoctorPlugin, check: str, settings: Settings, visit: Visit) -> Check:
    async def look() -> Iterable[Line]:
        sections = sections_of(plugin, settings.sections)
        try:
            with closing(State.read(settings.state_dir / "state.db")) as state:
                notes: Notes = state.plugin_store(name)
                return await plugin.examine(check, sections, replace(visit, notes=notes))
        except ZsrError:
            return await plugin.examine(check, sections, visit)

    return Check((check,), visit.node, look)


def every_check() -> tuple[str, ...]:
    """Return the names of all checks, of the core and of the installed plugins."""
    plugins = (each for each in load_plugins().values() if isinstance(each, DoctorPlugin))
    return (*catalogue.EVERY, *(check for plugin in plugins for check in plugin.doctor_checks))
