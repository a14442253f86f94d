"""``zsr`` itself: finds commands without importing them all, and ends with the right status."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from replicator import __version__
from replicator.cli import main
from tests.support.command_line import Zsr

HEAVY = ("asyncssh", "aiohttp", "apprise", "prometheus_client", "sqlite3", "pydantic", "rich")


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    monkeypatch.delenv("ZSR_CONFIG", raising=False)
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


def imported_by(*arguments: str) -> set[str]:
    code = (
        "import sys\nfrom replicator.cli.main import main\n"
        f"sys.argv = ['zsr', *{arguments!r}]\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print('MODULES', *sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {name.partition(".")[0] for name in done.stdout.rpartition("MODULES")[2].split()}


def test_the_version_is_printed(zsr: Zsr) -> None:
    assert zsr.bare("--version").out == f"zsr, version {__version__}\n"


def test_it_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "replicator.cli.main", "--version"], capture_output=True, check=True)

    assert __version__ in done.stdout.decode()


@pytest.mark.parametrize("error", [MemoryError(), ExceptionGroup("tasks", [MemoryError()])], ids=["one", "of a task"])
def test_a_process_without_memory_ends_with_a_sentence(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(prog_name: str) -> None:
        raise error

    monkeypatch.setattr(main, "cli", fails)
    with pytest.raises(SystemExit, match="1"):
        main.main()
    assert capsys.readouterr().err.startswith("zsr: This process gets no more memory. Raise its limit")


@pytest.mark.parametrize("arguments", [("--version",), ("calendar", "--help")])
def test_what_needs_no_library_imports_none(arguments: tuple[str, ...]) -> None:
    heavy = {*HEAVY} - ({"rich", "pydantic"} if "calendar" in arguments else set())

    assert imported_by(*arguments) & heavy == set()


def test_the_list_of_commands_is_printed_without_ssh_or_http() -> None:
    assert imported_by("--help") & {"asyncssh", "aiohttp", "apprise", "prometheus_client"} == set()


def listed(zsr: Zsr) -> list[str]:
    """The commands of the list; a help text that takes a second line is indented further."""
    return re.findall(r"^  (\S+)", zsr.bare("--help").out.rpartition("Commands:")[2], re.MULTILINE)


def test_every_command_has_help(zsr: Zsr) -> None:
    names = listed(zsr)

    assert {"create-local-job", "list", "status", "read", "update", "delete", "run", "log", "notify"} <= {*names}
    for name in names:
        said = zsr.bare(name, "--help")
        assert (said.exit, said.out.partition(" ")[0]) == (0, "Usage:"), name


def test_every_command_is_described(zsr: Zsr) -> None:
    described = (Path(__file__).parents[4] / "docs" / "commands.md").read_text()

    assert {*listed(zsr)} == {*re.findall(r"`zsr ([a-z-]+)[^`]*`", described)}


def test_a_misspelt_command_is_reported_with_the_one_it_resembles(zsr: Zsr) -> None:
    said = zsr.bare("stauts")

    assert said.exit == 2
    assert "Did you mean 'status'?" in said.err


@pytest.mark.parametrize(
    "arguments", [["list", "--nonsense"], ["read"], ["status", "--guest", "web"], ["update", "100-0", "--rpo", "soon"]]
)
def test_wrong_use_ends_with_2(zsr: Zsr, arguments: list[str]) -> None:
    assert zsr(*arguments).exit == 2


def test_settings_that_are_missing_end_with_2_and_say_how_to_begin(zsr: Zsr) -> None:
    said = zsr.bare("--config", "/nowhere/zsr.toml", "list")

    assert said.exit == 2
    assert said.err.startswith("zsr: There is no file '/nowhere/zsr.toml'. Write one with at least: node =")


def test_the_settings_may_be_named_before_or_after_the_verb_or_in_the_environment(zsr: Zsr) -> None:
    assert zsr.bare("--config", str(zsr.settings_path), "list").exit == 0
    assert zsr.bare("list", "--config", str(zsr.settings_path)).exit == 0
    zsr.monkeypatch.setenv("ZSR_CONFIG", str(zsr.settings_path))
    assert zsr.bare("list").exit == 0


def test_what_the_machine_refuses_is_a_sentence_and_no_traceback(zsr: Zsr) -> None:
    (zsr.folder / "state").write_text("a file where a folder should be")

    said = zsr("status")

    assert said.exit == 1
    assert said.err.startswith("zsr: ")
    assert "Traceback" not in said.err


class TestConfigCheck:
    def test_says_ok(self, zsr: Zsr) -> None:
        assert zsr("config", "check").out == "ok\n"

    def test_notes_a_guest_on_a_node_that_runs_no_zsr(self, zsr: Zsr) -> None:
        text = zsr.cluster_path.read_text().replace('"10.0.0.12"', '"10.0.0.12"\nzsr = false')
        zsr.cluster_path.write_text(text)
        said = zsr("config", "check")
        assert (said.exit, said.out) == (0, "ok\n")
        note = "Note: Guest 200 is on node beta, which runs no zsr (zsr = false): nothing replicates it."
        assert note in said.err.splitlines()

    def test_notes_what_is_valid_and_hardly_meant_of_this_nodes_jobs(self, zsr: Zsr) -> None:
        zsr.well("create-local-job", "100-0", "beta")
        zsr.well("create-local-job", "200-0", "gamma")
        assert zsr("config", "check").err == "Note: No [[notify]] target is enabled, so zsr itself sends no messages.\n"

        target = '[[notify]]\nname = "hook"\nwebhook = "https://x.example.org/"\nmatch = { severity = "warning" }\n'
        zsr.settings_path.write_text(zsr.settings_path.read_text() + target)

        said = zsr("config", "check")

        silent = "Note: No [[notify]] target gets a message when a promise is broken, of jobs 100-0.\n"
        assert (said.exit, said.out, said.err) == (0, "ok\n", silent)

    def test_notes_a_schedule_of_the_file_that_is_hardly_meant_as_it_is_written(self, zsr: Zsr) -> None:
        text = zsr.cluster_path.read_text() + '[jobs.100-0]\ntarget = "beta"\nschedule = "24:00"\n'
        zsr.cluster_path.write_text(text)
        said = zsr("config", "check")
        assert (said.exit, said.out) == (0, "ok\n")
        assert "Note: Job 100-0: '24:00' has no hour from 0 to 23, so it means a minute" in said.err

    def test_reports_all_problems_of_settings_and_cluster_alike(self, zsr: Zsr) -> None:
        zsr.settings_path.write_text(zsr.settings_path.read_text() + '[exporter]\nlisten = "x"\n[[notfy]]\n')
        zsr.cluster_path.write_text(zsr.cluster_path.read_text() + '[jobs.100-0]\ntarget = "alpha"\n')

        said = zsr("config", "check")

        assert (said.exit, said.out) == (2, "")
        for key in ("exporter.listen", "notfy", "jobs.100-0.target"):
            assert key in said.err

    def test_reports_an_error_once(self, zsr: Zsr) -> None:
        zsr.settings_path.write_text("node = ")

        assert zsr("config", "check").err.count("is not TOML") == 1

    def test_reports_a_missing_cluster(self, zsr: Zsr) -> None:
        zsr.cluster_path.unlink()

        assert "There is no cluster file" in zsr("config", "check").err

    def test_reports_a_node_that_the_cluster_does_not_have(self, zsr: Zsr) -> None:
        zsr.settings_path.write_text(zsr.settings_path.read_text().replace('"alpha"', '"alhpa"'))

        said = zsr("config", "check")

        assert said.exit == 2
        assert "node = 'alhpa': there is no such node" in said.err
        assert said.err.rstrip().endswith("known: alpha, beta, gamma")

    def test_reports_a_wrong_web_configuration_that_stops_no_other_verb(self, zsr: Zsr) -> None:
        web = zsr.folder / "web.yml"
        web.write_text("basic_auth_users: {a: secret}\n")
        zsr.settings_path.write_text(f'{zsr.settings_path.read_text()}[exporter]\nweb_config = "{web}"\n')

        said = zsr("config", "check")

        assert (said.exit, zsr("status").exit) == (2, 0)
        assert "exporter.web_config" in said.err
        assert "basic_auth_users.a = ...: a bcrypt hash" in said.err

    def test_changes_nothing(self, zsr: Zsr) -> None:
        zsr("config", "check")

        assert sorted(entry.name for entry in zsr.folder.iterdir()) == ["cluster.toml", "zsr.toml"]
