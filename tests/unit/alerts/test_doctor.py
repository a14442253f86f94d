"""The checks ``notify``, ``rules`` and ``scrape`` of ``zsr doctor``, without a network."""

from __future__ import annotations

from dataclasses import replace
from zoneinfo import ZoneInfo

import pytest

from alerts.channels.base import SendStatus
from alerts.channels.verify import Proof
from alerts.delivery.outbox import Entry
from alerts.delivery.store import DeliveryStatus, Record, record_writes
from alerts.doctor import CHECKS, examine, last_deliveries, sent_line, verified_line
from alerts.notice import Notice, NoticeKind, Severity
from alerts.plugin import AlertsPlugin
from alerts.settings import AlertsSettings
from alerts.test_message import TrialResult
from replicator.api.doctor import Level, Subject, Visit
from replicator.api.plugin import DoctorPlugin
from tests.support.notify_clock import WatchedMemory

VISIT = Visit("alpha", ZoneInfo("UTC"), limit=5.0)
SUBJECT = Subject("notify", "alpha")
NOW = 1_800_000_000.0


def result(status: SendStatus | Proof, reason: str = "", *, ok: bool = True) -> TrialResult:
    return TrialResult("admins", "mailtos", status, reason, 0.1, ok)


def entry(number: int) -> Entry:
    return Entry(number, Notice(f"alpha/{number}", NoticeKind.TEST, Severity.INFO, NOW, "alpha", "thread"), NOW)


def delivered(number: int, at: float, status: DeliveryStatus = DeliveryStatus.DELIVERED) -> dict[str, str | None]:
    return record_writes("admins", entry(number), status, at)


@pytest.mark.parametrize("check", ["rules", "scrape"])
async def test_without_a_prometheus_there_is_nothing_to_ask(check: str) -> None:
    (line,) = await examine(check, AlertsSettings(), VISIT)

    assert line.level is Level.OFF
    assert "--prometheus URL" in line.text


async def test_a_prometheus_that_does_not_answer_is_one_failure_and_not_two() -> None:
    there = replace(VISIT, prometheus="http://127.0.0.1:1")

    (rules,) = await examine("rules", AlertsSettings(), there)
    (scrape,) = await examine("scrape", AlertsSettings(), there)

    assert (rules.level, scrape.level) == (Level.FAIL, Level.UNKNOWN)


async def test_no_target_is_a_warning_unless_a_prometheus_reports() -> None:
    (silent,) = await examine("notify", AlertsSettings(), VISIT)
    (watched,) = await examine("notify", AlertsSettings(), replace(VISIT, prometheus="http://mon:9090"))

    assert (silent.level, watched.level) == (Level.WARN, Level.OFF)


class TestVerified:
    def test_a_login_that_works_is_well_also_before_the_first_message(self) -> None:
        line = verified_line(SUBJECT, result(Proof.PROVEN), None, NOW)

        assert line.level is Level.OK
        assert "No message was sent to it so far." in line.text

    def test_the_age_of_the_last_message_is_said(self) -> None:
        last = Record("admins", entry(1), DeliveryStatus.DELIVERED, NOW - 7200)

        assert "took its last message 2 h ago" in verified_line(SUBJECT, result(Proof.PROVEN), last, NOW).text

    def test_a_target_that_fails_is_a_failure_with_the_command_that_tries_it(self) -> None:
        line = verified_line(SUBJECT, result(Proof.FAILED, "The server refused the log-in.", ok=False), None, NOW)

        assert line.level is Level.FAIL
        assert line.advice.endswith("zsr notify test admins")

    def test_a_service_that_only_a_message_proves_is_unknown_until_one_was_sent(self) -> None:
        last = Record("admins", entry(1), DeliveryStatus.DELIVERED, NOW - 7200)

        assert (
            verified_line(SUBJECT, result(Proof.UNCHECKED, "Only a message shows."), None, NOW).level is Level.UNKNOWN
        )
        assert verified_line(SUBJECT, result(Proof.UNCHECKED, "Only a message shows."), last, NOW).level is Level.OK


def test_a_test_message_that_was_taken_or_not() -> None:
    assert sent_line(SUBJECT, result(SendStatus.DELIVERED)).level is Level.OK
    assert sent_line(SUBJECT, result(SendStatus.FAILED, "It hung up.", ok=False)).level is Level.FAIL


def test_the_last_message_that_was_delivered_counts_and_not_one_that_was_given_up() -> None:
    notes = WatchedMemory()
    notes.put_all(delivered(1, NOW - 900))
    notes.put_all(delivered(2, NOW - 600))
    notes.put_all(delivered(3, NOW - 300, DeliveryStatus.UNDELIVERED))

    assert last_deliveries(notes)["admins"].at == NOW - 600
    assert last_deliveries(None) == {}


def test_the_plugin_offers_them() -> None:
    plugin = AlertsPlugin()

    assert isinstance(plugin, DoctorPlugin)
    assert plugin.doctor_checks == CHECKS
