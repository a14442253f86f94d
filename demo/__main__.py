"""``python -m demo [--duration SECONDS] [--monitoring] [--clear]``; run by `make demo` and `make monitoring`."""

from __future__ import annotations

import asyncio
import sys

import click
from rich.console import Console

from demo.engine import SandboxError, stop
from demo.play import DemoError, play
from demo.records import Records
from demo.sandbox import clear_leftovers
from demo.servers import ServerError


@click.command()
@click.option(
    "--duration", type=click.FloatRange(min=20), help="Seconds after which the demo ends and checks its result."
)
@click.option(
    "--monitoring", is_flag=True, help="Also run Prometheus with zsr's rules, Alertmanager and the dashboards."
)
@click.option("--clear", is_flag=True, help="Only remove the leftovers of killed demos and tests.")
def main(duration: float | None, monitoring: bool, clear: bool) -> None:
    """Show replication between two pools of this machine. Exit status 0: no error, and each check passed."""
    console = Console()
    try:
        if clear:
            _clear(console)
            return
        good = asyncio.run(play(console, duration, monitored=monitoring))
    except (SandboxError, DemoError, ServerError) as error:
        console.print(f"demo: {error}", style="red", markup=False, highlight=False)
        sys.exit(1)
    sys.exit(0 if good else 1)


def _clear(console: Console) -> None:
    records = Records()
    if not records.directory.exists():
        return
    with records.locked():
        for directory in clear_leftovers(records):
            console.print(f"removed {directory}")
        if not records.all():
            stop(records)


if __name__ == "__main__":
    main()
