"""``python3 -m tests.lab.prefork`` on a node: runs the steps of a test, ``zsr`` among them with its modules loaded.

A new interpreter takes seconds in a node, where a page fault costs 150 µs, and a forked one a fifth of that. So one
forked process runs all commands of a test that come over its connections (`tests.lab.agent`), one after the other;
``zsr-forked`` gets a process of its own for each.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import pkgutil
import selectors
import signal
import socket
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NoReturn

import alerts
import exporter
import replicator
from replicator.cli.main import main
from tests.lab.agent import PORT

FOLDER = Path("/run/lab/prefork")
PROCESSES = Path("/run/lab/zsr")
"""The ids of all zsr processes, by which the end of a test finds those that are still alive."""

_OWN = ("PYTHONPATH", "OLDPWD", "SHLVL", "_")
"""Variables of this process that a step does not get; those of its SSH login neither."""


def load(package: ModuleType) -> None:
    """Import all modules of a package."""
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)


class Become(BaseException):
    """Raised in a forked process: it leaves the server, acts, and ends."""

    def __init__(self, act: Callable[[], NoReturn]) -> None:
        super().__init__()
        self.act = act


def zsr(arguments: Sequence[str]) -> int:
    """Run a command in this process; its exit status."""
    sys.argv = ["zsr", *arguments]
    try:
        main()
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:  # noqa: BLE001 - what the end of a process prints
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def once(arguments: Sequence[str]) -> NoReturn:
    """Be one command."""
    os._exit(zsr(arguments))  # the interpreter's own end would touch, and so copy, every object


def work(requests: socket.socket) -> NoReturn:
    """Be one command after the other: arguments and the files for the output come, the exit status goes."""
    while True:
        data, outputs, _, _ = socket.recv_fds(requests, 1 << 20, 2)
        if not data:
            os._exit(0)
        for place, number in enumerate(outputs, 1):
            os.dup2(number, place)
            os.close(number)
        status = zsr(json.loads(data))
        gc.collect()  # as at the end of a process, no file stays open
        requests.send(str(status).encode())


@dataclass(slots=True)
class Worker:
    """The process that runs the commands of a test. The test's end kills it, like every zsr."""

    process: int
    requests: socket.socket
    report: Callable[[int], None] | None = None
    """Where the end of its command is reported; None: it is free."""


class Server:
    """Starts what it is asked for, and reports how it ended."""

    def __init__(self) -> None:
        self._worker: Worker | None = None
        self._running: dict[int, Callable[[int], None]] = {}
        """What to do with the exit status of a process, by its id."""
        self._selector = selectors.DefaultSelector()
        self._partial: dict[socket.socket, bytes] = {}
        self._environment = {k: v for k, v in os.environ.items() if k not in _OWN and not k.startswith("SSH_")}
        self._listening = socket.create_server(("", PORT), backlog=64)
        self._ended, wake = socket.socketpair()
        for each in (self._ended, wake):
            each.setblocking(False)
        signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda _signal, _frame: None)
        self._wake = wake
        os.mkfifo(FOLDER / "new")
        (FOLDER / "new").rename(FOLDER / "requests")
        self._requests = os.open(FOLDER / "requests", os.O_RDWR | os.O_NONBLOCK)  # with a writer, reading never ends

    def serve(self) -> None:
        """Go on without end.

        Raises:
            Become: in a forked process.
        """
        self._selector.register(self._requests, selectors.EVENT_READ, self._read_names)
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)
        self._selector.register(self._ended, selectors.EVENT_READ, self._report_ended)
        while True:
            for key, _ in self._selector.select():
                key.data()

    # --- requests of `zsr-forked`: a folder each

    def _read_names(self) -> None:
        for name in os.read(self._requests, 65536).decode().split():
            self._fork_for(FOLDER / name)

    def _fork_for(self, request: Path) -> None:
        child = os.fork()
        if child == 0:
            flags = os.O_WRONLY | os.O_CREAT
            os.chdir((request / "folder").read_text().removesuffix("\n"))
            text = (request / "arguments").read_text()
            arguments = text.removesuffix("\0").split("\0") if text else []
            outputs = (os.open(request / "out", flags), os.open(request / "err", flags))
            self._become(partial(once, arguments), outputs)

        def report(status: int) -> None:
            with suppress(FileNotFoundError):  # whose client was killed
                pipe = os.open(request / "status", os.O_RDWR)
                os.write(pipe, f"{status}\n".encode())
                os.close(pipe)

        self._running[child] = report

    # --- requests of the test: a line of JSON each

    def _accept(self) -> None:
        connection, _ = self._listening.accept()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._partial[connection] = b""
        self._selector.register(connection, selectors.EVENT_READ, lambda: self._read(connection))

    def _read(self, connection: socket.socket) -> None:
        try:
            data = connection.recv(1 << 20)
        except ConnectionError:
            data = b""
        if not data:
            self._selector.unregister(connection)
            del self._partial[connection]
            connection.close()
            return
        self._partial[connection] += data
        if self._partial[connection].endswith(b"\n"):
            request = json.loads(self._partial[connection])
            self._partial[connection] = b""
            self._start(connection, request)

    def _start(self, connection: socket.socket, request: dict[str, object]) -> None:
        outputs = os.memfd_create("out"), os.memfd_create("err")

        def report(status: int) -> None:
            texts = []
            for number in outputs:
                texts.append(os.pread(number, os.fstat(number).st_size, 0))
                os.close(number)
            head = f"{status} {len(texts[0])} {len(texts[1])}\n"
            with suppress(OSError):  # a test that waits no more
                connection.sendall(b"".join((head.encode(), *texts)))

        if isinstance(arguments := request.get("zsr"), list):
            self._zsr(arguments, outputs, report)
        else:
            self._running[self._spawn(str(request["line"]), str(request["stdin"]), outputs)] = report

    def _zsr(self, arguments: list[str], outputs: tuple[int, int], report: Callable[[int], None]) -> None:
        worker = self._worker = self._worker or self._fork_worker()
        if worker.report is None:
            try:
                socket.send_fds(worker.requests, [json.dumps(arguments).encode()], outputs)
            except OSError:  # a test's end has just killed it
                self._worker = None
                self._zsr(arguments, outputs, report)
            else:
                worker.report = report
            return
        child = os.fork()
        if child == 0:
            self._become(partial(once, arguments), outputs)
        self._running[child] = report

    def _fork_worker(self) -> Worker:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        child = os.fork()
        if child == 0:
            ours.close()
            self._become(partial(work, theirs))
        theirs.close()
        worker = Worker(child, ours)
        self._selector.register(ours, selectors.EVENT_READ, lambda: self._done(worker))
        self._running[child] = lambda status: self._forget(worker, status)
        return worker

    def _done(self, worker: Worker) -> None:
        answer = worker.requests.recv(64)
        if answer and worker.report is not None:
            report, worker.report = worker.report, None
            report(int(answer))
        elif not answer:
            self._selector.unregister(worker.requests)

    def _forget(self, worker: Worker, status: int) -> None:
        if self._worker is worker:
            self._worker = None
        if worker.report is not None:
            worker.report(status)

    def _spawn(self, line: str, stdin: str, outputs: tuple[int, int]) -> int:
        given = os.memfd_create("in")
        os.write(given, stdin.encode())
        os.lseek(given, 0, os.SEEK_SET)
        child = os.posix_spawn(
            "/bin/bash",
            ["bash", "-c", line],
            self._environment,
            file_actions=[(os.POSIX_SPAWN_DUP2, number, place) for place, number in enumerate((given, *outputs))],
            setsid=True,
            setsigdef=[signal.SIGPIPE, signal.SIGXFSZ, signal.SIGCHLD],
        )
        os.close(given)
        return child

    # --- processes

    @staticmethod
    def _become(act: Callable[[], NoReturn], outputs: Sequence[int] = ()) -> NoReturn:
        """Turn this new process into the one that was asked for."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        PROCESSES.mkdir(parents=True, exist_ok=True)
        (PROCESSES / str(os.getpid())).write_text(f"{os.getpid()}\n")
        for place, number in enumerate(outputs, 1):
            os.dup2(number, place)
        raise Become(act)

    def _report_ended(self) -> None:
        with suppress(BlockingIOError):
            self._ended.recv(4096)
        for child in list(self._running):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                code = os.waitstatus_to_exitcode(status)
                self._running.pop(child)(code if code >= 0 else 128 - code)


if __name__ == "__main__":
    for package in (replicator, exporter, alerts):
        load(package)
    gc.freeze()  # a collection would write to, and so copy, every page of the modules
    os.chdir("/root")
    try:
        Server().serve()
    except Become as become:
        act = become.act
    act()
