"""The names of the core's checks, in the order in which they are shown (docs/doctor.md has a row for each). Pure."""

from __future__ import annotations

SETTINGS = "settings"
RIGHTS = "rights"
DAEMON = "daemon"
RELOAD = "reload"
UNIT = "unit"
STATE = "state"
DISK = "disk"
TIME_SYNC = "time-sync"
ZFS = "zfs"
POOLS = "pools"
STORAGES = "storages"
HOOKS = "hooks"
NAMES = "names"
OVERLAP = "overlap"
PROMISES = "promises"
COPIES = "copies"
COVERAGE = "coverage"
CLUSTER_FILE = "cluster-file"

CONNECTION = "connection"
HOST_KEY = "host-key"
LOGIN = "login"
SHELL = "shell"
WAY_BACK = "way-back"
MACHINE = "machine"
ZSR = "zsr"
CLOCK = "clock"
SPACE = "space"
FEATURES = "features"

OF_HERE = (
    SETTINGS, RIGHTS, DAEMON, RELOAD, UNIT, STATE, DISK, TIME_SYNC, ZFS, POOLS, STORAGES, HOOKS, NAMES, OVERLAP,
    PROMISES, COPIES, COVERAGE, CLUSTER_FILE,
)  # fmt: skip
"""The checks of this node."""

WITHOUT_CLUSTER = (SETTINGS, DAEMON, RELOAD, UNIT, STATE, DISK, TIME_SYNC)
"""Those of them that need no cluster file."""

CONTACT = (CONNECTION, HOST_KEY, LOGIN)
"""The checks of another node by which it is known whether it can be asked at all."""

ASKED = (
    SHELL, WAY_BACK, MACHINE, ZSR, CLUSTER_FILE, RIGHTS, ZFS, CLOCK, TIME_SYNC, POOLS, STORAGES, SPACE, FEATURES,
)  # fmt: skip
"""The checks of another node that ask it."""

EVERY = tuple(dict.fromkeys((*OF_HERE, *CONTACT, *ASKED)))
"""All of the core's checks."""
