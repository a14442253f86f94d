"""``python3 -m tests.lab.die_at WHEN FUNCTION CALL ARGUMENT...``: ``zsr ARGUMENT...`` that is killed at a call.

It dies of SIGKILL ``before`` or ``after`` the CALL-th call (1 is the first) of a function, ``module:name``. So a test
kills a command at each of its steps, without a word about it in the command.
"""

from __future__ import annotations

import functools
import inspect
import os
import signal
import sys
from importlib import import_module
from typing import Any

from replicator.cli.main import main


def die() -> None:
    """End this process as a kill does: nothing is cleaned up."""
    sys.stdout.flush()
    os.kill(os.getpid(), signal.SIGKILL)


def wrapped(function: Any, when: str, call: int) -> Any:
    """Return a function that kills the process at one of its calls."""
    calls = 0

    def begins() -> bool:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            die()
        return calls == call

    @functools.wraps(function)
    async def coroutine(*args: Any, **kwargs: Any) -> Any:
        last = begins()
        found = await function(*args, **kwargs)
        if last:
            die()
        return found

    @functools.wraps(function)
    def plain(*args: Any, **kwargs: Any) -> Any:
        last = begins()
        found = function(*args, **kwargs)
        if last:
            die()
        return found

    return coroutine if inspect.iscoroutinefunction(function) else plain


def patch(where: str, when: str, call: int) -> None:
    """Put the function that kills in the place of ``module:name`` or ``module:Class.name``."""
    module, _, path = where.partition(":")
    owner: Any = import_module(module)
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    setattr(owner, name, wrapped(getattr(owner, name), when, call))


if __name__ == "__main__":
    patch(sys.argv[2], sys.argv[1], int(sys.argv[3]))
    sys.argv = ["zsr", *sys.argv[4:]]
    main()
