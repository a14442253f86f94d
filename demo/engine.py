"""The real ZFS of this machine: the kernel's where /dev/zfs is, otherwise Debian's zfs-fuse, started and ended here.

zfs-fuse listens on one socket for the whole machine, so all sandboxes share one. One that another program started is
used and left running; ours is ended by the last sandbox that leaves. No two sandboxes mount at the same moment: then
zfs-fuse mixes the two mounts up and serves no file system any more.
"""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from demo.processes import Process
from demo.records import RUN_DIRECTORY, Records
from replicator.common.files import lock_file

COMMAND_TIMEOUT = 60.0
"""Seconds after which a zfs or zpool command counts as hung."""

_KERNEL_ZFS = Path("/dev/zfs")
_FUSE = Path("/dev/fuse")
_START_TIMEOUT = 20.0
_PATIENT_TRIES = 4
_ZFS_FUSE_FOLDERS = (Path("/var/lock"), Path("/var/run"))


class SandboxError(Exception):
    """A command of the sandbox failed, or no real ZFS can be had; the message says which and why."""


_MOUNTING = frozenset({"create", "import", "mount", "set", "rename", "clone", "promote", "rollback", "receive"})
"""The subcommands of zpool and zfs that may mount a filesystem."""

_BUSY_PAUSES = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""Seconds between the tries of a destroy: zfs-fuse calls a dataset busy for a moment after it was looked at."""


def run(*argv: str, stdin: bytes | None = None) -> str:
    """Run a command to its end and return its standard output; raises SandboxError with its words when it fails."""
    if "destroy" in argv:
        for pause in _BUSY_PAUSES:
            try:
                return _run_once(argv, stdin)
            except SandboxError as error:
                if "busy" not in str(error):
                    raise
            time.sleep(pause)
    with _alone(argv):
        return _run_once(argv, stdin)


@contextmanager
def _alone(argv: Sequence[str]) -> Iterator[None]:
    """Hold the machine's lock for mounts in zfs-fuse while the command runs, if it may mount something."""
    if _KERNEL_ZFS.exists() or not _MOUNTING.intersection(argv[1:2]):
        yield
        return
    RUN_DIRECTORY.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = lock_file(RUN_DIRECTORY / "mounting", timeout_seconds=math.inf)
    try:
        yield
    finally:
        os.close(descriptor)


def _run_once(argv: tuple[str, ...], stdin: bytes | None) -> str:
    try:
        done = subprocess.run(
            argv,
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            timeout=COMMAND_TIMEOUT,
            check=False,
            env={**os.environ, "LC_ALL": "C"},
        )
    except subprocess.TimeoutExpired as error:
        raise SandboxError(f"'{' '.join(argv)}' did not end within {COMMAND_TIMEOUT:.0f} s") from error
    except FileNotFoundError as error:
        raise SandboxError(f"there is no command '{argv[0]}' on this machine") from error
    if done.returncode != 0:
        words = done.stderr.decode(errors="replace").strip()
        raise SandboxError(f"'{' '.join(argv)}' failed with status {done.returncode}: {words}")
    return done.stdout.decode()


def run_patiently(*argv: str, patience: float = 20.0) -> str:
    """Run a command, again while it says "busy": zfs-fuse lets go of an unmounted filesystem a moment later."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return run(*argv)
        except SandboxError as error:
            if "is busy" not in str(error) or time.monotonic() > deadline:
                raise
        time.sleep(0.05)


def why_no_zfs() -> str | None:
    """The reason why no real ZFS can be had here, with what to do about it; None when one can."""
    if os.geteuid() != 0:
        return "a real ZFS needs root (pools are created and mounted)"
    if _KERNEL_ZFS.exists():
        return None if shutil.which("zpool") else "/dev/zfs is there but no 'zpool': apt-get install zfsutils-linux"
    if not shutil.which("zfs-fuse"):
        return "there is neither /dev/zfs nor zfs-fuse: apt-get install zfs-fuse"
    if not _FUSE.exists():
        return "zfs-fuse needs /dev/fuse: modprobe fuse (in a container: hand the device in)"
    return None


def answers() -> bool:
    """Whether a ZFS answers now."""
    try:
        run("zpool", "list", "-H")
    except SandboxError:
        return False
    return True


def pool_names() -> frozenset[str]:
    """The pools that are imported now; raises SandboxError when no ZFS answers."""
    return frozenset(run("zpool", "list", "-H", "-o", "name").split())


def start(records: Records) -> None:
    """Make sure that a ZFS answers. To be called under the lock of ``records``; raises SandboxError."""
    reason = why_no_zfs()
    if reason is not None:
        raise SandboxError(reason)
    if answers():
        return
    if _KERNEL_ZFS.exists():
        run("zpool", "list", "-H")  # fails again, this time with its words
        return
    stale = records.engine()
    if stale is not None:
        if stale.alive() and records.all() and _answers_later():
            return
        stale.end()  # it runs and does not answer: a daemon in that state never does again
    for folder in _ZFS_FUSE_FOLDERS:  # links into /run, which may be bare in a container; zfs-fuse makes no parents
        folder.resolve().mkdir(parents=True, exist_ok=True)
    log = records.directory / "zfs-fuse.log"
    child = Process.of(_spawn_zfs_fuse(log))
    records.write_engine(child)
    deadline = time.monotonic() + _START_TIMEOUT
    while not answers():
        if not child.alive() or time.monotonic() > deadline:
            child.end()
            records.write_engine(None)
            words = log.read_text(errors="replace").strip() or "it said nothing; see the system's log (journalctl)"
            raise SandboxError(f"zfs-fuse did not start: {words}")
        time.sleep(0.02)


def _answers_later() -> bool:
    """Whether a ZFS that others use, and that did not answer, does so with patience: the machine may be very busy."""
    return any(answers() for _ in range(_PATIENT_TRIES))


def _spawn_zfs_fuse(log: Path) -> int:
    """Start the daemon in a session of its own (Ctrl-C is for the one in front, not for the file system below it).

    It serves all sandboxes, so it does not inherit a low priority from the one that starts it.
    """
    append = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    return os.posix_spawnp(
        "nice",
        ["nice", "-n", str(-os.nice(0)), "zfs-fuse", "-n", "--no-kstat-mount"],
        os.environ,
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(log), append, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsid=True,
    )


def stop(records: Records) -> None:
    """End the zfs-fuse that sandboxes started, unless there is a pool in it. To be called under the lock."""
    engine = records.engine()
    if engine is None:
        return
    if answers() and pool_names():
        return
    engine.end()
    records.write_engine(None)
