"""Hooks under the shipped units: what they may do, and how they end."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.systemd_machine import SystemdMachine

ROOT = Path(__file__).parents[2]
PACKAGING = ROOT / "packaging"

OUTPUT = "/run/output"
RUN_HOOK = f"""\
import asyncio, os, sys
sys.path.insert(0, {str(ROOT)!r})
from replicator.common.service_socket import ServiceSocket
from replicator.hosts.hook_unit import HookUnit
from replicator.hosts.local import LocalHost
from replicator.models import Guest
from replicator.replication.hooks import frozen
from tests.support.hook_notes import HookNotes

async def main(freeze, thaw, limit):
    guest = Guest(100, "web", "alpha", freeze=freeze, thaw=thaw or None, hook_timeout=float(limit))
    host = LocalHost("alpha", HookUnit(ServiceSocket.taken_from(os.environ).hooks))
    async with frozen(guest, host, print, HookNotes([])):
        pass

asyncio.run(main(*sys.argv[1:]))
"""
ONCE = """\
[Service]
Type={type}
Restart=no
ExecStart=
ExecStart={command}
Environment=PYTHONDONTWRITEBYTECODE=1
StandardOutput=truncate:{output}
StandardError=inherit
"""
"""In place of the daemon: a process that freezes and thaws a guest as the daemon does, and ends."""

RUNNER = f"""\
[Service]
ExecStart=
ExecStart={sys.executable} -B {ROOT}/replicator/hosts/hook_runner.py
"""

GUEST = """\
[Service]
ExecStart=/usr/bin/unshare --mount --uts --ipc --net --pid --fork {more} sh -c 'hostname guest; exec sleep infinity'
"""
ENTER = "nsenter --target $(pgrep -xo sleep) --all hostname"
WRITABLE_CODE = f"{sys.executable} -c 'import mmap; mmap.mmap(-1, 4096, prot=7)'"
"""Maps memory that is readable, writable and executable, as a compiler at run time does."""

HANGS = "setsid sleep 1111 & sleep 2222"
"""Has a process in a session of its own, which no signal to a process group reaches."""


@dataclass(frozen=True)
class Done:
    """How a hook ended; ``output`` is that of zsr, which has the last line of the hook's errors."""

    ok: bool
    output: str


def install(machine: SystemdMachine, freeze: str, thaw: str = "", limit: float = 60, kind: str = "oneshot") -> None:
    """The shipped units, with a process in place of the daemon that runs these hooks."""
    command = shlex.join([sys.executable, "/run/run_hook.py", freeze, thaw, str(limit)]).replace("$", "$$")
    machine.path("/run/run_hook.py").write_text(RUN_HOOK)
    machine.install("zsr-hook@.service", (PACKAGING / "zsr-hook@.service").read_text(), runner=RUNNER)
    machine.install("zsr-hook.socket", (PACKAGING / "zsr-hook.socket").read_text())
    once = ONCE.format(command=command, output=OUTPUT, type=kind)
    machine.install("zsr.service", (PACKAGING / "zsr.service").read_text(), once=once)


def run_hooks(machine: SystemdMachine, freeze: str, thaw: str = "", limit: float = 60) -> Done:
    """Freeze and thaw a guest in the shipped unit."""
    install(machine, freeze, thaw, limit)
    done = machine.run("systemctl", "start", "zsr", check=False)
    return Done(done.returncode == 0, machine.path(OUTPUT).read_text())


def wait(machine: SystemdMachine, condition: str) -> None:
    machine.run("sh", "-c", f"until {condition}; do sleep 0.05; done")


@pytest.fixture(params=["", "--user --map-root-user"], ids=["privileged", "unprivileged"])
def container(machine: SystemdMachine, request: pytest.FixtureRequest) -> SystemdMachine:
    """A machine on which a container runs: a process with namespaces of its own, of users too if it is unprivileged."""
    machine.install("guest.service", GUEST.format(more=request.param))
    machine.run("systemctl", "start", "guest")
    wait(machine, "pgrep -xo sleep")
    assert machine.run("sh", "-c", ENTER).stdout == "guest\n", "without a unit it works"
    return machine


@pytest.mark.parametrize(
    "hook",
    [
        "sync && echo frozen >/run/plain",
        "systemctl is-system-running",  # a socket, as of qm guest cmd and docker exec
        'test "$(setpriv --reuid=nobody --clear-groups id -un)" = nobody',  # a database's own user
        WRITABLE_CODE,
        'test "$(grep CapBnd /proc/1/status)" = "$(grep CapBnd /proc/self/status)"',
        "grep -q '^NoNewPrivs:.*0$' /proc/self/status",
        "grep -q /zsr-hook@ /proc/self/cgroup",
    ],
    ids=["file", "socket", "another user", "compiler", "capabilities", "sudo", "unit"],
)
def test_a_hook_works(machine: SystemdMachine, hook: str) -> None:
    done = run_hooks(machine, f"({hook}) || {{ echo it failed >&2; false; }}")
    assert done.output == ""
    assert done.ok


def test_a_hook_enters_a_container(container: SystemdMachine) -> None:
    done = run_hooks(container, f"{ENTER} | grep -qx guest")
    assert done.output == ""
    assert done.ok


def test_the_daemon_itself_may_do_none_of_that(machine: SystemdMachine) -> None:
    """Its own commands stay restricted, and so is a hook for which systemd gives it no unit."""
    install(machine, WRITABLE_CODE)
    machine.install("zsr-hook@.service", "[Service]\nExecStart=/usr/bin/false\nStandardInput=socket\n")
    machine.run("systemctl", "start", "zsr", check=False)
    assert "systemd gave it no unit" in machine.path(OUTPUT).read_text()
    assert "PermissionError" in machine.path(OUTPUT).read_text()


def test_a_hook_that_hangs_is_ended_with_all_its_processes_and_the_guest_is_thawed(machine: SystemdMachine) -> None:
    done = run_hooks(machine, HANGS, "pgrep -x sleep >/run/left; touch /run/thawed", limit=1)
    assert "did not end within 1 s" in done.output
    assert machine.path("/run/thawed").exists()
    assert machine.path("/run/left").read_text() == ""


@pytest.mark.parametrize("signal", ["TERM", "KILL"])
def test_the_hook_of_a_daemon_that_ends_is_ended_with_all_its_processes(machine: SystemdMachine, signal: str) -> None:
    install(machine, HANGS, kind="exec")
    machine.run("systemctl", "start", "zsr")
    wait(machine, "pgrep -f 1111 && pgrep -f 2222")
    machine.run("systemctl", "kill", f"--signal={signal}", "zsr")
    wait(machine, "! pgrep -x sleep")
    wait(machine, "! systemctl list-units --all --no-legend 'zsr-hook@*' | grep -q .")


def test_a_process_that_a_hook_leaves_in_the_background_goes_on_until_the_thaw(machine: SystemdMachine) -> None:
    """As a session that holds a database's lock."""
    freeze = "sleep 1111 >/dev/null 2>&1 & sleep 0.2"
    assert run_hooks(machine, freeze, "sleep 0.5; pkill -x sleep && echo $? >/run/held").ok
    assert machine.path("/run/held").read_text() == "0\n"


def test_a_hook_gets_no_credential_of_the_daemon(machine: SystemdMachine) -> None:
    install(machine, "test -z ${CREDENTIALS_DIRECTORY-}")
    unit = (PACKAGING / "zsr.service").read_text().replace("ImportCredential=zsr.*", "SetCredential=zsr.mail:secret")
    once = machine.path("/etc/systemd/system/zsr.service.d/once.conf").read_text()
    machine.install("zsr.service", unit, once=once)
    machine.run("systemctl", "start", "zsr")
    assert machine.path(OUTPUT).read_text() == ""
