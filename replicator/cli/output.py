"""Output of the commands: tables for people, plain columns for pipes, JSON for scripts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, tzinfo

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from replicator.display import displayable
from replicator.errors import ConfigError, ZsrError

format_option = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True
)


def print_json(value: object) -> None:
    """Print one JSON value, pretty, with sorted keys."""
    click.echo(json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table at a terminal; elsewhere aligned columns, whole and without colours, for grep and awk."""
    rows = [[displayable(cell) for cell in row] for row in rows]
    if sys.stdout.isatty():
        table = Table(*columns, box=None, header_style="bold", pad_edge=False)
        for row in rows:
            table.add_row(*(Text(cell, overflow="fold") for cell in row))
        Console().print(table)
        return
    widths = [max(len(row[index]) for row in [columns, *rows]) for index in range(len(columns))]
    for row in [columns, *rows]:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def terminal_width() -> int | None:
    """Return the characters of a line of the terminal; None if standard output is none."""
    return Console().width if sys.stdout.isatty() else None


def local_time(seconds: float | None, zone: tzinfo) -> str:
    """Return a time as pvesr's tables print it; ``-`` for unknown."""
    return "-" if seconds is None else datetime.fromtimestamp(seconds, zone).strftime("%Y-%m-%d_%H:%M:%S")


def confirmed(question: str) -> bool:
    """Ask at the terminal, with no as the default; return the answer.

    Raises:
        ConfigError: there is no terminal to ask at.
    """
    if not sys.stdin.isatty():
        raise ConfigError(f"{question} There is no terminal to ask at.", advice="Confirm with --yes.")
    return click.confirm(question)


def name_failures(answers: Iterable[object]) -> None:
    """Name the errors among several nodes' answers on standard error, and end with status 1 if there are any."""
    failed = [str(answer) for answer in answers if isinstance(answer, ZsrError)]
    for text in dict.fromkeys(failed):  # two jobs to one node have one reason
        click.echo(f"zsr: {text}", err=True)
    if failed:
        click.get_current_context().exit(1)
