"""``python3 -m tests.lab.prefork``: forks a ``zsr`` for each request of ``zsr-forked``, its modules loaded already.

A new interpreter takes seconds in a node, where a page fault costs 150 µs; a forked one takes a fifth of that. The code
that runs is the same, in a process of its own.
"""

from __future__ import annotations

import gc
import importlib
import os
import pkgutil
import signal
import sys
from contextlib import suppress
from pathlib import Path
from types import ModuleType

import alerts
import exporter
import replicator
from replicator.cli.main import main

FOLDER = Path("/run/lab/prefork")
PROCESSES = Path("/run/lab/zsr")
"""The ids of all zsr processes, by which the end of a test finds those that are still alive."""


def load(package: ModuleType) -> None:
    """Import all modules of a package."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


def serve() -> list[str]:
    """Fork a process for each request, without end; returns only in the forked ones, with their arguments."""
    running: dict[int, Path] = {}
    signal.signal(signal.SIGCHLD, lambda _signal, _frame: _report_ended(running))
    requests = FOLDER / "requests"
    os.mkfifo(FOLDER / "new")
    (FOLDER / "new").rename(requests)
    with os.fdopen(os.open(requests, os.O_RDWR)) as lines:  # without a writer, reading would end
        for line in lines:
            request = FOLDER / line.strip()
            # blocked, so that no process ends before it is noted
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
            child = os.fork()
            if child == 0:
                return _become(request)
            running[child] = request
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    raise EOFError(requests)


def _become(request: Path) -> list[str]:
    """Turn this new process into the one that was asked for."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})
    os.setsid()
    PROCESSES.mkdir(parents=True, exist_ok=True)
    (PROCESSES / str(os.getpid())).write_text(f"{os.getpid()}\n")
    flags = os.O_WRONLY | os.O_CREAT
    for number, name in ((1, "out"), (2, "err")):
        os.dup2(os.open(request / name, flags), number)
    os.chdir((request / "folder").read_text().removesuffix("\n"))
    arguments = (request / "arguments").read_text()
    return arguments.removesuffix("\0").split("\0") if arguments else []


def _report_ended(running: dict[int, Path]) -> None:
    for child, request in list(running.items()):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            del running[child]
            code = os.waitstatus_to_exitcode(status)
            with suppress(FileNotFoundError):  # whose client was killed
                pipe = os.open(request / "status", os.O_RDWR)
                os.write(pipe, f"{code if code >= 0 else 128 - code}\n".encode())
                os.close(pipe)


if __name__ == "__main__":
    for package in (replicator, exporter, alerts):
        load(package)
    gc.freeze()  # a collection would write to, and so copy, every page of the modules
    sys.argv = ["zsr", *serve()]
    try:
        main()
    except SystemExit as end:
        sys.stdout.flush()
        sys.stderr.flush()
        if end.code is None or isinstance(end.code, int):
            os._exit(end.code or 0)  # the interpreter's own end would touch, and so copy, every object
        raise
