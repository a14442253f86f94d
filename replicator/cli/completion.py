"""Completion at a shell: its scripts, and what of the cluster file completes an argument. Imports little, to be fast.

A cluster file that is missing, wrong or out of reach completes nothing, and says nothing.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem, get_completion_class

SHELLS = ("bash", "zsh", "fish")
VARIABLE = "_ZSR_COMPLETE"
"""The variable by which the scripts ask `zsr` for words."""

_SETTINGS, _CLUSTER = "/etc/zsr/zsr.toml", "/etc/zsr/cluster.toml"

Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def script(command: click.Command, shell: str) -> str:
    """Return the script that lets a shell complete ``zsr``."""
    kind = get_completion_class(shell)
    assert kind is not None  # noqa: S101 - of SHELLS
    made = kind(command, {}, "zsr", VARIABLE)
    return made.source_template % made.source_vars()


def job_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a job's id; shown with it: guest and target."""
    cluster = _cluster(ctx)
    guests, jobs = _guests(cluster), _table(cluster, "jobs")
    return _items(((job, _described(job, jobs[job], guests)) for job in jobs), incomplete)


def new_job_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete the id of a job that is to be created: each guest with its first free number."""
    cluster = _cluster(ctx)
    guests, jobs = _guests(cluster), _table(cluster, "jobs")
    free = ((guest, next(n for n in range(len(jobs) + 1) if f"{guest}-{n}" not in jobs)) for guest in guests)
    return _items(((f"{guest}-{n}", str(_table(guests, guest).get("name", ""))) for guest, n in free), incomplete)


def node_names(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a node's name; shown with it: its address."""
    known = _table(_cluster(ctx), "nodes")
    return _items(((name, str(_table(known, name).get("address", ""))) for name in known), incomplete)


def targets(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a node that a guest can be replicated to: not its own, as far as the command line names the guest."""
    cluster = _cluster(ctx)
    given = str(ctx.params.get("guest_id") or str(ctx.params.get("job_id") or "").rpartition("-")[0])
    own = _table(_guests(cluster), given).get("node")
    return [each for each in node_names(ctx, parameter, incomplete) if each.value != own]


def guest_ids(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Complete a guest's id; shown with it: its name."""
    guests = _guests(_cluster(ctx))
    return _items(((guest, str(_table(guests, guest).get("name", ""))) for guest in guests), incomplete)


def _guests(cluster: Mapping[str, Any]) -> Mapping[str, Any]:
    return {**_table(cluster, "guests"), **_table(cluster, "groups")}


def _described(job: str, entry: object, guests: Mapping[str, Any]) -> str:
    name = _table(guests, job.rpartition("-")[0]).get("name", "")
    target = entry.get("target", "") if isinstance(entry, Mapping) else ""
    return f"{name} to {target}".strip()


def _items(known: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(value, help=text or None) for value, text in sorted(known) if value.startswith(incomplete)]


def _cluster(ctx: click.Context) -> Mapping[str, Any]:
    given = ctx.find_root().params.get("config") or os.environ.get("ZSR_CONFIG") or _SETTINGS
    return _read(str(_table(_read(str(given)), "cluster").get("path", _CLUSTER)))


def _read(path: str) -> Mapping[str, Any]:
    try:
        return tomllib.loads(Path(path).read_text())
    except (OSError, ValueError):
        return {}


def _table(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}
