"""A real OpenSSH server on loopback, with settings of the test's own; the login is that of the tests' user."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from replicator.config.ssh import SshSettings
from replicator.models import Node


@dataclass(frozen=True, slots=True)
class OpenSshServer:
    """A running server: ``node`` leads to it, ``settings`` let zsr in; ``folder`` has its files."""

    node: Node
    settings: SshSettings
    folder: Path

    @property
    def authorized_keys(self) -> Path:
        """The file with the keys that it lets in."""
        return self.folder / "authorized_keys"

    @property
    def log(self) -> str:
        """What it logged so far."""
        return (self.folder / "sshd.log").read_text()

    def by(self, stream: str) -> Node:
        """The node, with streams sent another way."""
        return replace(self.node, stream=stream)


@contextmanager
def openssh_server(folder: Path, *lines: str, also_at: str = "") -> Iterator[OpenSshServer]:
    """Run a server with more lines in its sshd_config; skip the test where there is no sshd, but fail in CI.

    ``also_at``: an address of loopback at which it listens too.
    """
    sshd = _sshd()
    for name in ("host_key", "key"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / name], check=True)
    shutil.copy(folder / "key.pub", folder / "authorized_keys")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = int(free.getsockname()[1])
    host_key = " ".join((folder / "host_key.pub").read_text().split()[:2])
    (folder / "known_hosts").write_text(f"[127.0.0.1]:{port} {host_key}\n")
    (folder / "sshd_config").write_text(
        "\n".join([*lines, *_config(folder, port), *([f"ListenAddress {also_at}"] if also_at else [])]) + "\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    argv = [sshd, "-D", "-f", str(folder / "sshd_config"), "-E", str(folder / "sshd.log")]
    with subprocess.Popen(argv) as process:
        try:
            _wait_for(port)
            node = Node("beta", "127.0.0.1", port, user=getpass.getuser())
            settings = SshSettings(
                str(folder / "known_hosts"), (str(folder / "key"),), agent=False, connect_timeout=5.0
            )
            yield OpenSshServer(node, settings, folder)
        finally:
            process.terminate()


def _sshd() -> str:
    found = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is not None:
        return found
    reason = "no sshd (apt install openssh-server)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _config(folder: Path, port: int) -> list[str]:
    return [
        "ListenAddress 127.0.0.1",
        f"Port {port}",
        f"HostKey {folder / 'host_key'}",
        f"AuthorizedKeysFile {folder / 'authorized_keys'}",
        f"PidFile {folder / 'sshd.pid'}",
        "StrictModes no",
        "UsePAM no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin yes",
        "LogLevel VERBOSE",
        f"SetEnv HOME={folder}",  # the files that a login shell reads are not this machine's user's
    ]


def _wait_for(port: int) -> None:
    for _ in range(200):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    pytest.fail("sshd does not listen")
