"""The budget of a run: zfs commands on either side, and logins. Counts do not depend on the machine, times do.

The processes that are really started are counted: on both nodes a script before zfs writes down its arguments.
"""

from __future__ import annotations

import json
import shlex

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.two_nodes import TwoNodeCluster

pytestmark = pytest.mark.sampled(3)

_COUNTING = '#!/bin/sh\necho "$(basename $0) $*" >>/run/lab/commands\nexec /usr/sbin/$(basename $0) "$@"\n'
GUESTS = 20


class Budget:
    """Counts the commands of each node since the last `forget`."""

    def __init__(self, nodes: list[Node]) -> None:
        self._nodes = nodes
        for node in nodes:
            for program in ("zfs", "zpool"):
                node.write(f"/usr/local/sbin/{program}", _COUNTING)
                node.run(f"chmod +x /usr/local/sbin/{program}")

    def forget(self) -> None:
        """Count from here."""
        for node in self._nodes:
            node.run("rm -f /run/lab/commands")

    def spent(self, node: Node) -> list[str]:
        """The commands of runs; without the daemon's own look at its node, bookmarks included, once a minute."""
        lines = node.out("cat /run/lab/commands 2>/dev/null || true").splitlines()
        own = ("zfs list -Hp -t filesystem,volume,snapshot,bookmark -d ", "zfs get -Hp -o name,property,value used,")
        return [line for line in lines if not line.startswith(own)]

    def remove(self) -> None:
        """Take the counting scripts away."""
        for node in self._nodes:
            node.run("rm -f /usr/local/sbin/zfs /usr/local/sbin/zpool", check=False)


@pytest.fixture
def duo(lab: Lab, node1: Node, node2: Node) -> TwoNodeCluster:
    """Two nodes; runs come when they are asked for, and no real hour begins in the middle of a test."""
    duo = TwoNodeCluster(lab, node1, node2)
    duo.source.set_clock(duo.source.clock() // 3600 * 3600 + 600)
    return duo


@pytest.fixture
def budget(lab: Lab, duo: TwoNodeCluster) -> object:
    """What the nodes' runs cost."""
    counted = Budget(lab.nodes)
    yield counted
    counted.remove()


def _next_hour(duo: TwoNodeCluster) -> float:
    """Let the source's clock jump into the next hour, in which no test ends by itself; its time then."""
    duo.source.set_clock((duo.source.clock() // 3600 + 1) * 3600 + 1)
    return duo.source.clock()


def _next_run(duo: TwoNodeCluster, budget: Budget) -> None:
    """One run on schedule, counted alone."""
    before = duo.runs("success")
    budget.forget()
    _next_hour(duo)
    duo.until(lambda: duo.runs("success") > before, "a run succeeded on schedule")


@pytest.mark.parametrize("volumes", [1, 3])
def test_an_increment_costs_two_commands_a_side_and_one_more_for_each_volume(
    duo: TwoNodeCluster, budget: Budget, volumes: int
) -> None:
    for number in range(volumes):
        duo.filesystem(f"subvol-100-disk-{number}", 1)
    duo.job("--schedule", "*:0")
    duo.daemon()
    duo.until(lambda: duo.runs("success") >= 1, "the first run, which is due at once, succeeded")
    duo.write("subvol-100-disk-0", 1)
    _next_run(duo, budget)
    here, there = budget.spent(duo.source), budget.spent(duo.target)
    assert len(here) <= 2 + volumes, here
    assert len(there) <= 2 + volumes, there
    assert sum("send" in shlex.split(line)[1] for line in here) == volumes


@pytest.mark.parametrize("vanished", [0, 1])
def test_nothing_changed_costs_one_command_a_side_and_moves_last_sync(
    duo: TwoNodeCluster, budget: Budget, vanished: int
) -> None:
    for number in range(4):
        duo.filesystem(f"subvol-100-disk-{number}", 1)
    duo.job("--schedule", "*:0")
    duo.daemon()
    duo.until(lambda: duo.runs("success") >= 1, "the first run, which is due at once, succeeded")
    if vanished:  # and waits for the end of its grace
        duo.source.run("zfs destroy -r tank/data/subvol-100-disk-3")
        _next_run(duo, budget)
    before = duo.status()["last_sync"]
    _next_run(duo, budget)
    assert len(budget.spent(duo.source)) == 1
    assert len(budget.spent(duo.target)) == 1
    assert duo.status()["last_sync"] > before
    assert duo.metric("zsr_job_last_sent_bytes") == 0


@pytest.mark.parametrize("idle", [True, False], ids=["nothing changed", "something written"])
def test_the_first_run_after_an_upgrade_costs_at_most_one_command_more_for_its_stamps(
    duo: TwoNodeCluster, budget: Budget, *, idle: bool
) -> None:
    duo.filesystem("subvol-100-disk-0", 1)
    duo.job("--schedule", "*:0")
    duo.daemon()
    duo.until(lambda: duo.runs("success") >= 1, "the first run, which is due at once, succeeded")
    for node in (duo.source, duo.target):
        node.run("zfs inherit zsr:owner tank/data/subvol-100-disk-0; zfs inherit zsr:epoch tank/data/subvol-100-disk-0")
    if not idle:
        duo.write("subvol-100-disk-0", 1)
    _next_run(duo, budget)
    here, there = budget.spent(duo.source), budget.spent(duo.target)
    assert len(here) <= (2 if idle else 3), here
    assert len(there) <= (2 if idle else 3), there


def test_guests_that_are_due_together_with_nothing_changed_share_one_look_and_no_login(
    duo: TwoNodeCluster, budget: Budget
) -> None:
    cluster = duo.source.read("/etc/zsr/cluster.toml")
    for guest in range(100, 100 + GUESTS):
        duo.source.run(
            f"zfs create tank/data/subvol-{guest}-disk-0 && echo {guest} >/tank/data/subvol-{guest}-disk-0/f"
        )
        cluster += "" if guest == 100 else f'[guests.{guest}]\nnode = "node1"\n'
        cluster += f'[jobs.{guest}-0]\ntarget = "node2"\nschedule = "*:0"\n'
    duo.source.write("/etc/zsr/cluster.toml", cluster)
    duo.daemon()

    def all_since(moment: float) -> bool:
        jobs = json.loads(duo.zsr("status", "--format", "json"))
        return len(jobs) == GUESTS and all((job["last_sync"] or 0) >= moment for job in jobs)

    duo.until(lambda: all_since(1), "every guest was replicated once", timeout=240)
    moment = _next_hour(duo)
    duo.until(lambda: all_since(moment - 2), "and once more, to be idle", timeout=120)
    logins = _logins(duo)
    budget.forget()
    moment = _next_hour(duo)
    duo.until(lambda: all_since(moment - 2), "every guest had its next run", timeout=120)
    assert [line.split()[:2] for line in budget.spent(duo.source)] == [["zpool", "sync"], ["zfs", "list"]]
    assert [line.split()[:2] for line in budget.spent(duo.target)] == [["zfs", "list"]]
    assert _logins(duo) == logins


def _logins(duo: TwoNodeCluster) -> set[str]:
    """The connections from the source to the target's SSH server, by their port."""
    lines = duo.target.out(f"ss -Htn state established 'sport = :22' dst {duo.source.ip}").splitlines()
    return {line.split()[-1] for line in lines}
