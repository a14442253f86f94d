"""The fault drill: something breaks between real nodes; mail and webhook alert the admin, and report the end.

Real are the nodes, ZFS, zsr, its exporter and rules, Prometheus, Alertmanager, SMTP and HTTP; hurried settings stand in
`tests.lab.watch`. How long it took is printed, not judged: docs/monitoring.md says what that means in earnest.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.mailbox import mailbox
from tests.lab.two_nodes import TwoNodeCluster
from tests.lab.watch import Watch, watching

pytestmark = [pytest.mark.prometheus, pytest.mark.sampled(2)]

PROMISE = 80
"""Seconds: above a schedule of one minute and a run on a busy machine."""

PAGES = {"ZsrRpoBreached", "ZsrTargetRpoBreached"}
"""Either reports a broken promise: of one job, or of all jobs to one target, which then replaces the other."""


@pytest.fixture
def duo(lab: Lab, node1: Node, node2: Node) -> TwoNodeCluster:
    """A guest of one small volume, replicated each minute to a node that runs no zsr."""
    duo = TwoNodeCluster(lab, node1, node2)
    cluster = node1.read("/etc/zsr/cluster.toml")
    node1.write("/etc/zsr/cluster.toml", cluster.replace("[nodes.node2]\n", "[nodes.node2]\nzsr = false\n"))
    duo.zvol("vm-100-disk-0", 8)
    duo.job("--schedule", "*/1", "--rpo", f"{PROMISE}s")
    return duo


@pytest.fixture
def watch(lab: Lab, duo: TwoNodeCluster, tmp_path: Path) -> Iterator[Watch]:
    """Prometheus, Alertmanager and the admin."""
    with mailbox(lab) as mail, watching(lab, tmp_path, [f"{duo.source.ip}:9847"], mail) as watch:
        yield watch


def paged(watch: Watch, names: set[str]) -> bool:
    """Whether mail and webhook have reported one of these alerts."""
    mailed = any(name in subject for name in names for subject in watch.mails("firing"))
    return mailed and bool(names & {*watch.hook.told("firing")})


def all_clear(watch: Watch) -> bool:
    """Whether mail and webhook have reported the end of all that they reported."""
    open_alerts = {*watch.hook.told("firing")} - {*watch.hook.told("resolved")}
    mails = {name for name in watch.hook.told("firing") if any(name in subject for subject in watch.mails("resolved"))}
    return not open_alerts and mails == {*watch.hook.told("firing")}


def tell(capsys: pytest.CaptureFixture[str], times: str) -> None:
    """Print what was measured, also where pytest captures."""
    with capsys.disabled():
        sys.stdout.write(f"\ndrill, {times}\n")


def test_a_dead_target_pages_when_the_promise_breaks_and_is_over_when_it_is_back(
    duo: TwoNodeCluster, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    duo.daemon()
    duo.until(lambda: duo.runs("success") >= 1, "the first run succeeded")
    watch.until(lambda: watch.ask("query", query="zsr_job:zsr_job_lag_per_rpo:ratio")["result"] != [], "it is watched")
    watch.until(lambda: not watch.firing(), "all is well")

    duo.target.crash()
    fault, last_sync = time.time(), duo.metric("zsr_job_last_sync_timestamp_seconds")
    assert last_sync is not None
    fired = watch.until(lambda: bool(PAGES & watch.firing()), "the broken promise fires in Prometheus")
    told = watch.until(lambda: paged(watch, PAGES), "mail and webhook report it")

    duo.target.start()
    duo.zsr("schedule-now", "100-0")
    restored = time.time()
    duo.until(lambda: duo.status()["state"] == "ok", "a run succeeded again", timeout=180)
    copied = time.time()
    quiet = watch.until(lambda: not watch.firing(), "nothing fires in Prometheus")
    over = watch.until(lambda: all_clear(watch), "mail and webhook report the end")

    broken = last_sync + PROMISE
    tell(
        capsys,
        f"dead target: promise broken {broken - fault:.1f} s after the fault, alert {fired - broken:.1f} s and page "
        f"{told - broken:.1f} s after that; new copy {copied - restored:.1f} s after the repair, alert over "
        f"{quiet - copied:.1f} s and all-clear {over - copied:.1f} s after that",
    )
    assert duo.same_on_both()


def test_a_killed_daemon_pages_though_it_cannot_say_so_itself(
    duo: TwoNodeCluster, watch: Watch, capsys: pytest.CaptureFixture[str]
) -> None:
    daemon = duo.daemon()
    watch.until(
        lambda: watch.ask("query", query="zsr_job_last_sync_timestamp_seconds")["result"] != [], "it is watched"
    )

    daemon.kill()
    fault = time.time()
    fired = watch.until(lambda: "ZsrDaemonDown" in watch.firing(), "the dead daemon fires in Prometheus")
    told = watch.until(lambda: paged(watch, {"ZsrDaemonDown"}), "mail and webhook report it")
    said = duo.source.zsr("check", check=False)
    assert (said.returncode, said.stdout.split("|")[0].split(",")[0]) == (2, "ZSR CRITICAL - the daemon is not running")

    duo.daemon()
    restored = time.time()
    over = watch.until(lambda: all_clear(watch), "mail and webhook report the end")

    tell(
        capsys,
        f"dead daemon: alert {fired - fault:.1f} s and page {told - fault:.1f} s after the fault; "
        f"all-clear {over - restored:.1f} s after the repair",
    )
