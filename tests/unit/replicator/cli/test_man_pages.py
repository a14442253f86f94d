"""Manual pages, made of the commands."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import click
import pytest

from replicator.cli.main import cli
from replicator.cli.man_pages import man_pages

PAGES = man_pages(cli, "zsr", "1.2.3")


@click.group()
def tool() -> None:
    """Do things.

    \b
    .one line
    another
    """  # noqa: D301 - click's mark


@tool.command()
@click.argument("name")
@click.option("--fast", is_flag=True, help="Do it \\ at once.")
def work(name: str, *, fast: bool) -> None:
    """Work on NAME, well. Then rest."""


def text(page: str, folder: Path) -> str:
    """A page as a reader sees it; groff finds nothing wrong in it."""
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    path = folder / "page.1"
    path.write_text(page)
    argv = ["groff", "-man", "-ww", "-Tascii", "-P-cbou", str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_there_is_a_page_for_each_verb() -> None:
    assert {"zsr.1", "zsr-status.1", "zsr-guest.1", "zsr-guest-move.1", "zsr-notify-test.1"} <= set(PAGES)
    assert len(PAGES) >= 50


def test_a_page_says_what_help_says(tmp_path: Path) -> None:
    page = " ".join(text(man_pages(tool, "tool", "1")["tool-work.1"], tmp_path).split())
    assert "tool-work - Work on NAME, well" in page
    assert "SYNOPSIS tool work [OPTIONS] NAME" in page
    assert "DESCRIPTION Work on NAME, well. Then rest. OPTIONS --fast Do it \\ at once." in page


def test_lines_that_are_not_wrapped_stay_lines(tmp_path: Path) -> None:
    lines = text(man_pages(tool, "tool", "1")["tool.1"], tmp_path).splitlines()
    at = lines.index("       .one line")
    assert lines[at + 1] == "       another"
    assert "COMMANDS" in lines


@pytest.mark.parametrize("name", ["zsr.1", "zsr-run.1", "zsr-guest-recover.1", "zsr-update.1", "zsr-notify-explain.1"])
def test_a_page_of_zsr_has_no_mistake_of_grammar(name: str, tmp_path: Path) -> None:
    assert "EXIT STATUS" in text(PAGES[name], tmp_path)
