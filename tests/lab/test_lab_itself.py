"""What tests of zsr rely on in the lab: real OpenZFS, real power cuts, a clock and a network that obey the test."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.lab.lab import CommandFailedError, Lab, Node
from tests.lab.node import ZSR_FORKED

pytestmark = pytest.mark.sampled(9)


@pytest.fixture
def volume(node1: Node) -> str:
    """A zvol with 24 MB of random data on node1, and its snapshot ``@a``; the name of the zvol."""
    node1.run(
        "zfs create -V 64M tank/vol && udevadm settle && "
        "dd if=/dev/urandom of=/dev/zvol/tank/vol bs=1M count=24 conv=fsync status=none && zfs snapshot tank/vol@a"
    )
    return "tank/vol"


def token(node: Node, dataset: str) -> str:
    return node.out(["zfs", "get", "-Ho", "value", "receive_resume_token", dataset])


def test_both_nodes_run_openzfs_2_4_in_kernel_and_tools(node1: Node, node2: Node) -> None:
    for node in (node1, node2):
        tools, kernel = node.out("zfs version").splitlines()
        assert tools.startswith("zfs-2.4.")
        assert kernel == tools.replace("zfs-", "zfs-kmod-")


def test_a_zvol_sent_over_ssh_has_the_same_bytes_and_guid(node1: Node, node2: Node, volume: str) -> None:
    node1.run(f"zfs send {volume}@a | ssh node2 zfs receive -u {volume} && ssh node2 udevadm settle")
    checksum = f"sha256sum </dev/zvol/{volume}"
    guid = f"zfs get -Hpo value guid {volume}@a"
    assert node1.out(checksum) == node2.out(checksum)
    assert node1.out(guid) == node2.out(guid)


def test_a_stream_that_breaks_leaves_a_token_from_which_it_goes_on(node1: Node, node2: Node, volume: str) -> None:
    node1.run(f"zfs send {volume}@a | head -c 12000000 | ssh node2 zfs receive -su {volume}", check=False)
    assert token(node2, volume) != "-"
    node1.run(f"zfs send -t {token(node2, volume)} | ssh node2 zfs receive -su {volume}")
    assert token(node2, volume) == "-"
    assert node2.out(f"zfs list -Ho name {volume}@a") == f"{volume}@a"


def test_a_pool_outlives_a_power_cut_and_what_was_not_on_disk_does_not(node2: Node) -> None:
    node2.run("zfs create tank/kept && zpool sync && touch /run/gone /root/gone")
    node2.crash()
    assert not node2.alive()
    node2.start()
    assert node2.out("zfs list -Ho name tank/kept") == "tank/kept"
    assert node2.run("ls /run/gone /root/gone", check=False).stdout == ""


def test_a_test_that_finds_a_dead_node_gets_it_alive_and_empty(node2: Node) -> None:
    node2.run("zfs create tank/old")
    node2.crash()
    node2.fresh()
    assert node2.out("zfs list -Ho name") == "tank"


def test_a_clock_jumps_on_one_node_only(node1: Node, node2: Node) -> None:
    node1.shift_clock(86400)
    assert node1.clock() - time.time() == pytest.approx(86400, abs=5)
    assert node2.clock() == pytest.approx(time.time(), abs=5)
    node1.set_clock(1_800_000_000)
    assert node1.clock() == pytest.approx(1_800_000_000, abs=5)


def test_a_pulled_cable_loses_packets_until_it_is_plugged_in(node1: Node, node2: Node) -> None:
    node2.cut_network()
    assert node1.run("ping -c1 -W1 node2", check=False).returncode == 1
    node2.restore_network()
    assert node1.run("ping -c1 -W5 node2").returncode == 0


def test_a_silent_cut_between_two_nodes_times_out_and_the_test_still_reaches_both(node1: Node, node2: Node) -> None:
    node2.cut_from(node1)
    connect = node1.run("ssh -o ConnectTimeout=2 node2 true", check=False)
    assert "timed out" in connect.stderr
    assert node2.out("echo here") == "here"
    node2.restore_network()
    assert node1.run("ssh node2 true").returncode == 0


def test_a_refusing_node_breaks_open_connections_and_refuses_new_ones(node1: Node, node2: Node) -> None:
    node2.run("rm -f /tmp/flows")
    stream = node1.spawn(["sh", "-c", "while sleep 0.2; do echo; done | ssh node2 'cat >/tmp/flows'"])
    # Not only connected: a client that waits for the server's part of the login sends nothing, so nothing resets it.
    node2.run("until test -s /tmp/flows; do sleep 0.1; done", timeout=20)
    node2.refuse_from(node1)
    assert stream.wait(120) == 255
    assert "refused" in node1.run("ssh node2 true", check=False).stderr


def test_a_small_pool_can_be_filled(node1: Node) -> None:
    node1.fresh_pool("pond", size_mb=100, disk=2)
    full = node1.run("dd if=/dev/urandom of=/pond/file bs=1M count=200", check=False)
    assert "No space left" in full.stderr


def test_a_spawned_process_is_killed_by_its_id_and_has_its_status(node1: Node) -> None:
    process = node1.spawn(["sleep", "1000"])
    assert process.status() is None
    process.kill("TERM")
    assert process.wait(10) == 128 + 15


def test_nodes_reach_a_server_of_the_test(lab: Lab, node1: Node) -> None:
    with lab.listen() as server:
        server.settimeout(20)
        port = server.getsockname()[1]
        received: list[bytes] = []

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                received.append(connection.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        node1.run(["bash", "-c", f"echo hello >/dev/tcp/{lab.host_ip}/{port}"])
        thread.join()
    assert received == [b"hello\n"]


def test_a_test_reaches_a_server_on_a_node(lab: Lab, node1: Node) -> None:
    node1.write("/tmp/www/a file", "of the node")
    node1.spawn(["python3", "-m", "http.server", "--directory", "/tmp/www", "9847"])
    node1.run("until ss -Hltn sport = 9847 | grep -q .; do sleep 0.1; done", timeout=20)
    home = Path("/proc/thread-self/ns/net").readlink()
    assert lab.http_get("http://node1:9847/a%20file") == "of the node"
    assert Path("/proc/thread-self/ns/net").readlink() == home


def test_a_node_imports_zsr_its_libraries_and_finds_its_plugins(node1: Node) -> None:
    found = node1.out(
        "PYTHONPATH=/opt/zsr:/lab/site python3 -c '"
        "import asyncssh, aiohttp, apprise, prometheus_client, pydantic, replicator.models; "
        "from importlib.metadata import entry_points; "
        'print(*sorted(e.name for e in entry_points(group="zsr.plugins")))\''
    )
    assert found == "exporter notify"


@pytest.mark.parametrize("arguments", [["calendar", "daily"], ["calendar", "a \n'b'"], [], ["run", "--id", "1-0"]])
def test_a_forked_zsr_writes_and_ends_as_one_that_is_started(node1: Node, arguments: list[str]) -> None:
    forked, started = node1.zsr(*arguments, check=False), node1.run(["zsr", *arguments], check=False)
    assert forked.returncode == started.returncode
    assert [forked.stdout, forked.stderr.replace("tests.lab.zsr", "replicator.cli.main")] == [
        started.stdout,
        started.stderr,
    ]


def test_a_forked_zsr_that_hangs_is_gone_in_the_next_test(node1: Node) -> None:
    node1.write("/etc/zsr/zsr.toml", 'node = "node1"\n')
    node1.write("/etc/zsr/cluster.toml", '[nodes.node1]\naddress = "node1"\n')
    node1.spawn([ZSR_FORKED, "daemon"])
    node1.run("until ls /run/lab/zsr/*; do sleep 0.1; done && cp /run/lab/zsr/* /tmp/pid", timeout=60)
    node1.fresh()
    assert node1.run("kill -0 $(cat /tmp/pid)", check=False).returncode == 1


def test_a_zsr_that_goes_on_holds_up_no_other_one(node1: Node) -> None:
    node1.write("/etc/zsr/zsr.toml", 'node = "node1"\n')
    node1.write("/etc/zsr/cluster.toml", '[nodes.node1]\naddress = "node1"\n')
    with ThreadPoolExecutor() as threads:
        daemon = threads.submit(node1.zsr, "daemon", check=False)
        node1.run("until ls /run/lab/zsr/*; do sleep 0.1; done && cp /run/lab/zsr/* /tmp/pid", timeout=60)
        assert node1.zsr("--version").stdout.startswith("zsr, ")
        assert not daemon.done()
        node1.run("kill -9 $(cat /tmp/pid)")
        assert daemon.result().returncode == 128 + 9
    assert node1.zsr("--version").stdout.startswith("zsr, ")


def test_a_step_that_takes_too_long_fails_and_the_next_one_goes_well(node1: Node) -> None:
    with pytest.raises(CommandFailedError, match="sleep 60: not done within"):
        node1.run("sleep 60", timeout=0.5)
    failed = node1.run("cat; echo oops >&2; exit 3", stdin="given", check=False)
    assert (failed.stdout, failed.stderr, failed.returncode) == ("given", "oops\n", 3)


def test_steps_of_a_node_that_lost_its_power_go_on_when_it_was_booted(lab: Lab, node1: Node) -> None:
    node1.crash()
    assert not lab.agent.serves()
    node1.start()
    assert node1.with_agent(lab.agent).out("echo here") == "here"


def test_what_needs_a_second_machine_says_so_on_one(target: Node) -> None:
    assert (target.name, target.path("vm-1"), target.out("zpool list -Ho name")) == (
        "node2",
        "pond/data/vm-1",
        "pond\ntank",
    )
    with pytest.raises(AssertionError, match="on_two_nodes"):
        target.crash()


def test_a_checkout_is_only_read_by_the_nodes(node1: Node) -> None:
    assert node1.run("touch /opt/zsr/README.md").returncode == 0
    with pytest.raises(CommandFailedError, match="Read-only"):
        node1.run("touch /lab/checkout/README.md")
