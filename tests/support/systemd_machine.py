"""A real systemd as PID 1 of namespaces of its own, over the host's /usr: for tests of the shipped unit.

Nothing is installed. /usr is read-only there and all else is in memory, so nothing of the host can be changed. systemd
finds only the units that a test gives it, which is why it starts in a fraction of a second. With the tree of another
Debian it is that one's systemd, and what is changed in the tree is in memory too.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

UNITS = "/etc/systemd/system"
"""The only folder in which the machine's systemd looks for units."""

START_SECONDS = 30.0
STEP_SECONDS = 0.02

_TARGETS = ("sysinit", "basic", "shutdown", "multi-user", "network-online", "zsr-test")
_PROGRAMS = (Path("/usr/lib/systemd/systemd"), Path("/lib/systemd/systemd"))
_NAMESPACES = ("--mount", "--ipc", "--uts", "--net", "--pid", "--cgroup")

_GROUP = """\
set -e
mount -t tmpfs -o mode=755 machine "$1"
mkdir "$1/cgroup" && mount -t cgroup2 none "$1/cgroup"
group=$1/cgroup$(sed -n s/^0:://p /proc/self/cgroup)/$3
mkdir "$group" && echo 0 >"$group/cgroup.procs"
exec unshare --cgroup sh -c "$2" sh "$@"
"""
"""Moves PID 1 into a cgroup of its own, which becomes the root of the machine's cgroups."""

_BOOT = """\
set -e
root=$1 program=$4 tree=$5
shift 5
umount "$root/cgroup" && rmdir "$root/cgroup"
cd "$root"
share() { mkdir -p "./$1"; mount --rbind "$1" "./$1"; mount -o remount,bind,ro "./$1"; }
if [ -z "$tree" ]; then
    mkdir usr etc etc/systemd run var var/lib tmp root proc sys dev
    for each in bin sbin lib lib64; do ln -s "usr/$each" "$each"; done
    share /usr
    [ ! -d /etc/alternatives ] || share /etc/alternatives
    cp /etc/passwd /etc/group /etc/nsswitch.conf /etc/ld.so.cache etc/
    only=UNITS
else
    mkdir upper work new
    mount -t overlay machine -o "lowerdir=$tree,upperdir=$root/upper,workdir=$root/work" new
    cd new
    rm -rf usr/lib/systemd/system/*.wants etc/systemd/system/*.wants
    only=UNITS:/usr/lib/systemd/system
fi
for each in "$@"; do share "$each"; done
mount -t proc proc proc
mount --bind proc/sys proc/sys && mount -o remount,bind,ro proc/sys
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 none sys/fs/cgroup
mount -t tmpfs -o mode=755 dev dev
for each in null zero full random urandom; do touch "dev/$each"; mount --bind "/dev/$each" "dev/$each"; done
mkdir old && pivot_root . old && umount -l /old && rmdir /old
mount --make-rshared /  # as a booting systemd does, but not in a container; the folder of credentials depends on it
hostname machine
mkdir -p UNITS
for each in TARGETS; do printf '[Unit]\\nDefaultDependencies=no\\n' >"UNITS/$each.target"; done
exec env -i container=zsr-test PATH=/usr/sbin:/usr/bin "SYSTEMD_UNIT_PATH=$only" SYSTEMD_GENERATOR_PATH=/none \\
    "$program" --system --unit=zsr-test.target --log-target=console --show-status=no
""".replace("UNITS", UNITS).replace("TARGETS", " ".join(_TARGETS))

_TIDY = """\
mount -t cgroup2 none "$1" || exit
group=$1$(sed -n s/^0:://p /proc/self/cgroup)/$2
n=0
while [ -d "$group" ] && [ $n -lt 100 ]; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.05
    n=$((n+1))
done
"""
"""Removes the cgroups; a process that was killed is in its own for a moment."""


class NoSystemdError(Exception):
    """There can be no such machine here; the text says why."""


class SystemdMachine:
    """A running machine. Paths are those inside; ``pid`` is that of its PID 1 on the host."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def run(self, *argv: str, check: bool = True, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command as root, outside of any unit."""
        enter = ["nsenter", "--target", str(self.pid), *_NAMESPACES, "env", "-i", "PATH=/usr/sbin:/usr/bin"]
        return subprocess.run([*enter, *argv], check=check, timeout=timeout, capture_output=True, text=True)

    def path(self, inside: str) -> Path:
        """Return where a file of the machine is on the host."""
        return Path(f"/proc/{self.pid}/root{inside}")

    def install(self, unit: str, text: str, **drop_ins: str) -> None:
        """Give systemd a unit with these drop-ins, by name, in place of what it knew of it."""
        path = self.path(f"{UNITS}/{unit}")
        path.write_text(text)
        folder = path.with_name(f"{unit}.d")
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        for name, more in drop_ins.items():
            (folder / f"{name}.conf").write_text(more)
        self.run("systemctl", "daemon-reload")

    def properties(self, unit: str, *names: str) -> Mapping[str, str]:
        """Return properties of a unit, as systemd understood them."""
        done = self.run("systemctl", "show", unit, "--property", ",".join(names))
        return dict(line.partition("=")[::2] for line in done.stdout.splitlines())


def why_none() -> str | None:
    """Return what this host lacks for a machine; None if nothing is known to be missing."""
    if os.geteuid() != 0:
        return "it needs root"
    if _program() is None:
        return "systemd is not installed (apt install systemd)"
    for program in ("unshare", "nsenter", "pivot_root", "systemctl"):
        if shutil.which(program) is None:
            return f"there is no {program}"
    if "cgroup2" not in Path("/proc/filesystems").read_text():
        return "the kernel has no cgroup2"
    tried = subprocess.run(["unshare", *_NAMESPACES, "--fork", "true"], check=False, capture_output=True, text=True)
    return None if tried.returncode == 0 else tried.stderr.strip()


@contextmanager
def booted(shared: Sequence[Path] = (), tree: Path | None = None) -> Iterator[SystemdMachine]:
    """Start a machine, and end it with all that runs there.

    ``shared``: folders of the host that are there too, read-only, under the same paths; without a tree /usr is one of
    them. ``tree``: the files of another Debian, of which nothing is changed.

    Raises:
        NoSystemdError: it cannot be started here.
    """
    if (why := why_none()) is not None:
        raise NoSystemdError(why)
    folder = Path(tempfile.mkdtemp(prefix="zsr-systemd-", dir="/run"))
    try:
        yield from _booted(folder, [str(each) for each in shared], tree)
    finally:
        subprocess.run(["unshare", "--mount", "sh", "-c", _TIDY, "sh", str(folder), folder.name], check=False)
        folder.rmdir()


def _booted(folder: Path, shared: Sequence[str], tree: Path | None) -> Iterator[SystemdMachine]:
    begin = [
        "unshare",
        "--mount",
        "--propagation=private",
        "--pid",
        "--ipc",
        "--uts",
        "--net",
        "--fork",
        "--kill-child",
    ]
    program = _program() if tree is None else _PROGRAMS[0]
    arguments = ["sh", str(folder), _BOOT, folder.name, str(program), str(tree or ""), *shared]
    with tempfile.TemporaryFile("w+") as console:
        process = subprocess.Popen(
            [*begin, "sh", "-c", _GROUP, *arguments], stdin=subprocess.DEVNULL, stdout=console, stderr=console
        )
        try:
            yield _waited_for(process, console)
        finally:
            process.kill()  # its child, which is PID 1 there, ends with it, and so do all others
            process.wait()


def _waited_for(process: subprocess.Popen[bytes], console: IO[str]) -> SystemdMachine:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if (machine := _running(process.pid)) is not None:
            return machine
        time.sleep(STEP_SECONDS)
    console.seek(0)
    raise NoSystemdError(f"systemd did not start: {console.read().strip()[-500:]}")


def _running(parent: int) -> SystemdMachine | None:
    """Return the machine that a process has begun to start, once it answers."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    if not children:
        return None
    machine = SystemdMachine(int(children[0]))
    if not machine.path("/run/systemd/private").exists():
        return None
    said = machine.run("systemctl", "is-system-running", check=False).stdout.strip()
    return machine if said == "running" else None


def _program() -> Path | None:
    return next((each for each in _PROGRAMS if each.exists()), None)
