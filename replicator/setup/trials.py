"""Tries the answers for real: this machine is asked, and the other nodes are logged in to. Nothing is changed."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

from replicator import __version__
from replicator.api.doctor import Level, Line, Subject, Visit
from replicator.api.plugin import DoctorPlugin
from replicator.api.problem import Problem
from replicator.cluster.model import Cluster
from replicator.common.process_identity import boot_id
from replicator.config.plugins import load_plugins, sections_of
from replicator.config.settings import Settings
from replicator.config.ssh import SshSettings
from replicator.doctor import catalogue, contact, zfs_state
from replicator.doctor.site import Site, all_lines
from replicator.doctor.there import look_there
from replicator.doctor.zfs_looks import zfs_checks
from replicator.errors import ZsrError
from replicator.hosts.boot_id import host_boot_id
from replicator.hosts.host import Host
from replicator.hosts.local import LocalHost
from replicator.models import Node
from replicator.setup.facts import LISTED, Facts, FoundDataset, parse_addresses, parse_datasets
from replicator.zfs import errors
from replicator.zfs.node_clients import Nodes

LIMIT_SECONDS = 20.0
"""Seconds that one look at a machine may take."""

NOTIFY_CHECK, PROMETHEUS_CHECK = "notify", "scrape"
"""Checks of plugins that try an answer; where no plugin has them, nothing is tried."""

_LEFT_OUT = {catalogue.WAY_BACK, catalogue.CLUSTER_FILE, catalogue.MACHINE, catalogue.ZSR}
"""Checks that are right only after the files are written, and those of `other_facts`."""


async def machine_facts() -> Facts:
    """Return what is known of this machine. Raises ZsrError if it has no ZFS."""
    host = LocalHost("this machine")
    return Facts(_hostname(), await _addresses(host), await datasets_of(host), Path.home())


def _hostname() -> str:
    return os.uname().nodename


async def _addresses(host: Host) -> tuple[str, ...]:
    try:
        return parse_addresses((await host.run(["ip", "-j", "addr"], limit=LIMIT_SECONDS)).stdout)
    except ZsrError:  # without iproute2 the address has no default
        return ()


async def datasets_of(host: Host) -> tuple[FoundDataset, ...]:
    """Return the filesystems and volumes of a machine; raises ZsrError if they cannot be listed."""
    argv = ["zfs", "list", "-H", "-t", "filesystem,volume", "-o", LISTED]
    done = await host.run(argv, limit=LIMIT_SECONDS)
    if not done.ok:
        raise errors.classify("list the datasets", done.stderr, node=host.name)
    return parse_datasets(done.stdout)


def wrong_address(address: str, facts: Facts) -> str | None:
    """Return why an address is not one of this machine; None: it is, or which ones it has is not known."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(address, None)}
    except OSError as error:
        return f"an address of this machine; '{address}' leads nowhere: {error.strerror or error}"
    if not facts.addresses or found & set(facts.addresses) or all(each.startswith("127.") for each in found):
        return None
    return f"an address of this machine: {', '.join(facts.addresses)}"


@asynccontextmanager
async def reached(here: str, ssh: SshSettings, node: Node) -> AsyncIterator[Host]:
    """Give the command line of another node while the body runs; the first command opens the connection."""
    nodes = Nodes(here, ssh, limit=LIMIT_SECONDS)
    try:
        await nodes.update([node])
        yield nodes.client(node.name).host
    finally:
        await nodes.close()


async def login_lines(here: str, ssh: SshSettings, node: Node) -> list[Line]:
    """Log in to a node, and return the lines about connection, host key and login."""
    try:
        async with reached(here, ssh, node) as host, asyncio.timeout(LIMIT_SECONDS):
            await host.probe()
    except ZsrError as error:
        return contact.contact(node, error)
    except TimeoutError:
        text = f"{node.address} let no command run within {LIMIT_SECONDS:g} s."
        return [Subject(catalogue.LOGIN, node.name).fail(text, "Try it by hand.")]
    return contact.contact(node, None)


@dataclass(frozen=True, slots=True)
class OtherFacts:
    """What is known of another node after the login. ``runs_zsr``: zsr is installed there."""

    datasets: tuple[FoundDataset, ...]
    runs_zsr: bool
    lines: tuple[Line, ...]


async def other_facts(here: str, ssh: SshSettings, node: Node) -> OtherFacts:
    """Return what is known of a node that lets this one in; raises ZsrError if it has no ZFS."""
    async with reached(here, ssh, node) as host:
        datasets = await datasets_of(host)
        printed = await host.run(["sh", "-c", "zsr --version"], limit=LIMIT_SECONDS)
        machine = contact.machine(node.name, here, await host_boot_id(host), boot_id())
    zsr = contact.zsr(node, printed.stdout if printed.ok else None, __version__)
    return OtherFacts(datasets, printed.ok, (machine, zsr))


def storage_lines(node: str, name: str, path: str, datasets: Iterable[FoundDataset]) -> list[Line]:
    """Return what doctor says of a storage's dataset on a node."""
    kinds = {each.name: each.kind for each in datasets}
    return zfs_state.storages(Subject(catalogue.STORAGES, node), {name: path}, kinds)


async def final_look(settings: Settings, cluster: Cluster, others: Sequence[str]) -> list[Line]:
    """Return what doctor says of both sides, by settings and a cluster that are not written yet."""
    nodes = Nodes(settings.node, settings.ssh, limit=LIMIT_SECONDS)
    site = Site(settings, cluster, nodes, LIMIT_SECONDS)
    try:
        await nodes.update(cluster.nodes.values())
        async with asyncio.TaskGroup() as group:
            here = group.create_task(all_lines(zfs_checks(site, settings.node), LIMIT_SECONDS))
            there = [group.create_task(look_there(site, name, time.time)) for name in others]
    finally:
        await nodes.close()
    lines = [*here.result(), *(line for each in there for line in each.result())]
    return [line for line in lines if line.check not in _LEFT_OUT and line.level not in (Level.OK, Level.OFF)]


def section_problems(sections: Mapping[str, object]) -> list[Problem]:
    """Return what the plugins find wrong with their sections."""
    plugins = load_plugins().values()
    return [problem for plugin in plugins for problem in plugin.check(sections_of(plugin, sections))]


async def plugin_lines(
    check: str, node: str, zone: tzinfo, sections: Mapping[str, object], *, prometheus: str | None = None,
    send: bool = False,
) -> list[Line]:  # fmt: skip
    """Return the lines of a plugin's check; none where no plugin has it. ``send``: with a test message."""
    visit = Visit(node, zone, prometheus=prometheus, send=send, limit=LIMIT_SECONDS)
    for plugin in load_plugins().values():
        if isinstance(plugin, DoctorPlugin) and check in plugin.doctor_checks:
            return await plugin.examine(check, sections_of(plugin, sections), visit)
    return []


def failures(lines: Iterable[Line]) -> list[Line]:
    """Return the lines that say that something does not work."""
    return [line for line in lines if line.level is Level.FAIL]
