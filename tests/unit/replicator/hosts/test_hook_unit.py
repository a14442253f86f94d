"""Hooks in a unit of their own: the daemon's side, and the program that runs there, over a real socket.

What only systemd can do, such as killing processes of other sessions, is in tests/packaging.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from replicator.errors import ConfigError, DeadlineError, HookError, ZsrError
from replicator.hosts.configured_commands import run_configured
from replicator.hosts.hook_unit import HookUnit
from replicator.hosts.host import STDERR_KEPT
from replicator.hosts.local import LocalHost
from replicator.models import Hook
from replicator.replication.hooks import run_hook
from tests.support.daemon_env import until
from tests.support.hook_service import hook_service


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[LocalHost]:
    """A node whose hooks have a unit."""
    async with hook_service(tmp_path) as unit:
        yield LocalHost("here", unit)


async def shell(host: LocalHost, command: str, limit: float = 20.0) -> tuple[int, str, str]:
    done = await run_configured(host, ["sh", "-c", command], limit=limit)
    return done.status, done.stdout, done.stderr


def is_running(pid: str) -> bool:
    """Whether there is such a process that is no zombie."""
    try:
        return "State:\tZ" not in Path(f"/proc/{pid.strip()}/status").read_text()
    except FileNotFoundError:
        return False


async def test_the_status_and_both_outputs_come_back(host: LocalHost) -> None:
    assert await shell(host, "echo out; echo err >&2; exit 3") == (3, "out\n", "err\n")


async def test_it_is_no_child_of_the_daemon(host: LocalHost) -> None:
    _, parent, _ = await shell(host, "cat /proc/$PPID/cmdline")
    assert "replicator.hosts.hook_runner" in parent
    assert (await host.run(["sh", "-c", "cat /proc/$PPID/cmdline"], limit=20)).stdout != parent


async def test_much_output_comes_whole(host: LocalHost) -> None:
    status, out, err = await shell(host, "seq 200000 | tee /dev/stderr")
    assert (status, len(out), len(err)) == (0, 1288895, STDERR_KEPT)


async def test_it_has_the_daemons_variables_without_those_of_its_unit(
    host: LocalHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OF_THE_USER", "x" * 100_000)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/zsr.service")
    _, out, _ = await shell(host, "echo ${#OF_THE_USER} $LC_ALL ${CREDENTIALS_DIRECTORY-none}")
    assert out == "100000 C none\n"


async def test_a_signal_is_a_negative_status_as_of_a_child(host: LocalHost) -> None:
    assert (await shell(host, "kill -KILL $$"))[0] == -9


async def test_a_command_that_does_not_exist_is_an_error_of_the_settings(host: LocalHost) -> None:
    with pytest.raises(ConfigError, match="There is no command 'hook-of-nowhere' on node here"):
        await run_configured(host, ["hook-of-nowhere"], limit=20)


async def test_one_that_takes_too_long_is_killed(host: LocalHost, tmp_path: Path) -> None:
    with pytest.raises(DeadlineError, match=r"did not end within 1 s"):
        await shell(host, f"echo $$ >{tmp_path}/pid; sleep 60 & wait", limit=1.0)
    assert not is_running((tmp_path / "pid").read_text())


async def test_one_that_is_cancelled_is_killed_before_the_cancel_returns(host: LocalHost, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    work = asyncio.ensure_future(shell(host, f"echo $$ >{pid}; sleep 60"))
    await until(lambda: pid.exists() and pid.read_text().endswith("\n"))
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    assert not is_running(pid.read_text())


async def test_what_it_leaves_in_the_background_goes_on(host: LocalHost, tmp_path: Path) -> None:
    """As a session that holds a database's lock until the thaw hook ends it."""
    assert (await shell(host, f"sleep 60 >/dev/null 2>&1 & echo $! >{tmp_path}/pid"))[0] == 0
    pid = (tmp_path / "pid").read_text()
    await asyncio.sleep(0.2)
    assert is_running(pid)
    assert (await shell(host, f"kill {pid}"))[0] == 0


async def test_one_whose_unit_is_stopped_has_failed_and_may_have_frozen_the_guest(host: LocalHost) -> None:
    with pytest.raises(HookError, match="was ended with its unit") as failed:
        await run_hook(Hook.FREEZE, 100, "kill -KILL $PPID", 20, host)
    assert failed.value.__cause__ is not None


@pytest.mark.parametrize("is_there", [True, False], ids=["systemd refuses", "no socket"])
async def test_without_a_unit_it_runs_as_a_child_of_the_daemon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, *, is_there: bool
) -> None:
    async with hook_service(tmp_path, ("true",)) as unit:
        host = LocalHost("here", unit if is_there else HookUnit(str(tmp_path / "none")))
        with caplog.at_level(logging.WARNING):
            assert await shell(host, "echo thawed") == (0, "thawed\n", "")
    assert "A hook runs with the daemon's restrictions: systemd gave it no unit" in caplog.text


async def test_a_limit_that_passes_before_the_unit_is_there_is_kept(tmp_path: Path) -> None:
    async with hook_service(tmp_path, ("sleep", "1")) as unit:
        with pytest.raises(ZsrError, match="did not end within 0 s"):
            await shell(LocalHost("here", unit), "true", limit=0.2)
