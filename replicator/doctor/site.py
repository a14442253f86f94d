"""What all checks look at: the settings of this node, the cluster, and the connections; and how one check is run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

from replicator.api.doctor import Line, Subject
from replicator.cluster.model import Cluster
from replicator.common.durations import words
from replicator.common.tasks import first_exception
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.zfs.node_clients import Nodes

A = TypeVar("A")

COMMAND_PART = 0.8
"""The part of a check's time that one command may take, so that its own error, which says more, comes first."""


@dataclass(frozen=True, slots=True)
class Site:
    """What the checks look at; ``limit``: seconds that each of them may take."""

    settings: Settings
    cluster: Cluster
    nodes: Nodes
    limit: float

    @property
    def here(self) -> str:
        """The name of this node."""
        return self.settings.node

    @property
    def command_limit(self) -> float:
        """Seconds that one command may take."""
        return self.limit * COMMAND_PART


@dataclass(frozen=True, slots=True)
class Check:
    """One look at a node, which makes the lines of one or several checks."""

    names: Sequence[str]
    node: str
    look: Callable[[], Awaitable[Iterable[Line]]]


async def lines_of(check: Check, limit: float) -> list[Line]:
    """Return the lines of a check; one for each name if it could not be done, or not within ``limit`` seconds."""
    try:
        async with asyncio.timeout(limit):
            return list(await check.look())
    except TimeoutError:
        text, advice = (
            f"It did not end within {words(limit)}.",
            "Look for a command that hangs there, or give --timeout.",
        )
    except Exception as error:  # noqa: BLE001 - the outermost frame of a check: the others go on
        cause = first_exception(error)
        if isinstance(cause, ZsrError):
            text, advice = cause.what, cause.advice
        elif isinstance(cause, OSError):
            text, advice = f"It could not be looked at: {cause.strerror or cause}.", ""
        else:
            text, advice = f"It failed inside zsr ({type(cause).__name__}: {cause}).", "Please report this."
    return [Subject(name, check.node).unknown(text, advice) for name in check.names]


async def all_lines(checks: Iterable[Check], limit: float) -> list[Line]:
    """Run checks at the same time; return their lines in the order of the checks."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(lines_of(check, limit)) for check in checks]
    return [line for task in tasks for line in task.result()]


async def in_own_thread(work: Callable[[], A]) -> A:
    """Return the result of work that may block, as on a dead mount: nothing waits for its thread after a cancel."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[A] = loop.create_future()

    def settle(result: A | None, error: Exception | None) -> None:
        if done.done():
            return
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type]  # without an error there is a result

    def run() -> None:
        result, problem = None, None
        try:
            result = work()
        except Exception as error:  # noqa: BLE001 - handed over
            problem = error
        with suppress(RuntimeError):  # the loop is closed: nobody waits
            loop.call_soon_threadsafe(settle, result, problem)

    threading.Thread(target=run, name="zsr-doctor", daemon=True).start()
    return await done
