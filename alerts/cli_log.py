"""``zsr notify log``, ``resend`` and ``explain``: the results of messages, and which targets an event would reach."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from alerts.delivery.codec import plain
from alerts.delivery.store import RESEND, DeliveryStatus, Record, find_record, load_log, load_state
from alerts.notice import Notice, NoticeKind, Severity
from alerts.render.titles import title_of
from alerts.routing.routes import held_until, reasons_against
from alerts.subject import Subject
from replicator.cli.context import config_option, open_state, settings, store
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.config.settings import Settings
from replicator.errors import ConfigError
from replicator.models import JobId

if TYPE_CHECKING:
    from alerts.targets import Target

SECTION = "notify"


@click.command()
@click.option(
    "--failed", is_flag=True, help="Only messages that were not delivered, or not yet after a failed attempt."
)
@format_option
@config_option
def log(failed: bool, form: str) -> None:
    """List the messages of this node and the result of each, newest first."""
    node = settings()
    with open_state(node) as state:
        records = load_log(state.plugin_store(SECTION))
    wanted = [record for record in records if not failed or _has_failed(record)]
    if form == "json":
        print_json([_record_json(record) for record in wanted])
        return
    rows = [_row(record, node) for record in wanted]
    print_table(("ID", "Time", "Event", "Result", "Attempts", "Message", "Why"), rows)


def _has_failed(record: Record) -> bool:
    return record.status is DeliveryStatus.UNDELIVERED or (
        record.status is DeliveryStatus.PENDING and record.entry.attempts > 0
    )


def _row(record: Record, node: Settings) -> tuple[str, ...]:
    entry, zone = record.entry, node.timezone
    waits = record.status is DeliveryStatus.PENDING and entry.attempts == 0 and entry.not_before > time.time()
    result = f"held until {local_time(entry.not_before, zone)}" if waits else str(record.status)
    # An attempt that succeeded is the one after those that failed.
    attempts = entry.attempts + (record.status is DeliveryStatus.DELIVERED)
    why = "" if record.status is DeliveryStatus.DELIVERED else entry.reason
    return (
        record.name,
        local_time(entry.since, zone),
        str(entry.notice.kind),
        result,
        str(attempts),
        title_of(entry.notice),
        why,
    )


def _record_json(record: Record) -> dict[str, object]:
    entry = record.entry
    return {
        "id": record.name,
        "target": record.target,
        "result": str(record.status),
        "at": record.at,
        "since": entry.since,
        "not_before": entry.not_before or None,
        "failed_attempts": entry.attempts,
        "reason": entry.reason,
        "notice": plain(entry.notice),
    }


@click.command()
@click.argument("message", metavar="ID")
@config_option
def resend(message: str) -> None:
    """Send the message ID of the log again, or at once if it is pending. The daemon does it within a minute."""
    node = settings()
    target, _, number = message.rpartition("-")
    if not target or not number.isdecimal():
        raise ConfigError(f"'{message}' is not the ID of a message.", advice="Their IDs are in: zsr notify log.")
    with open_state(node) as state:
        plugin_store = state.plugin_store(SECTION)
        target_state = load_state(plugin_store, target)
        pending = target_state is not None and any(entry.number == int(number) for entry in target_state.outbox)
        if not pending and find_record(plugin_store, target, int(number)) is None:
            raise ConfigError(f"There is no message '{message}'.", advice="See: zsr notify log.")
        if target_state is None:
            raise ConfigError(f"The target '{target}' is disabled or gone.", advice="Enable it first.")
        plugin_store.put(f"{RESEND}{target}-{int(number)}", "1")
    click.echo(f"{message} is sent again as soon as the daemon looks, within a minute.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a target would be notified (yes, no or later), and why or why not."""

    target: str
    sent: str
    why: str


@click.command()
@click.option("--event", required=True, type=click.Choice([str(kind) for kind in NoticeKind]), help="The event.")
@click.option("--job", "job_id", metavar="ID", help="The job that it is about. [default: none]")
@click.option(
    "--severity", type=click.Choice([str(each) for each in Severity]), help="[default: the event's usual one]"
)
@click.option("--target", "node_name", metavar="NODE", help="The node it replicates to. [default: that of the job]")
@format_option
@config_option
def explain(event: str, job_id: str | None, severity: str | None, node_name: str | None, form: str) -> None:
    """Show which targets would be notified of an event, and why or why not. Sends nothing."""
    from alerts.settings import read_settings  # noqa: PLC0415 - it imports aiohttp, which takes long

    node = settings()
    known, _ = read_settings(node.sections, os.environ)
    if node_name is not None:
        store(node).read().node(node_name)
    if not known.targets:
        click.echo("No notification target is configured. Add [[notify]] with name and url to the settings.", err=True)
    notice = _notice(node, NoticeKind(event), job_id, severity, node_name or "")
    verdicts = [verdict(target, notice, node, time.time()) for target in known.targets]
    if form == "json":
        print_json([{"target": each.target, "sent": each.sent, "why": each.why} for each in verdicts])
        return
    print_table(("Target", "Sent", "Why"), [(each.target, each.sent, each.why) for each in verdicts])


def verdict(target: Target, notice: Notice, node: Settings, now: float) -> Verdict:
    """Whether a target would be sent a notice at a moment (unix time)."""
    if not target.enabled:
        return Verdict(target.name, "no", "it is disabled (enabled = false)")
    if not target.gets_messages:
        return Verdict(target.name, "no", "it is pinged for each run and gets no messages")
    clear = notice.kind.is_all_clear
    against = [] if clear else reasons_against(target.route.match, notice)
    if against:
        return Verdict(target.name, "no", "; ".join(against))
    why = (
        "it goes to the targets that got the message about the problem"
        if clear
        else f"severity {notice.severity}, event {notice.kind}: match wants it"
    )
    until = held_until(target.route.quiet, notice.severity, now, node.timezone)
    if until is None:
        return Verdict(target.name, "yes", why)
    quiet = target.route.quiet
    if quiet is not None and quiet.drop and not clear:
        return Verdict(target.name, "no", f"{why}, but it is dropped in the quiet hours {quiet.window.text}")
    later = f"{why}; held until {local_time(until, node.timezone)} by quiet hours"
    if notice.severity is Severity.CRITICAL:
        later += ', which hold critical messages too; below = "critical" lets them through'
    return Verdict(target.name, "later", later)


def _notice(node: Settings, kind: NoticeKind, job_id: str | None, severity: str | None, target: str) -> Notice:
    subjects = (_subject(node, JobId.parse(job_id), target),) if job_id is not None else ()
    return Notice(
        key="",
        kind=kind,
        severity=Severity(severity) if severity is not None else kind.facts.severity,
        time=time.time(),
        node=node.node,
        thread="",
        subjects=subjects,
        about="" if subjects else target,
    )


def _subject(node: Settings, job: JobId, target: str) -> Subject:
    if not target:
        known = store(node).read().jobs.get(job)
        if known is None:
            raise ConfigError(f"There is no job {job}.", advice="Name its target with --target NODE.")
        target = known.target
    return Subject(job=job, guest=job.guest, guest_name="", source=node.node, target=target)
