"""The content of a digest: how many jobs are well, and each job's lag, bytes and restore points. Pure."""

from __future__ import annotations

from alerts.notice import Notice
from alerts.render.content import MOST_DIGEST_ROWS, MOST_ROWS, Fact, Level, MessageContent, RenderContext, Row
from alerts.render.links import links
from alerts.render.titles import Standing, standing, standings, title_of
from alerts.subject import Digest, DigestLine
from alerts.text import clock_time, distance, duration, one_line
from replicator.common.sizes import size


def digest_content(notice: Notice, digest: Digest, context: RenderContext, foot: tuple[str, ...]) -> MessageContent:
    """The content of a digest's message."""
    found = standings(digest)
    bad, well = found[Standing.BAD], len(found[Standing.WELL])
    limit = MOST_DIGEST_ROWS if context.rows == MOST_ROWS else context.rows
    rows = tuple(_row(line, digest, context) for line in digest.lines[:limit])
    begin, end = clock_time(digest.begin, context.zone), clock_time(digest.end, context.zone)
    return MessageContent(
        title=title_of(notice),
        badge="Digest",
        tone=Level.WARN if bad else Level.GOOD if well == len(digest.lines) else Level.PLAIN,
        lead=f"{one_line(notice.node)} from {begin} to {end}: {well} of {len(digest.lines)} jobs are well.",
        facts=_facts(digest, context),
        heading="How old each replica is:" if rows else "",
        rows=rows,
        more=len(digest.lines) - len(rows),
        notes=tuple(line for line in notice.text.splitlines() if line),
        links=links(notice, context),
        foot=foot,
    )


def _facts(digest: Digest, context: RenderContext) -> tuple[Fact, ...]:
    runs, failures = sum(line.runs for line in digest.lines), sum(line.failures for line in digest.lines)
    facts = [
        Fact("Runs", f"{runs}, {failures} of them failed" if failures else f"{runs}, none failed", bad=failures > 0),
        Fact("Sent", size(sum(line.sent_bytes for line in digest.lines))),
    ]
    timed = [(line.slowest, line) for line in digest.lines if line.slowest is not None]
    if timed:
        longest, line = max(timed, key=lambda each: each[0])
        facts.append(Fact("Longest run", f"{duration(longest)}, {_who(line)}"))
    reaching = [(line.oldest_restore_point, line) for line in digest.lines if line.oldest_restore_point is not None]
    if reaching:
        oldest, line = min(reaching, key=lambda each: each[0])
        facts.append(Fact("Oldest restore point", f"{clock_time(oldest, context.zone)}, {_who(line)}"))
    return tuple(facts)


def _row(line: DigestLine, digest: Digest, context: RenderContext) -> Row:
    subject = line.subject
    state = "" if line.condition == "ok" else f"{line.condition}, "
    if subject.last_sync is None:
        what = f"{state}{'the replica is lost' if subject.lost else 'never replicated'}"
    else:
        promised = f", promised {duration(subject.rpo)}" if subject.rpo is not None else ""
        what = f"{state}{duration(max(0.0, digest.end - subject.last_sync))} old{promised}"
    details = [
        f"job {subject.job} to {one_line(subject.target)}",
        f"{line.runs} run{'' if line.runs == 1 else 's'}" + (f", {line.failures} failed" if line.failures else ""),
        size(line.sent_bytes),
    ]
    if line.slowest is not None:
        details.append(f"longest {duration(line.slowest)}")
    if line.oldest_restore_point is not None:
        details.append(f"history {distance(line.oldest_restore_point - digest.end).removesuffix(' ago')}")
    return Row(_who(line), what, " · ".join(details), bad=standing(line) is Standing.BAD)


def _who(line: DigestLine) -> str:
    return f"{line.subject.guest} {one_line(line.subject.guest_name)}".rstrip()
