"""The shipped units: what systemd says of them, and the daemon in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.systemd_machine import SystemdMachine

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"
UNITS = ("zsr.service", "zsr-hook.socket", "zsr-hook@.service", "zsr-exporter.socket")

WORST_EXPOSURE = 4.5

DAEMON = f"""\
[Unit]
StartLimitIntervalSec=0

[Service]
ExecStart=
ExecStart={sys.executable} -B -m replicator.cli.main --config /etc/zsr/zsr.toml daemon
Environment=PYTHONPATH={ROOT}
StandardOutput=append:/run/output
StandardError=inherit
RestartSec=0
"""
SETTINGS = 'node = "alpha"\n\n[exporter]\nlisten = "unix:/run/zsr/exporter.sock"\n'
CLUSTER = '[nodes.alpha]\naddress = "10.0.0.11"\n'


@pytest.fixture
def daemon(machine: SystemdMachine) -> Iterator[SystemdMachine]:
    """A machine with the shipped units and the daemon of this checkout; it is not started yet."""
    folder = machine.path("/etc/zsr")
    folder.mkdir()
    (folder / "zsr.toml").write_text(SETTINGS)
    (folder / "cluster.toml").write_text(CLUSTER)
    for unit in ("zsr-hook@.service", "zsr-hook.socket"):
        machine.install(unit, (PACKAGING / unit).read_text())
    install(machine)
    yield machine
    machine.run("systemctl", "stop", "zsr", check=False)


def install(machine: SystemdMachine, **more: str) -> None:
    machine.install("zsr.service", (PACKAGING / "zsr.service").read_text(), daemon=DAEMON, **more)


def output(machine: SystemdMachine) -> str:
    return machine.path("/run/output").read_text()


def wait(machine: SystemdMachine, condition: str) -> None:
    machine.run("sh", "-c", f"until {condition}; do sleep 0.05; done")


def test_the_daemon_is_exposed_no_more_than_it_has_to_be() -> None:
    """`systemd-analyze security` of the unit: 0 is closed, 10 is open."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    argv = ["systemd-analyze", "security", "--offline=true", str(PACKAGING / "zsr.service")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(r"exposure level .*: ([0-9.]+)", done.stdout)
    assert found is not None
    assert float(found[1]) <= WORST_EXPOSURE


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_each_line_of_a_unit(machine: SystemdMachine, unit: str) -> None:
    text = (PACKAGING / unit).read_text()
    for each in UNITS:
        machine.install(each, (PACKAGING / each).read_text().replace("/usr/bin/zsr", "/usr/bin/true"))
    name = unit.replace("@", "@1")
    assert machine.properties(name, "LoadState") == {"LoadState": "loaded"}
    said = machine.run("systemd-analyze", "verify", "--man=no", name, check=False).stderr
    known = "Unknown key 'ImportCredential'" if "ImportCredential" in text else "-"  # before systemd 254
    assert [line for line in said.splitlines() if unit in line and known not in line] == []


def test_the_daemon_reports_that_it_is_ready_and_ends_at_once_when_it_is_stopped(daemon: SystemdMachine) -> None:
    daemon.run("systemctl", "start", "zsr")
    assert "zsr 0" in output(daemon), "it is active only when it works"
    assert daemon.properties("zsr", "ActiveState", "SubState", "LimitNOFILE") == {
        "ActiveState": "active",
        "SubState": "running",
        "LimitNOFILE": "65536",
    }
    assert daemon.properties("zsr-hook.socket", "ActiveState") == {"ActiveState": "active"}
    daemon.run("systemctl", "stop", "zsr", timeout=10)
    assert daemon.properties("zsr", "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}


def test_what_zfs_mounts_is_seen_by_the_whole_machine(daemon: SystemdMachine) -> None:
    """The daemon has no mounts of its own, with a credential neither."""
    install(daemon, credential="[Service]\nSetCredential=zsr.mail:secret\n")
    daemon.run("systemctl", "start", "zsr")
    (pid,) = daemon.properties("zsr", "MainPID").values()
    same = "test $(readlink /proc/1/ns/mnt) = $(readlink /proc/{pid}/ns/mnt)"
    daemon.run("sh", "-c", same.replace("{pid}", pid))


def test_a_reload_reads_the_settings_of_plugins_again(daemon: SystemdMachine) -> None:
    daemon.run("systemctl", "start", "zsr")
    daemon.run("systemctl", "reload", "zsr")
    wait(daemon, "grep -q 'settings of plugins were read again' /run/output")
    wait(daemon, "systemctl show zsr --property SubState | grep -qx SubState=running")


def test_a_daemon_that_hangs_is_started_again(daemon: SystemdMachine) -> None:
    install(daemon, soon="[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\n")
    daemon.run("systemctl", "start", "zsr")
    (pid,) = daemon.properties("zsr", "MainPID").values()
    daemon.run("kill", "-STOP", pid)
    wait(daemon, "systemctl show zsr --property NRestarts | grep -qx NRestarts=1")
    wait(daemon, "systemctl is-active -q zsr")
    (new,) = daemon.properties("zsr", "MainPID").values()
    assert new not in {pid, "0"}


def test_a_secret_may_be_a_credential_of_the_unit(daemon: SystemdMachine) -> None:
    daemon.path("/etc/zsr/zsr.toml").write_text(
        f'{SETTINGS}\n[[notify]]\nname = "admins"\nurl = "credential:zsr.mail"\n'
    )
    install(daemon, secret="[Service]\nSetCredential=zsr.mail:json://127.0.0.1:9/\n")
    daemon.run("systemctl", "start", "zsr")
    wait(daemon, "systemctl is-active -q zsr")
    assert "credential" not in output(daemon)
