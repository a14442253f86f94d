"""The sandbox of pools: replication in it is real, and it leaves nothing behind."""

from __future__ import annotations

import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from demo import engine
from demo.engine import SandboxError
from demo.processes import Process
from demo.records import Record, Records
from demo.sandbox import Sandbox, clear_leftovers, mounts_below
from tests.support.pools import Pools

MIB = 1024 * 1024
OWN_MOUNTS = Path(__file__).parents[1] / "lab/own_mounts"


def send(snapshot: str, target: str) -> None:
    """A full send into a new dataset."""
    with subprocess.Popen(["zfs", "send", snapshot], stdout=subprocess.PIPE) as sender:
        subprocess.run(["zfs", "receive", "-u", target], stdin=sender.stdout, check=True)


def test_a_snapshot_sent_to_the_other_pool_holds_the_same_files(pools: Pools) -> None:
    dataset = f"{pools.source.name}/subvol-100-disk-0"
    replica = f"{pools.target.name}/subvol-100-disk-0"
    pools.sandbox.zfs("create", dataset)
    pools.sandbox.fill(dataset, size=MIB, seed=1)
    pools.sandbox.zfs("snapshot", f"{dataset}@one")

    send(f"{dataset}@one", replica)

    assert pools.sandbox.digest(f"{replica}@one") == pools.sandbox.digest(f"{dataset}@one")


@pytest.mark.parametrize("change", ["content", "mode", "name", "link"])
def test_the_digest_differs_with_any_difference(pools: Pools, change: str) -> None:
    dataset = f"{pools.source.name}/data"
    pools.sandbox.zfs("create", dataset)
    pools.sandbox.fill(dataset, size=1000)
    pools.sandbox.zfs("snapshot", f"{dataset}@before")
    files = pools.sandbox.mountpoint(dataset) / "files 0"

    match change:
        case "content":
            (files / "one").write_bytes(b"?" * 250)
        case "mode":
            (files / "one").chmod(0o600)
        case "name":
            (files / "one").rename(files / "eins")
        case "link":
            (files / "link").unlink()
            (files / "link").symlink_to("one")
    pools.sandbox.zfs("snapshot", f"{dataset}@after")

    assert pools.sandbox.digest(f"{dataset}@before") != pools.sandbox.digest(f"{dataset}@after")


def test_each_test_gets_empty_pools(pools: Pools) -> None:
    listed = pools.sandbox.zfs("list", "-H", "-o", "name", "-r", pools.source.name, pools.target.name).split()

    assert listed == [pools.source.name, pools.target.name]


def test_filesystems_made_at_the_same_moment_in_two_pools_can_all_be_written(pools: Pools) -> None:
    def make_some(pool: str) -> None:
        for number in range(20):
            pools.sandbox.zfs("create", f"{pool}/{number}")
            (pools.sandbox.mountpoint(f"{pool}/{number}") / "file").write_bytes(b"content")

    with ThreadPoolExecutor() as threads:
        for done in [threads.submit(make_some, pool.name) for pool in (pools.source, pools.target)]:
            done.result()


def test_a_command_that_fails_is_reported_with_its_message(pools: Pools) -> None:
    with pytest.raises(SandboxError, match="dataset does not exist"):
        pools.sandbox.zfs("list", f"{pools.source.name}/nothing")


def test_leaving_takes_pools_processes_mounts_and_files_along(sandbox: Sandbox) -> None:
    with Sandbox("leave") as inner:
        pool = inner.pool("gone")
        inner.zfs("create", f"{pool.name}/data")
        child = inner.spawn(lambda: subprocess.Popen(["sleep", "600"]))
        process = Process.of(child.pid)
        directory = inner.directory
        assert mounts_below(directory)

    assert pool.name not in engine.pool_names()
    assert not process.alive()
    assert mounts_below(directory) == []
    assert not directory.exists()
    assert all(record.directory != str(directory) for record in Records().all())


def test_leaving_clears_away_after_a_failure_too(sandbox: Sandbox) -> None:
    seen = []

    def fail_inside() -> None:
        with Sandbox("fail") as inner:
            seen.append(inner.pool("failed"))
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail_inside()

    [pool] = seen
    assert pool.name not in engine.pool_names()
    assert not pool.file.exists()


def test_an_exported_pool_is_cleared_away_as_well(sandbox: Sandbox) -> None:
    with Sandbox("export") as inner:
        pool = inner.pool("exported")
        engine.run("zpool", "export", pool.name)

    assert not pool.file.exists()


KILLED = """
import os, signal, subprocess, sys
from demo.sandbox import Sandbox
with Sandbox("killed") as sandbox:
    sandbox.pool("killed")
    child = sandbox.spawn(lambda: subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL))
    print(sandbox.directory, child.pid, os.getpid(), flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_sandbox_left_is_cleared_away_by_the_next(sandbox: Sandbox) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, check=False)
    assert killed.returncode == -signal.SIGKILL
    directory, child, owner = killed.stdout.split()
    process = Process.of(int(child))
    assert process.alive()
    assert f"zsr{owner}-killed" in engine.pool_names()

    with Sandbox("next"):
        pass

    assert f"zsr{owner}-killed" not in engine.pool_names()
    assert not process.alive()
    assert not Path(directory).exists()


def test_what_a_living_sandbox_owns_is_left_alone(sandbox: Sandbox) -> None:
    records = Records()
    with records.locked():
        clear_leftovers(records)

    assert sandbox.directory.exists()


def test_a_pid_that_was_given_away_again_is_not_the_process_that_was_recorded(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "600"]) as bystander:
        now = Process.of(bystander.pid)
        then = Process(now.pid, now.started - 1)
        records = Records(tmp_path / "run")
        directory = tmp_path / "zsr-old"
        directory.mkdir()
        with records.locked():
            records.write(Record(then, str(directory), children=(then,)))
            clear_leftovers(records)

        assert not directory.exists()
        assert bystander.poll() is None
        bystander.kill()


def test_a_pool_can_be_destroyed_while_a_build_of_the_tests_runs_with_mounts_of_its_own(sandbox: Sandbox) -> None:
    pool = sandbox.pool("copied")
    argv = [str(OWN_MOUNTS), "sh", "-c", "echo ready; exec cat"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as build:
        assert build.stdout is not None
        assert build.stdout.readline() == b"ready\n"

        sandbox.destroy(pool)

        assert build.poll() is None
        build.kill()
