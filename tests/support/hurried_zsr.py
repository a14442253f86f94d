"""``zsr`` whose background looks come after a second instead of minutes, with a clock that a file sets ahead or back.

Nothing else differs: ``python -m tests.support.hurried_zsr ARGUMENTS`` is ``zsr ARGUMENTS``. The environment variable
`CLOCK` names a file with the seconds by which this node's clock is ahead; `PVE` a folder in the place of ``/etc/pve``;
`VERSION` is the version that it says it has.
"""

from __future__ import annotations

import importlib
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path

CLOCK, PVE, VERSION = "ZSR_TEST_CLOCK", "ZSR_TEST_PVE", "ZSR_TEST_VERSION"

HURRIED: Mapping[str, object] = {
    "replicator.daemon.daemon.LOOK_AGAIN_SECONDS": 0.2,
    "replicator.daemon.frozen_guests.RETRY_SECONDS": 1.0,
    "replicator.daemon.node_monitor.CLOCK_CHECK_INTERVAL_SECONDS": 1.5,
    "replicator.daemon.node_monitor.INVENTORY_INTERVAL_SECONDS": 2.0,
    "replicator.daemon.peer_views.COMPARE_SECONDS": 1.0,
    "replicator.daemon.peer_views.REWRITE_SECONDS": 1.0,
    "replicator.daemon.peer_views.STEP_SECONDS": 0.5,
    "replicator.daemon.plugin_host.PLUGIN_RESTART_SECONDS": 0.5,
    "replicator.daemon.pvesr_watch.INTERVAL_SECONDS": 1.0,
    "replicator.daemon.run_supervisor.POSTPONE_SECONDS": 0.1,
    "replicator.daemon.target_looks.LOOK_INTERVAL_SECONDS": 1.0,
    "replicator.daemon.target_probes.PROBE_INTERVAL_SECONDS": 1.0,
    "replicator.schedule.scheduler._BACKOFF_SECONDS": (0.5, 0.5, 60.0),
    "replicator.zfs.node_clients.CLOCK_VALID_SECONDS": 1.0,
    "alerts.delivery.daily_check.FIRST_AFTER_SECONDS": 1.0,
    "alerts.delivery.daily_check.AGAIN_AFTER_SECONDS": 1.0,
    "alerts.delivery.daily_check.RETRY_SECONDS": 0.5,
    "alerts.delivery.target_worker.GROUP_WAIT_SECONDS": 0.5,
    "alerts.delivery.outbox.BACKOFF_SECONDS": (0.5,),
}
"""Constants by their full name, and what they are here; a name that is gone fails the start."""


def hurry() -> None:
    """Replace the constants; a name that does not exist raises AttributeError."""
    for name, value in HURRIED.items():
        module, _, constant = name.rpartition(".")
        found = importlib.import_module(module)
        getattr(found, constant)
        setattr(found, constant, value)


def set_clock(file: Path) -> None:
    """Let `time.time` be ahead by the seconds in a file, also when these change."""
    real: Callable[[], float] = time.time
    setattr(time, "time", lambda: real() + float(file.read_text()))  # noqa: B010 - mypy knows it as a function


def main() -> None:
    """Run ``zsr`` so."""
    if CLOCK in os.environ:
        set_clock(Path(os.environ[CLOCK]))  # before any module takes over `time.time` as a default
    if VERSION in os.environ:
        importlib.import_module("replicator").__version__ = os.environ[VERSION]  # type: ignore[attr-defined]
    command = importlib.import_module("replicator.cli.main").main
    hurry()
    if PVE in os.environ:
        importlib.import_module("replicator.config.settings").PROXMOX_CONFIG = Path(os.environ[PVE])  # type: ignore[attr-defined]
    command()


if __name__ == "__main__":
    main()
