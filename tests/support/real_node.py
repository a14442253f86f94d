"""A node of a site on one machine: its own files, clock and identity in a mount namespace, a real sshd, real daemons.

Root is needed, as for ZFS itself. All that a node changes outside its folder are bind mounts of its namespace, which
end with it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from demo.sandbox import Sandbox
from demo.servers import LOOPBACK, end, free_port
from tests.support.hurried_zsr import CLOCK, PVE, VERSION

ROOT = Path(__file__).parents[2]
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PATIENCE = 60.0
"""Seconds after which what did not come is a failure; generous, for machines that are busy."""
POLL = 0.3
"""Seconds between two tries; a scrape costs the daemon that is waited for."""
_SSHD = "/usr/sbin/sshd"
_SSHD_CONFIG = """\
ListenAddress {address}
Port {port}
HostKey {folder}/host-key
AuthorizedKeysFile {folder}/authorized_keys
PidFile none
PasswordAuthentication no
PermitRootLogin yes
StrictModes no
UsePAM no
SetEnv HOME={folder}
"""
_DATE = """\
#!/bin/sh
exec {real} --date="@$(($({real} +%s) + $(cat {clock}))).$({real} +%N)" "$@"
"""


def why_no_nodes() -> str | None:
    """The reason why this machine cannot play nodes; None: it can."""
    for program in ("sshd", "ssh-keygen", "unshare", "nsenter"):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            return f"{program} is not installed"
    tried = subprocess.run(["unshare", "-m", "true"], capture_output=True, text=True, check=False)
    return None if tried.returncode == 0 else f"no mount namespace: {tried.stderr.strip()}"


def until(holds: Callable[[], object], what: Callable[[], str], patience: float = PATIENCE) -> None:
    """Wait for something that comes by itself; ``what`` says what it was if it does not."""
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience:.0f} s: {what()}")
        time.sleep(POLL)


@dataclass
class RealNode:
    """One node. ``shared`` is a folder under which each node sees its own; ``version`` the one that its daemon says
    it has, if not this one's.
    """

    name: str
    sandbox: Sandbox
    shared: Path
    version: str | None = None
    port: int = field(default_factory=free_port)
    listen: str = field(default_factory=lambda: f"{LOOPBACK}:{free_port()}")
    _keeper: subprocess.Popen[bytes] | None = None
    _sshd: subprocess.Popen[bytes] | None = None
    _daemon: subprocess.Popen[bytes] | None = None
    _begun: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        """The node's own folder."""
        return self.sandbox.directory / f"node-{self.name}"

    @property
    def settings(self) -> Path:
        """The node's zsr.toml."""
        return self.folder / "zsr.toml"

    @property
    def cluster(self) -> Path:
        """The node's copy of the cluster file."""
        return self.folder / "cluster.toml"

    @property
    def state_dir(self) -> Path:
        """The folder of state.db."""
        return self.folder / "state"

    @property
    def log(self) -> Path:
        """What its daemons have written."""
        return self.folder / "daemon.log"

    def set_up(self, *, boot: str | None = None, node: str | None = None) -> None:
        """Make folder, namespace and keys. ``boot``: its boot id; ``node``: the name in its settings, if another."""
        for each in (self.folder, self.state_dir, self.folder / "run"):
            each.mkdir(mode=0o700)
        self.shared.mkdir(exist_ok=True)
        self.set_clock(0)
        (self.folder / "boot_id").write_text((boot or str(uuid.uuid4())) + "\n")
        self._make_date()
        self._keeper = self._begin_namespace()
        self.cover(self.shared, self.folder / "run")
        self.cover(BOOT_ID, self.folder / "boot_id")
        self.cover(Path(shutil.which("date") or "/bin/date").resolve(), self.folder / "date")
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.folder / "host-key")], check=True)
        self.settings.write_text(
            f'node = "{node or self.name}"\ntimezone = "UTC"\nstate_dir = "{self.state_dir}"\n'
            f'control = "{self.shared}/control.sock"\n'
            f'[cluster]\npath = "{self.cluster}"\n[exporter]\nlisten = "{self.listen}"\n'
            f'[ssh]\nknown_hosts = "{self.folder}/known_hosts"\nkey = "{self.sandbox.directory}/key"\nagent = false\n'
        )
        self.settings.chmod(0o600)

    def _make_date(self) -> None:
        """A ``date`` that goes by the node's clock."""
        real = Path(shutil.which("date") or "/bin/date").resolve()
        shutil.copy(real, self.folder / "real-date")
        text = _DATE.format(real=self.folder / "real-date", clock=self.folder / "clock")
        (self.folder / "date").write_text(text)
        (self.folder / "date").chmod(0o755)

    def _begin_namespace(self) -> subprocess.Popen[bytes]:
        ready = self.folder / "ready"
        argv = ["unshare", "-m", "--propagation", "private", "sh", "-c"]
        argv.append(f"{self._let_go()}; touch {ready}; exec sleep infinity")
        keeper = self.sandbox.spawn(lambda: subprocess.Popen(argv, stdin=subprocess.DEVNULL))
        until(ready.exists, lambda: "the namespace began")
        return keeper

    def _let_go(self) -> str:
        """A script that unmounts what other sandboxes have mounted: a copy of a mount would keep its pool busy."""
        mine = f"grep -v '^{self.sandbox.directory}/'"
        others = f"grep -E '^[^ ]+ [^ ]+ (fuse|zfs)' /proc/self/mounts | cut -d' ' -f2 | {mine}"
        return f"for place in $({others}); do umount -l $place; done"

    def inside(self, *argv: str) -> list[str]:
        """A command line that runs a command on this node."""
        assert self._keeper is not None
        return ["nsenter", "-t", str(self._keeper.pid), "-m", "--", *argv]

    def cover(self, place: Path, other: Path) -> None:
        """Let the node see another file or folder at a place."""
        subprocess.run(self.inside("mount", "--bind", str(other), str(place)), check=True, capture_output=True)

    def uncover(self, place: Path) -> None:
        """Undo `cover`."""
        subprocess.run(self.inside("umount", "-l", str(place)), check=True, capture_output=True)

    def set_clock(self, ahead: float) -> None:
        """Set the node's clock ahead of this machine's by so many seconds."""
        fresh = self.folder / "clock.new"
        fresh.write_text(f"{ahead:.0f}")
        fresh.replace(self.folder / "clock")

    def _environment(self) -> Mapping[str, str]:
        version = {} if self.version is None else {VERSION: self.version}
        return {
            **os.environ,
            **version,
            PVE: str(self.folder / "pve"),
            CLOCK: str(self.folder / "clock"),
            "PYTHONPATH": str(ROOT),
            "PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin",
        }

    def _zsr(self, *arguments: str, module: str = "tests.support.hurried_zsr") -> list[str]:
        return self.inside(sys.executable, "-m", module, arguments[0], *arguments[1:], "--config", str(self.settings))

    def zsr(self, *arguments: str, good: bool = True) -> str:
        """Run ``zsr`` on this node and give what it prints; ``good``: it must end with status 0."""
        done = subprocess.run(
            self._zsr(*arguments), capture_output=True, text=True, check=False, env=self._environment(), timeout=60
        )
        assert done.returncode == 0 or not good, f"zsr {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def begin(
        self, *arguments: str, module: str = "tests.support.hurried_zsr", **variables: str
    ) -> subprocess.Popen[bytes]:
        """Begin a ``zsr`` that goes on, with ``variables`` in its environment; it ends with the node."""
        with self.log.open("ab") as log:
            begun = self.sandbox.spawn(
                lambda: subprocess.Popen(
                    self._zsr(*arguments, module=module),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**self._environment(), **variables},
                    start_new_session=True,
                )
            )
        self._begun.append(begun)
        return begun

    def start(self, *, answers: bool = True) -> None:
        """Start the daemon, and wait until it answers."""
        self._daemon = self.begin("daemon")
        if answers:
            control = self.folder / "run" / "control.sock"
            until(lambda: control.exists() or self._daemon_ended(), lambda: f"{self.name}: {self.log.read_text()}")
            assert not self._daemon_ended(), self.log.read_text()

    @property
    def is_running(self) -> bool:
        """Whether its daemon runs."""
        return not self._daemon_ended()

    def _daemon_ended(self) -> bool:
        return self._daemon is None or self._daemon.poll() is not None

    def stop(self) -> None:
        """Stop the daemon in order."""
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGCONT)
            end(self._daemon)

    def signal(self, number: signal.Signals) -> None:
        """Send the daemon a signal."""
        assert self._daemon is not None
        self._daemon.send_signal(number)
        if number is signal.SIGKILL:
            self._daemon.wait()

    def restart(self) -> None:
        """Stop the daemon and start it."""
        self.stop()
        self.start()

    def start_ssh(self) -> None:
        """Let others log in."""
        config = self.folder / "sshd_config"
        config.write_text(_SSHD_CONFIG.format(address=LOOPBACK, port=self.port, folder=self.folder))
        with (self.folder / "sshd.log").open("ab") as log:
            argv = self.inside(_SSHD, "-D", "-e", "-f", str(config))
            self._sshd = self.sandbox.spawn(lambda: subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log))

    def stop_ssh(self) -> None:
        """Let nobody log in, and end the connections that are open."""
        if self._sshd is not None:
            sessions = descendants(self._sshd.pid)
            end(self._sshd)
            for pid in sessions:
                _kill(pid)

    def close_begun(self) -> None:
        """End the daemons and all other ``zsr`` that were begun."""
        for begun in self._begun:
            begun.send_signal(signal.SIGCONT)
        self.stop()
        for begun in self._begun:
            begun.kill()
            begun.wait()
        self._begun.clear()

    def close(self) -> None:
        """End all that runs on the node."""
        self.stop_ssh()
        self.close_begun()
        if self._keeper is not None:
            self._keeper.kill()
            self._keeper.wait()


def descendants(pid: int) -> list[int]:
    """The processes that a process began, and those that they began."""
    found: list[int] = []
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in task.read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
