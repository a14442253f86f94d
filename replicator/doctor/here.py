"""Looks at this node: daemon, unit, state.db, disks, commands of guests, and what its guests' jobs leave out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from replicator.api.doctor import Line, Subject
from replicator.cluster.checks import refused_hooks
from replicator.cluster.file_copies import others_of
from replicator.common.files import writable_by_others
from replicator.config.settings import Settings
from replicator.daemon.control import NoDaemonError, call
from replicator.daemon.local_inventory import take_inventory
from replicator.doctor import catalogue, clocks, cluster_state, service
from replicator.doctor.programs import path_of, programs_of
from replicator.doctor.site import Check, Site, in_own_thread
from replicator.doctor.zfs_looks import time_sync, zfs_checks
from replicator.errors import ZsrError
from replicator.hosts.host import Host
from replicator.hosts.local import LocalHost
from replicator.models import Guest, GuestId
from replicator.state.database import Database

_UNIT = ["systemctl", "show", "zsr.service", "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload,Result"]


def checks_without_cluster(settings: Settings, command_limit: float) -> list[Check]:
    """Return the checks of this node that need no cluster file."""
    node, host = settings.node, LocalHost(settings.node)
    folders = list(dict.fromkeys((settings.state_dir, settings.cluster.path.parent)))
    return [
        Check((catalogue.DAEMON, catalogue.RELOAD), node, lambda: _daemon(settings)),
        Check((catalogue.UNIT,), node, lambda: _unit(host, command_limit)),
        Check((catalogue.STATE,), node, lambda: _state(settings)),
        Check((catalogue.DISK,), node, lambda: _disks(node, folders)),
    ]


def checks(site: Site, clock: clocks.Clock) -> list[Check]:
    """Return the checks of this node that need the cluster."""
    node, cluster = site.here, site.cluster

    async def judge(lines: Iterable[Line]) -> Iterable[Line]:
        return lines

    return [
        *zfs_checks(site, node),
        Check((catalogue.TIME_SYNC,), node, lambda: time_sync(site, node)),
        Check((catalogue.HOOKS,), node, lambda: _hooks(site)),
        Check((catalogue.NAMES,), node, lambda: judge(cluster_state.names(cluster, node))),
        Check((catalogue.OVERLAP,), node, lambda: judge(cluster_state.overlap(cluster, node))),
        Check((catalogue.PROMISES,), node, lambda: judge(cluster_state.promises(cluster, node, clock()))),
        Check((catalogue.COPIES,), node, lambda: judge(cluster_state.copies(cluster, node))),
        Check((catalogue.COVERAGE,), node, lambda: _coverage(site)),
        Check((catalogue.CLUSTER_FILE,), node, lambda: judge([_other_copies(site)])),
    ]


def _other_copies(site: Site) -> Line:
    if site.settings.cluster.store != "file":
        return Subject(catalogue.CLUSTER_FILE, site.here).ok("All nodes share it.")
    return cluster_state.no_other_copy(site.here, others_of(site.cluster, site.here))


async def _daemon(settings: Settings) -> Iterable[Line]:
    status: Mapping[str, Any] | None
    try:
        answer = await call(settings.control, {"verb": "status"})
        status = answer if isinstance(answer, dict) else None
    except NoDaemonError:
        status = None
    return [*service.daemon(settings.node, status), *service.reload(settings.node, status)]


async def _unit(host: Host, limit: float) -> Iterable[Line]:
    if not _has_systemd():
        return service.unit(host.name, None)
    done = await host.run(_UNIT, limit=limit)
    return service.unit(host.name, service.unit_properties(done.stdout))


def _has_systemd() -> bool:
    return shutil.which("systemctl") is not None and Path("/run/systemd/system").is_dir()


async def _state(settings: Settings) -> Iterable[Line]:
    return [service.state(settings.node, await in_own_thread(lambda: state_file(settings.state_dir / "state.db")))]


def state_file(path: Path) -> service.StateFile:
    """Read state.db to its end, without writing anything."""
    try:
        if not path.exists():
            return service.StateFile(str(path), exists=False, may_read=os.access(_existing(path.parent), os.X_OK))
    except PermissionError:
        return service.StateFile(str(path), may_read=False)
    if not os.access(path, os.R_OK):
        return service.StateFile(str(path), may_read=False)
    try:
        with closing(Database.read(path)) as database:
            return service.StateFile(str(path), damage=database.damage())
    except ZsrError as error:
        return service.StateFile(str(path), error=error)


async def _disks(node: str, folders: Iterable[Path]) -> Iterable[Line]:
    return service.disks(node, await in_own_thread(lambda: [disk_of(folder) for folder in folders]))


def disk_of(folder: Path) -> service.Disk:
    """Return the file system that a folder is on, or will be."""
    try:
        found = os.statvfs(_existing(folder))
    except OSError as error:
        return service.Disk(str(folder), error=error.strerror or str(error))
    return service.Disk(
        str(folder),
        total=found.f_blocks * found.f_frsize,
        free=found.f_bavail * found.f_frsize,
        inodes_free=found.f_favail if found.f_files else None,
        read_only=bool(found.f_flag & os.ST_RDONLY),
    )


def _existing(folder: Path) -> Path:
    return next(each for each in (folder, *folder.parents) if each.exists())


async def _hooks(site: Site) -> Iterable[Line]:
    own = [guest for guest in site.cluster.guests.values() if guest.node == site.here]
    programs = await in_own_thread(lambda: [program for guest in own for program in hook_programs(guest)])
    return service.hooks(site.here, programs, refused_hooks(site.cluster))


def hook_programs(guest: Guest) -> Iterator[service.HookProgram]:
    """Yield the programs with which a guest's commands begin."""
    return (_program(guest.id, name, word) for name, word in programs_of(guest))


def _program(guest: GuestId, name: str, word: str) -> service.HookProgram:
    found = word if "/" in word else path_of(word)
    if found is None or not Path(found).exists():
        return service.HookProgram(guest, name, word, None)
    return service.HookProgram(guest, name, word, found, os.access(found, os.X_OK), writable_by_others(Path(found)))


async def _coverage(site: Site) -> Iterable[Line]:
    found = await take_inventory(site.cluster, (), site.nodes.client(site.here))
    lines = cluster_state.coverage(site.here, site.cluster, found.coverage, found.unknown or ())
    subject = Subject(catalogue.COVERAGE, site.here)
    if not found.problems:
        return lines
    return [*(subject.unknown(problem) for problem in found.problems), *(each for each in lines if each.advice)]
