"""The demo's screen: the jobs as the daemon sees them, the last notification, where to look and commands to try."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from demo.env import DemoEnv
from demo.webhook import Notification
from replicator.common.sizes import size

_STYLES = {"ok": "green", "syncing": "cyan", "error": "bold red", "pending": "yellow"}
_BODY_SHOWN = 6
"""Lines of a notification's text that are shown."""


def picture(jobs: Sequence[Mapping[str, Any]], news: Notification | None, now: float, left: float | None) -> Group:
    """The part of the screen that changes; ``left`` is the seconds until the demo ends by itself (None: it does not).

    Kept short, so that it fits below the advice in a terminal of 24 lines even while a job is failing.
    """
    parts: list[RenderableType] = [job_table(jobs, now)]
    parts += [Text(f"{job['id']}: {job['error_class']}: {job['error']}", style="red") for job in jobs if job["error"]]
    if news is not None:
        text = "\n".join(line for line in news.body.splitlines()[:_BODY_SHOWN] if line)
        parts.append(Text(f"Notification, {clock(news.time)}: {news.title}\n{text}", style="blue"))
    parts.append(Text(ending(left), style="dim"))
    return Group(*parts)


def job_table(jobs: Sequence[Mapping[str, Any]], now: float) -> Table:
    """One row a job."""
    table = Table(title=f"zsr on node alpha, {clock(now)}", title_justify="left", box=SIMPLE_HEAD, padding=(0, 1, 0, 0))
    for heading in ("job", "guest", "from → to", "state", "last sync", "next run", "runs", "failed", "sent"):
        table.add_column(heading, no_wrap=True)
    if not jobs:
        table.add_row("-", "-", "-", "starting")
    for job in jobs:
        state = job["state"]
        table.add_row(
            job["id"],
            job["guest_name"],
            f"{job['source']} → {job['target']}",
            Text(state, style=_STYLES.get(state, "")),
            "never" if job["last_sync"] is None else f"{job['lag']:.0f} s ago",
            due(job["next_sync"], now),
            str(job["runs"]["success"]),
            str(job["runs"]["failure"]),
            size(job["sent_bytes_total"]),
        )
    return table


def lines(jobs: Sequence[Mapping[str, Any]]) -> list[str]:
    """The same facts for an output that is no terminal: one line a job, without anything that changes by itself."""
    return [
        f"{job['id']} {job['source']} -> {job['target']}: {job['state']}, {job['runs']['success']} good runs, "
        f"{job['runs']['failure']} failed, last sync {clock(job['last_sync'])}, {size(job['sent_bytes_total'])} sent"
        + (f"; {job['error_class']}: {job['error']}" if job["error"] else "")
        for job in jobs
    ]


def advice(stage: DemoEnv) -> str:
    """Where to look and what to try, with this stage's own names."""
    beta = stage.beta
    return f"""
Look        http://{stage.listen}/          the page
            http://{stage.listen}/metrics   read by Prometheus
            {stage.log}   the daemon's log
In another terminal, in this folder:
  ask       {stage.command} status
            {stage.command} log 101-0
  now       {stage.command} schedule-now 101-0
  break     zpool export {beta.name}
            (watch the state, the time of the next try, and the notification)
  repair    zpool import -o cachefile=none -d {beta.file.parent} {beta.name}
            {stage.command} schedule-now 101-0
"""


def ending(left: float | None) -> str:
    """How the demo ends."""
    how = "Ctrl-C ends the demo" if left is None else f"The demo ends by itself in {max(0.0, left):.0f} s"
    return f"{how}; nothing stays behind."


def clock(moment: float | None) -> str:
    """A local time of day; '-' when there is none."""
    return "-" if moment is None else time.strftime("%H:%M:%S", time.localtime(moment))


def due(moment: float | None, now: float) -> str:
    """In how many seconds the next run comes."""
    if moment is None:
        return "-"
    return "now" if moment <= now else f"in {moment - now:.0f} s"
