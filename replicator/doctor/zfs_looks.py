"""Looks at the ZFS of any node, this one or another: version, pools, storages, rights, and the clock's keeper."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable, Sequence

from replicator.api.doctor import Line, Subject
from replicator.api.held import PoolRole
from replicator.daemon.pool_usage import storage_roles
from replicator.doctor import catalogue, clocks, zfs_state
from replicator.doctor.rooms import rooms, storages_between
from replicator.doctor.site import Check, Site
from replicator.errors import ZsrError
from replicator.hosts.host import Completed
from replicator.zfs import commands, errors
from replicator.zfs.dataset_names import LEVELS
from replicator.zfs.model import Inventory, pool_of

_UNSYNCHRONIZED = 5
"""What adjtimex(2) returns while nothing keeps the kernel's clock right."""


def zfs_checks(site: Site, node: str) -> list[Check]:
    """Return the checks of a node that are the same for this one and for another."""
    return [
        Check((catalogue.RIGHTS,), node, lambda: _rights(site, node)),
        Check((catalogue.ZFS,), node, lambda: _version(site, node)),
        Check((catalogue.POOLS,), node, lambda: _pools(site, node)),
        Check((catalogue.STORAGES,), node, lambda: _storages(site, node)),
    ]


async def run(site: Site, node: str, argv: Sequence[str]) -> Completed:
    """Run a command on a node."""
    return await site.nodes.client(node).host.run(argv, limit=site.command_limit)


async def _read(site: Site, node: str, argv: Sequence[str], doing: str) -> str:
    """Return what a command of ZFS prints; raises a classified error if it fails."""
    done = await run(site, node, argv)
    if not done.ok:
        raise errors.classify(doing, done.stderr, node=node)
    return done.stdout


def _worked_with(site: Site, node: str) -> dict[str, tuple[str, PoolRole]]:
    """Return path and role of the storages with work on a node, by name."""
    roles = storage_roles(site.cluster, node)
    return {name: (site.cluster.storages[name].path_on(node), role) for name, role in roles.items()}


async def _version(site: Site, node: str) -> Iterable[Line]:
    subject = Subject(catalogue.ZFS, node)
    try:
        features = await site.nodes.client(node).features()
    except ZsrError as error:
        return [subject.failed(error)]
    printed = await run(site, node, commands.version())
    return zfs_state.version(subject, printed.stdout, features)


async def _pools(site: Site, node: str) -> Iterable[Line]:
    wanted = {pool_of(path) for path, _ in _worked_with(site, node).values()}
    printed = await _read(site, node, commands.pool_health(), "list the pools")
    return zfs_state.pools(Subject(catalogue.POOLS, node), wanted, zfs_state.pools_of(printed))


async def _storages(site: Site, node: str) -> Iterable[Line]:
    wanted = {name: path for name, (path, _) in _worked_with(site, node).items()}
    kinds: dict[str, str] = {}
    if wanted:
        done = await run(site, node, commands.kinds(sorted(set(wanted.values()))))
        if not done.ok and errors.absent_names(done.stderr) is None:
            raise errors.classify("list the storages", done.stderr, node=node)
        rows = (line.split("\t") for line in done.stdout.splitlines())
        kinds = {row[0]: row[1] for row in rows if len(row) == 2}
    return zfs_state.storages(Subject(catalogue.STORAGES, node), wanted, kinds)


async def _rights(site: Site, node: str) -> Iterable[Line]:
    subject = Subject(catalogue.RIGHTS, node)
    user = zfs_state.user_of((await run(site, node, ["sh", "-c", "id -u; id -un; id -Gn"])).stdout)
    asked = {}
    if user is not None and user.uid != 0:
        needs = {PoolRole.SOURCE: zfs_state.SENDS, PoolRole.TARGET: zfs_state.RECEIVES}
        for path, role in _worked_with(site, node).values():
            printed = await _read(site, node, ["zfs", "allow", path], f"read the rights on '{path}'")
            asked[path] = (needs.get(role, zfs_state.SENDS | zfs_state.RECEIVES), printed)
    return zfs_state.rights(subject, user, asked)


async def features(site: Site, node: str) -> Iterable[Line]:
    """Look at the features of the pools between this node and another."""
    between = storages_between(site.cluster, site.here, node).values()
    pairs = [(pool_of(ours), pool_of(theirs)) for ours, theirs in between]
    ours = {pool: await _features_of(site, site.here, pool) for pool in {pair[0] for pair in pairs}}
    theirs = {pool: await _features_of(site, node, pool) for pool in {pair[1] for pair in pairs}}
    return zfs_state.features(Subject(catalogue.FEATURES, node), pairs, ours, theirs)


async def _features_of(site: Site, node: str, pool: str) -> dict[str, str]:
    printed = await _read(site, node, commands.pool_properties(pool), f"read the features of pool '{pool}'")
    return zfs_state.pool_features(printed)


async def space(site: Site, node: str) -> Iterable[Line]:
    """Look at the room for first copies on a target."""
    between = storages_between(site.cluster, site.here, node).values()
    if not between:
        return zfs_state.space(Subject(catalogue.SPACE, node), ())
    ours = await _datasets(site, site.here, {path for path, _ in between})
    theirs = await _datasets(site, node, {path for _, path in between})
    free = await site.nodes.client(node).space(sorted({path for _, path in between}))
    found = rooms(site.cluster, site.here, node, ours, theirs, {path: each[1] for path, each in free.items()})
    return zfs_state.space(Subject(catalogue.SPACE, node), found)


async def _datasets(site: Site, node: str, paths: Iterable[str]) -> Inventory:
    client, found = site.nodes.client(node), Inventory()
    for path in sorted(paths):
        some = await client.inventory(path, depth=LEVELS, snapshots=False)
        found = Inventory({**found.datasets, **some.datasets})
    return found


async def time_sync(site: Site, node: str) -> Iterable[Line]:
    """Look at what keeps the clock of a node right: here the kernel knows, elsewhere systemd has to be asked."""
    subject = Subject(catalogue.TIME_SYNC, node)
    if node == site.here:
        return [clocks.synchronized(subject, is_kept=_kernel_is_synchronized())]
    done = await run(site, node, ["timedatectl", "show", "--property=NTPSynchronized"])
    return [clocks.synchronized(subject, is_kept=clocks.is_kept(done.stdout))]


def _kernel_is_synchronized() -> bool | None:
    """Ask adjtimex(2), which changes nothing when all of its argument is zero; None where there is no such call."""
    try:
        state = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.create_string_buffer(512))
    except (OSError, AttributeError):
        return None
    return None if state < 0 else state != _UNSYNCHRONIZED
