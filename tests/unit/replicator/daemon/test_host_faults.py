"""A real daemon on a host with faults: mounts that hang, no descriptors, no memory. Only its ``zfs`` is played.

Its runs fail, since that refuses: what counts is that they go on.
"""

from __future__ import annotations

import resource
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from replicator.daemon.control import NoDaemonError
from tests.support.daemon_process import HANGS, REFUSES, Node, wait_for
from tests.support.hanging_mount import hanging_mount

pytestmark = pytest.mark.timeout(120)
COMMENT = 'comment = "to and fro"'
STANDARD_STREAMS = 3
"""With this limit a process that has these, and more, gets no further descriptor, whichever number is free."""


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def cluster_file_elsewhere(node: Node) -> tuple[Path, Path]:
    """Put the cluster file into a folder of its own; the place where the settings say that it is, and that folder."""
    place, source = node.folder / "etc", node.folder / "etc-source"
    place.mkdir()
    source.mkdir()
    (node.folder / "cluster.toml").rename(source / "cluster.toml")
    settings = node.folder / "zsr.toml"
    settings.write_text(settings.read_text().replace(f"{node.folder}/cluster.toml", f"{place}/cluster.toml"))
    return place, source


def end_in_time(node: Node, process: object) -> float:
    """Send a SIGTERM; the seconds until the daemon ended, in order."""
    begin = time.monotonic()
    process.send_signal(signal.SIGTERM)  # type: ignore[attr-defined]
    assert process.wait(30) == 0, node.log.read_text()  # type: ignore[attr-defined]
    assert "Traceback" not in node.log.read_text()
    return time.monotonic() - begin


def a_run_more(node: Node, before: int) -> Callable[[], bool]:
    """Order a run, and say what holds when it has failed."""
    node.asked("schedule-now", job="100-0")
    return lambda: node.failures() > before


@pytest.mark.sampled(2)
class TestAMountThatHangs:
    def test_with_the_cluster_file_holds_up_no_run_and_no_end_and_is_read_again(self, node: Node) -> None:
        place, source = cluster_file_elsewhere(node)
        with hanging_mount(place, source) as mount:
            with node.logging_daemon() as daemon:
                wait_for(node.failures)
                mount.hang()
                wait_for(lambda: node.asked()["config_problems"])
                (problem,) = node.asked()["config_problems"]
                assert f"'{place}/cluster.toml' does not answer within 10 s: its file system hangs." in problem
                wait_for(a_run_more(node, node.failures()))
                assert node.log.read_text().count("its file system hangs") == 1
                text = (source / "cluster.toml").read_text()
                (source / "cluster.toml").write_text(text.replace(COMMENT, 'comment = "other"'))
                mount.go_on()
                wait_for(lambda: not node.asked()["config_problems"])
                mount.hang()
                assert end_in_time(node, daemon) < 10
            mount.go_on()

    def test_at_the_start_ends_the_daemon_with_a_sentence(self, node: Node) -> None:
        place, source = cluster_file_elsewhere(node)
        with hanging_mount(place, source) as mount:
            mount.hang()
            ended = node.zsr("daemon")
            mount.go_on()
        assert ended.returncode == 2
        assert "cluster.toml' does not answer within 10 s: its file system hangs. Look at that mount" in ended.stderr
        assert "Traceback" not in ended.stderr


def limited(pid: int, kind: int, soft: int) -> None:
    """Give a process a limit that can be taken back."""
    resource.prlimit(pid, kind, (soft, resource.prlimit(pid, kind)[1]))


def test_without_descriptors_it_says_so_once_and_goes_on_when_there_are_some(node: Node) -> None:
    with node.logging_daemon() as daemon:
        wait_for(node.failures)
        before = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)[0]
        limited(daemon.pid, resource.RLIMIT_NOFILE, STANDARD_STREAMS)
        cluster = node.folder / "cluster.toml"
        fresh = node.folder / "fresh"
        fresh.write_text(cluster.read_text().replace(COMMENT, f'{COMMENT}\nrpo = "3h"'))
        fresh.replace(cluster)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(node.folder / "control.sock"))
            wait_for(lambda: "Nobody can connect to the daemon: Too many open files." in node.log.read_text())
            wait_for(lambda: "Could not read the cluster file" in node.log.read_text())
            time.sleep(3)
        assert len(node.log.read_text().splitlines()) < 30
        limited(daemon.pid, resource.RLIMIT_NOFILE, before)
        wait_for(lambda: answered(node) and node.asked()["jobs"][0]["rpo"] == 3 * 3600)
        assert node.asked()["config_problems"] == []
        wait_for(a_run_more(node, node.failures()))
        assert end_in_time(node, daemon) < 10


def answered(node: Node) -> bool:
    try:
        node.asked()
    except NoDaemonError:
        return False
    return True


def test_without_more_memory_it_goes_on_with_what_it_has(node: Node) -> None:
    with node.logging_daemon() as daemon:
        wait_for(node.failures)
        status = Path(f"/proc/{daemon.pid}/status").read_text()
        kilobytes = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmSize"))
        limited(daemon.pid, resource.RLIMIT_AS, kilobytes * 1024)
        for _ in range(3):
            wait_for(a_run_more(node, node.failures()))
        assert end_in_time(node, daemon) < 10


@pytest.mark.sampled(2)
@pytest.mark.parametrize("script", [HANGS, REFUSES], ids=["in a run whose zfs hangs", "at rest"])
def test_clients_that_say_nothing_do_not_hold_up_its_end(node: Node, script: str) -> None:
    node.zfs(script)
    with node.logging_daemon() as daemon, socket.socket(socket.AF_UNIX) as client:
        wait_for(lambda: node.running() or node.failures())
        client.connect(str(node.folder / "control.sock"))
        assert end_in_time(node, daemon) < 10
