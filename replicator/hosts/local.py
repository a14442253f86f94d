"""Commands on this machine."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Callable, Sequence

from replicator.common.tasks import finish_despite_cancel, gather_two
from replicator.errors import BusyError, ConfigError, DeadlineError, ZfsError, ZsrError
from replicator.hosts.hook_unit import HookUnit, NotStartedError, NoUnitError
from replicator.hosts.host import Completed, StderrTail, StreamProcess, read_output
from replicator.hosts.left_behind import LeftBehind

_log = logging.getLogger("zsr.hosts")

KILL_TIMEOUT_SECONDS = 5.0
"""Seconds to wait for a killed process; one that hangs in the kernel longer than that is left behind."""

_SBIN = "/usr/local/sbin:/usr/sbin:/sbin"


def c_locale_environment() -> dict[str, str]:
    """Return the environment of zsr itself with the C locale and the folders of system tools on the path."""
    return {**os.environ, "LC_ALL": "C", "PATH": f"{os.environ.get('PATH', '/usr/bin:/bin')}:{_SBIN}"}


class LocalHost:
    """The machine zsr runs on. Each command is in a session of its own: a Ctrl-C at a terminal reaches only zsr.

    ``hooks``: the unit in which `run_configured` runs commands; None: they are children of ours like all others.
    """

    def __init__(self, name: str, hooks: HookUnit | None = None) -> None:
        self._name = name
        self._hooks = hooks
        self._left_behind = LeftBehind(name)

    @property
    def name(self) -> str:
        """The node's name."""
        return self._name

    @property
    def compression(self) -> str:
        """A local stream is never compressed."""
        return "none"

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """See `Host.run`."""
        await self._left_behind.refuse(argv)
        process = await self._start(argv, stdin=PIPE if stdin else DEVNULL, stdout=PIPE)
        try:
            async with asyncio.timeout(limit):
                (stdout, stderr), _ = await gather_two(self._output(argv, process), _feed(process, stdin))
                await process.wait()
        except TimeoutError:
            await _give_up(process)
            self._note_hanging(argv, process)
            raise DeadlineError(
                f"'{' '.join(argv[:3])}' on {self._name} did not end within {limit:.0f} s.", node=self._name
            ) from None
        except (asyncio.CancelledError, ZsrError):
            await _give_up(process)
            self._note_hanging(argv, process)
            raise
        status = process.returncode if process.returncode is not None else -1
        return Completed(tuple(argv), status, stdout, stderr)

    async def run_configured(self, argv: Sequence[str], *, limit: float) -> Completed:
        """Run a command that a user wrote into the cluster file; else like `run`."""
        if self._hooks is None:
            return await self.run(argv, limit=limit)
        await self._left_behind.refuse(argv)

        def note(has_ended: Callable[[], bool]) -> None:
            self._left_behind.add(argv, has_ended)

        try:
            return await self._hooks.run(self._name, argv, c_locale_environment(), limit, note)
        except NotStartedError as error:
            raise not_started(self._name, argv, error.error) from error
        except NoUnitError as error:  # as while the machine shuts down; a guest must be thawed all the same
            _log.warning("A hook runs with the daemon's restrictions: systemd gave it no unit (%s).", error)
            return await self.run(argv, limit=limit)

    def _note_hanging(self, argv: Sequence[str], process: Process) -> None:
        if process.returncode is None:
            self._left_behind.add(argv, lambda: process.returncode is not None)

    async def _start(self, argv: Sequence[str], *, stdin: int, stdout: int) -> Process:
        """Start a child; raises ZsrError where the machine cannot."""
        try:
            return await start(argv, stdin=stdin, stdout=stdout)
        except OSError as error:
            raise not_started(self._name, argv, error) from error

    async def _output(self, argv: Sequence[str], process: Process) -> tuple[str, str]:
        assert process.stdout is not None  # noqa: S101 - it was started with pipes
        assert process.stderr is not None  # noqa: S101
        return await read_output(" ".join(argv[:3]), self._name, process.stdout, process.stderr)

    async def start_source(self, argv: Sequence[str], stdout: int) -> StreamProcess:
        """See `Host.start_source`."""
        try:
            return LocalStreamProcess(argv, await self._start(argv, stdin=DEVNULL, stdout=stdout))
        finally:
            os.close(stdout)

    async def start_sink(
        self, argv: Sequence[str], stdin: int, *, expected_bytes: int | None, stdout: int | None = None
    ) -> StreamProcess:
        """See `Host.start_sink`."""
        try:
            output = DEVNULL if stdout is None else stdout
            return LocalStreamProcess(argv, await self._start(argv, stdin=stdin, stdout=output))
        finally:
            os.close(stdin)
            if stdout is not None:
                os.close(stdout)

    async def probe(self) -> None:
        """Do nothing: this machine always answers."""

    async def reach(self) -> None:
        """Do nothing: there is no connection."""

    async def close(self) -> None:
        """Do nothing: there is no connection."""


def not_started(node: str, argv: Sequence[str], error: OSError) -> ZsrError:
    """Return the error of a command that a machine could not start at all."""
    match error.errno:
        case errno.ENOENT:
            advice = "Install it there; zfsutils-linux has zfs and zpool."
            return ConfigError(f"There is no command '{argv[0]}' on node {node}.", node=node, advice=advice)
        case errno.E2BIG:
            size = sum(len(word.encode()) + 1 for word in argv)
            what = f"'{argv[0]}' on node {node} would get {size} bytes of arguments, more than Linux allows."
            return ConfigError(what, node=node, advice="Give the volumes shorter names, or the guest fewer of them.")
        case errno.EAGAIN | errno.ENOMEM | errno.EMFILE | errno.ENFILE:
            what = f"Node {node} could not start '{' '.join(argv[:2])}': {error.strerror}."
            return BusyError(what, node=node, advice="Check its memory, processes and open files; zsr tries it again.")
    return ZfsError(f"Node {node} could not start '{' '.join(argv[:2])}': {error.strerror}.", node=node)


class LocalStreamProcess:
    """A child of ours at one end of a stream."""

    def __init__(self, argv: Sequence[str], process: Process) -> None:
        self._argv = tuple(argv)
        self._process = process

    async def wait(self) -> Completed:
        """See `StreamProcess.wait`."""
        assert self._process.stderr is not None  # noqa: S101 - it was started with a pipe
        tail = StderrTail()
        while data := await self._process.stderr.read(STDERR_CHUNK):
            tail.feed(data)
        status = await self._process.wait()
        return Completed(self._argv, status, "", tail.text())

    async def ended(self) -> None:
        """See `StreamProcess.ended`."""
        await self._process.wait()

    async def kill(self) -> None:
        """See `StreamProcess.kill`."""
        await end(self._process)


async def _feed(process: Process, text: str) -> None:
    if process.stdin is None:
        return
    with contextlib.suppress(
        BrokenPipeError, ConnectionResetError
    ):  # it has ended already; its status gives the reason
        process.stdin.write(text.encode())
        await process.stdin.drain()
    process.stdin.close()


STDERR_CHUNK = 8192
"""Bytes read from a process's stderr at once."""


async def start(argv: Sequence[str], *, stdin: int, stdout: int) -> Process:
    """Start a child in a session of its own with its stderr on a pipe.

    A cancel waits until it is started, and ends it then: asyncio's own start, cancelled half-way, may never return
    (seen on Python 3.11).
    """
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *argv, stdin=stdin, stdout=stdout, stderr=PIPE, env=c_locale_environment(), start_new_session=True
        )
    )
    try:
        return await asyncio.shield(starting)
    except asyncio.CancelledError:
        await finish_despite_cancel(_end_started(starting))
        raise


async def _end_started(starting: asyncio.Task[Process]) -> None:
    with contextlib.suppress(OSError):  # it could not be started at all
        await _give_up(await starting)


async def end(process: Process) -> None:
    """Kill a child and everything in its session, and wait for it a little."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            os.killpg(process.pid, signal.SIGKILL)
            async with asyncio.timeout(KILL_TIMEOUT_SECONDS):
                await process.wait()


async def _give_up(process: Process) -> None:
    """End a child of which nobody reads the output any more, and close its pipes: a full one never ends by itself."""
    await end(process)
    process._transport.close()  # type: ignore[attr-defined]  # asyncio has no other way
