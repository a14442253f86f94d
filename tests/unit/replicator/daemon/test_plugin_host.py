"""Plugins of the daemon: an end is counted and followed by a start, and a reload gives them their new sections."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from replicator.api.plugin import Core
from replicator.api.problem import Problem
from replicator.api.status import PluginEnds
from replicator.daemon.daemon import Daemon
from replicator.daemon.plugin_host import PluginHost
from replicator.errors import ConfigError
from tests.support.daemon_env import NOW, DaemonEnv, until
from tests.support.state_records import opened_state
from tests.support.statuses import status


class Recorder:
    """A plugin that keeps the sections of each of its runs, and ends as a test says."""

    def __init__(self, section: str) -> None:
        self.sections = (section,)
        self.runs: list[Mapping[str, object]] = []
        self.ended = 0
        self.error: Exception | None = None
        self.returns = False

    def check(self, sections: Mapping[str, object]) -> list[Problem]:
        return []

    async def run(self, core: Core, sections: Mapping[str, object]) -> None:
        self.runs.append(sections)
        if self.error is not None:
            raise self.error
        if self.returns:
            return
        try:
            await asyncio.Event().wait()
        finally:
            self.ended += 1


@asynccontextmanager
async def hosting(folder: Path, *plugins: Recorder) -> AsyncIterator[PluginHost]:
    """A host that runs plugins, named by their sections, while the body runs."""
    with opened_state(folder / "state.db") as state:
        host = PluginHost(state, status, lambda: NOW)
        given = {each.sections[0]: 1 for each in plugins}
        work = [asyncio.ensure_future(host.run_plugin(each.sections[0], each, given)) for each in plugins]
        try:
            yield host
        finally:
            for each in work:
                each.cancel()
                with suppress(asyncio.CancelledError):
                    await each


async def test_a_reload_starts_only_the_plugin_again_whose_sections_have_changed(tmp_path: Path) -> None:
    one, two = Recorder("one"), Recorder("two")
    async with hosting(tmp_path, one, two) as host:
        await until(lambda: one.runs and two.runs)
        host.reload({"one": 2, "two": 1})
        await until(lambda: len(one.runs) == 2)
        assert (one.runs, one.ended, two.runs) == ([{"one": 1}, {"one": 2}], 1, [{"two": 1}])
    assert (one.ended, two.ended) == (2, 1), "the end of the daemon ends them"


async def test_a_plugin_that_was_switched_off_or_waits_for_its_restart_begins_at_once(tmp_path: Path) -> None:
    off, failing = Recorder("off"), Recorder("failing")
    off.returns, failing.error = True, ConfigError("The address is in use.")
    async with hosting(tmp_path, off, failing) as host:
        await until(lambda: off.runs and host.ends["failing"].count)
        assert host.ends == {"off": PluginEnds(), "failing": PluginEnds(1, NOW, "The address is in use.")}
        off.returns, failing.error = False, None
        host.reload({"off": 2, "failing": 2})
        await until(lambda: len(off.runs) == 2 and len(failing.runs) == 2)


async def test_a_daemon_takes_over_the_sections_of_plugins_when_it_is_asked_to(
    stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    exporter = Recorder("exporter")
    monkeypatch.setattr("replicator.daemon.daemon.load_plugins", lambda: {"exporter": exporter})
    good = stage.path.read_text()
    async with stage.running() as daemon:
        await until(lambda: exporter.runs)
        stage.path.write_text(f'max_parallel = 2\n{good}sd_target = "{{node}}:9847"\n')
        await until(lambda: pending(daemon) == ("max_parallel", "exporter"))
        daemon.request_reload()
        await until(lambda: pending(daemon) == ("max_parallel",))
        await until(lambda: len(exporter.runs) == 2)
        assert exporter.runs[-1] == {"exporter": {"enabled": False, "sd_target": "{node}:9847"}}
        stage.path.write_text("node = 7\n")
        daemon.request_reload()
        await until(lambda: not daemon.status().config.ok)
        assert len(exporter.runs) == 2


def pending(daemon: Daemon) -> tuple[str, ...]:
    return daemon.status().config.pending
