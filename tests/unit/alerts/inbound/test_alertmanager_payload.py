"""What becomes of a post of Alertmanager's."""

from __future__ import annotations

from typing import Any

import pytest

from alerts.inbound.alertmanager_payload import ForeignError, notice_of_post
from alerts.notice import Notice, NoticeKind, Severity
from tests.support.alertmanager_posts import alert, post

NOW = 1_800_000_000.0


def notice(*alerts: dict[str, Any], time: float = NOW, **more: Any) -> Notice:
    made = notice_of_post(post(*alerts, **more), "alpha", time)
    assert made is not None
    assert made.foreign is not None
    return made


def test_one_alert_is_reported_in_its_own_words() -> None:
    made = notice(alert(severity="critical", instance="host1"))
    assert made.foreign is not None
    assert (made.kind, made.severity, made.closes) == (NoticeKind.ALERTMANAGER, Severity.CRITICAL, False)
    assert made.foreign.title == "Firing: DiskFull on host1"
    assert "It is full. Really." in made.foreign.text
    assert dict(made.foreign.labels) == {
        "alertname": "DiskFull",
        "severity": "critical",
        "instance": "host1",
        "status": "firing",
        "receiver": "zsr",
    }


def test_several_are_one_message_with_the_worst_severity_and_what_they_share() -> None:
    made = notice(alert("A", severity="info", cluster="x"), alert("B", severity="warning", cluster="x"))
    assert made.foreign is not None
    assert made.foreign.title == "2 firing: A, B"
    assert made.severity is Severity.WARNING
    assert dict(made.foreign.labels) == {"cluster": "x", "status": "firing", "receiver": "zsr"}


def test_an_all_clear_closes_the_thread_of_its_group() -> None:
    firing, resolved = notice(alert()), notice(alert(status="resolved"), status="resolved")
    assert resolved.closes
    assert resolved.severity is Severity.INFO
    assert firing.thread == resolved.thread
    assert firing.key != resolved.key
    assert resolved.foreign is not None
    assert resolved.foreign.title == "Resolved: DiskFull on host1"


def test_the_alert_that_always_fires_is_no_news() -> None:
    assert notice_of_post(post(alert("ZsrWatchdog", severity="none")), "alpha", NOW) is None
    made = notice(alert("ZsrWatchdog", severity="none"), alert(severity="critical"))
    assert made.severity is Severity.CRITICAL
    assert made.foreign is not None
    assert "ZsrWatchdog" not in made.foreign.text


def test_a_long_list_ends() -> None:
    made = notice(*(alert(f"A{number}") for number in range(200)), truncatedAlerts=5)
    assert made.foreign is not None
    assert made.foreign.text.splitlines()[-1] == "and 185 more"


def test_the_same_post_at_the_same_time_has_the_same_key_and_a_reminder_another() -> None:
    assert notice(alert()).key == notice(alert()).key != notice(alert(), time=NOW + 14_400).key


def test_what_zsr_posted_itself_does_not_come_back() -> None:
    assert notice_of_post(post(alert(sender="zsr")), "alpha", NOW) is None
    made = notice(alert("Own", sender="zsr"), alert("Other"))
    assert made.foreign is not None
    assert "Own" not in made.foreign.title + made.foreign.text


@pytest.mark.parametrize(
    "strange",
    [
        None,
        [],
        {},
        {"version": "3"},
        post(alert(), status="odd"),
        post(alert(), groupKey=None),
        {**post(), "alerts": {}},
        post({"status": "firing"}),
        post({"status": "firing", "labels": {"a": 1}}),
        post({"status": "odd", "labels": {}}),
    ],
)
def test_anything_else_is_refused(strange: object) -> None:
    with pytest.raises(ForeignError):
        notice_of_post(strange, "alpha", NOW)
