"""The checks ``notify``, ``rules`` and ``scrape`` of ``zsr doctor``."""

from __future__ import annotations

import time

from alerts.channels.verify import Proof
from alerts.delivery.store import DeliveryStatus, Record, load_log
from alerts.prometheus import ask, own_rules, rule_lines, scrape_line, shown
from alerts.settings import AlertsSettings
from alerts.test_message import TrialResult, try_targets, verify_targets
from replicator.api.doctor import Line, Notes, Subject, Visit
from replicator.common.durations import words
from replicator.errors import NetworkError

NOTIFY, RULES, SCRAPE = "notify", "rules", "scrape"
CHECKS = (NOTIFY, RULES, SCRAPE)


async def examine(check: str, settings: AlertsSettings, visit: Visit) -> list[Line]:
    """Return the lines of one check."""
    subject = Subject(check, visit.node)
    if check == NOTIFY:
        return await _notify(subject, settings, visit)
    if visit.prometheus is None:
        return [subject.off("No Prometheus is named: --prometheus URL, or doctor.prometheus in zsr.toml.")]
    at = shown(visit.prometheus)
    try:
        answers = await ask(visit.prometheus, visit.limit)
    except NetworkError as error:
        return [subject.failed(error) if check == RULES else subject.unread(error)]
    if check == RULES:
        return rule_lines(subject, at, answers, own_rules())
    return [scrape_line(subject, at, answers)]


async def _notify(subject: Subject, settings: AlertsSettings, visit: Visit) -> list[Line]:
    active = [target for target in settings.targets if target.enabled]
    if not active:
        return [no_target(subject, visit)]
    if visit.send:
        results = await try_targets(settings, active, visit.node, visit.zone, limit=visit.limit)
        return [sent_line(subject, result) for result in results]
    results = await verify_targets(settings, active, limit=visit.limit)
    last = last_deliveries(visit.notes)
    return [verified_line(subject, each, last.get(each.target), time.time()) for each in results]


def no_target(subject: Subject, visit: Visit) -> Line:
    """Return the line of a node without a target: fine where a Prometheus reports instead."""
    if visit.prometheus is not None:
        return subject.off("There is no [[notify]] target; a Prometheus is named, and may report instead.")
    text = "There is no [[notify]] target: no message reports a failure."
    return subject.warn(text, "Add one to zsr.toml (docs/notifications.md), then: zsr notify test")


def last_deliveries(notes: Notes | None) -> dict[str, Record]:
    """Return the newest message that each target took, by the target's name."""
    log = [] if notes is None else load_log(notes)
    found: dict[str, Record] = {}
    for record in log:
        if record.status is DeliveryStatus.DELIVERED and record.at is not None:
            before = found.get(record.target)
            if before is None or (before.at or 0.0) < record.at:
                found[record.target] = record
    return found


def sent_line(subject: Subject, result: TrialResult) -> Line:
    """Return the line of a test message."""
    name = f"{result.target} ({result.kind})"
    if result.ok:
        return subject.ok(f"{name} took a test message. Look whether it arrived.")
    return subject.fail(f"{name} took no test message: {result.reason}", f"Then: zsr notify test {result.target}")


def verified_line(subject: Subject, result: TrialResult, last: Record | None, now: float) -> Line:
    """Return the line of a target that was asked without a message; ``now``: unix time."""
    name, test = f"{result.target} ({result.kind})", f"zsr doctor --send, or: zsr notify test {result.target}"
    age = "No message was sent to it so far."
    if last is not None and last.at is not None:
        age = f"It took its last message {words(now - last.at)} ago."
    if not result.ok:
        return subject.fail(f"{name}: {result.reason} {age}", f"Correct it, then: zsr notify test {result.target}")
    if result.status is Proof.PROVEN:
        return subject.ok(f"{name} lets zsr in, and would take a message. {age}")
    if last is None:
        return subject.unknown(f"{name}: whether it takes a message is known only by one. {age}", test)
    return subject.ok(f"{name}: {age}")
