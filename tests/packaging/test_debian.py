"""The Debian package, on Debian 12 and 13: installed by dpkg into a clean system, with that system's own systemd."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.debian_trees import NoTreeError, installed
from tests.support.systemd_machine import NoSystemdError, SystemdMachine, booted
from tools.debian_package import DOCS, build, kept_wheels

SUITES = {"bookworm": "3.11", "trixie": "3.13"}
WORST_EXPOSURE = 4.5

OWN_PATH = """
import sys
sys.path[:0] = ["/usr/lib/zsr/python%d.%d" % sys.version_info[:2], "/usr/lib/zsr/common"]
"""
IMPORT_ALL = """
import importlib, pkgutil
for package in ("alerts", "exporter", "grafana", "replicator"):
    found = importlib.import_module(package)
    for each in pkgutil.walk_packages(found.__path__, f"{package}.", onerror=lambda name: sys.exit(name)):
        importlib.import_module(each.name)
        print(each.name)
"""
IN_A_HOOK = """
import asyncio
from replicator.hosts.hook_unit import HookUnit
from replicator.hosts.local import LocalHost
argv = ["cat", "/proc/self/cgroup"]
print(asyncio.run(LocalHost("alpha", HookUnit("/run/zsr-hook.sock")).run_configured(argv, limit=20)).stdout)
"""


@pytest.fixture(params=SUITES)
def debian(request: pytest.FixtureRequest, package: Path) -> Iterator[SystemdMachine]:
    """A running Debian with the package, as it is after the installation; new for each test."""
    try:
        tree = installed(request.param, package)
        with booted((), tree) as machine:
            yield machine
    except (NoTreeError, NoSystemdError) as error:
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no clean Debian: {error}")


def python(machine: SystemdMachine, program: str) -> str:
    return machine.run("python3", "-IS", "-c", OWN_PATH + program, timeout=120).stdout


def configure(machine: SystemdMachine) -> None:
    """Take over the examples as a new user does."""
    machine.run("sh", "-c", f"cp /{DOCS}/examples/*.toml /etc/zsr/")


def start(machine: SystemdMachine) -> str:
    """Start the daemon; return its pid."""
    configure(machine)
    machine.run("systemctl", "start", "zsr")
    return machine.properties("zsr", "MainPID")["MainPID"]


def test_every_module_can_be_imported_with_the_libraries_of_the_package_alone(debian: SystemdMachine) -> None:
    modules = python(debian, IMPORT_ALL + "print(sys.version_info[:2])").splitlines()
    assert len(modules) > 200
    assert modules[-1].strip("()").replace(", ", ".") in SUITES.values()


def test_the_program_works_and_the_examples_are_accepted(debian: SystemdMachine) -> None:
    assert debian.run("zsr", "--version").stdout.startswith("zsr, version ")
    configure(debian)
    assert debian.run("zsr", "config", "check").stdout == "ok\n"
    assert "verify" in debian.run("zsr", "notify", "--help").stdout


def test_nothing_is_started_and_only_root_reads_the_settings(debian: SystemdMachine) -> None:
    assert debian.run("systemctl", "is-enabled", "zsr", check=False).stdout == "disabled\n"
    assert debian.properties("zsr", "ActiveState") == {"ActiveState": "inactive"}
    assert debian.run("stat", "-c", "%a %U", "/etc/zsr").stdout == "700 root\n"


def test_the_daemon_runs_in_its_unit_and_hooks_in_theirs(debian: SystemdMachine) -> None:
    start(debian)
    assert debian.properties("zsr", "ActiveState", "SubState") == {"ActiveState": "active", "SubState": "running"}
    assert "/zsr-hook@" in python(debian, IN_A_HOOK)
    debian.run("systemctl", "reload", "zsr")
    debian.run("systemctl", "stop", "zsr", timeout=20)
    assert debian.properties("zsr", "Result") == {"Result": "success"}


def test_its_systemd_finds_no_fault_in_the_unit(debian: SystemdMachine) -> None:
    said = debian.run("systemd-analyze", "verify", "--man=no", "zsr.service", check=False).stderr
    allowed = "Unknown key 'ImportCredential'"  # before systemd 254
    assert [each for each in said.splitlines() if "zsr.service" in each and allowed not in each] == []
    unit = "/usr/lib/systemd/system/zsr.service"
    exposure = debian.run("systemd-analyze", "security", "--offline=true", unit, check=False).stdout
    assert float(re.findall(r"exposure level .*: ([0-9.]+)", exposure)[0]) <= WORST_EXPOSURE


def test_completion_and_manual_pages_are_where_shells_and_man_look(debian: SystemdMachine) -> None:
    configure(debian)
    script = "/usr/share/bash-completion/completions/zsr"
    assert "zsr" in debian.run("bash", "-c", f"source {script} && complete -p zsr").stdout
    asked = ["env", "_ZSR_COMPLETE=bash_complete", "COMP_WORDS=zsr read ", "COMP_CWORD=2", "zsr"]
    assert debian.run(*asked).stdout == "plain,100-0\n"
    assert ".SH NAME" in debian.run("zcat", "/usr/share/man/man1/zsr-guest-move.1.gz").stdout
    assert "Apache" in debian.run("cat", f"/{DOCS}/copyright").stdout


@pytest.mark.sampled(3)
def test_an_upgrade_restarts_a_daemon_that_runs(debian: SystemdMachine) -> None:
    before = start(debian)
    debian.run("dpkg", "-i", "/root/zsr.deb", timeout=240)
    assert debian.properties("zsr", "MainPID")["MainPID"] not in {before, "0"}
    assert debian.run("zsr", "config", "check").stdout == "ok\n", "the settings are as they were"


@pytest.mark.sampled(3)
def test_an_upgrade_starts_nothing_that_was_stopped(debian: SystemdMachine) -> None:
    configure(debian)
    debian.run("dpkg", "-i", "/root/zsr.deb", timeout=240)
    assert debian.properties("zsr", "ActiveState") == {"ActiveState": "inactive"}


@pytest.mark.sampled(3)
def test_a_removal_keeps_state_and_settings_and_a_purge_only_the_settings(debian: SystemdMachine) -> None:
    start(debian)
    for name in ("zfs", "zpool"):
        program = debian.path(f"/usr/local/sbin/{name}")
        program.write_text("#!/bin/sh\necho $0 $* >>/root/asked\n")
        program.chmod(0o755)
    debian.run("dpkg", "--remove", "zsr", timeout=120)
    assert debian.properties("zsr", "ActiveState") == {"ActiveState": "inactive"}
    assert debian.path("/var/lib/zsr/state.db").exists()
    assert not debian.path("/usr/lib/zsr").exists(), "compiled files are gone too"
    debian.run("dpkg", "--purge", "zsr")
    assert not debian.path("/var/lib/zsr").exists()
    assert debian.path("/etc/zsr/cluster.toml").exists()
    lines = debian.run("sh", "-c", "cat /root/asked 2>/dev/null || true").stdout.splitlines()
    orders = {[*line.split(), ""][1] for line in lines}  # the daemon's last look may have come before its end
    assert orders <= {"", "list", "get", "version"}, "no dataset was touched"


@pytest.mark.sampled(3)
def test_the_same_sources_make_the_same_package(package: Path, tmp_path: Path) -> None:
    again = build(tmp_path, "amd64", kept_wheels(), "none")
    assert subprocess.run(["cmp", package, again], check=False, capture_output=True, text=True).stdout == ""
