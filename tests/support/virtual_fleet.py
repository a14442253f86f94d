"""A fleet of real daemons on a virtual clock: scheduler, plan, runs' records, status, exporter and messages are real.

Only the nodes' ZFS, network and clocks are played (`tests.support.virtual_world`). Every `SCRAPE` seconds each daemon
is scraped, and its journal and status go through the pipeline of the notifications.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

from alerts.delivery.pipeline import PipelineInput, process_events
from alerts.delivery.store import TargetState
from alerts.notice import Notice
from alerts.routing.routes import Repeat, Route
from exporter.collectors import ScrapeInput, collect
from exporter.exposition import Format, number, render
from exporter.job_series import JobLines
from replicator.cluster.file_store import FileStore
from replicator.cluster.store import ClusterStore
from replicator.config.settings import load_settings
from replicator.daemon.daemon import Daemon
from replicator.state.stores import State
from tests.support.recorded_series import RecordedSeries
from tests.support.state_stories import metrics_of_rules
from tests.support.virtual_world import PlayedNodes, PlayedRun, World, played_removal, played_skew

SCRAPE = 30
"""Seconds between two scrapes, and between two looks of the notifications."""

ZONE = "Europe/Vienna"
ROUTES = {"all": Route(), "third failure": Route(repeat=Repeat(frozenset({3})))}
"""A target without settings, which also gets a single failed run, and one that gets only the third in a row."""

LOOK_AGAIN_SECONDS = 5.0
"""The scheduler's longest sleep, in seconds; it is shorter in the daemon, which costs much on a virtual clock."""


@dataclass
class Running:
    """A daemon that runs, with what its process remembers."""

    daemon: Daemon
    work: asyncio.Task[None]
    state: State
    lines: JobLines


@dataclass
class Fleet:
    """The daemons of a world.

    ``begin``: the unix time of promtool's 0. ``notices``: the messages to each of `ROUTES`.
    """

    world: World
    folder: Path
    begin: float
    series: RecordedSeries = field(default_factory=RecordedSeries)
    notices: dict[str, list[Notice]] = field(default_factory=lambda: {name: [] for name in ROUTES})
    starts: int = 0
    _running: dict[str, Running] = field(default_factory=dict)
    _known: dict[tuple[str, str], TargetState] = field(default_factory=dict)
    _names: frozenset[str] = field(default_factory=metrics_of_rules)

    @property
    def _cluster(self) -> Path:
        return self.folder / "cluster.toml"

    def write(self) -> None:
        """Write the cluster file as the world is now, another file in its place."""
        fresh = self.folder / "editor"
        fresh.write_text(self.world.toml())
        fresh.replace(self._cluster)

    async def start(self, node: str) -> None:
        """Start a node's daemon."""
        folder = self.folder / node
        folder.mkdir(exist_ok=True)
        path = folder / "zsr.toml"
        text = f'node = "{node}"\ntimezone = "{ZONE}"\nstate_dir = "{folder}"\ncontrol = "{folder}/s"\n'
        if not path.exists():
            path.write_text(f'{text}[cluster]\npath = "{self._cluster}"\n')
        settings, clock = load_settings(path), self.world.clock_of(node)
        state = State.open(folder / "state.db")
        daemon = Daemon(settings, ClusterStore(FileStore(self._cluster), settings.timezone, clock), state, clock)
        work = asyncio.ensure_future(daemon.run())
        self._running[node] = Running(daemon, work, state, JobLines())
        self.starts += 1

    async def stop(self, node: str) -> None:
        """Stop a node's daemon, as its service does."""
        running = self._running.pop(node)
        running.work.cancel()
        with suppress(asyncio.CancelledError):
            await running.work
        running.state.close()

    async def restart(self, node: str, seconds: float) -> None:
        """Stop it, and start it after a while."""
        await self.stop(node)
        await asyncio.sleep(seconds)
        await self.start(node)

    async def reboot(self, node: str, seconds: float) -> None:
        """Restart the whole node: meanwhile it does not answer the others either."""
        self.world.silent.add(node)
        await self.stop(node)
        await asyncio.sleep(seconds)
        self.world.silent.discard(node)
        await self.start(node)

    async def play(self, seconds: float, story: Callable[[Fleet], Coroutine[Any, Any, None]]) -> None:
        """Start all, let the story happen, and look every `SCRAPE` seconds for so long; then stop all."""
        self.write()
        for node in self.world.nodes:
            await self.start(node)
        await asyncio.sleep(SCRAPE / 2)
        happening = asyncio.ensure_future(story(self))
        for _ in range(int(seconds // SCRAPE)):
            self._look()
            await asyncio.sleep(SCRAPE)
        await happening
        for node in list(self._running):
            await self.stop(node)

    def _look(self) -> None:
        found: dict[str, str] = {}
        for node in self.world.nodes:
            running = self._running.get(node)
            if running is not None and running.work.done():
                running.work.result()
                raise AssertionError(f"The daemon of {node} ended.")
            labels = f'job="zsr",instance="{node}"'
            found[f"up{{{labels}}}"] = str(int(running is not None))
            if running is not None:
                self._scrape(running, labels, found)
                self._notify(node, running)
        self.series.add(found)

    def _scrape(self, running: Running, labels: str, found: dict[str, str]) -> None:
        status = running.daemon.status()
        text = render(collect(ScrapeInput(status), running.lines), Format.TEXT).decode()
        for line in text.splitlines():
            name, _, value = line.rpartition(" ")
            metric, _, rest = name.partition("{")
            if metric in self._names:
                moment = metric.endswith("_timestamp_seconds")
                shifted = number(float(value) - self.begin) if moment else value
                found[f"{metric}{{{labels}{',' if rest else ''}{rest or '}'}"] = shifted
        started = number(status.started - self.begin)
        found[f"process_start_time_seconds{{{labels}}}"] = started

    def _notify(self, node: str, running: Running) -> None:
        status = running.daemon.status()
        for name, route in ROUTES.items():
            known = self._known.get((node, name), TargetState(0))
            events = running.state.journal.events(known.cursor)
            known = process_events(events, known, PipelineInput(name, route, status, ZoneInfo(ZONE)))
            for entry in known.outbox:
                self.notices[name].append(entry.notice)
                known = known.without(entry)
            self._known[node, name] = known


@contextmanager
def played(world: World) -> Iterator[None]:
    """Let all daemons work on this world while the body runs."""
    stand_ins: dict[str, Any] = {
        "replicator.daemon.daemon.Nodes": partial(PlayedNodes, world),
        "replicator.daemon.daemon.load_plugins": dict,
        "replicator.daemon.daemon.LOOK_AGAIN_SECONDS": LOOK_AGAIN_SECONDS,
        "replicator.daemon.run_worker.Run": PlayedRun,
        "replicator.daemon.run_worker.remove": played_removal,
        "replicator.zfs.node_clients.clock_skew": played_skew,
    }
    patches = [patch(name, stand_in) for name, stand_in in stand_ins.items()]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
