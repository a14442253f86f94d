"""``zsr notify``: test the targets of ``[[notify]]`` before they are needed.

apprise is imported only when a command runs; every other ``zsr`` command would wait for it.
"""

from __future__ import annotations

import asyncio
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console
from rich.table import Table

from alerts.cli_log import explain, log, resend
from replicator.cli.context import store
from replicator.config.settings import Settings, default_path, load_settings
from replicator.errors import ConfigError
from replicator.models import JobId

if TYPE_CHECKING:
    from alerts.targets import Target
    from alerts.test_message import TrialResult

EXIT_FAILED = 1


@click.group()
def notify() -> None:
    """Notifications: test or verify the targets, list the messages, explain the routes."""


notify.add_command(log)
notify.add_command(resend)
notify.add_command(explain)


@notify.command()
@click.argument("name", required=False)
@click.option("--config", type=click.Path(path_type=Path), help="Settings of this node, default /etc/zsr/zsr.toml.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def test(ctx: click.Context, name: str | None, config: Path | None, form: str) -> None:
    """Send one test message through each target, or through the one called NAME, and report each result.

    Exit status: 0 all delivered, 1 at least one not, 2 the settings or NAME are wrong.
    """
    from alerts.settings import read_settings  # noqa: PLC0415 - see the module's docstring
    from alerts.test_message import try_targets  # noqa: PLC0415 - see the module's docstring

    node = load_settings(config or _config_of(ctx))
    settings, _ = read_settings(node.sections, os.environ)  # checked with all the other settings
    chosen = _chosen(settings.targets, name)
    trials = asyncio.run(try_targets(settings, chosen, node.node, node.timezone, job=_some_job(node)))
    _report(trials, form)
    if not all(trial.ok for trial in trials):
        ctx.exit(EXIT_FAILED)


@notify.command()
@click.argument("name", required=False)
@click.option("--config", type=click.Path(path_type=Path), help="Settings of this node, default /etc/zsr/zsr.toml.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True)
@click.pass_context
def verify(ctx: click.Context, name: str | None, config: Path | None, form: str) -> None:
    """Check each target, or the one called NAME, without sending a message; mail by a log-in.

    Exit status: 0 nothing is wrong as far as it can be known, 1 at least one fails, 2 the settings or NAME are wrong.
    """
    from alerts.settings import read_settings  # noqa: PLC0415 - see the module's docstring
    from alerts.test_message import verify_targets  # noqa: PLC0415 - see the module's docstring

    node = load_settings(config or _config_of(ctx))
    settings, _ = read_settings(node.sections, os.environ)  # checked with all the other settings
    results = asyncio.run(verify_targets(settings, _chosen(settings.targets, name)))
    _report(results, form)
    if not all(result.ok for result in results):
        ctx.exit(EXIT_FAILED)


def _config_of(ctx: click.Context) -> Path:
    """The ``--config`` given to ``zsr`` itself, or the default."""
    given = ctx.find_root().params.get("config")
    return Path(given) if given else default_path()


def _some_job(node: Settings) -> JobId | None:
    """A job of this node, whose check can be pinged; None if there is none, or the cluster cannot be read."""
    try:
        cluster = store(node).read()
    except ConfigError:
        return None
    mine = [job for job in cluster.jobs if (guest := cluster.guests.get(job.guest)) and guest.node == node.node]
    return min(mine, default=None)


def _chosen(targets: tuple[Target, ...], name: str | None) -> list[Target]:
    if not targets:
        raise ConfigError(
            "No notification target is configured.", advice="Add [[notify]] with name and url to the settings."
        )
    if name is not None:
        chosen = [target for target in targets if target.name == name]
        if not chosen:
            known = ", ".join(target.name for target in targets)
            raise ConfigError(f"There is no notification target '{name}'.", advice=f"Configured are: {known}.")
        return chosen
    chosen = [target for target in targets if target.enabled]
    if not chosen:
        raise ConfigError("All notification targets are disabled (enabled = false).", advice="Name one to test it.")
    return chosen


def _report(trials: list[TrialResult], form: str) -> None:
    if form == "json":
        shown = [{key: value for key, value in asdict(trial).items() if key != "ok"} for trial in trials]
        click.echo(json.dumps(shown, indent=2))
        return
    table = Table("TARGET", "KIND", "RESULT", "SECONDS", "WHY", box=None, pad_edge=False)
    for trial in trials:
        table.add_row(trial.target, trial.kind, str(trial.status), f"{trial.seconds:.1f}", trial.reason or "-")
    Console(soft_wrap=True, highlight=False, markup=False, emoji=False).print(table)
