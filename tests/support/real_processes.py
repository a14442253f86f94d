"""States that processes bring about: daemons, sshd, a lock, a clock, Prometheus and what stands before it."""

from __future__ import annotations

import shutil
import signal
import socket
from pathlib import Path

from replicator.state.guest_locks import guest_lock
from tests.monitoring.states import (
    m01_daemon_dead,
    m02_event_loop_hung,
    m03_event_loop_late,
    m06_guest_locked,
    m09_exporter_cannot_listen,
    m10_exporter_off,
    m13_no_node_scraped,
    m46_target_unreachable,
    m50_own_zfs_unreadable,
    m64_clock_ahead,
    m65_clock_behind,
    m66_last_sync_in_future,
    x_node_cloned,
    x_node_name_copied,
    x_target_is_source,
)
from tests.support.real_node import BOOT_ID
from tests.support.real_site import JOB, RealSite
from tests.support.real_states import HOUR, Making, RealState, late, well_again


def daemon_stopped(site: RealSite) -> Making:
    site.alpha.stop()
    yield
    site.alpha.start()


def daemon_hangs(site: RealSite) -> Making:
    site.alpha.signal(signal.SIGSTOP)
    yield
    site.alpha.signal(signal.SIGCONT)


def daemon_late(site: RealSite) -> Making:
    for _ in range(4):
        site.alpha.signal(signal.SIGSTOP)
        site.let(4)
        site.alpha.signal(signal.SIGCONT)
        site.let(1.5)
    yield


def guest_locked(site: RealSite) -> Making:
    with guest_lock(site.alpha.state_dir / "locks", 100):
        site.edit(JOB, f'{JOB}rpo = "2d"\n')
        site.alpha.set_clock(2 * HOUR)
        site.let(5)
        yield
    site.alpha.set_clock(0)
    site.write_cluster()


def port_taken(site: RealSite) -> Making:
    site.alpha.stop()
    host, _, port = site.alpha.listen.rpartition(":")
    with socket.create_server((host, int(port))):
        site.alpha.start()
        yield
    site.alpha.restart()


def exporter_off(site: RealSite) -> Making:
    before = site.alpha.settings.read_text()
    site.alpha.settings.write_text(before.replace("[exporter]\n", "[exporter]\nenabled = false\n"))
    site.alpha.restart()
    site.scrape_from("beta")
    yield
    site.alpha.settings.write_text(before)
    site.alpha.restart()
    site.scrape_from("alpha", "beta")


def unreachable(site: RealSite) -> Making:
    with late(site):
        site.beta.stop_ssh()
    site.failed()
    yield
    site.beta.start_ssh()
    well_again(site)


def nothing_scraped(site: RealSite) -> Making:
    site.scrape_from()
    yield
    site.scrape_from("alpha", "beta")


def zfs_module_missing(site: RealSite) -> Making:
    program, place = site.beta.folder / "broken", _zfs(site)
    program.write_text("#!/bin/sh\necho 'The ZFS modules are not loaded.' >&2\nexit 1\n")
    program.chmod(0o755)
    site.beta.cover(place, program)
    yield
    site.beta.uncover(place)


def _zfs(site: RealSite) -> Path:
    del site
    found = shutil.which("zfs", path="/usr/local/sbin:/usr/sbin:/sbin:/usr/bin")
    assert found is not None
    return Path(found).resolve()


def clock_ahead(site: RealSite) -> Making:
    site.alpha.set_clock(120)
    yield
    site.alpha.set_clock(0)


def clock_behind(site: RealSite) -> Making:
    site.alpha.set_clock(-120)
    yield
    site.alpha.set_clock(0)


def last_sync_in_the_future(site: RealSite) -> Making:
    site.set_clocks(4 * 365 * 24 * HOUR)
    site.run()
    site.zfs("set", "readonly=off", site.replica())
    site.set_clocks(0)
    site.failed()
    yield


def address_of_the_source(site: RealSite) -> Making:
    site.beta.cover(BOOT_ID, site.alpha.folder / "boot_id")
    yield


def cloned(site: RealSite) -> Making:
    clone = site.add_node("clone", node="alpha")
    site.write_cluster(nodes=["clone"])
    clone.start()
    site.scrape_from("alpha", "beta", "clone")
    yield


def name_copied(site: RealSite) -> Making:
    gamma = site.add_node("gamma", node="alpha")
    site.write_cluster(nodes=["gamma"])
    gamma.start()
    site.scrape_from("alpha", "beta", "gamma")
    yield


PROCESSES = (
    RealState(m01_daemon_dead.STATE, daemon_stopped),
    RealState(m02_event_loop_hung.STATE, daemon_hangs),
    RealState(m03_event_loop_late.STATE, daemon_late),
    RealState(m06_guest_locked.STATE, guest_locked, spoils=True),
    RealState(m09_exporter_cannot_listen.STATE, port_taken),
    RealState(m10_exporter_off.STATE, exporter_off),
    RealState(m13_no_node_scraped.STATE, nothing_scraped),
    RealState(m46_target_unreachable.STATE, unreachable),
    RealState(m50_own_zfs_unreadable.STATE, zfs_module_missing),
    RealState(m64_clock_ahead.STATE, clock_ahead),
    RealState(m65_clock_behind.STATE, clock_behind),
    RealState(m66_last_sync_in_future.STATE, last_sync_in_the_future, spoils=True),
    RealState(x_target_is_source.STATE, address_of_the_source, spoils=True),
    RealState(x_node_cloned.STATE, cloned, spoils=True),
    RealState(x_node_name_copied.STATE, name_copied, spoils=True),
)
