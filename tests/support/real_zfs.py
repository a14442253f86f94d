"""States that ``zfs`` brings about: volumes, replicas and snapshots that are changed, and pools that fill."""

from __future__ import annotations

from tests.monitoring.states import (
    m31_disk_not_listed,
    m32_disk_on_other_storage,
    m33_storage_without_source,
    m37_replica_destroyed,
    m55_source_snapshots_pile_up,
    x_guest_unknown,
)
from tests.support.real_files import GUEST, STORAGE
from tests.support.real_site import VOLUME, RealSite
from tests.support.real_states import Making, RealState

OTHER = "subvol-100-disk-1"


def _look(site: RealSite) -> None:
    """Let both nodes look at their ZFS once more."""
    for node in ("alpha", "beta"):
        before = site.now()
        site.until(
            lambda node=node, before=before: (  # type: ignore[misc]
                (site.value("zsr_last_inventory_timestamp_seconds", node, node=node) or 0) > before
            ),
            "a look",
        )


def new_disk_not_listed(site: RealSite) -> Making:
    site.edit(GUEST, f'{GUEST}volumes = ["local-zfs:{VOLUME}"]\n')
    site.zfs("create", site.source(OTHER))
    yield
    site.zfs("destroy", site.source(OTHER))
    site.write_cluster()


def _other_storage(site: RealSite, name: str, more: str, guest: str = GUEST) -> Making:
    path = f"{site.pools['alpha']}/{name}"
    site.zfs("create", path)
    site.zfs("create", f"{path}/{OTHER}")
    site.edit(GUEST, guest)
    site.edit(STORAGE, f'[storages.{name}]\npath = "{path}"\n{more}{STORAGE}')
    yield
    site.write_cluster()
    site.zfs("destroy", "-r", path)


def disk_on_a_storage_that_is_not_named(site: RealSite) -> Making:
    return _other_storage(site, "fast", "", f'{GUEST}storages = ["local-zfs"]\n')


def storage_without_the_source(site: RealSite) -> Making:
    return _other_storage(site, "slow", 'nodes = ["beta"]\n')


def unknown_guest(site: RealSite) -> Making:
    _look(site)
    site.let(3)
    site.zfs("create", site.source("subvol-250-disk-0"))
    yield
    site.zfs("destroy", site.source("subvol-250-disk-0"))


def replica_destroyed(site: RealSite) -> Making:
    site.run()
    site.let(12)  # the rule compares with what was known ten minutes ago
    site.zfs("destroy", "-r", site.replica())
    yield


def snapshots_held(site: RealSite) -> Making:
    made = [f"{site.source()}@__replicate_100-0_{1_500_000_000 + number}__" for number in range(40)]
    for snapshot in made:
        site.zfs("snapshot", snapshot)
        site.zfs("hold", "mine", snapshot)
    yield
    for snapshot in made:
        site.zfs("release", "mine", snapshot)
        site.zfs("destroy", snapshot)


ZFS = (
    RealState(m31_disk_not_listed.STATE, new_disk_not_listed),
    RealState(m32_disk_on_other_storage.STATE, disk_on_a_storage_that_is_not_named),
    RealState(m33_storage_without_source.STATE, storage_without_the_source),
    RealState(m37_replica_destroyed.STATE, replica_destroyed, spoils=True),
    RealState(m55_source_snapshots_pile_up.STATE, snapshots_held),
    RealState(x_guest_unknown.STATE, unknown_guest),
)
