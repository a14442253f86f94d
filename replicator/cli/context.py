"""Shared by the commands: the settings, the cluster store, the state, and the daemon if it runs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from replicator.cluster.model import Cluster
from replicator.cluster.store import ClusterStore, open_store
from replicator.common.files import file_error
from replicator.config.settings import Settings, default_path, load_settings
from replicator.daemon.control import NoDaemonError, Request, call
from replicator.errors import ConfigError, ZsrError
from replicator.events import GuestMoved
from replicator.models import Guest, Job
from replicator.state.stores import State

F = TypeVar("F", bound=Callable[..., Any])


def config_option(command: F) -> F:
    """Add ``--config`` to a command, so that it may stand before or after the verb."""
    option = click.option(
        "--config",
        type=click.Path(path_type=Path, readable=False),
        expose_value=False,
        callback=_keep_config,
        help="Settings of this node, as before the verb.",
    )
    return option(command)


def _keep_config(ctx: click.Context, _: click.Parameter, value: Path | None) -> None:
    if value is not None:
        ctx.find_root().params["config"] = value


def config_path() -> Path:
    """Return where the settings are."""
    given = click.get_current_context().find_root().params.get("config")
    return Path(given) if given else default_path()


def settings() -> Settings:
    """Return the checked settings; raises SettingsError with all problems."""
    return load_settings(config_path())


def store(node: Settings) -> ClusterStore:
    """Return the cluster store that the settings name."""
    return open_store(node.cluster, node.timezone)


@contextmanager
def open_state(node: Settings) -> Iterator[State]:
    """Open ``state.db`` while the body runs, to read or for one change; a daemon may have it open too."""
    state = State.open(_state_path(node), repair=False)
    try:
        yield state
    finally:
        state.close()


def state_for_runs(node: Settings) -> State:
    """Open ``state.db`` for a process that does runs; a damaged file is moved aside."""
    return State.open(_state_path(node))


@contextmanager
def state_to_read(node: Settings) -> Iterator[State | None]:
    """Open ``state.db`` to read only, while the body runs; None if this node has none yet."""
    try:
        _state_path(node).stat()
    except FileNotFoundError:
        yield None
        return
    except OSError as error:
        raise file_error(error, f"open '{_state_path(node)}'") from error
    state = State.read(_state_path(node))
    try:
        yield state
    finally:
        state.close()


def own_guest(node: Settings, cluster: Cluster, job: Job) -> Guest:
    """Return the guest of a job of this node.

    Raises:
        ConfigError: the job belongs to another node, or its guest is not in the cluster file any more.
    """
    guest = cluster.guests.get(job.id.guest)
    if guest is None:
        raise ConfigError(
            f"Guest {job.id.guest} is not in the cluster file any more.",
            advice=f"Put it back, or remove the job: zsr delete {job.id}.",
        )
    if guest.node != node.node:
        raise ConfigError(f"Job {job.id} belongs to node {guest.node}, not to {node.node}.", advice="Run it there.")
    return guest


def _state_path(node: Settings) -> Path:
    return node.state_dir / "state.db"


def ask_daemon(node: Settings, request: Request, say: Callable[[str], None] = lambda line: None) -> Any:
    """Return the daemon's answer, a JSON value.

    Raises:
        NoDaemonError: none is running.
    """
    return asyncio.run(call(node.control, request, say))


def note_move(node: Settings, event: GuestMoved) -> None:
    """Record that a guest was moved; where that fails, say so: the guest goes on all the same."""
    try:
        with open_state(node) as state:
            state.moves.record(event)
    except ZsrError as error:
        click.echo(f"That guest {event.job.guest} moved was not recorded: {error}", err=True)


def notify_daemon(node: Settings) -> bool:
    """Let the daemon read the cluster at once, instead of within seconds; return whether it runs."""
    try:
        ask_daemon(node, {"verb": "reload"})
    except NoDaemonError:
        return False
    return True
