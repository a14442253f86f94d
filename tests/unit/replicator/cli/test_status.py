"""``zsr status`` at terminals of all widths, for some jobs, and without a daemon."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from replicator.cli import status as status_command
from replicator.daemon.status_json import status_json
from tests.support import statuses
from tests.support.command_line import Zsr
from tests.support.fake_daemon import FakeDaemon
from tests.support.statuses import failing, healthy, status


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
    zsr.well("create-local-job", "100-0", "beta")
    zsr.well("create-local-job", "101-0", "beta")
    return zsr


@pytest.mark.parametrize("width", [40, 60, 80, 100])
def test_a_job_is_one_line_in_a_narrow_terminal_and_its_error_follows(
    zsr: Zsr, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setattr(status_command, "terminal_width", lambda: width)
    daemon.answers["status"] = status_json(status(healthy("100-0"), failing("101-0")))
    lines = zsr.well("status").out.splitlines()
    assert max(map(len, lines)) <= width
    assert [line.split()[0] for line in lines[:3]] == ["JobID", "100-0", "101-0"]
    assert lines[2].split()[-1] == "network"
    assert lines[3] == ""
    assert lines[4].startswith("101-0: ")


def test_the_advice_follows_the_error_in_a_narrow_terminal(
    zsr: Zsr, daemon: FakeDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(status_command, "terminal_width", lambda: 100)
    answer = status_json(status(failing("101-0")))
    answer["jobs"][0]["advice"] = "Adopt it: zsr adopt 101-0."
    daemon.answers["status"] = answer
    assert "Adopt it: zsr adopt 101-0." in " ".join(zsr.well("status").out.split())


def test_on_a_node_without_guests_it_says_how_to_see_all_guests(zsr: Zsr, daemon: FakeDaemon) -> None:
    daemon.answers["status"] = status_json(status())
    said = zsr.well("status")
    assert said.err == "No job is of a guest of alpha. The guests of all nodes: zsr guest list\n"
    assert zsr.well("status", "--format", "json").err == ""


def test_a_wide_terminal_has_all_columns(zsr: Zsr, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_command, "terminal_width", lambda: 140)
    assert tuple(zsr.well("status").rows[0]) == status_command.COLUMNS


def test_without_a_daemon_it_says_that_nothing_is_replicated(zsr: Zsr) -> None:
    said = zsr.well("status")
    assert said.err.startswith("No daemon runs on alpha: nothing is replicated.")
    assert zsr.well("status", "--format", "json").json


def test_what_is_wrong_with_the_host_follows_the_jobs(zsr: Zsr, daemon: FakeDaemon) -> None:
    found = status_json(replace(status(healthy("100-0")), state_unwritable_since=statuses.NOW - 120))
    daemon.answers["status"] = {
        **found,
        "config_problems": ["The cluster file is not TOML."],
        "blocked": {"100-0": "No."},
    }
    assert zsr.well("status").err.splitlines() == [
        "On alpha: settings: The cluster file is not TOML.",
        "On alpha: no run of job 100-0 can begin: No.",
        "On alpha: state.db cannot be written, since 2 min; copies go on and are remembered in memory, and nothing is "
        "destroyed; free space below state_dir, or mount it writable again.",
    ]


def test_jobs_are_chosen_by_id_and_by_guest(zsr: Zsr) -> None:
    assert [row[0] for row in zsr.well("status", "101-0").rows[1:]] == ["101-0"]
    assert [row[0] for row in zsr.well("status", "--guest", "100").rows[1:]] == ["100-0"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["109-0"], "Node alpha has no job 109-0; its jobs: 100-0, 101-0."),
        (["--guest", "555"], "Node alpha has no job of guest 555; its jobs: 100-0, 101-0."),
        (["web"], "'web' is not a job id."),
    ],
)
def test_what_is_not_here_is_an_error_that_names_what_is(zsr: Zsr, arguments: list[str], sentence: str) -> None:
    said = zsr("status", *arguments)
    assert (said.exit, said.out) == (2, "")
    assert sentence in said.err
