"""``zsr notify log``, ``resend`` and ``explain``: what became of messages, and what would be told to whom."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from alerts.delivery.codec import plain
from alerts.delivery.store import RESEND, DeliveryStatus, Record, find_record, load_log, load_notes
from alerts.notice import Notice, NoticeKind, Severity, Subject
from alerts.render.titles import title_of
from alerts.routing.routes import ALL_CLEARS, held_until, reasons_against
from replicator.cli.context import config_option, open_state, settings, store
from replicator.cli.output import format_option, local_time, print_json, print_table
from replicator.config.settings import Settings
from replicator.errors import ConfigError
from replicator.models import JobId

if TYPE_CHECKING:
    from alerts.targets import Target

SECTION = "notify"

_SEVERE = {
    NoticeKind.RPO_BREACHED: Severity.CRITICAL,
    NoticeKind.REPLICA_LOST: Severity.CRITICAL,
    NoticeKind.UNDELIVERED: Severity.CRITICAL,
    NoticeKind.DIGEST: Severity.INFO,
    NoticeKind.TEST: Severity.INFO,
}
"""How severe an event is that is no warning; an all-clear is info."""


@click.command()
@click.option("--failed", is_flag=True, help="Only what did not arrive, or has not yet after a failed attempt.")
@format_option
@config_option
def log(failed: bool, form: str) -> None:
    """List the messages of this node, newest first, and what became of each."""
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
    return record.fate is DeliveryStatus.UNDELIVERED or (
        record.fate is DeliveryStatus.PENDING and record.entry.attempts > 0
    )


def _row(record: Record, node: Settings) -> tuple[str, ...]:
    entry, zone = record.entry, node.timezone
    waits = record.fate is DeliveryStatus.PENDING and entry.attempts == 0 and entry.not_before > time.time()
    result = f"held until {local_time(entry.not_before, zone)}" if waits else str(record.fate)
    # An attempt that succeeded is the one after those that failed.
    attempts = entry.attempts + (record.fate is DeliveryStatus.DELIVERED)
    why = "" if record.fate is DeliveryStatus.DELIVERED else entry.reason
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
        "result": str(record.fate),
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
    """Send the message ID of the log again, or at once if it is waiting. The daemon does it within a minute."""
    node = settings()
    target, _, number = message.rpartition("-")
    if not target or not number.isdecimal():
        raise ConfigError(f"'{message}' is no message.", advice="Their IDs are in: zsr notify log.")
    with open_state(node) as state:
        memory = state.plugin_store(SECTION)
        notes = load_notes(memory, target)
        pending = notes is not None and any(entry.number == int(number) for entry in notes.outbox)
        if not pending and find_record(memory, target, int(number)) is None:
            raise ConfigError(f"There is no message '{message}'.", advice="See: zsr notify log.")
        if notes is None:
            raise ConfigError(f"The target '{target}' is switched off or gone.", advice="Switch it on first.")
        memory.put(f"{RESEND}{target}-{int(number)}", "1")
    click.echo(f"{message} is sent again as soon as the daemon looks, within a minute.")


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a target would be told, and why or why not."""

    target: str
    told: str
    why: str


@click.command()
@click.option("--event", required=True, type=click.Choice([str(kind) for kind in NoticeKind]), help="What happens.")
@click.option("--job", "job_id", metavar="ID", help="To which job. [default: to none]")
@click.option(
    "--severity", type=click.Choice([str(each) for each in Severity]), help="[default: the event's usual one]"
)
@click.option("--target", "node_name", metavar="NODE", help="The node it replicates to. [default: that of the job]")
@format_option
@config_option
def explain(event: str, job_id: str | None, severity: str | None, node_name: str | None, form: str) -> None:
    """Say which targets would be told of an event, and why or why not. Nothing is sent."""
    from alerts.settings import read_settings  # noqa: PLC0415 - it knows aiohttp, which takes long to import

    node = settings()
    known, _ = read_settings(node.sections, os.environ)
    notice = _notice(node, NoticeKind(event), job_id, severity, node_name or "")
    verdicts = [verdict(target, notice, node, time.time()) for target in known.targets]
    if form == "json":
        print_json([{"target": each.target, "told": each.told, "why": each.why} for each in verdicts])
        return
    print_table(("Target", "Told", "Why"), [(each.target, each.told, each.why) for each in verdicts])


def verdict(target: Target, notice: Notice, node: Settings, now: float) -> Verdict:
    """What becomes of a notice at one target at a moment (unix time)."""
    if not target.enabled:
        return Verdict(target.name, "no", "it is switched off (enabled = false)")
    if not target.is_told:
        return Verdict(target.name, "no", "it is pinged for each run, and told nothing")
    clear = notice.kind in ALL_CLEARS
    against = [] if clear else reasons_against(target.route.match, notice)
    if against:
        return Verdict(target.name, "no", "; ".join(against))
    why = (
        "to whom the trouble was told" if clear else f"severity {notice.severity}, event {notice.kind}: match wants it"
    )
    until = held_until(target.route.quiet, notice.severity, now, node.timezone)
    if until is None:
        return Verdict(target.name, "yes", why)
    quiet = target.route.quiet
    if quiet is not None and quiet.drop and not clear:
        return Verdict(target.name, "no", f"{why}, but it is dropped in the quiet hours {quiet.window.text}")
    return Verdict(target.name, "later", f"{why}; held until {local_time(until, node.timezone)} by quiet hours")


def _notice(node: Settings, kind: NoticeKind, job_id: str | None, severity: str | None, target: str) -> Notice:
    usual = Severity.INFO if kind in ALL_CLEARS else _SEVERE.get(kind, Severity.WARNING)
    subjects = (_subject(node, JobId.parse(job_id), target),) if job_id is not None else ()
    return Notice(
        key="",
        kind=kind,
        severity=Severity(severity) if severity is not None else usual,
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
            raise ConfigError(f"There is no job {job}.", advice="Say what it would replicate to with --target NODE.")
        target = known.target
    return Subject(job=job, guest=job.guest, guest_name="", source=node.node, target=target)
