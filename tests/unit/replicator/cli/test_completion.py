"""Completion: verbs, options, and what the cluster file knows; silent when that cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from replicator.cli.main import cli

CLUSTER = """
[nodes.alpha]
address = "10.0.0.11"
[nodes.beta]
address = "10.0.0.12"
[guests.100]
name = "web"
node = "alpha"
[guests.101]
node = "beta"
[jobs.100-0]
target = "beta"
"""


@pytest.fixture(autouse=True)
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "cluster.toml").write_text(CLUSTER)
    path = tmp_path / "zsr.toml"
    path.write_text(f'node = "alpha"\n[cluster]\npath = "{tmp_path}/cluster.toml"\n')
    monkeypatch.setenv("ZSR_CONFIG", str(path))
    return path


def completed(line: str) -> dict[str, str | None]:
    """What a shell offers at the end of a line: words, and what it shows with them."""
    *words, incomplete = line.split(" ")
    found = BashComplete(cli, {}, "zsr", "_ZSR_COMPLETE").get_completions(words, incomplete)
    return {each.value: each.help for each in found}


def test_verbs_and_options_are_completed() -> None:
    assert set(completed("sta")) == {"status"}
    assert "--guest" in completed("status --g")


@pytest.mark.parametrize("line", ["read ", "run --id ", "restore-points open ", "disable ", "vanished list --id "])
def test_a_jobs_id_is_completed_and_described(line: str) -> None:
    assert completed(line) == {"100-0": "web to beta"}
    assert completed(f"{line}2") == {}


def test_a_new_jobs_id_has_a_number_that_is_free() -> None:
    assert completed("create-local-job ") == {"100-1": "web", "101-0": None}


def test_the_target_of_a_job_is_another_node_than_the_guests() -> None:
    assert completed("create-local-job 101-0 ") == {"alpha": "10.0.0.11"}
    assert completed("guest move 100 ") == {"beta": "10.0.0.12"}


@pytest.mark.parametrize("line", ["disable --node ", "cluster diff ", "diverged show ", "diverged open "])
def test_a_nodes_name_is_completed(line: str) -> None:
    assert set(completed(line)) == {"alpha", "beta"}


@pytest.mark.parametrize("line", ["guest replicas ", "status --guest "])
def test_a_guests_id_is_completed(line: str) -> None:
    assert set(completed(line)) == {"100", "101"}


@pytest.mark.parametrize(
    "text", ["cluster = {}", "guests = 1", "[guests", "[guests]\n100 = 1\n[jobs]\n100-0 = 'x'", "node = '\xff'"]
)
def test_a_wrong_file_is_no_error(
    settings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    (tmp_path / "cluster.toml").write_text(text, encoding="latin-1")
    for line in ("read ", "guest replicas ", "create-local-job ", "cluster diff ", "create-local-job 100-0 "):
        assert set(completed(line)) <= {"100", "100-0", "100-1"}
    settings.unlink()
    completed("read ")
    assert capsys.readouterr() == ("", "")


def test_the_settings_on_the_command_line_count(settings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZSR_CONFIG")
    assert set(completed(f"--config {settings} read ")) == {"100-0"}
