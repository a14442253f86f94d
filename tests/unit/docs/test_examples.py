"""What the pages show as output is what zsr prints, where neither ZFS nor a network is needed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from replicator.cli.main import cli
from tests.support.command_line import Zsr
from tests.support.pages import ROOT, blocks, session

CALENDAR, SIMULATE = ROOT / "docs" / "calendar.md", ROOT / "docs" / "simulate.md"
README, COMMANDS, SETTINGS = ROOT / "README.md", ROOT / "docs" / "commands.md", ROOT / "docs" / "settings.md"


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


def without_now(text: str) -> list[str]:
    """The lines of an answer without those that depend on the time at which it is asked for."""
    return [line for line in text.strip().splitlines() if not line.startswith("  From now")]


@pytest.mark.parametrize(
    "command",
    [
        "zsr calendar next 'mon..fri 8..18/2:30' --timezone Europe/Vienna --count 3 --after 2026-11-20T15:00:00",
        "zsr calendar next '*-2-30'",
        "zsr calendar next '8:61'",
    ],
)
def test_a_calendar_event_fires_when_the_page_says(zsr: Zsr, command: str) -> None:
    arguments, shown = session(CALENDAR, command)

    said = zsr.bare(*arguments[1:])

    assert without_now(said.out + said.err) == without_now(shown)


def test_a_batch_of_calendar_events_is_answered_as_the_page_says() -> None:
    (command,) = re.findall(r"^# (printf .*)$", CALENDAR.read_text(), re.MULTILINE)
    _, shown = session(CALENDAR, command)
    asked = re.findall(r"printf '(.*?)'", command)[0].encode().decode("unicode_escape")

    result = CliRunner().invoke(cli, command.rpartition("| zsr ")[2].split(), input=asked)

    assert result.output.strip() == shown.strip()


def scenario(folder: Path) -> None:
    (day,) = (block for block in blocks(SIMULATE, "toml") if block.startswith("# day.toml"))
    (folder / "day.toml").write_text(day)
    (folder / "day2.toml").write_text(f"max_parallel = 2\n{day}")


@pytest.mark.parametrize("command", ["zsr simulate day.toml", "zsr simulate day2.toml"])
def test_a_simulation_ends_as_the_page_says(zsr: Zsr, command: str) -> None:
    scenario(zsr.folder)
    zsr.monkeypatch.chdir(zsr.folder)
    arguments, shown = session(SIMULATE, command)

    assert zsr.bare(*arguments[1:]).out.strip() == shown.strip()


def test_a_simulation_as_json_begins_and_ends_as_the_page_says(zsr: Zsr) -> None:
    scenario(zsr.folder)
    zsr.monkeypatch.chdir(zsr.folder)
    arguments, shown = session(SIMULATE, "zsr simulate day.toml --format json")
    begin, end = shown.strip().split("\n...\n")

    said = zsr.bare(*arguments[1:]).out.strip()

    assert said.startswith(begin)
    assert said.endswith(end)


def test_a_wrong_scenario_is_reported_as_the_page_says(zsr: Zsr) -> None:
    (zsr.folder / "wrong.toml").write_text('start = 10\nend = 5\n[[job]]\nid = "100-0"\nschedul = "x"\n')
    zsr.monkeypatch.chdir(zsr.folder)
    arguments, shown = session(SIMULATE, "zsr simulate wrong.toml")

    assert zsr.bare(*arguments[1:]).err.strip() == shown.strip()


def test_wrong_settings_are_reported_as_the_page_says(zsr: Zsr) -> None:
    zsr.settings_path.write_text(f'nod = "alpha"\nmax_parallel = 0\n{zsr.settings_path.read_text()}')
    arguments, shown = session(SETTINGS, "zsr config check")

    said = zsr(*arguments[1:])

    assert said.err.strip() == shown.strip().replace("/etc/zsr/zsr.toml", str(zsr.settings_path))


def test_a_job_to_its_own_node_is_refused_as_the_page_says(zsr: Zsr) -> None:
    arguments, shown = session(COMMANDS, "zsr create-local-job 100-0 alpha")

    assert zsr(*arguments[1:]).err.strip() == shown.strip()


def test_the_readmes_settings_and_commands_make_a_job(zsr: Zsr) -> None:
    node, cluster = blocks(README, "toml")
    own = zsr.settings_path.read_text().partition("\n")[2]
    plugin = node.partition("[[notify]]")
    zsr.settings_path.write_text(f"{plugin[0]}{own}\n{plugin[1]}{plugin[2]}")
    zsr.cluster_path.write_text(cluster)

    checked, shown = session(README, "zsr config check")
    assert zsr.well(*checked[1:]).out.strip() == shown.strip()
    created, _ = session(README, "zsr create-local-job 100-0 beta --schedule '*/5' --rate 10")
    zsr.well(*created[1:])

    (job,) = zsr.cluster.jobs.values()
    assert (str(job.id), job.target, job.schedule, job.rate) == ("100-0", "beta", "*/5", 10)
