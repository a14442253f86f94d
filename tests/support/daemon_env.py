"""A node for tests of worker and daemon: real settings, cluster file, state.db and socket; only a run's ZFS is played.

`RunScript` takes the place of `replication.run.Run`: what each job's runs do is written down beforehand.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from replicator.api.job_status import JobStatus
from replicator.cluster.file_store import FileStore
from replicator.cluster.store import ClusterStore
from replicator.config.settings import Settings, load_settings
from replicator.daemon.control import call
from replicator.daemon.daemon import Daemon
from replicator.models import JobId, Synced
from replicator.replication.context import RunContext, RunResult
from replicator.state.stores import State

NOW = 1_800_000_000.0
CLUSTER = """\
[nodes.alpha]
address = "local"

[nodes.beta]
address = "127.0.0.1"
port = 1

[nodes.gamma]
address = "127.0.0.1"
port = 2

[storages.data]
path = "pool/data"

[guests.100]
node = "alpha"

[guests.101]
node = "alpha"
"""
JOB_100 = '[jobs.100-0]\ntarget = "beta"\n'
JOB_101 = '[jobs.101-0]\ntarget = "beta"\n'


class Clock:
    """Unix time that stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


Act = Callable[[Any], Awaitable[RunResult]]


class RunScript:
    """Plays runs. ``acts`` holds what a job's next runs do, in turn; without one, a run succeeds at once."""

    def __init__(self) -> None:
        self.acts: defaultdict[JobId, list[Act | Exception]] = defaultdict(list)
        self.starts: list[tuple[str, float]] = []
        self.going: list[JobId] = []
        self.most_at_once = 0
        self.contexts: list[RunContext] = []
        self.reseeded: list[tuple[str, ...]] = []

    def run(self, context: Any, source: Any, target: Any, **around: Any) -> ScriptedRun:
        """What the worker makes instead of a `Run`."""
        self.contexts.append(context)
        return ScriptedRun(self, context, around)

    def reseed(self, context: Any, source: Any, target: Any, *, volumes: tuple[str, ...], **around: Any) -> ScriptedRun:
        """What the worker makes instead of a `Reseed`; ``reseeded`` holds the volumes of each."""
        self.reseeded.append(volumes)
        return self.run(context, source, target, **around)


class ScriptedRun:
    """One played run."""

    def __init__(self, script: RunScript, context: RunContext, around: dict[str, Any]) -> None:
        self.script, self.job = script, context.job.id
        self.begin_full_copy = context.begin_full_copy
        self.progress, self.log = around["progress"], around["log"]
        self.recorder, self.clock = around["recorder"], around["clock"]

    async def execute(self) -> RunResult:
        """Do what the script says."""
        script = self.script
        assert self.job.guest not in {job.guest for job in script.going}, "two runs of one guest"
        script.starts.append((str(self.job), self.clock() - NOW))
        script.going.append(self.job)
        script.most_at_once = max(script.most_at_once, len(script.going))
        try:
            act = script.acts[self.job].pop(0) if script.acts[self.job] else well
            if isinstance(act, Exception):
                raise act
            return await act(self)
        finally:
            script.going.remove(self.job)


async def well(run: ScriptedRun) -> RunResult:
    """A run that succeeds at once."""
    run.log("info", "all is well")
    await run.recorder.synced(Synced(run.clock(), int(run.clock())))
    return RunResult(last_sync=run.clock(), sent_bytes=5, unreplicated_bytes=0)


async def until_cancelled(run: ScriptedRun) -> RunResult:
    """A run that goes on until it is cancelled."""
    run.progress.step = "transfer"
    await asyncio.Event().wait()
    raise AssertionError("this event is never set")


async def full_copy(run: ScriptedRun) -> RunResult:
    """A run that makes a full copy, when it may, until it is cancelled."""
    await run.begin_full_copy()
    return await until_cancelled(run)


class DaemonEnv:
    """The node's files, and the daemon on them."""

    def __init__(self, folder: Path, script: RunScript) -> None:
        self.folder = folder
        self.script = script
        self.clock = Clock()
        self.cluster = folder / "cluster.toml"
        self.path = folder / "zsr.toml"
        self.path.write_text(
            f'node = "alpha"\ntimezone = "UTC"\nstate_dir = "{folder}"\ncontrol = "{folder}/control.sock"\n'
            f'[cluster]\npath = "{self.cluster}"\n[exporter]\nenabled = false\n'
        )
        self.write(CLUSTER + JOB_100)
        self.settings: Settings = load_settings(self.path)
        self.store = ClusterStore(FileStore(self.cluster), self.settings.timezone, self.clock)
        self.state = State.open(folder / "state.db")

    def write(self, text: str) -> None:
        """Write the cluster file as an editor does: another file in its place."""
        fresh = self.folder / "editor"
        fresh.write_text(text)
        fresh.replace(self.cluster)

    def daemon(self) -> Daemon:
        """A daemon that has not begun."""
        return Daemon(self.settings, self.store, self.state, self.clock)

    async def ask(self, verb: str, job: str = "", **more: object) -> Any:
        """Ask the daemon as the command line does."""
        return await call(self.settings.control, {"verb": verb, "job": job, **more})

    @asynccontextmanager
    async def running(self) -> Any:
        """The daemon while the body runs; it is stopped afterwards and has to end by that."""
        daemon = self.daemon()
        work = asyncio.ensure_future(daemon.run())
        try:
            await until(lambda: work.done() or self.settings.control.exists())
            if work.done():
                await work
            yield daemon
            assert not work.done(), f"the daemon ended: {work}"
        finally:
            work.cancel()
            with suppress(asyncio.CancelledError):
                await work


async def until(true: Callable[[], object]) -> None:
    """Wait for something that comes by itself; no more than a few seconds."""
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - any condition, of any part
            await asyncio.sleep(0.005)


def shown(daemon: Daemon, job: str = "100-0") -> JobStatus:
    """A job as the daemon shows it."""
    found = daemon.status().job(JobId.parse(job))
    assert found is not None
    return found


def play(monkeypatch: pytest.MonkeyPatch) -> RunScript:
    """Play the runs of every worker, and leave out plugins and long sleeps."""
    script = RunScript()
    monkeypatch.setattr("replicator.daemon.run_worker.Run", script.run)
    monkeypatch.setattr("replicator.daemon.run_worker.Reseed", script.reseed)
    monkeypatch.setattr("replicator.daemon.daemon.load_plugins", dict)
    monkeypatch.setattr("replicator.daemon.daemon.LOOK_AGAIN_SECONDS", 0.01)
    monkeypatch.setattr("replicator.daemon.target_probes.PROBE_INTERVAL_SECONDS", 0.01)
    return script
