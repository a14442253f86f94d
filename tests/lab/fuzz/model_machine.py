"""The ZFS in memory as what a case is played on, and as the hosts of zsr in this process."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from functools import partial

from replicator.daemon import one_shot
from replicator.daemon.run_worker import Worker
from replicator.hosts.hook_unit import HookUnit
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.replication.progress import Progress, Step
from replicator.zfs import node_clients
from tests.lab.fuzz.listing import FIELDS, World
from tests.lab.fuzz.machine import FOLDER, POOLS, ActFailedError
from tests.lab.fuzz.model import Model, RefusedError
from tests.lab.fuzz.model_commands import execute, properties, split, usage

_KILLED = -9


class KilledError(BaseException):
    """Stands for ``kill -9``: no handler of zsr may see it."""


class ModelMachine:
    """Pools in memory, which zsr in this process uses instead of this machine's; its clock is `time.time` itself."""

    def __init__(self) -> None:
        self._model = Model()
        self._ahead = 0.0
        self._real = time.time
        time.time = self._now
        vars(node_clients)["LocalHost"] = partial(ModelHost, self)

    def _now(self) -> float:
        return self._real() + self._ahead

    @property
    def model(self) -> Model:
        """The pools, at the time of now."""
        self._model.clock = self._now()
        return self._model

    def zfs(self, *arguments: str) -> str:
        """See `Machine.zfs`."""
        try:
            return execute(self.model, ["zfs", *arguments])
        except RefusedError as error:
            raise ActFailedError(f"zfs {' '.join(arguments)}: {error}") from error

    def pipe(self, send: Sequence[str], receive: Sequence[str]) -> None:
        """See `Machine.pipe`."""
        try:
            self.received(self.sent(send), receive)
        except RefusedError as error:
            raise ActFailedError(str(error)) from error

    def sent(self, words: Sequence[str]) -> bytes:
        """What a send writes; raises RefusedError."""
        options, [target] = split(words, ("-i", "-I", "-t"))
        base = next((value for option, value in options if option in ("-i", "-I")), None)
        between = any(option == "-I" for option, _ in options)
        stream = self.model.stream(target, base, between=between)
        if all(option != "-p" for option, _ in options):
            stream["properties"] = {}
        return json.dumps(stream).encode()

    def received(self, stream: bytes, words: Sequence[str]) -> None:
        """Take in a stream; raises RefusedError."""
        options, [target] = split(words, ("-o", "-x"))
        force = any(option == "-F" for option, _ in options)
        self.model.receive(json.loads(stream), target, properties(options), force=force)

    def look(self) -> World:
        """See `Machine.look`."""
        return World.read(self.zfs("list", "-Hp", "-t", "all", "-o", ",".join(FIELDS), "-r", *POOLS))

    def clear(self) -> None:
        """See `Machine.clear`."""
        self._model = Model(ticks=self._model.ticks)
        for pool in POOLS:
            self._model.create(pool)
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)

    def write(self, dataset: str, kind: str, seed: int, *, sync: bool = False) -> None:
        """See `Machine.write`."""
        if dataset not in self.model.datasets:
            raise ActFailedError(f"{dataset} is not there")
        data = self.model.datasets[dataset]
        if kind == "filesystem" and not data.mounted:
            raise ActFailedError(f"{dataset} is not mounted")
        data.content = f"{data.guid} {seed} {sync}"

    def live(self, dataset: str, kind: str) -> str:
        """See `Machine.live`."""
        return self.model.at(dataset).content or f"an empty {kind}"

    def digest(self, snapshot: str, kind: str, *, locked: bool) -> str:
        """See `Machine.digest`."""
        return self.model.snap_at(snapshot)[1].content or f"an empty {kind}"

    def shift_clock(self, seconds: float) -> None:
        """See `Machine.shift_clock`."""
        self._ahead += seconds

    def die(self, run: Callable[[], int], step: str, number: int) -> int:
        """See `Machine.die`; where a kill would come later, after so many commands."""
        before = vars(one_shot)["Worker"]
        doomed = _Doomed(self, step, number % 10, number // 10)
        vars(one_shot)["Worker"] = partial(Worker, progress=lambda: doomed)
        try:
            return run()
        except KilledError:
            return _KILLED
        finally:
            vars(one_shot)["Worker"] = before
            self.commands_left = None

    commands_left: int | None = None

    def count(self) -> None:
        """Count a command of zsr; raises KilledError when its time has come."""
        if self.commands_left is not None:
            self.commands_left -= 1
            if self.commands_left < 0:
                raise KilledError


class _Doomed(Progress):
    """A progress that dies at the nth beginning of a step, or some commands after it."""

    def __init__(self, machine: ModelMachine, last: str, nth: int, later: int) -> None:
        super().__init__()
        self._machine, self._last, self._left, self._later = machine, last, nth, later

    async def begin(self, step: Step) -> None:
        if step == self._last:
            self._left -= 1
            if self._left == 0:
                if not self._later:
                    raise KilledError
                self._machine.commands_left = self._later % 4
        await super().begin(step)


class ModelHost(LocalHost):
    """A played node: its ``zfs`` is the one in memory; hooks are run on this machine."""

    def __init__(self, machine: ModelMachine, name: str, hooks: HookUnit | None = None) -> None:
        super().__init__(name, hooks)
        self._machine = machine

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """See `Host.run`."""
        self._machine.count()
        if argv[0] not in ("zfs", "zpool"):
            if "pkill" in " ".join(argv):
                return Completed(tuple(argv), 1, "", "")
            return await super().run(argv, limit=limit, stdin=stdin)
        if len(argv) == 1:
            return Completed(tuple(argv), 2, "", usage())
        try:
            if argv[:3] == ["zfs", "send", "-nvP"]:
                self._machine.sent(argv[3:])
                return Completed(tuple(argv), 0, "size\t5000\n", "")
            return Completed(tuple(argv), 0, execute(self._machine.model, list(argv)), "")
        except RefusedError as error:
            return Completed(tuple(argv), 1, "", f"{error}\n")

    async def start_source(self, argv: Sequence[str], stdout: int) -> ModelProcess:
        """See `Host.start_source`."""
        self._machine.count()
        try:
            stream, said = self._machine.sent(argv[2:]), ""
        except RefusedError as error:
            stream, said = b"", f"{error}\n"
        await asyncio.to_thread(_write_all, stdout, stream)
        return ModelProcess(Completed(tuple(argv), int(bool(said)), "", said))

    async def start_sink(
        self, argv: Sequence[str], stdin: int, *, expected_bytes: int | None, stdout: int | None = None
    ) -> ModelProcess:
        """See `Host.start_sink`; nothing here has an output."""
        assert stdout is None
        return ModelProcess(None, asyncio.ensure_future(self._sink(tuple(argv), stdin)))

    async def _sink(self, argv: tuple[str, ...], stdin: int) -> Completed:
        stream = await asyncio.to_thread(_read_all, stdin)
        try:
            self._machine.received(stream, argv[2:]) if stream else None
        except RefusedError as error:
            return Completed(argv, 1, "", f"{error}\n")
        return Completed(argv, 0 if stream else 1, "", "" if stream else "cannot receive: failed to read from stream\n")


class ModelProcess:
    """A process at one end of a stream, which has ended or will."""

    def __init__(self, done: Completed | None, running: asyncio.Future[Completed] | None = None) -> None:
        self._done, self._running = done, running

    async def wait(self) -> Completed:
        """See `StreamProcess.wait`."""
        if self._running is not None:
            self._done = await self._running
        if self._done is None:
            raise AssertionError("it has ended or runs")
        return self._done

    async def ended(self) -> None:
        """See `StreamProcess.ended`."""
        await self.wait()

    async def kill(self) -> None:
        """See `StreamProcess.kill`."""
        if self._running is not None and not self._running.done():
            self._running.cancel()


def _write_all(descriptor: int, stream: bytes) -> None:
    with os.fdopen(descriptor, "wb") as end:
        end.write(stream)


def _read_all(descriptor: int) -> bytes:
    with os.fdopen(descriptor, "rb") as end:
        return end.read()
