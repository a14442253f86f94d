"""Looks at another node: the way to it, and when that leads there, all that it has to say."""

from __future__ import annotations

import asyncio
import shlex
from collections.abc import Iterable

import tomli

from replicator import __version__
from replicator.api.doctor import Line, Subject
from replicator.cluster.file_copies import standing
from replicator.cluster.file_history import read_history, versions
from replicator.cluster.other_copies import read_other
from replicator.common.files import FileText, digest_of
from replicator.config.ssh import SshSettings
from replicator.doctor import catalogue, clocks, cluster_state, contact
from replicator.doctor.site import Check, Site, all_lines
from replicator.doctor.zfs_looks import features, run, space, time_sync, zfs_checks
from replicator.errors import DeadlineError, ZsrError
from replicator.hosts.boot_id import host_boot_id
from replicator.hosts.openssh import openssh_argv
from replicator.hosts.ssh import SshHost
from replicator.models import Node
from replicator.zfs.clock_skew import clock_skew

_SSH_SECTION = """awk '/^\\[/ {on = /^\\[ssh\\]/} on' "$1" 2>/dev/null || true"""
"""Prints that section only: others may hold secrets."""


async def look_there(site: Site, name: str, clock: clocks.Clock) -> list[Line]:
    """Return the lines about another node."""
    node = site.cluster.nodes[name]
    if node.is_local:
        return [*_on_this_machine(name), *await all_lines(_zfs_of(site, name), site.limit)]
    error = await _error_of_login(site, name)
    lines = contact.contact(node, error)
    if error is not None:
        return [*lines, *(contact.not_asked(check, name) for check in catalogue.ASKED)]
    found = await all_lines(_checks(site, node, clock), site.limit)
    return [*lines, *sorted(found, key=lambda line: catalogue.ASKED.index(line.check))]


def _on_this_machine(name: str) -> list[Line]:
    text = "It is this machine (address = 'local'), which is reached without SSH."
    return [Subject(catalogue.CONNECTION, name).off(text)]


def _zfs_of(site: Site, name: str) -> list[Check]:
    return [
        *zfs_checks(site, name),
        Check((catalogue.SPACE,), name, lambda: space(site, name)),
        Check((catalogue.FEATURES,), name, lambda: features(site, name)),
    ]


async def _error_of_login(site: Site, name: str) -> ZsrError | None:
    """Log in, and run a command; return why that failed, None: it did not."""
    try:
        async with asyncio.timeout(site.limit):
            await site.nodes.client(name).host.probe()
    except ZsrError as error:
        return error
    except TimeoutError:
        return DeadlineError(f"Node {name} did not let a command run within {site.limit:g} s.", node=name)
    return None


def _checks(site: Site, node: Node, clock: clocks.Clock) -> list[Check]:
    name = node.name
    looks = {
        catalogue.SHELL: lambda: _shell(site, name),
        catalogue.WAY_BACK: lambda: _way_back(site, node),
        catalogue.MACHINE: lambda: _machine(site, name),
        catalogue.ZSR: lambda: _zsr(site, node),
        catalogue.CLUSTER_FILE: lambda: _cluster_file(site, node),
        catalogue.CLOCK: lambda: _clock(site, name, clock),
        catalogue.TIME_SYNC: lambda: time_sync(site, name),
    }
    return [*(Check((check,), name, look) for check, look in looks.items()), *_zfs_of(site, name)]


async def _shell(site: Site, name: str) -> Iterable[Line]:
    host = site.nodes.client(name).host
    await run(site, name, ["true"])
    return [contact.shell(name, host.noise if isinstance(host, SshHost) else None)]


async def _machine(site: Site, name: str) -> Iterable[Line]:
    theirs = await host_boot_id(site.nodes.client(name).host)
    return [contact.machine(name, site.here, theirs, site.nodes.boot)]


async def _clock(site: Site, name: str, clock: clocks.Clock) -> Iterable[Line]:
    ahead = await clock_skew(site.nodes.client(name).host, clock)
    return [clocks.skew(Subject(catalogue.CLOCK, name), ahead)]


async def _zsr(site: Site, node: Node) -> Iterable[Line]:
    printed = None
    if node.zsr:
        done = await run(site, node.name, ["sh", "-c", "zsr --version"])
        printed = done.stdout if done.ok else None
    return [contact.zsr(node, printed, __version__)]


async def _way_back(site: Site, node: Node) -> Iterable[Line]:
    """Let the OpenSSH client there log in here, with the keys that the settings there name; it writes nothing."""
    here = site.cluster.nodes[site.here]
    if (line := contact.no_way_back(node, here)) is not None:
        return [line]
    printed = await run(site, node.name, ["sh", "-c", _SSH_SECTION, "sh", str(site.settings.path)])
    wanted = ssh_section(printed.stdout, site.command_limit / 2)
    known = () if wanted.known_hosts is None else (wanted.known_hosts,)
    argv = openssh_argv(here, wanted, known, "true", elsewhere=True)
    done = await run(site, node.name, ["sh", "-c", f"exec {shlex.join(argv)} </dev/null"])
    jobs = (job for job in site.cluster.jobs_of(node.name) if job.target == site.here)
    return [
        contact.way_back(node, here, replicates_here=any(jobs), status=done.status, stderr=done.stderr),
    ]


def ssh_section(printed: str, limit: float) -> SshSettings:
    """Read the section ``[ssh]`` of another node's settings; what cannot be read is left at its default."""
    try:
        found = tomli.loads(printed).get("ssh")
    except tomli.TOMLDecodeError:
        found = None
    section = found if isinstance(found, dict) else {}
    key, known = section.get("key"), section.get("known_hosts")
    keys = key if isinstance(key, list) else [key]
    return SshSettings(
        known_hosts=known if isinstance(known, str) else None,
        keys=tuple(each for each in keys if isinstance(each, str)),
        agent=section.get("agent") is not False,
        connect_timeout=limit,
    )


async def _cluster_file(site: Site, node: Node) -> Iterable[Line]:
    subject = Subject(catalogue.CLUSTER_FILE, node.name)
    cluster = site.settings.cluster
    if not node.zsr or cluster.store != "file":
        return [subject.off("It needs no copy of the cluster file.")]
    text = cluster.path.read_bytes().decode()
    ours, history = FileText(digest_of(text), text), versions(read_history(cluster.path))
    other = await read_other(site.nodes.client(node.name).host, cluster.path)
    theirs = versions(other.history.text if other.history else "")
    return [cluster_state.cluster_file(subject, standing(ours, other.copy, history, theirs))]
