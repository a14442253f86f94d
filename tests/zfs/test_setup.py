"""``zsr setup`` between two real pools, by a real login: it ends in a guest that is replicated."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.command_line import Zsr
from tests.support.openssh_server import OpenSshServer, openssh_server
from tests.support.pools import Pools

ANSWERS = """\
[node]
name = "alpha"
address = "{address}"
port = {port}
user = "{user}"
[storage]
name = "data"
path = "{source}"
[ssh]
key = "{folder}/key"
[[nodes]]
name = "beta"
address = "127.0.0.1"
port = {port}
user = "{user}"
host_key = "{fingerprint}"
path = "{target}"
files = false
way_back = false
[[guests]]
id = 100
name = "web"
volumes = ["data:web"]
target = "beta"
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[OpenSshServer]:
    folder = tmp_path / "sshd"
    folder.mkdir()
    with openssh_server(folder) as running:
        yield running


def answers(server: OpenSshServer, source: str, target: str) -> str:
    printed = subprocess.run(
        ["ssh-keygen", "-lf", str(server.folder / "host_key.pub")], check=True, capture_output=True, text=True
    ).stdout
    found = subprocess.run(["ip", "-4", "-o", "addr"], check=True, capture_output=True, text=True).stdout
    addresses = [line.split()[3].partition("/")[0] for line in found.splitlines()]
    return ANSWERS.format(
        address=next((each for each in addresses if not each.startswith("127.")), "127.0.0.1"),
        port=server.node.port,
        user=getpass.getuser(),
        source=source,
        target=target,
        folder=server.folder,
        fingerprint=printed.split()[1],
    )


def test_answers_end_in_a_guest_that_is_replicated(
    pools: Pools,
    server: OpenSshServer,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    zfs, zsr = pools.sandbox.zfs, Zsr(tmp_path, capsys, monkeypatch)
    source, target = f"{pools.source.name}/data", f"{pools.target.name}/copies"
    zfs("create", source)
    zfs("create", f"{source}/web")
    pools.sandbox.fill(f"{source}/web", 1 << 20, seed=1)
    file = tmp_path / "answers.toml"
    file.write_text(answers(server, source, target))
    zsr.settings_path.write_text(
        f'state_dir = "{tmp_path}/state"\ncontrol = "{tmp_path}/run/c.sock"\n[cluster]\npath = "{zsr.cluster_path}"\n'
    )

    refused = zsr("setup", "--answers", str(file))
    zfs("create", target)
    said = zsr("setup", "--answers", str(file))
    zsr.well("run", "--id", "100-0")

    assert f"nodes.0.path = '{target}': The dataset {target} of storage data does not exist on beta" in refused.err
    assert "Wrote" in said.out
    (replicated,) = [
        name for name in zfs("list", "-H", "-t", "snapshot", "-o", "name", "-r", target).split() if "/web@" in name
    ]
    assert pools.sandbox.digest(replicated) == pools.sandbox.digest(replicated.replace(target, source))
