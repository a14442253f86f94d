"""docs/commands.md names every verb with every option that it has."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from replicator.cli.main import cli

TEXT = (Path(__file__).parents[3] / "docs" / "commands.md").read_text()
COMMON = {"--config", "--format", "--help"}


def verbs(group: click.Group, prefix: str = "") -> list[tuple[str, click.Command]]:
    context = click.Context(group)
    found = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        found += verbs(command, f"{prefix}{name} ") if isinstance(command, click.Group) else [(prefix + name, command)]
    return found


@pytest.mark.parametrize(("verb", "command"), verbs(cli), ids=[verb for verb, _ in verbs(cli)])
def test_a_verb_is_described_with_its_options(verb: str, command: click.Command) -> None:
    assert re.search(rf"^### .*`zsr {verb}\b", TEXT, re.MULTILINE)
    options = {name for option in command.params if isinstance(option, click.Option) for name in option.opts}
    assert {name for name in options - COMMON if name not in TEXT} == set()
