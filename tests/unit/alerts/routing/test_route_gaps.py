"""What no notification target reports, although the settings are valid."""

from __future__ import annotations

from dataclasses import replace

import pytest

from alerts.plugin import AlertsPlugin
from replicator.models import Job, JobId

WEB, MAIL = Job(JobId(100, 0), "beta"), Job(JobId(101, 0), "gamma")
NOBODY = "No [[notify]] target gets a message when a promise is broken, of jobs "


def gaps(*tables: dict[str, object], jobs: tuple[Job, ...] = (WEB, MAIL)) -> list[str]:
    named = [{"name": f"t{at}", "webhook": "https://x.example.org/", **table} for at, table in enumerate(tables)]
    plugin, sections = AlertsPlugin(environ={}), {"notify": named}
    assert plugin.check(sections) == []
    return plugin.notes(sections, jobs)


def test_a_target_without_a_match_reports_all() -> None:
    assert gaps({}) == []
    assert gaps({"quiet": "22:00-07:00"}) == []


def test_no_target_or_none_that_is_enabled_sends_nothing() -> None:
    assert gaps() == gaps({"enabled": False}) == ["No [[notify]] target is enabled, so zsr itself sends no messages."]


@pytest.mark.parametrize("match", [{"severity": "warning"}, {"event": ["failed"]}, {"severity": ["warning", "info"]}])
def test_a_broken_promise_that_no_match_wants(match: dict[str, object]) -> None:
    assert gaps({"match": match}) == [f"{NOBODY}100-0, 101-0."]
    assert gaps({"match": match}, {}) == []
    assert gaps({"match": match}, {"enabled": False}) == [f"{NOBODY}100-0, 101-0."]


def test_a_job_that_was_made_after_the_routes() -> None:
    web, delta = {"guest": 100}, {"severity": "critical", "target": "delta"}
    assert gaps({"match": web}, {"match": delta}) == [
        f"{NOBODY}101-0.",
        "The match of [[notify]] target 't1' fits no job of this node.",
    ]


def test_a_job_that_promises_nothing_does_not_count() -> None:
    assert gaps({"match": {"guest": 100}}, jobs=(WEB, replace(MAIL, disabled=True))) == []
    assert gaps({"match": {"guest": 999}}, jobs=()) == []


def test_of_many_jobs_the_first_ones_are_named() -> None:
    jobs = tuple(Job(JobId(guest, 0), "beta") for guest in range(100, 107))
    assert gaps({"match": {"severity": "info"}}, jobs=jobs) == [
        f"{NOBODY}100-0, 101-0, 102-0, 103-0, 104-0 and 2 more."
    ]


def test_quiet_hours_that_never_end() -> None:
    said = ["The quiet hours of [[notify]] target 't0' never end: what they hold is a week late."]
    assert gaps({"quiet": "00:00-24:00"}) == gaps({"quiet": {"window": "mon..sun 00:00-24:00"}}) == said
    assert gaps({"quiet": "mon..sat 00:00-24:00"}) == []
