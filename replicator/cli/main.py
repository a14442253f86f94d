"""``zsr`` itself: finds the commands, and prints errors as a sentence with an exit status."""

from __future__ import annotations

import errno
import os
import sys
from importlib import import_module
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import click

from replicator import __version__
from replicator.cli.usage import ExplainedError, refuse_twice
from replicator.common.files import advice_of
from replicator.common.tasks import first_exception
from replicator.display import displayable, shortened
from replicator.errors import ConfigError, ZsrError

EXIT_FAILED = 1
EXIT_WRONG_USE = 2
COMMANDS_GROUP = "zsr.commands"

_COMMANDS = {
    "adopt": ("replicator.cli.adopt:adopt", "Take over datasets that are on the target already."),
    "assets": ("replicator.cli.assets:assets", "Files that come with zsr: alert rules, dashboards, units, ..."),
    "calendar": ("replicator.cli.calendar:calendar", "When a schedule fires."),
    "cancel": ("replicator.cli.run:cancel", "Stop the run of a job that is going on."),
    "check": ("replicator.cli.check:check", "Report the health of replication, for Nagios and Icinga."),
    "cluster": ("replicator.cli.cluster:cluster", "Compare the nodes' copies of the cluster file, and distribute it."),
    "config": ("replicator.cli.config:config", "Check the settings of this node and of the cluster."),
    "coverage": ("replicator.cli.coverage:coverage", "Show which volumes of this node's guests are not replicated."),
    "create-local-job": ("replicator.cli.jobs:create_local_job", "Create a job."),
    "daemon": ("replicator.cli.daemon:daemon", "Replicate on schedule, until stopped."),
    "delete": ("replicator.cli.jobs:delete", "Remove a job with its replicas."),
    "disable": ("replicator.cli.disable:disable", "Keep a job from running, or all jobs of a node."),
    "diverged": (
        "replicator.cli.diverged:diverged",
        "Replicas that differed from their source: list, open or destroy them.",
    ),
    "doctor": ("replicator.cli.doctor:doctor", "Look for what is set up wrongly, here and on the other nodes."),
    "enable": ("replicator.cli.disable:enable", "Let a job run again, or all jobs of a node."),
    "guest": ("replicator.cli.guest:guest", "Guests and their replicas: list, move, or recover when a node is dead."),
    "list": ("replicator.cli.jobs:list_jobs", "List the jobs of all nodes."),
    "log": ("replicator.cli.log:log", "Print the log of a run."),
    "plan": ("replicator.cli.plan:plan", "Show what a run of a job would do, and change nothing."),
    "read": ("replicator.cli.jobs:read", "Print the settings of a job."),
    "reseed": ("replicator.cli.reseed:reseed", "Send volumes again in full, and swap them with the replicas."),
    "restore-points": (
        "replicator.cli.restore_points:points",
        "List the restore points on the target, or open one.",
    ),
    "run": ("replicator.cli.run:run", "Run a job now."),
    "schedule-now": ("replicator.cli.run:schedule_now", "Let a job run as soon as possible."),
    "setup": ("replicator.cli.setup:setup", "Ask what a first user must decide, try it, and write the files."),
    "simulate": ("replicator.cli.simulate:simulate", "Play schedules on a virtual clock."),
    "status": ("replicator.cli.status:status", "Show the state of the jobs of this node."),
    "update": ("replicator.cli.jobs:update", "Change the settings of a job."),
    "vanished": ("replicator.cli.vanished:vanished", "Replicas whose volumes are gone from the source."),
}
"""Each command's place, and its line in the list of commands, which is printed without importing the commands."""


class _Zsr(click.Group):
    """Knows its commands by name; plugins add theirs through the entry-point group ``zsr.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*_COMMANDS, *(entry.name for entry in entry_points(group=COMMANDS_GROUP))})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in _COMMANDS:
            module, _, attribute = _COMMANDS[cmd_name][0].partition(":")
            command = getattr(import_module(module), attribute)
        else:
            found = entry_points(group=COMMANDS_GROUP, name=cmd_name)
            if not found:
                return None
            command = next(iter(found)).load()
        return command if isinstance(command, click.Command) else None

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        known = self.list_commands(ctx)
        if args and not args[0].startswith("-") and args[0] not in known:
            ctx.fail(f"No such command '{args[0]}'.")
        name, command, words = super().resolve_command(ctx, args)
        if command is not None:
            refuse_twice(command, words, ctx)
        return name, command, words

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.UsageError as error:
            raise _explained(error) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except click.UsageError as error:
            raise _explained(error) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = [(name, self._summary(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _summary(self, ctx: click.Context, name: str) -> str:
        if name in _COMMANDS:
            return _COMMANDS[name][1]
        command = self.get_command(ctx, name)
        return command.get_short_help_str(limit=80) if command else ""


@click.command(cls=_Zsr, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="zsr")
@click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),  # reading it reports better what is wrong
    help="Settings of this node (default: $ZSR_CONFIG, or /etc/zsr/zsr.toml).",
)
def cli(config: Path | None) -> None:
    """Replicate the ZFS volumes of guests to other nodes on a schedule, and report what would be lost.

    Exit status: 0 success, 1 failure, 2 wrong use or wrong settings.
    """


def _explained(error: click.UsageError) -> click.UsageError:
    """Return the error of a wrong command line as zsr shows it; the help of a group that is typed alone as it is."""
    return error if isinstance(error, click.exceptions.NoArgsIsHelpError) else ExplainedError(error)


def main() -> None:
    """Run ``zsr``; expected errors are a sentence on standard error, never a traceback."""
    _open_streams()
    try:
        cli(prog_name="zsr")
    except (ZsrError, OSError, MemoryError) as error:
        sys.exit(_report(error))
    except BaseExceptionGroup as errors:
        leaf = first_exception(errors)
        if not isinstance(leaf, ZsrError | OSError | MemoryError):
            raise
        sys.exit(_report(leaf))


def _report(error: ZsrError | OSError | MemoryError) -> int:
    """Print an error; return its exit status."""
    if isinstance(error, MemoryError):
        click.echo("zsr: This process gets no more memory. Raise its limit (MemoryMax), or free memory.", err=True)
        return EXIT_FAILED
    if isinstance(error, ZsrError):
        click.echo(f"zsr: {error}", err=True)
        return EXIT_WRONG_USE if isinstance(error, ConfigError) else EXIT_FAILED
    click.echo(f"zsr: {_of_system(error)}", err=True)
    return EXIT_FAILED


def _of_system(error: OSError) -> str:
    why = error.strerror or str(error)
    if error.filename:
        return displayable(f"Could not use '{shortened(str(error.filename), 200)}': {why}. {advice_of(error)}")
    if error.errno == errno.ENOENT:
        return "The folder in which this was typed is gone. Change to another one (cd)."
    return f"Could not write what was to be printed: {why}."


def _open_streams() -> None:
    """Open what the caller closed (``>&-``): the next file would get its number, and what is printed would go there."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    sys.stdout = sys.stdout or open(os.devnull, "w")  # noqa: SIM115, PTH123 - open until the process ends
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115, PTH123 - as above


if __name__ == "__main__":
    main()
