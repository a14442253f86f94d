"""Composes the content of a notice's message: its sentences, facts and list. Pure functions.

Written for a context who is woken up by it: what happened, since when, what would be lost now, when the next try is and
what to do.
"""

from __future__ import annotations

from datetime import UTC, datetime

from alerts.notice import Notice, NoticeKind, Severity
from alerts.render.content import Fact, Level, MessageContent, RenderContext, Row
from alerts.render.digest_totals import digest_content
from alerts.render.links import links
from alerts.render.titles import GONE, action_word, guests_phrase, target_phrase, title_of
from alerts.subject import Subject
from alerts.text import LATE_AFTER_SECONDS, clock_time, distance, duration, one_line, ordinal
from replicator.api.promise import is_in_future

NOTHING_TO_DO = "There is nothing to do."


def compose(notice: Notice, context: RenderContext) -> MessageContent:
    """The content of a notice's message."""
    if notice.kind is NoticeKind.DIGEST and notice.digest is not None:
        return digest_content(notice, notice.digest, context, _foot(notice, context))
    facts: list[Fact] = []
    rows: tuple[Row, ...] = ()
    if len(notice.subjects) == 1:
        facts += _facts_of_one(notice, notice.subjects[0], context)
    elif notice.subjects:
        facts += _facts_of_many(notice, context)
        rows = tuple(_row(notice, subject, context) for subject in notice.subjects[: context.rows])
    foreign = notice.foreign
    notes = [line for text in (notice.text, foreign.text if foreign else "") for line in text.splitlines() if line]
    if notice.kind is NoticeKind.TEST:
        notes.append("If you can read this, messages about failing replication will arrive here.")
    notes += _advice(notice)
    if notice.kind.is_all_clear or notice.kind is NoticeKind.TEST:
        notes.append(NOTHING_TO_DO)
    return MessageContent(
        title=title_of(notice),
        badge=notice.kind.facts.badge,
        tone=_tone(notice),
        lead=_lead(notice),
        facts=tuple(facts),
        heading=_heading(notice) if rows else "",
        rows=rows,
        more=len(notice.subjects) - len(rows) if rows else 0,
        notes=tuple(notes),
        links=links(notice, context),
        foot=_foot(notice, context),
    )


def _advice(notice: Notice) -> list[str]:
    """What to do, where neither the jobs' errors nor the text say it."""
    advice = notice.kind.facts.advice
    return [advice.format(about=one_line(notice.about))] if advice else []


def _tone(notice: Notice) -> Level:
    if notice.kind.is_all_clear or notice.closes:
        return Level.GOOD
    if notice.severity is Severity.INFO:
        return Level.PLAIN
    return Level.BAD if notice.severity is Severity.CRITICAL or notice.kind.facts.is_red else Level.WARN


def _lead(notice: Notice) -> str:
    """The first sentence; its template may name node, about and settings."""
    if notice.subjects:
        return _lead_of_jobs(notice)
    node, about = one_line(notice.node), one_line(notice.about)
    lead = notice.kind.facts.lead
    return lead.format(node=node, about=about, settings=about or "its settings") if lead else title_of(notice)


def _lead_of_jobs(notice: Notice) -> str:
    """The first sentence about jobs; its template may name Who, jobs, about, times and times_or_again."""
    subjects, first = notice.subjects, notice.subjects[0]
    what = action_word(subjects)
    jobs = f"{len(subjects)} jobs to {target_phrase(subjects)}"
    one = (
        f"Job {first.job}: {what} of {_guest(first)} from {one_line(first.source)} to {one_line(first.target) or GONE}"
    )
    is_one = len(subjects) == 1
    who = one if is_one else f"{what.capitalize()} of {guests_phrase(subjects)} ({jobs})"
    times = f" for the {ordinal(first.consecutive)} time in a row" if first.consecutive > 1 else ""
    lead = notice.kind.facts.jobs_lead or f"{{Who}}: {notice.kind}."
    return lead.format(
        Who=who,
        jobs=jobs,
        about=one_line(notice.about),
        times=times if is_one else "",
        times_or_again=times if is_one else " again",
    )


def _facts_of_one(notice: Notice, subject: Subject, context: RenderContext) -> list[Fact]:
    if notice.kind.is_all_clear:
        return _facts_of_recovery(notice, subject, context)
    facts = []
    if notice.kind is NoticeKind.REPLICA_LOST and subject.worst_lag is not None:
        facts.append(Fact("What was there", f"a copy that was {duration(subject.worst_lag)} old"))
    if subject.message:
        facts.append(Fact("What happened", f"{one_line(subject.message)} (class: {subject.error_class})"))
    if subject.failing_since is not None:
        facts.append(Fact("Failing since", when(subject.failing_since, context)))
    facts.append(lost_now(subject, context))
    facts.append(Fact("Next try", _next_try(subject.next_run, context)))
    if subject.advice or not notice.kind.facts.advice:
        facts.append(Fact("What to do", one_line(subject.advice) or "Look at the log of the run."))
    run = f" --run {subject.run}" if subject.run is not None else ""
    facts.append(Fact("Log of the run", f"zsr log {subject.job}{run}"))
    return facts


def _facts_of_recovery(notice: Notice, subject: Subject, context: RenderContext) -> list[Fact]:
    facts = []
    if subject.last_sync is not None:
        facts.append(Fact("Last sync", when(subject.last_sync, context)))
    if subject.failing_since is not None:
        lasted = duration(notice.time - subject.failing_since)
        facts.append(
            Fact(_had_been(notice.kind), f"since {clock_time(subject.failing_since, context.zone)}, for {lasted}")
        )
    if subject.consecutive:
        facts.append(Fact("Failed runs", str(subject.consecutive)))
    if subject.worst_lag is not None:
        promise = f" (promised: {duration(subject.rpo)})" if subject.rpo is not None else ""
        facts.append(Fact("Oldest the replica was", f"{duration(subject.worst_lag)}{promise}"))
    return facts


def _had_been(kind: NoticeKind) -> str:
    """What an all-clear calls the time before it."""
    special = {NoticeKind.REPLICA_BACK: "Had been without a copy", NoticeKind.GUEST_THAWED: "Had been frozen"}
    return special.get(kind, "Had been failing")


def _facts_of_many(notice: Notice, context: RenderContext) -> list[Fact]:
    subjects, facts = notice.subjects, []
    messages = {one_line(subject.message) for subject in subjects if subject.message}
    classes = {subject.error_class for subject in subjects if subject.error_class}
    if messages and not notice.kind.is_all_clear:
        cause = f" (class: {classes.pop()})" if len(classes) == 1 else ""
        first = next(one_line(subject.message) for subject in subjects if subject.message)
        facts.append(Fact("What happened", f"{first}{cause}" if len(messages) == 1 else f"First: {first}{cause}"))
    since = [subject.failing_since for subject in subjects if subject.failing_since is not None]
    if since and notice.kind.is_all_clear:
        lasted = duration(notice.time - min(since))
        facts.append(Fact(_had_been(notice.kind), f"since {clock_time(min(since), context.zone)}, for {lasted}"))
    elif since:
        facts.append(Fact("Failing since", when(min(since), context)))
    if sum(subject.consecutive for subject in subjects) and notice.kind.is_all_clear:
        facts.append(Fact("Failed runs", str(sum(subject.consecutive for subject in subjects))))
    lags = [subject.worst_lag for subject in subjects if subject.worst_lag is not None]
    if lags and notice.kind.is_all_clear:
        facts.append(Fact("Oldest a replica was", duration(max(lags))))
    advice = {one_line(subject.advice) for subject in subjects if subject.advice}
    if len(advice) == 1 and not notice.kind.is_all_clear:
        facts.append(Fact("What to do", advice.pop()))
    return facts


def _heading(notice: Notice) -> str:
    if notice.kind.is_all_clear:
        return "Recovered:"
    sources = {one_line(subject.source) for subject in notice.subjects}
    return f"If {sources.pop() if len(sources) == 1 else 'its node'} died now, these would fall back to:"


def _row(notice: Notice, subject: Subject, context: RenderContext) -> Row:
    broken = subject.is_broken(context.now) and not notice.kind.is_all_clear
    who = f"{subject.guest} {one_line(subject.guest_name)}".rstrip()
    route = f"job {subject.job} to {one_line(subject.target)}"
    if not subject.target:
        return Row(who, "the job is not there any more", f"job {subject.job}")
    if subject.last_sync is None:
        return Row(who, f"nothing, {_no_replica(subject)}", route, bad=not notice.kind.is_all_clear)
    promised = f"promised: {duration(subject.rpo)}" if subject.rpo is not None else ""
    text = "; ".join(filter(None, (promised, "the promise is broken" if broken else "")))
    return Row(who, when(subject.last_sync, context), ", ".join(filter(None, (route, text))), bad=broken)


def lost_now(subject: Subject, context: RenderContext) -> Fact:
    """What would be lost if the source died now."""
    label, who = f"If {one_line(subject.source)} died now", _guest(subject)
    if subject.last_sync is None:
        return Fact(label, f"{who} would be lost; {_no_replica(subject, one_line(subject.target) or GONE)}", bad=True)
    if is_in_future(subject.last_sync, context.now):
        since = f"its time, {clock_time(subject.last_sync, context.zone)}, is in the future"
        clock = f"Check the clock of {one_line(subject.source)}."
        return Fact(label, f"{who} would fall back to a copy of unknown age: {since}. {clock}", bad=True)
    age = max(0.0, context.now - subject.last_sync)
    promised = f"; promised: {duration(subject.rpo)}" if subject.rpo is not None else ""
    broken = subject.is_broken(context.now)
    text = f"{who} would fall back to {clock_time(subject.last_sync, context.zone)} ({distance(-age)}{promised})."
    return Fact(label, f"{text} The promise is broken." if broken else text, bad=broken)


def _no_replica(subject: Subject, target: str = "") -> str:
    where = f" on {target}" if target else ""
    return f"there is no replica{where} {'any more' if subject.lost else 'yet'}"


def when(moment: float, context: RenderContext) -> str:
    """A time with its distance from now."""
    return f"{clock_time(moment, context.zone)} ({distance(moment - context.now)})"


def _guest(subject: Subject) -> str:
    return f"guest {subject.guest} {one_line(subject.guest_name)}".rstrip()


def _next_try(next_run: float | None, context: RenderContext) -> str:
    if next_run is None:
        return "none is planned"
    return when(next_run, context) if next_run > context.now else "now, as soon as its turn comes"


def _foot(notice: Notice, context: RenderContext) -> tuple[str, ...]:
    late = context.now - notice.time > LATE_AFTER_SECONDS
    zone = datetime.fromtimestamp(context.now, UTC).astimezone(context.zone).tzname()
    return (
        *((f"This message comes late: it happened {when(notice.time, context)}.",) if late else ()),
        f"Sent by zsr on {one_line(notice.node)}; times are in {zone}.",
    )
