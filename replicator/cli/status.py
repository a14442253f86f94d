"""``zsr status``: the state of the jobs of this node's guests, and how old their replicas are."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from datetime import datetime, tzinfo
from typing import Any

import click

from replicator.api.promise import Promise, promise_of
from replicator.cli import completion
from replicator.cli.context import ask_daemon, config_option, open_state, settings, state_to_read, store
from replicator.cli.guest_argument import GUEST
from replicator.cli.output import format_option, local_time, print_json, print_table, terminal_width
from replicator.common.durations import compact
from replicator.config.settings import Settings
from replicator.daemon.control import NoDaemonError
from replicator.daemon.host_texts import of_host, of_settings
from replicator.display import displayable
from replicator.doctor.settings_problems import refuse_unknown_node
from replicator.errors import ConfigError
from replicator.models import GuestId, JobId

COLUMNS = ("JobID", "Enabled", "Target", "LastSync", "NextSync", "Duration", "FailCount", "Lag", "RPO", "Kept", "State")
"""The columns of pvesr, and before the last one: the replica's age, its allowed age, and whether that is kept."""

_WIDE, _MEDIUM = 120, 76
"""Characters of a terminal's line from which on all columns fit, and those but the dispensable ones."""
_MEDIUM_COLUMNS = ("JobID", "Target", "LastSync", "NextSync", "Lag", "RPO", "Kept", "State")
_NARROW_COLUMNS = ("JobID", "Target", "Lag", "Kept", "State")


@click.command()
@click.argument("job_ids", metavar="[ID]...", nargs=-1, shell_complete=completion.job_ids)
@click.option("--guest", type=GUEST, help="Only the jobs of this guest.", shell_complete=completion.guest_ids)
@format_option
@config_option
def status(job_ids: tuple[str, ...], guest: GuestId | None, form: str) -> None:
    """Show the jobs of this node's guests: last and next sync, failures, and whether the promise is kept.

    Its exit status says nothing of that: zsr check is for monitors.
    """
    node = settings()
    jobs, wrong = _jobs(node)
    jobs = _chosen(jobs, [JobId.parse(each) for each in job_ids], guest, node)
    if form == "json":
        print_json(jobs)
    elif (width := terminal_width()) is None or width >= _WIDE:
        print_table(COLUMNS, [_row(job, node) for job in jobs])
    else:
        _print_narrow(jobs, node, width)
    if not jobs and form == "table":
        click.echo(f"No job is of a guest of {node.node}. The guests of all nodes: zsr guest list", err=True)
    for text in wrong:
        click.echo(displayable(text), err=True)


def _chosen(
    jobs: Sequence[dict[str, Any]], ids: Collection[JobId], guest: GuestId | None, node: Settings
) -> list[dict[str, Any]]:
    """Return the jobs that were asked for; raises ConfigError for one that this node does not have."""
    known = {job["id"] for job in jobs}
    shown = ", ".join(sorted(known, key=JobId.from_text)) or "none"
    if missing := [each for each in ids if str(each) not in known]:
        raise ConfigError(
            f"Node {node.node} has no job {missing[0]}; its jobs: {shown}.", advice="The jobs of all nodes: zsr list."
        )
    if guest is not None and not any(job["guest"] == guest for job in jobs):
        raise ConfigError(
            f"Node {node.node} has no job of guest {guest}; its jobs: {shown}.", advice="The guests: zsr guest list."
        )
    wanted = set(map(str, ids)) or known
    return [job for job in jobs if job["id"] in wanted and guest in (None, job["guest"])]


def _print_narrow(jobs: Sequence[dict[str, Any]], node: Settings, width: int) -> None:
    """Print one line a job, with the columns that fit, and below them why jobs fail."""
    columns = _MEDIUM_COLUMNS if width >= _MEDIUM else _NARROW_COLUMNS
    places = [COLUMNS.index(each) for each in columns]
    rows = []
    for job in jobs:
        row = [*_row(job, node, _short_time)]
        row[-1] = job["error_class"] if job["state"] == "error" and job["enabled"] else row[-1]
        rows.append([row[place] for place in places])
    print_table(columns, rows)
    for job in jobs:
        if job["state"] == "error" and job["enabled"]:
            text = displayable(f"{job['id']}: {job['error']} {job.get('advice') or ''}".rstrip())
            click.echo(f"\n{click.wrap_text(text, width)}")


def _short_time(seconds: float | None, zone: tzinfo) -> str:
    """Return a time of today as hours and minutes, another one as month and day too."""
    if seconds is None:
        return "-"
    at, now = (datetime.fromtimestamp(each, zone) for each in (seconds, time.time()))
    return at.strftime("%H:%M" if at.date() == now.date() else "%m-%d_%H:%M")


def _jobs(node: Settings) -> tuple[list[dict[str, Any]], list[str]]:
    """Return this node's jobs, and what else a person should know of the node: lines."""
    try:
        found = ask_daemon(node, {"verb": "status"})
    except NoDaemonError:
        why = (
            f"No daemon runs on {node.node}: nothing is replicated. Shown is what was recorded last. Start it: "
            "systemctl start zsr"
        )
        return remembered(node), [why]
    return found["jobs"], [f"On {node.node}: {text}." for text in (*of_settings(found), *of_host(found))]


def remembered(node: Settings) -> list[dict[str, Any]]:
    """Return this node's jobs from ``state.db``, without a daemon, in the form of the daemon's answer."""
    from replicator.daemon.job_table import plan_jobs  # noqa: PLC0415
    from replicator.daemon.status import statuses  # noqa: PLC0415
    from replicator.daemon.status_json import job_json  # noqa: PLC0415 - quick start when the daemon answers

    now = time.time()
    cluster = store(node).read()
    refuse_unknown_node(node, cluster)
    with state_to_read(node) as state:
        states = {} if state is None else state.jobs.all()
    plan = plan_jobs(cluster, node.node, states, default_zone=node.timezone, answered={}, now=now)
    return [job_json(job, now) for job in statuses(plan, {}, now)]


def remembered_frozen(node: Settings) -> dict[str, float]:
    """Return since when guests of this node may be frozen (unix time), from ``state.db``, without a daemon."""
    with open_state(node) as state:
        return {str(each.guest): each.since for each in state.hooks.frozen()}


def _row(
    job: dict[str, Any], node: Settings, shown: Callable[[float | None, tzinfo], str] = local_time
) -> tuple[str, ...]:
    next_sync = job["next_sync"]
    coming = "pending" if next_sync is not None and next_sync <= time.time() else shown(next_sync, node.timezone)
    return (
        job["id"],
        "Yes" if job["enabled"] else "No",
        job["target"],
        shown(job["last_sync"], node.timezone),
        coming,
        "-" if job["duration"] is None else f"{job['duration']:.1f}",
        str(job["fail_count"]),
        "-" if job["lag"] is None else compact(job["lag"]),
        compact(job["rpo"]),
        kept(job),
        _state(job, node),
    )


def kept(job: dict[str, Any]) -> str:
    """Return whether the promise is kept; a dash where nothing is promised, or no copy is due yet."""
    return _KEPT[promise_of(job)]


_KEPT = {Promise.NONE: "-", Promise.KEPT: "yes", Promise.AWAITED: "-"} | dict.fromkeys(
    (Promise.COPYING, Promise.BROKEN, Promise.LOST, Promise.UNKNOWN), "NO"
)


def _state(job: dict[str, Any], node: Settings) -> str:
    """Return the state, and whether the last sync is that of a target which the job has no more, as far as is known."""
    unconfirmed = job["last_sync"] is not None and job.get("unconfirmed")
    condition = _disabled(job, node) or _condition(job)
    return f"{condition} (last sync unconfirmed)" if unconfirmed else condition


def _disabled(job: dict[str, Any], node: Settings) -> str:
    """Return for how long a job has been disabled, until when, and whether with a node; empty: it is enabled."""
    if job["enabled"] or job["state"] not in ("removing", "disabled"):
        return ""
    since, until, its_node = (job.get(f"disabled_{key}") for key in ("since", "until", "node"))
    lasted = "" if since is None else f" {compact(max(0.0, time.time() - since) // 60 * 60)}"
    if job["state"] == "removing":
        return f"REMOVING waits{lasted} for: zsr enable{f' --node {its_node}' if its_node else ''}"
    ends = "" if until is None else f" until {local_time(until, node.timezone)}"
    return f"DISABLED{lasted}{ends}{f' with node {its_node}' if its_node else ''}"


def _condition(job: dict[str, Any]) -> str:
    if job["state"] == "error":
        return f"{job['error_class']}: {job['error']}"
    transfer = job["transfer"]
    if transfer and transfer["expected_bytes"] and transfer["transferring"]:
        return f"SYNCING {min(100, 100 * transfer['done_bytes'] // transfer['expected_bytes'])} %"
    return str(job["state"]).upper()
