"""``zsr disable`` and ``zsr enable``: a job or a node, for a while or for good."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.support.command_line import Zsr


@pytest.fixture
def jobs(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    zsr = Zsr.on_alpha(tmp_path, capsys, monkeypatch)
    zsr.well("create-local-job", "100-0", "beta")
    zsr.well("create-local-job", "101-0", "gamma")
    return zsr


def enabled(zsr: Zsr) -> dict[str, bool]:
    return {job["id"]: job["enabled"] for job in zsr.well("status", "--format", "json").json}


def state(zsr: Zsr, guest: int = 100) -> str:
    return " ".join(zsr.well("status", "--guest", str(guest)).rows[1][10:])


def test_a_job_is_disabled_for_a_while(jobs: Zsr) -> None:
    said = jobs.well("disable", "100-0", "--for", "2h")

    assert said.err.startswith("Job 100-0: disabled until ")
    assert enabled(jobs) == {"100-0": False, "101-0": True}
    assert state(jobs).startswith("DISABLED until ")
    until = jobs.well("read", "100-0").json["disabled_until"]
    assert 7100 < until - time.time() < 7210
    assert jobs.well("list").rows[1][4] == "no"


def test_it_runs_again_when_the_time_is_over_also_without_a_daemon(jobs: Zsr) -> None:
    jobs.well("disable", "100-0", "--for", "2h")
    text = jobs.cluster_path.read_text()
    begin = text.index("disabled_until = ") + len("disabled_until = ")
    jobs.cluster_path.write_text(text[:begin] + "2020-01-01T00:00:00Z" + text[text.index("Z", begin) + 1 :])

    assert enabled(jobs) == {"100-0": True, "101-0": True}
    assert state(jobs) == "PENDING"


def test_enabling_it_ends_it_before_the_time(jobs: Zsr) -> None:
    before = jobs.cluster_path.read_text()
    jobs.well("disable", "100-0", "--for", "2h")
    assert "stays disabled" not in jobs.well("enable", "100-0").err
    assert jobs.cluster_path.read_text() == before


def test_disabling_it_for_good_takes_the_end_away(jobs: Zsr) -> None:
    jobs.well("disable", "100-0", "--for", "2h")
    jobs.well("disable", "100-0")
    values = jobs.well("read", "100-0").json
    assert (values["disable"], values["disabled_until"]) == (True, None)


def test_what_was_disabled_without_an_end_gets_none_by_the_way(jobs: Zsr) -> None:
    jobs.well("disable", "100-0")
    said = jobs("disable", "100-0", "--for", "2h")
    assert said.exit == 2
    assert "Job 100-0 is disabled already, without an end; it stays so." in said.err


def test_a_node_is_disabled_with_all_jobs_to_and_from_it(jobs: Zsr) -> None:
    said = jobs.well("disable", "--node", "beta", "--for", "90m")
    assert said.err.startswith("All jobs to and from beta: disabled until ")
    assert enabled(jobs) == {"100-0": False, "101-0": True}
    assert state(jobs).endswith(" with node beta")
    jobs.well("enable", "--node", "beta")
    assert enabled(jobs) == {"100-0": True, "101-0": True}
    jobs.well("disable", "--node", "alpha")
    assert enabled(jobs) == {"100-0": False, "101-0": False}


def test_a_job_that_was_disabled_by_hand_stays_so_after_the_maintenance(jobs: Zsr) -> None:
    jobs.well("disable", "100-0")
    jobs.well("disable", "--node", "beta")
    said = jobs.well("enable", "--node", "beta")
    assert said.err.endswith("Job 100-0 stays disabled by itself: zsr enable 100-0\n")
    assert enabled(jobs)["100-0"] is False


def test_enabling_a_job_of_a_disabled_node_says_that_it_stays_disabled(jobs: Zsr) -> None:
    jobs.well("disable", "--node", "beta")
    said = jobs.well("enable", "100-0").err
    assert said.endswith("Job 100-0 stays disabled with node beta: zsr enable --node beta\n")
    assert "zsr enable --node beta" in jobs("run", "--id", "100-0").err


@pytest.mark.parametrize(
    "words", [("disable",), ("enable",), ("disable", "100-0", "--node", "beta"), ("disable", "100-0", "--for", "soon"),
              ("disable", "100-0", "--for", "0"), ("disable", "--node", "delta")]
)  # fmt: skip
def test_wrong_use_changes_nothing(jobs: Zsr, words: tuple[str, ...]) -> None:
    before = jobs.cluster_path.read_text()
    assert jobs(*words).exit == 2
    assert jobs.cluster_path.read_text() == before


def test_it_says_how_it_ends(jobs: Zsr) -> None:
    assert "Job 100-0: disabled until: zsr enable 100-0\n" in jobs.well("disable", "100-0").err
    said = jobs.well("disable", "--node", "beta").err
    assert "All jobs to and from beta: disabled until: zsr enable --node beta\n" in said
    assert "Only alpha's cluster file was changed. Bring it to the others: zsr cluster push beta gamma" in said


def test_update_no_disable_ends_it_too(jobs: Zsr) -> None:
    jobs.well("disable", "100-0", "--for", "2h")
    jobs.well("update", "100-0", "--no-disable")
    assert jobs.well("read", "100-0").json["disabled_until"] is None
