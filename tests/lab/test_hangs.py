"""What hangs does not hang the daemon: a transfer that stands still, a zfs that never ends, a cancel at any moment."""

from __future__ import annotations

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.two_nodes import TwoNodeCluster

pytestmark = pytest.mark.sampled(4)

_LIMITS = '[zfs]\nstall_timeout = "6s"\ncommand_timeout = "8s"\n'

_HANGING = (
    "#!/bin/sh\n# A fake: no real zfs can be made to hang at will.\ntrap '' TERM HUP\nwhile :; do sleep 1; done\n"
)


@pytest.mark.parametrize("stream", ["asyncssh", "openssh"])
def test_a_transfer_that_stands_still_ends_as_timeout_and_the_next_run_succeeds(
    lab: Lab, node1: Node, node2: Node, stream: str
) -> None:
    duo = TwoNodeCluster(lab, node1, node2, stream=stream, settings=_LIMITS)
    duo.zvol("vm-100-disk-0", 96)
    duo.job("--rate", "8")
    duo.daemon()
    duo.until(lambda: (duo.metric("zsr_job_transfer_bytes") or 0) > 4e6, "the transfer is under way")
    duo.target.run("kill -STOP $(pgrep -x zfs)")  # the real receive, as a disk that answers no more would stop it
    duo.until(lambda: duo.runs("failure") >= 1, "the run ended", timeout=120)
    assert duo.status()["error_class"] == "timeout"
    duo.zsr("update", "100-0", "--delete", "rate")
    duo.zsr("schedule-now", "100-0")
    duo.until(lambda: duo.runs("success") >= 1, "the next run succeeded", timeout=120)
    assert duo.same_on_both()
    assert duo.target.out("pgrep -x zfs || true") == ""


def _hang(duo: TwoNodeCluster) -> None:
    """Start the daemon with a target whose zfs never ends (`Node.fresh` takes the fake away, whatever happens)."""
    duo.zvol("vm-100-disk-0", 8)
    duo.target.write("/usr/local/sbin/zfs", _HANGING)
    duo.target.run("chmod +x /usr/local/sbin/zfs")
    duo.job()
    duo.daemon()


def test_a_zfs_that_never_ends_costs_one_limit_and_the_daemon_goes_on(lab: Lab, node1: Node, node2: Node) -> None:
    hung = TwoNodeCluster(lab, node1, node2, settings=_LIMITS)
    _hang(hung)
    hung.until(lambda: hung.runs("failure") >= 1, "the run ended", timeout=120)
    assert hung.status()["error_class"] == "timeout"
    assert "is healthy" in hung.get("/-/healthy") or hung.get("/-/healthy")
    hung.target.run("rm /usr/local/sbin/zfs")
    hung.zsr("schedule-now", "100-0")
    hung.until(lambda: hung.runs("success") >= 1, "the next run succeeded", timeout=120)
    assert hung.same_on_both()


def test_a_run_that_waits_for_a_hung_command_can_be_cancelled(lab: Lab, node1: Node, node2: Node) -> None:
    hung = TwoNodeCluster(lab, node1, node2, settings='[zfs]\ncommand_timeout = "10m"\n')
    _hang(hung)
    hung.until(lambda: hung.status()["state"] == "syncing", "the run waits for the hung command")
    hung.zsr("cancel", "100-0")
    hung.until(lambda: hung.runs("cancelled") >= 1, "the run was cancelled")
    hung.target.run("rm /usr/local/sbin/zfs")
    hung.zsr("schedule-now", "100-0")
    hung.until(lambda: hung.runs("success") >= 1, "the next run succeeded", timeout=120)
    assert hung.same_on_both()


def test_a_slow_transfer_can_be_cancelled_and_is_gone_on_with(lab: Lab, node1: Node, node2: Node) -> None:
    duo = TwoNodeCluster(lab, node1, node2)
    duo.zvol("vm-100-disk-0", 64)
    duo.job("--rate", "1", "--schedule", "2099-1-1")  # due at once, and by no slot in between
    duo.daemon()
    duo.until(lambda: (duo.metric("zsr_job_transfer_bytes") or 0) > 2e6, "the transfer is under way")
    duo.zsr("cancel", "100-0")
    duo.until(lambda: duo.runs("cancelled") >= 1, "the run was cancelled")
    assert duo.metric("zsr_job_resume_pending") == 1
    duo.zsr("update", "100-0", "--delete", "rate")
    duo.zsr("schedule-now", "100-0")
    duo.until(lambda: duo.runs("success") >= 1, "the next run succeeded", timeout=120)
    assert "resuming the interrupted transfer" in duo.zsr("log", "100-0")
    assert duo.metric("zsr_job_resume_pending") == 0
    assert duo.same_on_both()
