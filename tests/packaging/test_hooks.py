"""Hooks under the shipped unit: what works, what does not, and the drop-ins that the docs name for it."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.systemd_machine import SystemdMachine

ROOT = Path(__file__).parents[2]
UNIT = (ROOT / "packaging/zsr.service").read_text()

ENTERING = "RestrictNamespaces=no"
COMPILING = "MemoryDenyWriteExecute=no"
"""What `systemctl edit zsr` sets for hooks that enter a container, and for those that compile (docs/replication.md)."""

OUTPUT = "/run/output"
RUN_HOOK = f"""\
import asyncio, sys
sys.path.insert(0, {str(ROOT)!r})
from replicator.hosts.local import LocalHost
from replicator.models import Hook
from replicator.replication.hooks import run_hook
asyncio.run(run_hook(Hook.FREEZE, 100, sys.argv[1], 60, LocalHost("alpha")))
"""
ONCE = """\
[Service]
Type=oneshot
Restart=no
ExecStart=
ExecStart={command}
StandardOutput=truncate:{output}
StandardError=inherit
"""
"""In place of the daemon: a process that runs a hook as the daemon does, and ends."""

GUEST = """\
[Service]
ExecStart=/usr/bin/unshare --mount --uts --ipc --net --pid --fork {more} sh -c 'hostname guest; exec sleep infinity'
"""
ENTER = "nsenter --target $(pgrep -xo sleep) --all hostname"
WRITABLE_CODE = f"{sys.executable} -c 'import mmap; mmap.mmap(-1, 4096, prot=7)'"
"""Maps memory that is readable, writable and executable, as a compiler at run time does."""


@dataclass(frozen=True)
class Done:
    """How a hook ended; ``output`` is that of zsr, which has the last line of the hook's errors."""

    ok: bool
    output: str


def run_hook(machine: SystemdMachine, hook: str, *relaxed: str) -> Done:
    """Run a hook in the shipped unit, with these settings in a drop-in of the user."""
    command = shlex.join([sys.executable, "/run/run_hook.py", hook]).replace("$", "$$")
    machine.path("/run/run_hook.py").write_text(RUN_HOOK)
    override = "\n".join(["[Service]", *relaxed])
    machine.install("zsr.service", UNIT, once=ONCE.format(command=command, output=OUTPUT), override=override)
    done = machine.run("systemctl", "start", "zsr", check=False)
    return Done(done.returncode == 0, machine.path(OUTPUT).read_text())


@pytest.fixture(params=["", "--user --map-root-user"], ids=["privileged", "unprivileged"])
def container(machine: SystemdMachine, request: pytest.FixtureRequest) -> SystemdMachine:
    """A machine on which a container runs: a process with namespaces of its own, of users too if it is unprivileged."""
    machine.install("guest.service", GUEST.format(more=request.param))
    machine.run("systemctl", "start", "guest")
    machine.run("sh", "-c", "until pgrep -xo sleep; do :; done")
    assert machine.run("sh", "-c", ENTER).stdout == "guest\n", "without a unit it works"
    return machine


def test_the_shipped_unit_has_what_it_says(machine: SystemdMachine) -> None:
    machine.install("zsr.service", UNIT)
    found = machine.properties(
        "zsr.service", "LoadState", "Type", "NoNewPrivileges", "RestrictNamespaces", "MemoryDenyWriteExecute"
    )
    assert found == {
        "LoadState": "loaded",
        "Type": "notify",
        "NoNewPrivileges": "yes",
        "RestrictNamespaces": "yes",
        "MemoryDenyWriteExecute": "yes",
    }


@pytest.mark.parametrize(
    "hook",
    [
        "sync && echo frozen >/run/plain",
        "systemctl is-system-running",  # a socket, as of qm guest cmd and docker exec
        'test "$(setpriv --reuid=nobody --clear-groups id -un)" = nobody',  # a database's own user
    ],
    ids=["file", "socket", "another user"],
)
def test_a_plain_hook_works(machine: SystemdMachine, hook: str) -> None:
    done = run_hook(machine, hook)
    assert done.ok, done.output


def test_a_hook_enters_a_container_only_with_the_drop_in(container: SystemdMachine) -> None:
    enter = f"{ENTER} | grep -x guest"
    for relaxed in ((), (COMPILING,)):
        refused = run_hook(container, f"{ENTER} >/run/entered", *relaxed)
        assert not refused.ok
        assert "Operation not permitted" in refused.output
        assert "freeze hook of guest 100 failed" in refused.output
    done = run_hook(container, enter, ENTERING)
    assert done.ok, done.output


def test_a_hook_maps_memory_that_it_writes_and_executes_only_with_the_drop_in(machine: SystemdMachine) -> None:
    for relaxed in ((), (ENTERING,)):
        refused = run_hook(machine, WRITABLE_CODE, *relaxed)
        assert not refused.ok
        assert "PermissionError" in refused.output
    done = run_hook(machine, WRITABLE_CODE, COMPILING)
    assert done.ok, done.output


@pytest.mark.parametrize("page", ["docs/replication.md", "packaging/zsr.service"])
def test_both_drop_ins_are_documented(page: str) -> None:
    text = (ROOT / page).read_text()
    assert ENTERING in text
    assert COMPILING in text
