"""Two plain hosts on which nothing is set up: alpha, where ``zsr setup`` is typed, and beta behind a real sshd."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.command_line import Said
from tests.support.terminal import Terminal, terminal
from tests.support.two_hosts import TwoHosts, two_hosts

ROOT = Path(__file__).parents[2]
DATASETS = (
    "tank\tfilesystem\t-\ntank/data\tfilesystem\t-\n"
    "tank/data/subvol-101-disk-0\tfilesystem\t-\ntank/data/web\tfilesystem\t-\n"
)


@dataclass(frozen=True)
class SetupEnv:
    """What is typed on alpha, and what it changes there."""

    hosts: TwoHosts
    folder: Path
    apart: bool = False

    @property
    def _etc(self) -> Path:
        return self.folder / ("alpha-etc" if self.apart else "etc")

    @property
    def settings(self) -> Path:
        """Alpha's zsr.toml."""
        return self._etc / "zsr.toml"

    @property
    def cluster(self) -> Path:
        """Alpha's cluster file."""
        return self._etc / "cluster.toml"

    @property
    def key(self) -> Path:
        """The key that is made by default."""
        return self.folder / ".ssh" / "zsr_ed25519"

    @property
    def known_hosts(self) -> Path:
        """Alpha's known host keys."""
        return self.folder / ".ssh" / "known_hosts"

    @property
    def port(self) -> int:
        """The port of beta's sshd."""
        return self.hosts.server.node.port

    @property
    def fingerprint(self) -> str:
        """The fingerprint of beta's host key, as ssh-keygen prints it there."""
        argv = ["ssh-keygen", "-lf", str(self.hosts.server.folder / "host_key.pub")]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout.split()[1]

    @property
    def answers(self) -> str:
        """Answers with which all is well."""
        user = self.hosts.server.node.user
        return f"""\
[node]
name = "alpha"
address = "127.0.0.1"
port = {self.port}
user = "{user}"
[storage]
name = "data"
path = "tank/data"
[ssh]
key = "{self.hosts.server.folder}/key"
[[nodes]]
name = "beta"
address = "127.0.0.1"
port = {self.port}
user = "{user}"
host_key = "{self.fingerprint}"
files = false
way_back = false
[[guests]]
id = 100
name = "web"
volumes = ["data:web"]
target = "beta"
"""

    @property
    def on_beta(self) -> Path:
        """The folder of beta's settings, where the two hosts have files of their own (`apart`)."""
        return self.folder / "etc"

    @property
    def _argv(self) -> list[str]:
        return [
            *self._inside,
            sys.executable,
            "-m",
            "replicator.cli.main",
            "--config",
            f"{self.folder}/etc/zsr.toml",
            "setup",
        ]

    @property
    def _inside(self) -> list[str]:
        """Begins a command that sees a folder of its own in the place of ``/etc/zsr``, which is beta's elsewhere."""
        if not self.apart:
            return []
        ours, shared = self.folder / "alpha-etc", self.folder / "etc"
        script = f'mount --bind {ours} {shared} && exec "$@"'
        return [str(ROOT / "tests/lab/own_mounts"), "sh", "-c", script, "sh"]

    @property
    def _environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(ROOT), "HOME": str(self.folder), "TMPDIR": str(self.folder / "tmp")}

    def with_answers(self, text: str, *options: str) -> Said:
        """Run ``zsr setup --answers`` on a file with a text, without a terminal."""
        file = self.folder / "answers.toml"
        file.write_text(text)
        return self.without_answers("--answers", str(file), *options)

    def without_answers(self, *options: str) -> Said:
        """Run ``zsr setup`` without a terminal."""
        if not self.apart:
            return self.hosts.zsr.bare("--config", str(self.settings), "setup", *options)
        argv = [*self._argv, *options]
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, env=self._environment,
            timeout=120,
        )  # fmt: skip
        return Said(done.returncode, done.stdout, done.stderr)

    def at_terminal(self, *options: str) -> AbstractContextManager[Terminal]:
        """Run ``zsr setup`` at a terminal."""
        return terminal([*self._argv, *options], self._environment)

    def files(self) -> dict[str, tuple[int, int, bytes]]:
        """Times, modes and bytes of all files that a setup could write on alpha."""
        places = (self._etc, self.folder / ".ssh", self.folder / "tmp")
        return {
            str(path.relative_to(self.folder)): (path.stat().st_mtime_ns, path.stat().st_mode, path.read_bytes())
            for place in places
            for path in sorted(place.rglob("*"))
            if path.is_file()
        }


@contextmanager
def setup_env(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *, apart: bool = False
) -> Iterator[SetupEnv]:
    """Run beta's sshd while the body runs; ``apart``: alpha has settings of its own, in a mount namespace.

    Skips the test where there can be no such namespace.
    """
    if apart and subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("no mount namespace: not root")
    with two_hosts(folder, capsys, monkeypatch) as hosts:
        hosts.zsr.settings_path.unlink()
        hosts.zsr.cluster_path.unlink()
        for name in ("etc", "alpha-etc", ".ssh", "tmp"):
            (folder / name).mkdir(mode=0o700)
        hosts.file("alpha", "all").write_text(DATASETS)
        lets_in = hosts.server.authorized_keys  # of both: one sshd plays the two
        (folder / ".ssh" / "authorized_keys").symlink_to(lets_in)
        yield SetupEnv(hosts, folder, apart)
