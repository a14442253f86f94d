"""A target that dies: the job's state, the retries, and the mails that arrive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.lab.lab import Lab, Node
from tests.lab.mailbox import mailbox
from tests.lab.two_nodes import TwoNodeCluster
from tests.support.mailserver import MailServer, Received


@pytest.fixture
def mail(lab: Lab) -> Iterator[MailServer]:
    """The admin's mail server."""
    with mailbox(lab) as server:
        yield server


@pytest.fixture
def duo(lab: Lab, node1: Node, node2: Node, mail: MailServer) -> TwoNodeCluster:
    """Two nodes; failures are mailed to the admin."""
    url = f"mailto://{lab.host_ip}:{mail.port}?from=zsr@node1.test&to=admin@site.test"
    return TwoNodeCluster(lab, node1, node2, settings=f'[[notify]]\nname = "admin"\nurl = "{url}"\n')


def assert_names_guest_and_loss(mail: Received) -> None:
    subject, text = mail.message["Subject"], mail.text
    assert "100" in subject
    assert "web" in subject
    assert "node2" in text
    assert "fall back to" in text
    assert "zsr log 100-0" in text


def test_a_dead_target_is_reported_retried_on_the_ladder_and_reported_recovered(
    duo: TwoNodeCluster, mail: MailServer
) -> None:
    duo.zvol("vm-100-disk-0", 8)
    duo.job("--schedule", "hourly")
    duo.start_a_minute()
    duo.daemon()
    duo.until(lambda: duo.runs("success") >= 1, "the first run succeeded")
    duo.target.crash()

    duo.source.set_clock((duo.source.clock() // 3600 + 1) * 3600 + 1)
    duo.until(lambda: duo.runs("failure") >= 1, "the run against the dead target failed")
    first = duo.status()
    assert (first["state"], first["error_class"], first["fail_count"]) == ("error", "network", 1)
    assert first["next_sync"] == pytest.approx(first["last_try"] + 300, abs=0.01)
    assert duo.metric("zsr_job_state", state="error") == 1
    assert duo.metric("zsr_node_reachable", zsr_job="", node="node2") in (0.0, None)
    duo.until(lambda: len(mail.received) == 1, "the first mail arrived")
    assert_names_guest_and_loss(mail.received[0])

    duo.source.set_clock(first["next_sync"] - 20)
    duo.until(lambda: duo.status()["next_sync"] == first["next_sync"], "the retry is not brought forward")
    assert duo.runs("failure") == 1
    duo.source.set_clock(first["next_sync"] + 1)
    duo.until(lambda: duo.runs("failure") >= 2, "the retry after five minutes failed too")
    second = duo.status()
    assert second["next_sync"] == pytest.approx(second["last_try"] + 600, abs=0.01)
    duo.until(lambda: len(mail.received) == 2, "the second mail arrived")

    succeeded = duo.runs("success")
    duo.target.start()
    duo.source.set_clock(second["next_sync"] + 1)
    duo.until(lambda: duo.runs("success") > succeeded, "the next try succeeded", timeout=120)
    duo.until(lambda: len(mail.received) == 3, "the all-clear arrived")
    assert "recovered" in mail.received[2].message["Subject"] + mail.received[2].text
    assert duo.status()["state"] == "ok"
    assert duo.metric("zsr_job_consecutive_failures") == 0
    assert duo.metric("zsr_job_state", state="ok") == 1
    assert duo.metric("zsr_job_errors_total", **{"class": "network"}) == 2
    assert duo.same_on_both()


def test_a_target_that_answers_again_is_served_within_a_minute_not_after_the_ladder(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0", 8)
    duo.job("--schedule", "daily")
    duo.target.crash()
    duo.daemon()
    duo.until(lambda: duo.runs("failure") >= 1, "the run against the dead target failed")
    duo.target.start()
    duo.until(lambda: duo.runs("success") >= 1, "the probe found the target and its job ran", timeout=100)
    assert duo.status()["fail_count"] == 0


def test_a_cut_network_ends_the_transfer_and_the_next_run_goes_on_from_there(duo: TwoNodeCluster) -> None:
    duo.zvol("vm-100-disk-0", 64)
    duo.job("--rate", "6")
    duo.daemon()
    duo.until(lambda: (duo.metric("zsr_job_transfer_bytes") or 0) > 12e6, "the transfer is under way")
    duo.source.cut_from(duo.target)
    duo.until(lambda: duo.runs("failure") >= 1, "the run failed", timeout=90)
    assert duo.status()["error_class"] == "network"
    duo.target.run("pgrep -x zfs")  # it waits for more, since it does not know that there is none
    duo.source.restore_network()
    duo.zsr("update", "100-0", "--delete", "rate")
    duo.zsr("schedule-now", "100-0")
    duo.until(lambda: duo.runs("success") >= 1, "the next run succeeded", timeout=120)
    assert duo.same_on_both()
