"""The example settings for Alertmanager before a real one: how many messages are 200 alerts with one cause.

The labels of the alerts are those that promtool saw the rules give them (``exp_labels`` in alerts/rules/tests).
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.alertmanager import EXAMPLE, Alertmanager, alertmanager, hurried
from tests.support.prometheus import PATIENCE, binary
from tests.support.webhookserver import Hook, WebhookServer, webhook_server

pytestmark = pytest.mark.prometheus

Labels = dict[str, str]

STORIES = Path(__file__).parents[2] / "alerts" / "rules" / "tests"
JOBS = 200
MARKS = ("First", "Second")


def labels_seen() -> dict[str, Labels]:
    """The labels of each alert, of the first time that it fires in a story of promtool's."""
    seen: dict[str, Labels] = {}
    for path in sorted(STORIES.glob("*.yml")):
        for test in yaml.safe_load(path.read_text())["tests"]:
            for case in test.get("alert_rule_test", []):
                for alert in case["exp_alerts"]:
                    seen.setdefault(case["alertname"], alert["exp_labels"] | {"alertname": case["alertname"]})
    return seen


SEEN = labels_seen()


def alert(name: str, **values: str) -> Labels:
    """An alert as the rules give it, with other values for some of its labels."""
    assert values.keys() <= SEEN[name].keys(), f"{name} has no label {values.keys() - SEEN[name].keys()}"
    return SEEN[name] | values


def of_jobs(name: str, *, source: str, target: str) -> list[Labels]:
    """An alert for each of 200 jobs from one node to another."""
    return [
        alert(name, instance=f"{source}:9847", zsr_job=f"{guest}-0", guest=str(guest), source=source, target=target)
        for guest in range(100, 100 + JOBS)
    ]


def failing_to(target: str, *, source: str) -> list[Labels]:
    """What the rules say of 200 jobs whose target is gone, and of the target as their source sees it."""
    seen_by = {"instance": f"{source}:9847", "target": target, "node": target}
    return [
        *of_jobs("ZsrJobFailing", source=source, target=target),
        *of_jobs("ZsrRpoAtRisk", source=source, target=target),
        *of_jobs("ZsrRpoBreached", source=source, target=target),
        alert("ZsrTargetUnreachable", **seen_by),
        alert("ZsrTargetRpoBreached", **seen_by),
    ]


def down(node: str) -> Labels:
    return alert("ZsrDaemonDown", instance=f"{node}:9847", node=node)


@dataclass
class Desk:
    """Alertmanager with the receivers of its settings."""

    manager: Alertmanager
    hooks: WebhookServer

    async def told(self, alerts: Sequence[Labels]) -> list[tuple[str, str, int]]:
        """Post alerts, and give the messages that come of them: receiver, names, number of alerts.

        Two alerts of the test's own show when all have had their time, since every group waits a second: the second is
        posted when the first has arrived.
        """
        await self.manager.fire(alerts)
        for mark in MARKS:
            await self.manager.fire([{"alertname": mark, "severity": "warning"}])
            async with self.hooks.arrived:
                await self.hooks.arrived.wait_for(partial(self._has_come, mark))
        return sorted(message for message in self.messages() if message[1] not in MARKS)

    def _has_come(self, name: str) -> bool:
        return any(message[1] == name for message in self.messages())

    def pages(self) -> list[Hook]:
        return [hook for hook in self.hooks.seen if hook.path == "/now"]

    def messages(self) -> list[tuple[str, str, int]]:
        return [
            (hook.path.strip("/"), "+".join(sorted(_names(hook.json["alerts"]))), len(hook.json["alerts"]))
            for hook in self.hooks.seen
        ]


def _names(alerts: Sequence[Mapping[str, Any]]) -> set[str]:
    return {each["labels"]["alertname"] for each in alerts}


@asynccontextmanager
async def desk_with(directory: Path, *, inhibited: bool = True) -> AsyncIterator[Desk]:
    async with webhook_server() as hooks:
        settings = hurried(hooks.port)
        if not inhibited:
            del settings["inhibit_rules"]
        async with alertmanager(directory, settings) as manager:
            yield Desk(manager, hooks)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_with(tmp_path) as desk:
        yield desk


def test_amtool_accepts_the_example() -> None:
    amtool = binary("amtool", package="prometheus-alertmanager")
    done = subprocess.run(
        [amtool, "check-config", EXAMPLE], capture_output=True, text=True, check=False, timeout=PATIENCE
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("severity", "receiver"), [("critical", "now"), ("warning", "by-day"), ("info", "by-day")])
def test_a_severity_goes_where_it_belongs(severity: str, receiver: str) -> None:
    amtool = binary("amtool", package="prometheus-alertmanager")
    done = subprocess.run(
        [amtool, "config", "routes", "test", f"--config.file={EXAMPLE}", "alertname=ZsrAny", f"severity={severity}"],
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.stdout.split() == [receiver]


async def test_the_alert_that_always_fires_goes_to_the_service_outside_alone_whatever_else_fires(desk: Desk) -> None:
    told = await desk.told([alert("ZsrWatchdog"), down("pve2"), *failing_to("pve2", source="pve1")])

    assert [message for message in told if "ZsrWatchdog" in message[1]] == [("outside-watcher", "ZsrWatchdog", 1)]
    assert (await desk.manager.states())["ZsrWatchdog"] == {"active": 1}


async def test_a_dead_target_of_200_jobs_is_one_page_from_all_sources(desk: Desk) -> None:
    sources = [*failing_to("pve2", source="pve1"), *failing_to("pve2", source="pve3")]
    told = await desk.told([*sources, down("pve2")])

    assert told == [("now", "ZsrDaemonDown+ZsrTargetRpoBreached", 3)]
    assert (await desk.manager.states())["ZsrRpoBreached"] == {"suppressed": 2 * JOBS}


async def test_without_the_inhibitions_the_same_is_204_messages_and_603_alerts(tmp_path: Path) -> None:
    async with desk_with(tmp_path, inhibited=False) as desk:
        told = await desk.told([*failing_to("pve2", source="pve1"), down("pve2")])

    assert len(told) == JOBS + 4
    assert sum(number for _, _, number in told) == 3 * JOBS + 3


async def test_a_dead_source_of_200_jobs_is_one_page(desk: Desk) -> None:
    told = await desk.told(
        [
            *of_jobs("ZsrRpoBreached", source="pve2", target="pve1"),
            *of_jobs("ZsrRpoAtRisk", source="pve2", target="pve1"),
            *of_jobs("ZsrJobFailing", source="pve2", target="pve1"),
            down("pve2"),
        ]
    )

    assert told == [("now", "ZsrDaemonDown", 1)]


async def test_a_target_that_only_its_sources_cannot_reach_is_one_page_for_all_sources(desk: Desk) -> None:
    told = await desk.told([*failing_to("pve2", source="pve1"), *failing_to("pve2", source="pve3")])

    assert told == [("now", "ZsrTargetRpoBreached", 2)]


async def test_a_warning_holds_back_no_page(desk: Desk) -> None:
    told = await desk.told(
        [
            *of_jobs("ZsrRpoBreached", source="pve1", target="pve2")[:2],
            *of_jobs("ZsrJobFailing", source="pve1", target="pve2"),
            alert("ZsrTargetUnreachable", instance="pve1:9847", target="pve2", node="pve2"),
        ]
    )

    assert told == [("by-day", "ZsrTargetUnreachable", 1), ("now", "ZsrRpoBreached", 1), ("now", "ZsrRpoBreached", 1)]


async def test_a_lost_replica_is_reported_as_well_as_an_unreachable_target(desk: Desk) -> None:
    gone = of_jobs("ZsrReplicaLost", source="pve1", target="pve2")[:1]
    told = await desk.told([*failing_to("pve2", source="pve1"), *gone])

    assert told == [("now", "ZsrReplicaLost", 1), ("now", "ZsrTargetRpoBreached", 1)]


async def test_another_cause_is_reported_as_well_as_a_dead_node(desk: Desk) -> None:
    elsewhere = {"instance": "pve1:9847", "source": "pve1", "target": "pve3", "guest": "500", "zsr_job": "500-0"}
    told = await desk.told([*failing_to("pve2", source="pve1"), down("pve2"), alert("ZsrRpoBreached", **elsewhere)])

    assert told == [("now", "ZsrDaemonDown+ZsrTargetRpoBreached", 2), ("now", "ZsrRpoBreached", 1)]


async def test_a_node_of_the_same_name_in_another_cluster_holds_back_nothing(desk: Desk) -> None:
    told = await desk.told([down("pve2") | {"cluster": "north"}, *failing_to("pve2", source="pve1")])

    assert told == [("now", "ZsrDaemonDown", 1), ("now", "ZsrTargetRpoBreached", 1)]


async def test_of_one_job_what_came_true_stands_for_what_announced_it(desk: Desk) -> None:
    told = await desk.told(
        [
            *of_jobs("ZsrRpoBreached", source="pve1", target="pve2")[:1],
            *of_jobs("ZsrRpoAtRisk", source="pve1", target="pve2")[:2],
        ]
    )

    assert told == [("by-day", "ZsrRpoAtRisk", 1), ("now", "ZsrRpoBreached", 1)]


async def test_a_silenced_daemon_alert_of_a_node_silences_no_promise_to_it(desk: Desk) -> None:
    await desk.manager.silence(alertname="ZsrDaemonDown", instance="pve2:9847")
    told = await desk.told([*failing_to("pve2", source="pve1"), down("pve2")])

    assert told == [("now", "ZsrTargetRpoBreached", 1)]


@pytest.mark.parametrize("silenced", ["ZsrDaemonDown", "ZsrTargetRpoBreached"])
async def test_a_promise_that_has_been_broken_for_a_day_is_held_back_by_nothing(desk: Desk, silenced: str) -> None:
    old = {**of_jobs("ZsrRpoBreached", source="pve1", target="pve2")[0], "alertname": "ZsrRpoBreachedForADay"}
    everything = [*failing_to("pve2", source="pve1"), down("pve1"), down("pve2"), old]
    await desk.manager.silence(alertname=silenced)
    told = await desk.told(everything)

    assert ("now", "ZsrRpoBreachedForADay", 1) in told


async def test_a_promise_of_which_nothing_is_known_is_not_held_back_by_a_silenced_daemon_alert(desk: Desk) -> None:
    unknown = {**of_jobs("ZsrRpoBreached", source="pve1", target="pve2")[0], "alertname": "ZsrPromiseUnknown"}
    await desk.manager.silence(alertname="ZsrDaemonDown")
    told = await desk.told([down("pve1"), unknown])

    assert told == [("now", "ZsrPromiseUnknown", 1)]


def _of_guest(guest: str, *, source: str, target: str) -> Labels:
    own = {"instance": f"{source}:9847", "zsr_job": f"{guest}-0", "guest": guest, "source": source, "target": target}
    return alert("ZsrRpoBreached", **own)


async def test_a_second_guest_between_the_same_nodes_is_a_page_of_its_own(desk: Desk) -> None:
    old = _of_guest("100", source="pve1", target="pve2")
    assert await desk.told([old]) == [("now", "ZsrRpoBreached", 1)]
    later = [_of_guest("205", source="pve1", target="pve2"), _of_guest("206", source="pve3", target="pve2")]
    await desk.manager.fire(later)
    async with asyncio.timeout(PATIENCE), desk.hooks.arrived:
        await desk.hooks.arrived.wait_for(lambda: len(desk.pages()) >= 3)

    assert [len(hook.json["alerts"]) for hook in desk.pages()] == [1, 1, 1]
    assert len({hook.json["groupKey"] for hook in desk.pages()}) == 3, (
        "a pager that deduplicates by group would ring for the first one only"
    )


async def test_200_broken_promises_to_a_target_that_answers_are_one_page(desk: Desk) -> None:
    many = alert("ZsrManyPromisesBroken", instance="pve1:9847", target="pve2")
    other = _of_guest("500", source="pve1", target="pve3")
    told = await desk.told([*of_jobs("ZsrRpoBreached", source="pve1", target="pve2"), many, other])

    assert told == [("now", "ZsrManyPromisesBroken", 1), ("now", "ZsrRpoBreached", 1)]


async def test_200_broken_promises_that_zsr_posted_itself_are_one_page(desk: Desk) -> None:
    posted = [
        {label: text for label, text in each.items() if label != "job"}
        for each in of_jobs("ZsrRpoBreached", source="pve1", target="pve2")
    ]

    assert await desk.told(posted) == [("now", "ZsrRpoBreached", JOBS)]


async def test_a_warning_about_a_node_holds_back_no_page_that_zsr_posted_itself(desk: Desk) -> None:
    job = of_jobs("ZsrJobFailing", source="pve1", target="pve2")[0]
    warning = alert("ZsrTargetUnreachable", instance="pve1:9847", target="pve2", node="pve2")
    told = await desk.told([warning, job | {"severity": "critical"}])

    assert told == [("by-day", "ZsrTargetUnreachable", 1), ("now", "ZsrJobFailing", 1)]
