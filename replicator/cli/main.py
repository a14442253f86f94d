"""``zsr`` itself: finds the commands, and turns errors into a sentence and an exit status."""

from __future__ import annotations

import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path

import click

from replicator import __version__
from replicator.errors import ConfigError, ZsrError

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
COMMANDS_GROUP = "zsr.commands"

_COMMANDS = {
    "calendar": "replicator.cli.calendar:calendar",
    "cancel": "replicator.cli.run:cancel",
    "config": "replicator.cli.config:config",
    "create-local-job": "replicator.cli.jobs:create_local_job",
    "daemon": "replicator.cli.daemon:daemon",
    "delete": "replicator.cli.jobs:delete",
    "disable": "replicator.cli.jobs:disable",
    "enable": "replicator.cli.jobs:enable",
    "list": "replicator.cli.jobs:list_jobs",
    "log": "replicator.cli.log:log",
    "read": "replicator.cli.jobs:read",
    "run": "replicator.cli.run:run",
    "schedule-now": "replicator.cli.run:schedule_now",
    "simulate": "replicator.cli.simulate:simulate",
    "status": "replicator.cli.status:status",
    "update": "replicator.cli.jobs:update",
}


class _Zsr(click.Group):
    """Knows its commands by name; plugins add theirs through the entry-point group ``zsr.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *(entry.name for entry in entry_points(group=COMMANDS_GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = _COMMANDS.get(cmd_name)
        if place is not None:
            module, _, attribute = place.partition(":")
            command = getattr(import_module(module), attribute)
        else:
            found = entry_points(group=COMMANDS_GROUP, name=cmd_name)
            if not found:
                return None
            command = next(iter(found)).load()
        return command if isinstance(command, click.Command) else None


@click.command(cls=_Zsr, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zsr")
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="Settings of this node (else $ZSR_CONFIG, else /etc/zsr/zsr.toml).",
)
def cli(config: Path | None) -> None:
    """Replicate the ZFS volumes of guests to other nodes on a schedule, and know what would be lost.

    Exit status: 0 well, 1 failed, 2 wrong use or wrong settings.
    """


def main() -> None:
    """Run ``zsr``; expected errors are a sentence on standard error, never a traceback."""
    try:
        cli()
    except ConfigError as error:
        click.echo(f"zsr: {error}", err=True)
        sys.exit(EXIT_WRONG_USE)
    except ZsrError as error:
        click.echo(f"zsr: {error}", err=True)
        sys.exit(EXIT_FAILED)


if __name__ == "__main__":
    main()
