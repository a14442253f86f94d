"""``zsr daemon``: replicate on schedule, until told to stop."""

from __future__ import annotations

import asyncio
import logging
import signal
from contextlib import suppress

import click

from replicator.cli.context import config_option, settings, state_for_runs, store
from replicator.common.gc_tuning import freeze_long_lived
from replicator.common.tasks import first_exception
from replicator.config.settings import Settings
from replicator.daemon.daemon import Daemon


@click.command()
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@config_option
def daemon(log_level: str) -> None:
    """Run in the foreground (under systemd, say) and replicate on schedule. SIGTERM and Ctrl-C end it cleanly."""
    logging.basicConfig(level=log_level.upper(), format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(settings()))
    except BaseExceptionGroup as errors:
        raise first_exception(errors) from None


async def _serve(node: Settings) -> None:
    state = state_for_runs(node)
    try:
        work = asyncio.ensure_future(Daemon(node, store(node), state, settled=freeze_long_lived).run())
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, work.cancel)
        with suppress(asyncio.CancelledError):
            await work
    finally:
        state.close()
