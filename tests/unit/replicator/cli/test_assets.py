"""``zsr assets``: what comes with zsr, written where the user wants it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from replicator.cli.assets import ASSETS
from tests.support.command_line import Zsr

ROOT = Path(__file__).parents[4]


@pytest.fixture
def zsr(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Zsr:
    return Zsr.on_alpha(tmp_path, capsys, monkeypatch)


def test_the_list_names_each_with_its_use(zsr: Zsr) -> None:
    lines = zsr.bare("assets", "list").out.splitlines()[1:]
    assert [line.split()[0] for line in lines] == [each.name for each in ASSETS]
    found = json.loads(zsr.bare("assets", "list", "--format", "json").out)
    assert {each["name"]: each["files"] for each in found}["rules"] == ["zsr-health.yml", "zsr-jobs.yml", "zsr.yml"]


def test_an_export_writes_all_of_them_and_says_so(zsr: Zsr, tmp_path: Path) -> None:
    done = zsr.bare("assets", "export", str(tmp_path / "out"))
    assert {each.name for each in (tmp_path / "out").iterdir()} == {each.name for each in ASSETS}
    assert f"wrote {tmp_path}/out/rules/zsr.yml\n" in done.out
    assert f"files below {tmp_path}/out/runbooks/\n" in done.out
    assert (tmp_path / "out/rules/zsr.yml").read_bytes() == (ROOT / "alerts/rules/zsr.yml").read_bytes()
    assert yaml.safe_load((tmp_path / "out/alertmanager/alertmanager.yml").read_text())["inhibit_rules"]
    assert {each.suffix for each in (tmp_path / "out/systemd").iterdir()} == {".service", ".socket"}


def test_only_some_of_them_are_written(zsr: Zsr, tmp_path: Path) -> None:
    zsr.bare("assets", "export", str(tmp_path / "out"), "--only", "rules", "--only", "man")
    assert {each.name for each in (tmp_path / "out").iterdir()} == {"rules", "man"}


def test_a_second_export_changes_nothing(zsr: Zsr, tmp_path: Path) -> None:
    zsr.bare("assets", "export", str(tmp_path / "out"), "--only", "rules")
    done = zsr.bare("assets", "export", str(tmp_path / "out"), "--only", "rules")
    assert done.out == f"unchanged: 3 files below {tmp_path}/out/rules/\n"


def test_a_file_that_differs_is_overwritten_only_if_forced(zsr: Zsr, tmp_path: Path) -> None:
    mine = tmp_path / "out" / "rules" / "zsr.yml"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")

    done = zsr.bare("assets", "export", str(tmp_path / "out"))
    assert done.exit == 2
    assert re.search(rf"Nothing was written, since these differ from the files of zsr [0-9.]+: {mine}\.", done.err)
    assert mine.read_text() == "mine"
    assert [each for each in (tmp_path / "out").rglob("*") if each.is_file()] == [mine]

    assert zsr.bare("assets", "export", str(tmp_path / "out"), "--force").exit == 0
    assert mine.read_bytes() == (ROOT / "alerts/rules/zsr.yml").read_bytes()


def test_units_start_the_zsr_of_this_installation(zsr: Zsr, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "zsr").touch()
    monkeypatch.setattr(sys, "executable", str(programs / "python"))
    zsr.bare("assets", "export", str(tmp_path / "out"), "--only", "systemd")
    assert f"\nExecStart={programs}/zsr --config" in (tmp_path / "out/systemd/zsr.service").read_text()
    assert f"\nExecStart={programs}/zsr-hook\n" in (tmp_path / "out/systemd/zsr-hook@.service").read_text()


@pytest.mark.parametrize("is_commented", [True, False], ids=["as it is", "with every line that is a comment"])
def test_the_examples_are_settings_that_zsr_accepts(zsr: Zsr, tmp_path: Path, *, is_commented: bool) -> None:
    zsr.bare("assets", "export", str(tmp_path / "out"), "--only", "examples")
    folder = tmp_path / "out" / "examples"
    for name in ("zsr.toml", "cluster.toml"):
        text = (folder / name).read_text().replace("#[cluster]", "[cluster]").replace("#path", "path")
        text = text.replace("/etc/zsr", str(folder))
        (folder / name).write_text(text if is_commented else re.sub(r"(?m)^#(?! )", "", text))
    done = zsr.bare("--config", str(folder / "zsr.toml"), "config", "check")
    assert (done.out, done.exit) == ("ok\n", 0), done.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_completion_script_has_no_mistake_of_grammar(zsr: Zsr, tmp_path: Path, shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    zsr.bare("assets", "export", str(tmp_path / "out"), "--only", "completion")
    (script,) = (tmp_path / "out" / "completion" / shell).iterdir()
    assert subprocess.run([shell, "-n", str(script)], check=False, capture_output=True).returncode == 0
