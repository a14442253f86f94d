"""States as a real daemon brings them about: its series are those that promtool is given of the state.

The daemon, its files, scheduler, state.db and socket are real; a run's ZFS is played. The series by which a state
differs from a healthy daemon are compared, and their values where they are not times.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

import pytest

from replicator.api.plugin import Core
from replicator.api.problem import Problem
from replicator.api.status import Status
from replicator.daemon.daemon import Daemon
from replicator.errors import NetworkError, NoSpaceError, ZsrError
from replicator.models import JobCondition, JobId
from replicator.replication.context import RunResult
from tests.monitoring.states import (
    m18_job_disabled,
    m19_jobs_gone_from_file,
    m21_cluster_file_wrong,
    m22_settings_wait_for_restart,
    m26_guest_entry_gone,
    m41_first_copy_fails,
    m46_target_unreachable,
    m56_tidying_fails,
    m72_plugin_ends,
)
from tests.support.daemon_env import CLUSTER, JOB_100, DaemonEnv, ScriptedRun, shown, until, well
from tests.support.daemon_waits import MINUTE, at_rest
from tests.support.scraped import Series, scrape
from tests.support.states import State
from tests.support.states_produced import BY_A_DAEMON

JOB = JobId(100, 0)
FULL = NoSpaceError("beta has no space left.")
FAILURES = 3
"""Failures in a row from which on an alert fires; a story has more."""


@dataclass(frozen=True)
class Produced:
    """A state, how a daemon gets into it, and the metrics by which that is seen.

    Attributes:
        first: what the first run of job 100-0 ends with; None: it succeeds.
        plugins: those of the daemon.
    """

    state: State
    act: Callable[[DaemonEnv, Daemon], Awaitable[None]]
    metrics: tuple[str, ...]
    first: ZsrError | None = None
    plugins: Mapping[str, object] = field(default_factory=dict)


async def _disable(stage: DaemonEnv, daemon: Daemon) -> None:
    stage.write(CLUSTER + JOB_100 + "disabled = true\n")
    await until(lambda: [job for job in daemon.status().jobs if job.state.disabled_since is not None])


async def _lose_the_job(stage: DaemonEnv, daemon: Daemon) -> None:
    stage.write(CLUSTER)
    await until(lambda: daemon.status().vanished_jobs and not daemon.status().jobs)


async def _spoil_the_cluster(stage: DaemonEnv, daemon: Daemon) -> None:
    stage.write(CLUSTER + JOB_100 + "retries = 3\n")
    await until(lambda: not daemon.status().config.ok)


async def _change_the_settings(stage: DaemonEnv, daemon: Daemon) -> None:
    text = stage.path.read_text().replace("[cluster]", "max_parallel = 9\n[cluster]")
    stage.path.write_text(text + '[[notify]]\nname = "mail"\nurl = "json://localhost"\n')
    await until(lambda: len(daemon.status().config.pending) > 1)


async def _lose_the_guest(stage: DaemonEnv, daemon: Daemon) -> None:
    stage.write(CLUSTER.replace('[guests.100]\nnode = "alpha"\n', "") + JOB_100)
    await _fail(stage, daemon)


async def _fill_the_target(stage: DaemonEnv, daemon: Daemon) -> None:
    stage.script.acts[JOB] = [FULL] * (2 * FAILURES)
    await _fail(stage, daemon)


async def _cut_the_network(stage: DaemonEnv, daemon: Daemon) -> None:
    stage.script.acts[JOB] = [NetworkError("Node beta does not answer.", node="beta") for _ in range(2 * FAILURES)]
    await _fail(stage, daemon)
    await until(lambda: daemon.status().reachable.get("beta") is False)


async def _hold_a_snapshot(stage: DaemonEnv, daemon: Daemon) -> None:
    async def held(run: ScriptedRun) -> RunResult:
        run.log("untidy", "'pool/data/vm-100-disk-0@old' on beta was not destroyed: it is held.")
        return await well(run)

    stage.script.acts[JOB] = [held]
    await _pass(stage, 15 * MINUTE)
    await until(lambda: daemon.status().untidy)


async def _wait_for_its_end(_: DaemonEnv, daemon: Daemon) -> None:
    await until(lambda: any(ends.count for ends in daemon.status().plugins.values()))


async def _fail(stage: DaemonEnv, daemon: Daemon) -> None:
    while shown(daemon).state.consecutive_failures < FAILURES:
        await _pass(stage, 30 * MINUTE)
    await until(lambda: shown(daemon).condition is JobCondition.ERROR)


async def _pass(stage: DaemonEnv, seconds: float) -> None:
    ended = len(stage.state.runs.newest(JOB, 100))
    stage.clock.now += seconds
    await stage.ask("reload")
    await until(lambda: len(stage.state.runs.newest(JOB, 100)) > ended and not stage.state.runs.unfinished())


class EndingPlugin:
    """A plugin with an error, under the name of the notifications'."""

    sections = ("notify",)

    def check(self, sections: Mapping[str, object]) -> list[Problem]:
        return []

    async def run(self, core: Core, sections: Mapping[str, object]) -> None:
        raise LookupError("unexpected")


FAILED = ("zsr_job_consecutive_failures", "zsr_job_state")
PRODUCED = (
    Produced(m18_job_disabled.STATE, _disable, ("zsr_job_state", "zsr_job_disabled_since_timestamp_seconds")),
    Produced(
        m19_jobs_gone_from_file.STATE,
        _lose_the_job,
        ("zsr_job_vanished_since_timestamp_seconds", "zsr_job_rpo_seconds", "zsr_job_state"),
    ),
    Produced(m21_cluster_file_wrong.STATE, _spoil_the_cluster, ("zsr_config_last_reload_successful",)),
    Produced(m22_settings_wait_for_restart.STATE, _change_the_settings, ("zsr_config_pending_restart",)),
    Produced(m26_guest_entry_gone.STATE, _lose_the_guest, FAILED),
    Produced(
        m41_first_copy_fails.STATE,
        _fill_the_target,
        (*FAILED, "zsr_job_last_sync_timestamp_seconds"),
        first=FULL,
    ),
    Produced(m46_target_unreachable.STATE, _cut_the_network, (*FAILED, "zsr_node_reachable")),
    Produced(m56_tidying_fails.STATE, _hold_a_snapshot, ("zsr_job_tidying_failing_since_timestamp_seconds",)),
    Produced(
        m72_plugin_ends.STATE,
        _wait_for_its_end,
        ("zsr_plugin_restarts_total",),
        plugins={"notify": EndingPlugin()},
    ),
)


@pytest.mark.parametrize("made", PRODUCED, ids=lambda made: made.state.key.replace(" ", "-"))
async def test_the_series_of_a_state_are_those_of_a_real_daemon_in_it(
    made: Produced, stage: DaemonEnv, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("replicator.daemon.daemon.load_plugins", lambda: made.plugins)
    stage.script.acts[JOB] = [made.first] if made.first is not None else []
    given = made.state.at(60 + made.state.lasts - 1)["alpha"]
    assert given is not None
    async with stage.running() as daemon:
        await at_rest(stage, 1)
        await made.act(stage, daemon)
        assert _seen(daemon.status(), made.metrics) == _seen(given, made.metrics)


def test_the_page_of_states_names_these() -> None:
    assert {made.state.key for made in PRODUCED} == BY_A_DAEMON


def _seen(status: Status, metrics: tuple[str, ...]) -> dict[Series, float]:
    """The series of some metrics of job 100-0 and of the node; counts only as far as an alert looks at them."""
    return {
        series: 0.0 if series[0].endswith("_timestamp_seconds") else min(value, _most(series[0]))
        for series, value in scrape(status).items()
        if series[0] in metrics and ("node", "gamma") not in series[1]
    }


def _most(metric: str) -> float:
    return 1.0 if metric.endswith("_total") else float(FAILURES)
