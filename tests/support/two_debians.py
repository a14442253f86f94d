"""Two bare Debians, alpha and beta, with real OpenZFS and their own systemd: what docs/five-minutes.md begins with.

Each is a User-Mode Linux node of the lab (tests/lab), at the address that it has on the page; the test itself is at
10.0.0.20. Their root file systems are made once for each release and kept. A person at one of them comes in by ssh,
with a key that was there before, and stays.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.lab.lab import Lab, build, missing
from tests.support.debian_trees import cache, locked
from tests.support.terminal import Terminal, terminal

RELEASES = ("bookworm", "trixie")
NETWORK = "10.0.0"
WATCHER = "10.0.0.20"
"""The machine with Prometheus and the mail server."""

_LAB = Path(__file__).parents[1] / "lab"
_MADE_FROM = ("debianroot.sh", "debianinit", "debian.sh")
_MEMORY_MB = 1536


class NoDebiansError(Exception):
    """There can be no such machines here; the text says why."""


@dataclass(frozen=True, slots=True)
class Host:
    """One of the two machines, and root's way in."""

    name: str
    address: str
    login: Sequence[str]

    def run(self, command: str, *, check: bool = True, timeout: float = 120.0) -> subprocess.CompletedProcess[str]:
        """Run a line of the shell there."""
        done = subprocess.run(
            [*self.login, command],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
        assert not check or done.returncode == 0, (
            f"{self.name}# {command}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return done

    def at_terminal(self, command: str) -> AbstractContextManager[Terminal]:
        """Run a line of the shell there at a terminal."""
        return terminal([*self.login, "-tt", command], os.environ)

    def put(self, file: Path, name: str) -> None:
        """Copy a file into root's home."""
        with file.open("rb") as data:
            subprocess.run([*self.login, f"cat >/root/{name}"], stdin=data, check=True, timeout=120)

    def leave(self) -> None:
        """End the connection, which is kept open from one command to the next."""
        subprocess.run([*self.login, "-O", "exit"], capture_output=True, check=False)


@dataclass(frozen=True, slots=True)
class TwoDebians:
    """The two machines, and the network that they are in."""

    lab: Lab
    alpha: Host
    beta: Host


def why_none() -> str:
    """Return what this machine lacks for the two, in words; empty if it lacks nothing."""
    return missing()


def root_of(suite: str) -> Path:
    """Return the root file system of a Debian; it takes minutes where there is none yet.

    Raises:
        NoDebiansError: it cannot be made here.
    """
    out = build()
    made_from = b"".join((_LAB / name).read_bytes() for name in _MADE_FROM) + (out / "id_lab.pub").read_bytes()
    file = cache() / f"{suite}-{sha256(made_from).hexdigest()[:12]}.sqfs"
    with locked(cache() / "machines"):
        if not file.exists():
            argv = [str(_LAB / "own_mounts"), str(_LAB / "debianroot.sh"), suite, str(file)]
            done = subprocess.run(argv, capture_output=True, text=True, check=False)
            if done.returncode != 0:
                raise NoDebiansError(f"Debian {suite} cannot be made: {done.stderr.strip()[-1000:]}")
    return file


@contextmanager
def two_debians(alpha: str, beta: str) -> Iterator[TwoDebians]:
    """Run alpha and beta of these releases (``bookworm``, ``trixie``), each with an empty pool ``tank``.

    Raises:
        NoDebiansError: there can be none here.
    """
    if lacks := why_none():
        raise NoDebiansError(lacks)
    lab = Lab(f"zsr-debians-{os.getpid()}")
    with TemporaryDirectory(prefix="zsr-debians-") as folder:
        for number, suite in enumerate((alpha, beta), 1):
            (Path(folder) / f"node{number}.sqfs").symlink_to(root_of(suite))
        hosts: list[Host] = []
        try:
            lab.up(2, memory_mb=_MEMORY_MB, network=NETWORK, roots=Path(folder))
            lab.exec(["ip", "address", "add", f"{WATCHER}/24", "dev", "br0"])
            hosts += [_host(lab, "alpha", 11), _host(lab, "beta", 12)]
            yield TwoDebians(lab, *hosts)
        finally:
            for each in hosts:
                each.leave()
            lab.down()


def _host(lab: Lab, name: str, last: int) -> Host:
    address = f"{NETWORK}.{last}"
    options = [
        "StrictHostKeyChecking=no",
        "UserKnownHostsFile=/dev/null",
        "LogLevel=ERROR",
        "IdentitiesOnly=yes",
        f"ControlPath={lab.state}/to-{name}",
    ]
    chosen = [word for each in options for word in ("-o", each)]
    key = str(lab.state / "out" / "id_lab")
    host = Host(name, address, lab.inside(["ssh", "-F", "/dev/null", "-i", key, *chosen, f"root@{address}"]))
    quiet = subprocess.DEVNULL  # what goes on in the background would hold a pipe open
    subprocess.run([*host.login, "-M", "-N", "-f"], stdin=quiet, stdout=quiet, stderr=quiet, check=True, timeout=120)
    host.run("zpool create -f tank /dev/ubdb")
    return host


if __name__ == "__main__":  # tools/setup, so that the tests need not wait
    for each in RELEASES:
        root_of(each)
