"""``zsr daemon`` as a process of its own, and the verbs that talk to it. Only its ``zfs`` is played: by a script."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path

import pytest

from replicator.errors import ErrorClass
from replicator.models import JobId, Outcome
from tests.support.daemon_process import CLUSTER, HANGS, REFUSES, Node, ended, wait_for

JOB = JobId(100, 0)


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_json_log_has_one_object_per_line_and_the_facts_of_each_run(node: Node) -> None:
    with ended(node.start("--log-format", "json")) as daemon:
        wait_for(lambda: node.job()["fail_count"])
        daemon.terminate()
        assert daemon.stderr is not None
        lines = [json.loads(line) for line in daemon.stderr]

    assert all({"time", "level", "logger", "message"} <= line.keys() for line in lines)
    (failed,) = [line for line in lines if line.get("outcome") == "failure"]
    assert (failed["level"], failed["job"], failed["run"]) == ("warning", "100-0", 1)
    assert failed["error_class"] in failed["message"]


def test_sigterm_in_a_run_ends_it_cleanly_and_records_it_as_cancelled(node: Node) -> None:
    node.zfs(HANGS)
    with node.daemon() as daemon:
        wait_for(node.running)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(15) == 0
    with node.state() as state:
        assert [record.outcome for record in state.runs.newest(JOB)] == [Outcome.CANCELLED]
    assert not (node.folder / "control.sock").exists()


def test_two_signals_at_once_do_not_leave_the_books_open(node: Node) -> None:
    node.zfs(HANGS)
    with node.daemon() as daemon:
        wait_for(node.running)
        daemon.send_signal(signal.SIGTERM)
        daemon.send_signal(signal.SIGINT)
        assert daemon.wait(15) == 0
    with node.state() as state:
        assert [record.outcome for record in state.runs.newest(JOB)] == [Outcome.CANCELLED]


def test_a_killed_daemon_is_followed_by_one_that_reports_the_run_that_was_cut_off(node: Node) -> None:
    node.zfs(HANGS)
    with node.daemon() as daemon:
        wait_for(node.running)
        daemon.kill()
    assert (node.folder / "control.sock").exists()

    node.zfs(REFUSES)
    (node.folder / "control.sock").unlink()
    with node.daemon():
        wait_for(lambda: node.job()["fail_count"])
        with node.state() as state:
            first = state.runs.newest(JOB, -1)[-1]
        assert (first.outcome, first.error_class) == (Outcome.FAILURE, ErrorClass.INTERNAL)


def test_a_second_daemon_ends_with_a_sentence(node: Node) -> None:
    with node.daemon():
        second = node.zsr("daemon")
    assert second.returncode == 1
    assert second.stderr.startswith("zsr: A daemon uses ")
    assert "zsr retries by itself" not in second.stderr
    assert "Traceback" not in second.stderr


def test_a_second_daemon_of_the_same_state_folder_ends_whatever_its_socket(node: Node) -> None:
    settings = node.folder / "zsr.toml"
    first = settings.read_text()
    with node.daemon():
        settings.write_text(first.replace("control.sock", "other.sock"))
        assert "other.sock" in settings.read_text()
        second = node.zsr("daemon")
        settings.write_text(first)
    assert second.returncode == 1
    assert "A daemon uses" in second.stderr
    assert "zsr retries by itself" not in second.stderr


def test_a_failing_run_is_seen_by_every_verb(node: Node) -> None:
    with node.daemon():
        wait_for(lambda: node.job()["fail_count"] == 1)
        run = node.zsr("run", "--id", "100-0", "--verbose")
        assert (run.returncode, "zsr log 100-0" in run.stderr) == (1, True)
        assert "job 100-0: start" in run.stdout
        assert node.job()["fail_count"] == 2

        table = node.zsr("status").stdout.splitlines()
        assert table[0].split()[:3] == ["JobID", "Enabled", "Target"]
        assert table[1].startswith("100-0  Yes      beta")
        log = node.zsr("log", "100-0")
        assert "permission denied" in log.stdout
        runs = json.loads(node.zsr("log", "100-0", "--runs", "--format", "json").stdout)
        assert [record["outcome"] for record in runs] == ["failure", "failure"]
    assert node.zsr("status").stdout.splitlines()[0] == table[0]


def test_verbs_change_what_a_running_daemon_does(node: Node) -> None:
    with node.daemon():
        wait_for(lambda: node.job()["fail_count"] == 1)
        assert node.zsr("disable", "100-0").returncode == 0
        assert node.job()["state"] == "disabled"
        refused = node.zsr("run", "--id", "100-0")
        assert (refused.returncode, "disabled" in refused.stderr) == (2, True)
        assert node.zsr("enable", "100-0").returncode == 0
        assert node.zsr("delete", "100-0", "--force").returncode == 0
        assert json.loads(node.zsr("status", "--format", "json").stdout) == []
    assert "100-0" not in (node.folder / "cluster.toml").read_text()


def test_a_client_that_waits_learns_of_a_cancel_which_counts_as_no_failure(node: Node) -> None:
    node.zfs(HANGS)
    with node.daemon():
        wait_for(node.running)
        asking = subprocess.Popen(
            node.argv("run", "--id", "100-0"), env=node.environment, stderr=subprocess.PIPE, text=True
        )
        with ended(asking) as waiting:
            time.sleep(1)
            assert node.zsr("cancel", "100-0").returncode == 0
            _, words = waiting.communicate(timeout=15)
            assert (waiting.returncode, "was cancelled" in words) == (1, True)
        assert node.job()["fail_count"] == 0


class TestInTheForeground:
    def test_a_run_is_recorded_as_the_daemon_would(self, node: Node) -> None:
        run = node.zsr("run", "--id", "100-0", "--verbose")
        assert (run.returncode, "permission denied" in run.stdout) == (1, True)
        assert node.job()["fail_count"] == 1

    def test_all_that_is_due_runs_and_what_waits_does_not(self, node: Node) -> None:
        assert node.zsr("run").returncode == 1
        assert node.zsr("run").returncode == 0
        with node.state() as state:
            assert len(state.runs.newest(JOB)) == 1

    def test_a_daemon_that_starts_meanwhile_leaves_the_guest_alone(self, node: Node) -> None:
        node.zfs(HANGS)
        with ended(subprocess.Popen(node.argv("run", "--id", "100-0"), env=node.environment)):
            wait_for(lambda: (node.folder / "state" / "state.db").exists() and node.running())
            with node.daemon():
                time.sleep(0.5)
                with node.state() as state:
                    (record,) = state.runs.newest(JOB)
                assert record.finish is None
                refused = node.zsr("run", "--id", "100-0")
                assert (refused.returncode, "locked" in refused.stderr) == (1, True)

    def test_of_another_nodes_job_is_refused(self, node: Node) -> None:
        (node.folder / "cluster.toml").write_text(
            CLUSTER.replace('node = "alpha"', 'node = "beta"').replace('target = "beta"', 'target = "alpha"')
        )
        refused = node.zsr("run", "--id", "100-0")
        assert (refused.returncode, "belongs to node beta" in refused.stderr) == (2, True)
