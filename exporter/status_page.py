"""The page at ``/``: all jobs of this node, worst first, without scripts or anything from other servers."""

from __future__ import annotations

from datetime import UTC, datetime
from html import escape

from replicator.api.job_status import JobStatus
from replicator.api.status import Status
from replicator.common.durations import words
from replicator.models import JobCondition

MAX_ROWS = 500
"""Rows at most; the worst are shown and the others are counted."""

REFRESH_SECONDS = 15

_URGENCY = (
    JobCondition.ERROR,
    JobCondition.SYNCING,
    JobCondition.PENDING,
    JobCondition.REMOVING,
    JobCondition.OK,
    JobCondition.DISABLED,
)

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #c4162a; --good: #1a7f37; --busy: #0b62c4; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff7383; --good: #6ccf8e; --busy: #8ab8ff; } }
body { font: 1rem/1.45 system-ui, sans-serif; margin: 0 auto; max-width: 72rem; padding: 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; }
nav a { display: inline-block; padding: .4rem .8rem .4rem 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; }
caption { text-align: left; padding: .5rem 0; }
th, td { text-align: left; vertical-align: top; padding: .4rem .8rem .4rem 0; border-top: 1px solid var(--line); }
td { overflow-wrap: anywhere; min-width: 6rem; }
td:first-child { min-width: 4rem; }
td:last-child { min-width: 14rem; }
.tight { white-space: nowrap; }
.bad { color: var(--bad); font-weight: 600; } .good { color: var(--good); } .busy { color: var(--busy); }
@media (max-width: 40rem) {
  thead { position: absolute; left: -999rem; }
  tr { display: block; padding: .6rem 0; border-top: 1px solid var(--line); }
  td { display: grid; grid-template-columns: 7rem minmax(0, 1fr); min-width: 0; border: 0; padding: .1rem 0; }
  td::before { content: attr(data-name); opacity: .7; }
  td:first-child, td:last-child { min-width: 0; }
  td:empty { display: none; }
}
"""


def duration(seconds: float) -> str:
    """A length of time, 0 for a negative one: ``45 s``, ``12 min``, ``2 d 3 h``, ``no limit``."""
    return "no limit" if seconds == float("inf") else words(max(0.0, seconds))


def render_page(status: Status) -> str:
    """The whole page as HTML. Every name and message in it is escaped."""
    ranked = sorted(status.jobs, key=lambda job: (_URGENCY.index(job.condition), job.job.id))
    rows = "\n".join(_row(job, status.time) for job in ranked[:MAX_ROWS])
    more = len(ranked) - MAX_ROWS
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="refresh" content="{REFRESH_SECONDS}">
<link rel="icon" href="data:,">
<title>{_title(status)}</title>
<style>{_STYLE}</style>
</head>
<body>
<header>
<h1>zsr on {escape(status.node)}</h1>
<p>Version {escape(status.version)}, ZFS {escape(status.zfs_version)}; running for
{duration(status.time - status.started)}; as of {_clock(status.time)}.</p>
<nav><a href="/metrics">Metrics</a> <a href="/-/healthy">Healthy</a> <a href="/-/ready">Ready</a></nav>
</header>
<main>
{_warnings(status)}
{_table(rows, len(ranked)) if rows else "<p>There are no jobs on this node.</p>"}
{f"<p>And {more} more jobs.</p>" if more > 0 else ""}
</main>
</body>
</html>
"""


def _title(status: Status) -> str:
    failing = sum(1 for job in status.jobs if job.condition is JobCondition.ERROR)
    return f"{f'({failing}) ' if failing else ''}zsr on {escape(status.node)}"


def _warnings(status: Status) -> str:
    lines = [reason for reason in status.not_ready if reason not in status.config.problems]
    if not status.config.ok:
        lines.append("The settings are wrong; the last good ones stay active: " + "; ".join(status.config.problems))
    down = sorted(node for node, reachable in status.reachable.items() if not reachable)
    if down:
        lines.append("Not reachable: " + ", ".join(down) + ".")
    return "\n".join(f'<p class="bad" role="alert">{escape(line)}</p>' for line in lines)


def _table(rows: str, count: int) -> str:
    return f"""<div class="scroll"><table>
<caption>{count} {"job" if count == 1 else "jobs"}</caption>
<thead><tr><th scope="col">Job</th><th scope="col">Guest</th><th scope="col">From, to</th><th scope="col">State</th>
<th scope="col">Last sync</th><th scope="col">Promise</th><th scope="col">Next run</th>
<th scope="col">Error</th></tr></thead>
<tbody>
{rows}
</tbody>
</table></div>"""


def _row(job: JobStatus, now: float) -> str:
    guest = job.guest.name if job.guest else ""
    cells = (
        ("Job", f'<span class="tight">{escape(str(job.job.id))}</span>'),
        ("Guest", escape(guest)),
        ("From, to", f"{escape(job.source)} → {escape(job.job.target)}"),
        ("State", f'<span class="{_colour(job.condition)}">{job.condition.value}</span>{_progress(job)}'),
        ("Last sync", _lag(job, now)),
        ("Promise", duration(job.rpo)),
        ("Next run", _next(job, now)),
        ("Error", escape(f"{job.state.failure.message} {job.state.failure.advice}") if job.state.failure else ""),
    )
    boxes = (f'<td data-name="{name}">{cell and f"<div>{cell}</div>"}</td>' for name, cell in cells)
    return f"<tr>{''.join(boxes)}</tr>"


def _colour(condition: JobCondition) -> str:
    return {JobCondition.ERROR: "bad", JobCondition.OK: "good", JobCondition.SYNCING: "busy"}.get(condition, "")


def _progress(job: JobStatus) -> str:
    transfer = job.transfer
    if transfer is None or not transfer.transferring or not transfer.expected_bytes:
        return ""
    return f" {min(100, round(100 * transfer.done_bytes / transfer.expected_bytes))} %"


def _lag(job: JobStatus, now: float) -> str:
    """How old the last sync is, marked where the promise is broken; a switched-off job breaks none."""
    broken = job.promise(now).is_overdue
    never = "lost" if job.is_replica_lost else "never"
    text = f"{duration(now - job.state.last_sync)} ago" if job.state.last_sync else never
    text += ", unconfirmed" if job.unconfirmed and job.state.last_sync else ""
    return f'<span class="bad">{text}, promise broken</span>' if broken else text


def _next(job: JobStatus, now: float) -> str:
    if job.transfer is not None:
        return f"running for {duration(now - job.transfer.start)}"
    if job.next_run is None:
        return "none"
    return f"in {duration(job.next_run - now)}" if job.next_run > now else "due"


def _clock(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
