"""``python3 -m tests.lab.die_at HOW WHEN FUNCTION CALL ARGUMENT...``: ``zsr ARGUMENT...`` that ends at a call.

``killed``: it dies of SIGKILL ``before`` or ``after`` the CALL-th call (1 is the first) of a function, ``module:name``.
``held``: it stands still there, and writes the file `HELD`, until the file `GO` exists; meanwhile the test cuts a
network or the power. So a test breaks a command at each of its steps, without a word about it in the command.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from replicator.cli.main import main

HELD, GO = Path("/run/held"), Path("/run/go")


def hold() -> None:
    """Stand still, the event loop too, until the test lets it go on."""
    sys.stdout.flush()
    HELD.touch()
    while not GO.exists():
        time.sleep(0.05)


def die() -> None:
    """End this process as a kill does: nothing is cleaned up."""
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def wrapped(function: Any, end: Callable[[], None], when: str, call: int) -> Any:
    """Return a function that ends the process, or holds it, at one of its calls."""
    calls = 0

    def begins() -> bool:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            end()
        return calls == call

    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        last = begins()
        found = await function(*args, **kwargs)
        if last:
            end()
        return found

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        last = begins()
        found = function(*args, **kwargs)
        if last:
            end()
        return found

    return coroutine if inspect.iscoroutinefunction(function) else plain


def patch(where: str, end: Callable[[], None], when: str, call: int) -> None:
    """Put the function that ends the process in the place of ``module:name`` or ``module:Class.name``."""
    module, _, path = where.partition(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    setattr(owner, name, wrapped(getattr(owner, name), end, when, call))


if __name__ == "__main__":
    how, when, where, call, *arguments = sys.argv[1:]
    patch(where, {"killed": die, "held": hold}[how], when, int(call))
    sys.argv = ["zsr", *arguments]
    main()
