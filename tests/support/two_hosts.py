"""Two plain hosts for ``zsr doctor``: alpha is this process, beta a real sshd; ZFS, clock and systemd are scripts.

Each host has a folder of programs that stands first in its path. What the scripts are asked is written down, so that a
test sees that nothing but questions was asked.
"""

from __future__ import annotations

import getpass
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from replicator import __version__
from tests.support.command_line import Said, Zsr
from tests.support.openssh_server import OpenSshServer, openssh_server
from tests.support.played_zfs import USAGE

ZFS = """\
#!/bin/sh
here=$(dirname "$0")
echo "zfs $*" >>"$here/../asked"
case "$1" in
  "") cat "$here/usage" >&2; exit 2 ;;
  version) cat "$here/version" ;;
  allow) cat "$here/allow" ;;
  get) shift; for each in "$@"; do grep "^$each	" "$here/space"; done; true ;;
  list) for last in "$@"; do :; done
    [ "$last" != name,type,zsr:source ] || { cat "$here/all"; exit 0; }
    [ "$2" != -Hp ] || exit 0
    grep "^$last	" "$here/datasets" || { echo "cannot open '$last': dataset does not exist" >&2; exit 1; } ;;
  *) exit 1 ;;
esac
"""
ZPOOL = """\
#!/bin/sh
here=$(dirname "$0")
echo "zpool $*" >>"$here/../asked"
case "$1" in
  list) cat "$here/pools" ;;
  get) cat "$here/features" ;;
  *) exit 1 ;;
esac
"""
DATE = """\
#!/bin/sh
exec {real} --date="@$(($({real} +%s) + $(cat "$(dirname "$0")/ahead"))).$({real} +%N)" "$@"
"""
FILES = {
    "usage": USAGE.read_text(),
    "version": "zfs-2.3.2-1\nzfs-kmod-2.3.2-1\n",
    "allow": "",
    "space": "tank/data\tused\t1000\ntank/data\tavailable\t1000000\ntank\tused\t1000\ntank\tavailable\t1000000\n",
    "all": "tank\tfilesystem\t-\ntank/data\tfilesystem\t-\n",
    "datasets": "tank/data\tfilesystem\n",
    "pools": "tank\tONLINE\t42%\n",
    "features": "NAME  PROPERTY  VALUE  SOURCE\ntank  feature@lz4_compress  active  local\n",
    "ahead": "0",
}
ADDRESSES = '[{"ifname": "lo", "addr_info": [{"local": "127.0.0.1"}, {"local": "::1"}]}]'
CLUSTER = """\
[nodes.alpha]
address = "127.0.0.1"
port = {port}
user = "{user}"
[nodes.beta]
address = "127.0.0.1"
port = {port}
user = "{user}"
[storages.data]
path = "tank/data"
[guests.100]
name = "web"
node = "alpha"
[jobs.100-0]
target = "beta"
keep = "6h:15m,7d:1d"
"""


@dataclass(frozen=True)
class TwoHosts:
    """Alpha, on which ``zsr`` is typed, and beta. A healthy pair: a test breaks it."""

    zsr: Zsr
    server: OpenSshServer

    def file(self, host: str, name: str) -> Path:
        """A file that the scripts of a host read, or a script."""
        return self.zsr.folder / host / "bin" / name

    @property
    def asked(self) -> list[str]:
        """What the scripts of both hosts were asked."""
        files = (self.zsr.folder / host / "asked" for host in ("alpha", "beta"))
        return [line for file in files if file.exists() for line in file.read_text().splitlines()]

    def doctor(self, *options: str) -> Said:
        """Run ``zsr doctor``."""
        return self.zsr("doctor", "--timeout", "15", *options)

    def levels(self, *options: str) -> dict[tuple[str, str], str]:
        """The worst level of each check of each node."""
        rank = ["ok", "off", "unknown", "warn", "fail"]
        found: dict[tuple[str, str], str] = {}
        for line in self.doctor("--format", "json", *options).json["lines"]:
            key = (line["node"], line["check"])
            found[key] = max(found.get(key, "ok"), line["level"], key=rank.index)
        return found

    def line(self, node: str, check: str) -> dict[str, str]:
        """The one line of a check."""
        lines = self.doctor("--format", "json").json["lines"]
        (line,) = (each for each in lines if (each["node"], each["check"]) == (node, check))
        return dict(line)


@contextmanager
def two_hosts(folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[TwoHosts]:
    """Run beta's sshd while the body runs."""
    for host in ("alpha", "beta"):
        _programs(folder / host / "bin")
    sshd = folder / "sshd"
    sshd.mkdir()
    path = f"{folder}/beta/bin:{os.environ['PATH']}"
    with openssh_server(sshd, f"SetEnv HOME={sshd} PATH={path}") as server:
        zsr = Zsr.on_alpha(folder, capsys, monkeypatch)
        zsr.settings_path.write_text(
            zsr.settings_path.read_text() + f'[ssh]\nkey = "{sshd}/key"\nknown_hosts = "{sshd}/known_hosts"\n'
            "agent = false\n[exporter]\nenabled = false\n"
        )
        zsr.settings_path.chmod(0o600)
        zsr.cluster_path.write_text(CLUSTER.format(port=server.node.port, user=getpass.getuser()))
        monkeypatch.setenv("PATH", f"{folder}/alpha/bin:{os.environ['PATH']}")
        monkeypatch.setenv("HOME", str(folder))
        yield TwoHosts(zsr, server)


def _programs(folder: Path) -> None:
    folder.mkdir(parents=True)
    scripts = {
        "zfs": ZFS,
        "zpool": ZPOOL,
        "date": DATE.format(real=shutil.which("date")),
        "ip": f"#!/bin/sh\necho '{ADDRESSES}'\n",
        "timedatectl": "#!/bin/sh\necho NTPSynchronized=yes\n",
        "zsr": f"#!/bin/sh\necho zsr, version {__version__}\n",
    }
    for name, text in {**scripts, **FILES}.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755 if name in scripts else 0o644)
