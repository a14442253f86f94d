"""The verbs about what is on the target, on a real ZFS: what they show, what they change, what they refuse."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.lab.two_nodes import FILESYSTEM, ZVOL, TwoNodeCluster, on_two_nodes

pytestmark = pytest.mark.sampled(9)


def by_hand(duo: TwoNodeCluster, name: str, *options: str) -> None:
    """Bring a volume to the target as an admin does."""
    duo.source.run(f"zfs snapshot tank/data/{name}@by-hand")
    receive = " ".join([f"{duo.source.reach(duo.target)}zfs receive", *options, duo.target.path(name)])
    duo.source.run(f"zfs send tank/data/{name}@by-hand | {receive}", timeout=300)


def written_to(duo: TwoNodeCluster, snapshot: str) -> None:
    """Write to the zvol's replica by hand, and take a snapshot of it."""
    replica = duo.target.path(ZVOL)
    duo.target.run(
        f"zfs set readonly=off {replica} && udevadm settle && "
        f"echo mine | dd of=/dev/zvol/{replica} conv=notrunc,fsync,sync status=none && "
        f"zfs snapshot {replica}@{snapshot} && zfs set readonly=on {replica}"
    )


def guids(duo: TwoNodeCluster) -> list[str]:
    """The identity of the guest's datasets on the target."""
    return [duo.target.out(f"zfs get -Ho value guid {duo.target.path(name)}") for name in (FILESYSTEM, ZVOL)]


def job_property(duo: TwoNodeCluster, name: str) -> str:
    """What ``zsr:job`` of a dataset on the target says, and why."""
    return duo.target.out(f"zfs get -Ho value,source zsr:job {duo.target.path(name)}")


def sent(duo: TwoNodeCluster) -> int:
    """The bytes that the newest run sent."""
    runs: list[dict[str, Any]] = json.loads(duo.zsr("log", "100-0", "--runs", "--format", "json"))
    return int(max(runs, key=lambda run: run["run"])["sent_bytes"])


def settle_on_target(duo: TwoNodeCluster) -> None:
    """Give the target its own settings, and the cluster that the source has."""
    settings = duo.source.out("cat /etc/zsr/zsr.toml").replace('node = "node1"', 'node = "node2"')
    duo.target.write("/etc/zsr/zsr.toml", settings + "\n")
    duo.target.write("/etc/zsr/cluster.toml", duo.source.out("cat /etc/zsr/cluster.toml") + "\n")


def metrics_of_target(duo: TwoNodeCluster) -> str:
    """The metrics of the target's daemon; empty while it does not answer."""
    try:
        return duo.lab.http_get(f"http://{duo.target.ip}:9847/metrics")
    except (OSError, AssertionError):
        return ""


class TestAdopt:
    def test_what_came_by_hand_goes_on_with_an_increment_only(self, duo: TwoNodeCluster) -> None:
        by_hand(duo, FILESYSTEM, "-u")
        by_hand(duo, ZVOL)
        before = guids(duo)

        said = duo.zsr("adopt", "100-0", "--yes")

        assert re.search(rf"^tank:{ZVOL} +{duo.target.path(ZVOL)} +by-hand +-$", said, re.MULTILINE)
        assert said.endswith("".join(f"adopted {duo.target.path(name)}\n" for name in (FILESYSTEM, ZVOL)))
        duo.write(ZVOL, 1)
        duo.zsr("run", "--id", "100-0")
        assert guids(duo) == before
        assert 1 << 20 <= sent(duo) < 2 << 20
        assert duo.same_on_both()
        kept = duo.target.out(f"zfs list -Ho name -t snapshot {duo.target.path(ZVOL)}@by-hand")
        assert kept == f"{duo.target.path(ZVOL)}@by-hand"

    def test_a_volume_in_use_lets_nothing_be_changed_until_it_is_unmounted(self, duo: TwoNodeCluster) -> None:
        by_hand(duo, FILESYSTEM)  # mounted there, as syncoid leaves it
        by_hand(duo, ZVOL)

        refused = duo.source.zsr("adopt", "100-0", "--yes", check=False)

        assert refused.returncode == 2
        assert f"'{duo.target.path(FILESYSTEM)}' on node2 is in use (mounted, readonly=off)" in refused.stderr
        assert [job_property(duo, name) for name in (FILESYSTEM, ZVOL)] == ["-\t-", "-\t-"]
        duo.target.run(f"zfs unmount {duo.target.path(FILESYSTEM)}")
        duo.zsr("adopt", "100-0", "--yes")
        assert [job_property(duo, name) for name in (FILESYSTEM, ZVOL)] == ["100-0\tlocal"] * 2

    def test_what_has_newer_snapshots_there_is_kept_aside_by_the_next_run(self, duo: TwoNodeCluster) -> None:
        by_hand(duo, ZVOL)
        written_to(duo, "theirs")

        assert re.search(rf"^tank:{ZVOL} .* by-hand +1 snapshot$", duo.zsr("adopt", "100-0", "--yes"), re.MULTILINE)
        duo.zsr("run", "--id", "100-0")

        assert duo.same_on_both()
        [kept] = json.loads(duo.zsr("diverged", "list", "--format", "json"))
        assert duo.target.out(f"zfs list -Ho name -t snapshot {kept['dataset']}@theirs")


class TestRestorePoints:
    def test_the_number_that_is_kept_is_shown_newest_first(self, duo: TwoNodeCluster) -> None:
        duo.zsr("update", "100-0", "--keep", "2")
        for _ in range(3):
            duo.write(ZVOL, 1)
            duo.zsr("run", "--id", "100-0")

        points = json.loads(duo.zsr("restore-points", "100-0", "--format", "json"))

        assert [(point["volumes"], point["of"], point["complete"]) for point in points] == [(2, 2, True)] * 2
        assert points[0]["time"] > points[1]["time"]
        assert points[0]["written"] >= 1 << 20
        table = duo.zsr("restore-points", "100-0").splitlines()
        assert re.match(r"20..-..-.._..:..:..  \S+ +2 of 2   1\.\d MiB +yes$", table[1])

    @on_two_nodes
    def test_are_listed_by_any_node_when_the_source_is_dead(self, duo: TwoNodeCluster) -> None:
        duo.zsr("run", "--id", "100-0")
        settle_on_target(duo)
        duo.source.crash()

        said = duo.target.zsr("restore-points", "100-0", check=False)

        assert said.returncode == 1
        assert re.search(r" 2 of 2  .* yes$", said.stdout, re.MULTILINE)
        assert "node1" in said.stderr

    @on_two_nodes
    def test_of_different_moments_come_with_the_way_to_go_on_from_the_whole_one(self, duo: TwoNodeCluster) -> None:
        duo.zsr("run", "--id", "100-0")
        settle_on_target(duo)
        whole = duo.checksums(duo.target)
        duo.write(FILESYSTEM, 1)
        duo.write(ZVOL, 8)
        duo.zsr("update", "100-0", "--rate", "1")
        duo.daemon()
        duo.zsr("schedule-now", "100-0")
        duo.until(lambda: (duo.metric("zsr_job_transfer_bytes") or 0) > 2e6, "the second volume is under way")
        duo.source.crash()

        said = duo.target.zsr("restore-points", "100-0", check=False).stdout

        assert f"{duo.target.path(FILESYSTEM)} is ahead of it: " in said
        ahead = duo.checksums(duo.target)[FILESYSTEM]
        [order] = re.findall(r"^  zsr (guest recover 100 --on node2 --restore-point \d+)$", said, re.MULTILINE)
        duo.target.zsr(*order.split(), "--force", "--yes")
        assert duo.checksums(duo.target) == whole
        [aside] = json.loads(duo.target.zsr("diverged", "list", "--format", "json", check=False).stdout)
        assert ahead.split()[0] in duo.target.out(f"zfs list -Ho name -t snapshot {aside['dataset']}")


class TestDiverged:
    def test_what_was_kept_aside_is_shown_and_goes_only_by_hand(self, duo: TwoNodeCluster) -> None:
        duo.zsr("run", "--id", "100-0")
        written_to(duo, "somebodys")
        for _ in range(2):
            duo.write(ZVOL, 1)
            duo.zsr("run", "--id", "100-0")

        [kept] = json.loads(duo.zsr("diverged", "list", "--format", "json"))

        assert kept["dataset"].startswith(f"{duo.target.path('zsr-diverged')}/{ZVOL}-")
        assert (kept["node"], kept["job"], kept["guest"], kept["guest_name"]) == ("node2", "100-0", 100, "web")
        assert kept["size"] < 1 << 20
        assert re.search(
            rf"^node2  {kept['dataset']}  100-0  100 web  \S+ K?i?B  diverged$", duo.zsr("diverged", "list"), re.M
        )
        asked = duo.source.run(["zsr", "diverged", "destroy", "node2", kept["dataset"]], check=False)
        assert (asked.returncode, "Destroy " in asked.stderr) == (2, True)
        duo.zsr("diverged", "destroy", "node2", kept["dataset"], "--yes")
        assert json.loads(duo.zsr("diverged", "list", "--format", "json")) == []
        duo.write(ZVOL, 1)
        duo.zsr("run", "--id", "100-0")
        assert duo.same_on_both()

    @on_two_nodes
    def test_the_node_that_holds_it_counts_it(self, duo: TwoNodeCluster) -> None:
        duo.zsr("run", "--id", "100-0")
        written_to(duo, "somebodys")
        duo.write(ZVOL, 1)
        duo.zsr("run", "--id", "100-0")
        settle_on_target(duo)

        duo.target.spawn(["zsr", "daemon"])

        counted = 'zsr_diverged_volumes{node="node2",guest="100"} 1'
        duo.until(lambda: counted in metrics_of_target(duo), "the volume that is kept aside is counted")
        assert 'zsr_replica_last_sync_timestamp_seconds{guest="100",source="node1"' in metrics_of_target(duo)

    @on_two_nodes
    def test_a_node_that_does_not_answer_is_named(self, duo: TwoNodeCluster) -> None:
        duo.target.cut_from(duo.source)

        said = duo.source.zsr("diverged", "list", check=False)

        assert said.returncode == 1
        assert said.stdout.split() == ["Node", "Dataset", "Job", "Guest", "Size", "Holds"]
        assert "node2" in said.stderr
