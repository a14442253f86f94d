"""What the pages show exists: commands and options, make goals, modules, files, links."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click
import pytest

from replicator.cli.main import cli
from tests.support.pages import (
    PAGES,
    ROOT,
    RUNBOOKS,
    anchors,
    files_in,
    inline_code,
    links,
    name,
    prose,
    typed,
    zsr_commands,
)

MAKEFILE = (ROOT / "Makefile").read_text()
SHOWN = [(page, command) for page in [*PAGES, *RUNBOOKS] for command in zsr_commands(page)]


def resolved(arguments: list[str]) -> tuple[click.Command, list[str]]:
    """The command that arguments lead to, and what is left for it."""
    context = click.Context(cli)
    command: click.Command = cli
    _, rest, _ = cli.make_parser(context).parse_args(list(arguments))
    while isinstance(command, click.Group) and rest:
        _, found, rest = command.resolve_command(context, rest)
        assert found is not None
        command, context = found, click.Context(found, parent=context)
    return command, rest


@pytest.mark.parametrize(("page", "arguments"), SHOWN, ids=[f"{name(page)}: {' '.join(a)}" for page, a in SHOWN])
def test_a_command_that_a_page_shows_is_understood(page: Path, arguments: list[str], tmp_path: Path) -> None:
    for each in arguments:
        if each.endswith(".toml"):
            (tmp_path / each).touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        command, rest = resolved(arguments)
        command.make_context(command.name, rest)  # raises what the shell would print


@pytest.mark.parametrize("page", [*PAGES, *RUNBOOKS], ids=name)
def test_a_command_that_is_typed_stands_in_a_code_block(page: Path) -> None:
    verbs = "|".join(cli.list_commands(click.Context(cli)))
    typed_command = re.compile(rf"(?:zsr (?:{verbs})|zfs \w+|zpool|journalctl|systemctl)\s")
    assert [line for line in prose(page).splitlines() if typed_command.match(line)] == []


def named_commands(page: Path) -> set[str]:
    return {code for code in inline_code(page) if re.match(r"zsr [a-z]", code)}


@pytest.mark.parametrize("page", [*PAGES, *RUNBOOKS], ids=name)
def test_a_command_that_a_page_names_has_its_verb_and_options(page: Path) -> None:
    for code in named_commands(page):
        verb = re.match(r"zsr ((?:--config \S+ )?[a-z-]+(?: [a-z]+(?=\s|$))?)", code)
        assert verb is not None, code
        command, _ = resolved([word for word in verb[1].split() if word != "--config" and not word.startswith("/")])
        known = {option for each in command.params if isinstance(each, click.Option) for option in each.opts}
        known |= {option for each in command.params for option in each.secondary_opts} | {"--help", "--config"}
        assert set(re.findall(r"--[a-z-]+", code)) <= known, code


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_make_goal_that_a_page_names_exists_with_its_variables(page: Path) -> None:
    shown = [*inline_code(page), *typed(page)]
    for goal, rest in re.findall(r"^make (?:-k )?([a-z]+)(.*)$", "\n".join(shown), re.MULTILINE):
        assert re.search(rf"^{goal}:", MAKEFILE, re.MULTILINE), goal
        for variable in re.findall(r"\b([A-Z]+)=", rest):
            assert variable in MAKEFILE, variable


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_module_that_a_page_runs_exists(page: Path) -> None:
    for module in re.findall(r"python -m ([\w.]+)", page.read_text()):
        assert importlib.util.find_spec(module) is not None, module


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_a_file_that_a_page_names_exists(page: Path) -> None:
    assert [file for file in files_in(page.read_text()) if not list(ROOT.glob(file))] == []


@pytest.mark.parametrize("page", [*PAGES, *RUNBOOKS], ids=name)
def test_a_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        file, _, anchor = link.partition("#")
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
