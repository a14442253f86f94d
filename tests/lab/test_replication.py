"""zsr between two real nodes: what arrives, how much is sent, how fast, and what a power cut or a kill costs."""

from __future__ import annotations

import re

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.two_nodes import TwoNodeCluster

pytestmark = pytest.mark.sampled(5)


@pytest.fixture
def duo(lab: Lab, node1: Node, node2: Node) -> TwoNodeCluster:
    """The two nodes with zsr's settings on the source."""
    return TwoNodeCluster(lab, node1, node2)


def test_every_volume_is_equal_after_every_run_and_only_changes_travel(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0")
    duo.zvol("vm-100-disk-1", 16)
    duo.filesystem("subvol-100-disk-2")
    duo.job("--schedule", "*/1")
    duo.start_a_minute()
    duo.daemon()
    duo.until(lambda: duo.runs("success") >= 1, "the first run succeeded at once")
    duo.run_on_schedule()
    assert duo.same_on_both()
    for changed in ("vm-100-disk-0", "subvol-100-disk-2"):
        sent, expected = _increment(duo, changed)
        assert duo.same_on_both()
        assert sent == pytest.approx(expected, rel=0.1)


def _increment(duo: TwoNodeCluster, changed: str) -> tuple[float, int]:
    """Change a volume and let the next run come: the bytes it sent, and ZFS's estimate of them just before."""
    for _ in range(5):
        runs = duo.runs("success")
        duo.write(changed, 4)
        expected = _estimate(duo)
        if duo.runs("success") == runs:  # on a slow machine a minute may end in between
            duo.run_on_schedule()
            sent = duo.metric("zsr_job_last_sent_bytes")
            if duo.runs("success") == runs + 1 and sent is not None:
                return sent, expected
    raise AssertionError("no run came by itself in five minutes' time")


def _estimate(duo: TwoNodeCluster) -> int:
    """What ``zfs send -nP`` says an increment of all volumes would take now."""
    duo.source.run("zfs snapshot " + " ".join(f"tank/data/{name}@estimate" for name in duo.volumes))
    total = 0
    for name in duo.volumes:
        dataset = f"tank/data/{name}"
        base = duo.source.out(f"zfs list -Ho name -t snapshot -d 1 {dataset} | grep __replicate_").split("@")[1]
        said = duo.source.out(f"zfs send -nP -i @{base} {dataset}@estimate")
        total += int(re.findall(r"^size\s+(\d+)", said, re.MULTILINE)[-1])
        duo.source.run(f"zfs destroy {dataset}@estimate")
    return total


def test_a_rate_of_2_takes_20_mb_in_10_seconds(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0", 40)
    duo.job("--rate", "2")  # so low that also a busy machine could send faster
    duo.zsr("run", "--id", "100-0")
    log = duo.zsr("log", "100-0", "--format", "json")
    sent = re.search(r'"sent_bytes": (\d+)', log)
    times = [float(t) for t in re.findall(r'"t": ([\d.]+)', log)]
    lines = re.findall(r'"m": "([^"]*)"', log)
    begin = next(t for t, line in zip(times, lines, strict=True) if line.startswith("zfs send"))
    end = next(t for t, line in zip(times, lines, strict=True) if line.endswith(" sent"))
    assert sent is not None
    assert end - begin == pytest.approx(int(sent[1]) / 2e6, rel=0.2)


@pytest.mark.parametrize("stream", ["asyncssh", "openssh"])
def test_a_killed_daemon_goes_on_where_the_transfer_was_cut(lab: Lab, node1: Node, node2: Node, stream: str) -> None:
    duo = TwoNodeCluster(lab, node1, node2, stream=stream)
    duo.zvol("vm-100-disk-0", 64)
    duo.job("--rate", "6")
    daemon = duo.daemon()
    duo.until(lambda: (duo.metric("zsr_job_transfer_bytes") or 0) > 12e6, "the transfer is under way")
    daemon.kill()
    duo.zsr("update", "100-0", "--delete", "rate")
    duo.daemon()
    duo.until(lambda: duo.runs("failure") >= 1, "the run that was cut off is recorded")
    assert duo.status()["error_class"] in ("internal", None)
    duo.zsr("schedule-now", "100-0")
    duo.until(lambda: duo.runs("success") >= 1, "the next run succeeded")
    assert duo.same_on_both()
    assert "resuming the interrupted transfer" in duo.zsr("log", "100-0")
    assert (duo.metric("zsr_job_last_sent_bytes") or 0) < 28e6


def test_a_target_that_loses_power_in_mid_transfer_is_gone_on_with_when_it_is_back(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0", 64)
    duo.job("--rate", "6")
    duo.daemon()
    duo.until(lambda: (duo.metric("zsr_job_transfer_bytes") or 0) > 15e6, "the transfer is under way")
    duo.target.crash()
    duo.until(lambda: duo.runs("failure") >= 1, "the run failed")
    assert duo.status()["error_class"] in ("network", "timeout")
    duo.target.start()
    duo.zsr("update", "100-0", "--delete", "rate")
    duo.zsr("schedule-now", "100-0")
    duo.until(lambda: duo.runs("success") >= 1, "the next run succeeded")
    assert duo.same_on_both()


def test_a_source_that_loses_power_finds_its_base_again_without_its_memory(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0")
    duo.job()
    duo.zsr("run", "--id", "100-0")
    settings = {name: duo.source.read(f"/etc/zsr/{name}") for name in ("zsr.toml", "cluster.toml")}
    duo.source.crash()
    duo.source.start()
    for name, text in settings.items():
        duo.source.write(f"/etc/zsr/{name}", text)
    duo.write("vm-100-disk-0", 2)
    duo.zsr("run", "--id", "100-0")
    assert duo.same_on_both()
    assert duo.status()["sent_bytes"] < 4e6


def test_a_changed_host_key_is_refused_and_reported_as_auth(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0", 8)
    duo.job()
    duo.source.run(
        "ssh-keygen -q -t ed25519 -N '' -f /tmp/other && awk '{print \"node2 \" $1, $2}' /tmp/other.pub > /tmp/known"
    )
    duo.source.write("/etc/zsr/zsr.toml", duo.source.read("/etc/zsr/zsr.toml") + 'known_hosts = "/tmp/known"\n')
    assert duo.source.zsr("run", "--id", "100-0", check=False).returncode == 1
    assert duo.status()["error_class"] == "auth"


def test_removal_leaves_nothing_of_the_job_on_either_node(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0", 8)
    duo.filesystem("subvol-100-disk-1", 1)
    duo.source.run("zfs snapshot tank/data/vm-100-disk-0@mine")
    duo.job()
    duo.daemon()
    duo.until(lambda: duo.runs("success") >= 1, "the first run succeeded")
    duo.zsr("delete", "100-0", "--yes")
    duo.until(lambda: '"100-0"' not in duo.get("/metrics"), "the job and its series are gone")
    assert duo.target.out("zfs list -Ho name -t all -r tank/data") == "tank/data"
    left = duo.source.out("zfs list -Ho name -t snapshot -r tank/data").split()
    assert left == ["tank/data/vm-100-disk-0@mine"]
    assert "100-0" not in duo.zsr("list")


def test_a_job_that_went_well_and_cannot_reach_its_target_any_more_leaves_no_snapshot(
    lab: Lab, node1: Node, node2: Node
) -> None:
    """Its snapshot is taken while the target is looked at, and taken back."""
    duo = TwoNodeCluster(lab, node1, node2)
    duo.filesystem("subvol-100-disk-0", 1)
    duo.job()
    duo.zsr("run", "--id", "100-0")
    listing = "zfs list -Ho name -t snapshot -r tank/data"
    before = duo.source.out(listing)
    duo.write("subvol-100-disk-0", 1)
    duo.source.refuse_from(duo.target)
    assert "snapshot __replicate_100-0_" in duo.zsr("run", "--id", "100-0", "--verbose", check=False)
    assert duo.status()["error_class"] == "network"
    assert duo.source.out(listing) == before
    duo.source.restore_network()
    duo.zsr("run", "--id", "100-0")
    assert duo.same_on_both()
