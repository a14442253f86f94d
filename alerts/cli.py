"""``zsr notify``: try the targets of ``[[notify]]`` before the night in which they are needed.

apprise is imported only when a command runs; every other ``zsr`` command would wait for it.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from alerts.targets import Target, read_targets
from replicator.plugins import Problem

if TYPE_CHECKING:
    from alerts.trial import Trial

DEFAULT_CONFIG = Path("/etc/zsr/zsr.toml")
SECTION = "notify"
EXIT_FAILED = 1
EXIT_WRONG_USE = 2


@click.group()
def notify() -> None:
    """Notifications: try whether they arrive."""


@notify.command()
@click.argument("name", required=False)
@click.option("--config", type=click.Path(path_type=Path), help=f"Settings of this node, default {DEFAULT_CONFIG}.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def test(ctx: click.Context, name: str | None, config: Path | None, form: str) -> None:
    """Send one test message through each target, or through the one called NAME, and report each result.

    Exit status: 0 all delivered, 1 at least one not, 2 the settings or NAME are wrong.
    """
    chosen = _chosen(_targets(config or _config_of(ctx)), name)
    from alerts.trial import try_targets  # noqa: PLC0415 - see the module's docstring

    trials = asyncio.run(try_targets(chosen, platform.node()))
    _report(trials, form)
    if not all(trial.ok for trial in trials):
        ctx.exit(EXIT_FAILED)


def _config_of(ctx: click.Context) -> Path:
    """The ``--config`` given to ``zsr`` itself, or the default."""
    given = ctx.find_root().params.get("config")
    return Path(given) if given else DEFAULT_CONFIG


def _targets(path: Path) -> tuple[Target, ...]:
    """All targets of a settings file; ends the command with status 2 and all that is wrong if something is."""
    targets, problems = read_targets(_section(path), os.environ)
    from alerts.plugin import url_problems  # noqa: PLC0415 - see the module's docstring

    found: list[Problem] = [*problems, *url_problems(targets)]
    if found:
        raise _wrong_use(f"{path} is wrong:", *(f"  {SECTION}{problem}" for problem in found))
    return targets


def _section(path: Path) -> object:
    """The ``notify`` section of a settings file; the other sections are not this command's business."""
    try:
        with path.open("rb") as file:
            return tomllib.load(file).get(SECTION)
    except OSError as error:
        raise _wrong_use(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise _wrong_use(f"{path} is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise _wrong_use(f"{path} is not TOML: {error}.") from None


def _chosen(targets: tuple[Target, ...], name: str | None) -> list[Target]:
    if not targets:
        raise _wrong_use("No notification target is configured.", "Add [[notify]] with name and url to the settings.")
    if name is not None:
        chosen = [target for target in targets if target.name == name]
        if not chosen:
            known = ", ".join(target.name for target in targets)
            raise _wrong_use(f"There is no notification target '{name}'.", f"Configured are: {known}.")
        return chosen
    chosen = [target for target in targets if target.enabled]
    if not chosen:
        raise _wrong_use("All notification targets are switched off (enabled = false); name one to try it.")
    return chosen


class _WrongUseError(click.ClickException):
    """Wrong settings or arguments: said line by line, exit status 2."""

    exit_code = EXIT_WRONG_USE


def _wrong_use(*lines: str) -> click.ClickException:
    return _WrongUseError("\n".join(lines))


def _report(trials: list[Trial], form: str) -> None:
    if form == "json":
        click.echo(json.dumps([asdict(trial) for trial in trials], indent=2))
        return
    table = Table("TARGET", "KIND", "RESULT", "SECONDS", "WHY", box=None, pad_edge=False)
    for trial in trials:
        table.add_row(trial.target, trial.kind, str(trial.status), f"{trial.seconds:.1f}", trial.reason or "-")
    Console(soft_wrap=True, highlight=False, markup=False, emoji=False).print(table)
