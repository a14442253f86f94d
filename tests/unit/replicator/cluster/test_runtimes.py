"""A runtime becomes three shell commands, of which status says with its exit status whether the guest runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from replicator.cluster.runtimes import runtime_of

TOOLS = {
    "systemctl": 'case "$*" in *"-- vm@100.service") echo "$STATE";; *) exit 1;; esac',
    "virsh": 'case "$*" in "list --all --name") printf "%s\\n\\n" web db;; '
    '"domstate --domain web") echo "$STATE";; *) exit 1;; esac',
    "incus": 'case "$*" in "list --format=csv --columns=s -- ^web$") echo "$STATE";; *) exit 1;; esac',
}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    for name, script in TOOLS.items():
        (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
        (tmp_path / name).chmod(0o755)
    return tmp_path


def status(runtime: str, tools: Path, state: str) -> int:
    env = {"PATH": f"{tools}:/usr/bin:/bin", "STATE": state}
    return subprocess.run(
        ["sh", "-c", runtime_of(runtime).status], env=env, check=False, capture_output=True
    ).returncode


@pytest.mark.parametrize(
    ("runtime", "running", "stopped"),
    [
        ("systemd:vm@100.service", ("active", "activating", "deactivating", "reloading"), ("inactive", "failed")),
        ("libvirt:web", ("running", "paused", "in shutdown", "pmsuspended"), ("shut off", "crashed")),
        ("incus:web", ("RUNNING", "FROZEN"), ("STOPPED", "")),
    ],
)
def test_only_what_is_surely_off_counts_as_stopped(
    runtime: str, running: tuple[str, ...], stopped: tuple[str, ...], tools: Path
) -> None:
    assert {state: status(runtime, tools, state) for state in running} == dict.fromkeys(running, 0)
    assert {state: status(runtime, tools, state) for state in stopped} == dict.fromkeys(stopped, 3)


def test_a_tool_that_fails_or_is_absent_leaves_it_unknown(tools: Path) -> None:
    assert status("systemd:other.service", tools, "active") not in (0, 3)
    for runtime in ("systemd:vm@100.service", "libvirt:web", "incus:web"):
        assert status(runtime, Path("/nowhere"), "") not in (0, 3)


def test_a_domain_that_is_not_defined_on_a_node_does_not_run_there(tools: Path) -> None:
    assert status("libvirt:we", tools, "running") == 3


def test_libvirt_defines_each_domain_among_the_files_and_systemd_reads_its_units(tmp_path: Path) -> None:
    for name in ("virsh", "systemctl"):
        (tmp_path / name).write_text(f'#!/bin/sh\necho {name} "$@" >>"{tmp_path}/calls"\n')
        (tmp_path / name).chmod(0o755)
    files = {"a web.xml": "<!-- -->\n<domain type='kvm'>", "net.xml": "<network>", "web.txt": "<domain>"}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    for runtime in ("libvirt:web", "systemd:web.service"):
        subprocess.run(
            ["sh", "-c", runtime_of(runtime).prepare, "sh", *(str(tmp_path / name) for name in files)],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            check=True,
        )
    assert (tmp_path / "calls").read_text().splitlines() == [
        f"virsh define --file {tmp_path}/a web.xml", "systemctl daemon-reload",
    ]  # fmt: skip


def test_a_domain_that_libvirt_refuses_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "virsh").write_text("#!/bin/sh\nexit 1\n")
    (tmp_path / "virsh").chmod(0o755)
    (tmp_path / "web.xml").write_text("<domain>")
    (tmp_path / "net.xml").write_text("<network>")
    argv = ["sh", "-c", runtime_of("libvirt:web").prepare, "sh", f"{tmp_path}/web.xml", f"{tmp_path}/net.xml"]
    assert subprocess.run(argv, env={"PATH": f"{tmp_path}:/usr/bin:/bin"}, check=False).returncode == 1


@pytest.mark.parametrize("text", ["", "systemd", "systemd:", "docker:web", "systemd:a b", "systemd:-x", ":web"])
def test_anything_else_is_refused_with_what_is_allowed(text: str) -> None:
    with pytest.raises(ValueError, match="'systemd:UNIT', 'libvirt:DOMAIN' or 'incus:NAME'"):
        runtime_of(text)


def test_a_name_is_never_read_as_shell() -> None:
    assert "'a;reboot'" in runtime_of("systemd:a;reboot").start
