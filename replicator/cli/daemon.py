"""``zsr daemon``: replicate on schedule, until stopped."""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import signal
from contextlib import suppress

import click

from replicator.cli.context import config_option, settings, state_for_runs, store
from replicator.common.event_loop import run
from replicator.common.gc_tuning import freeze_long_lived
from replicator.common.log_format import JsonFormatter, TextFormatter
from replicator.common.service_socket import ServiceSocket
from replicator.common.tasks import first_exception
from replicator.config.settings import Settings
from replicator.daemon.daemon import Daemon
from replicator.state.guest_locks import daemon_lock


@click.command()
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning", "error"]), default="info", show_default=True
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines of text, or one JSON object per line, on standard error.",
)
@config_option
def daemon(log_level: str, log_format: str) -> None:
    """Run in the foreground (for example under systemd) and replicate on schedule; SIGTERM and Ctrl-C stop it.

    SIGHUP (systemctl reload zsr) reads the settings of plugins again, such as [[notify]].
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter() if log_format == "json" else TextFormatter())
    logging.basicConfig(level=log_level.upper(), handlers=[handler])
    faulthandler.enable()  # systemd's watchdog ends a daemon that hangs with SIGABRT: the log shows where it hung
    logging.getLogger("asyncssh").setLevel(logging.WARNING)
    try:
        run(_serve(settings()))
    except BaseExceptionGroup as errors:
        raise first_exception(errors) from None


async def _serve(node: Settings) -> None:
    with daemon_lock(node.state_dir / "locks"):
        await _work(node)


async def _work(node: Settings) -> None:
    state = state_for_runs(node)
    try:
        service = ServiceSocket.taken_from(os.environ)
        made = Daemon(node, store(node), state, cluster_changed=freeze_long_lived, service=service)
        work = asyncio.ensure_future(made.run())
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, made.request_reload)

        def stop() -> None:
            service.stopping()
            work.cancel()

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        with suppress(asyncio.CancelledError):
            await work
    finally:
        state.close()
