"""``zsr doctor``: what is set up wrongly, here and on the other nodes, and what to do. Changes nothing."""

from __future__ import annotations

import asyncio
import os
import sys
import textwrap
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from itertools import groupby
from pathlib import Path

import click

from replicator.api.doctor import Level, Line, worst
from replicator.cli.context import config_option, config_path, store
from replicator.cli.output import format_option, print_json
from replicator.cluster.model import Cluster
from replicator.config.settings import Settings, load_settings
from replicator.doctor import service
from replicator.doctor.examination import Wishes, examine
from replicator.doctor.settings_problems import settings_problems
from replicator.errors import ConfigError

EXIT = {Level.OK: 0, Level.WARN: 1, Level.FAIL: 2, Level.UNKNOWN: 3}
"""The exit statuses, which are those of ``zsr check``."""

WIDTH = 80
"""Columns of the output."""

_SHOWN = {Level.OK: "ok", Level.OFF: "-", Level.UNKNOWN: "unknown", Level.WARN: "warn", Level.FAIL: "FAIL"}
_COLOURS = {Level.OK: "green", Level.UNKNOWN: "yellow", Level.WARN: "yellow", Level.FAIL: "red"}
_LEVEL_WIDTH, _CHECK_WIDTH = 7, 12
_INDENT = " " * (2 + _LEVEL_WIDTH + 2 + _CHECK_WIDTH + 2)
_SCHEMA = 1
"""The version of the JSON; it goes up when a key changes its meaning or goes."""


@click.command()
@click.argument("nodes", metavar="[NODE]...", nargs=-1)
@click.option("--prometheus", metavar="URL", help="Ask this Prometheus (default: doctor.prometheus of zsr.toml).")
@click.option("--send", is_flag=True, help="Send a real test message through each [[notify]] target.")
@click.option(
    "--timeout",
    type=click.FloatRange(min=1, max=3600),
    default=20.0,
    show_default=True,
    metavar="SECONDS",
    help="Longest time for each check.",
)
@click.option("--quiet", "-q", is_flag=True, help="Only what is not well.")
@format_option
@config_option
def doctor(nodes: tuple[str, ...], prometheus: str | None, send: bool, timeout: float, quiet: bool, form: str) -> None:
    """Look for what is set up wrongly, on this node and on all others, or on NODE. Changes nothing.

    Exit status: 0 nothing found, 1 warnings, 2 failures (or wrong use), 3 something could not be looked at.
    """
    if prometheus is not None and not prometheus.startswith(("http://", "https://")):
        raise ConfigError("--prometheus is no URL.", advice="For example: --prometheus http://mon.example.org:9090")
    wishes = Wishes(nodes, prometheus, send=send, limit=timeout)
    node, lines, addresses = look(config_path(), wishes)
    level = worst(lines)
    if form == "json":
        print_json(_document(node, lines))
    else:
        for text in rendered(lines, node, addresses, quiet=quiet, colours=sys.stdout.isatty()):
            click.echo(text)
    click.get_current_context().exit(EXIT[level])


def look(path: Path, wishes: Wishes) -> tuple[str, list[Line], Mapping[str, str]]:
    """Return this node's name, all lines, and the addresses of the nodes."""
    problems = settings_problems(path)
    node, cluster = _readable(path)
    name = os.uname().nodename if node is None else node.node
    hidden = [each for each in (path, *([] if node is None else [node.cluster.path])) if _is_hidden(each)]
    if hidden:
        settings = service.hidden_settings(name, hidden)
    else:
        settings = service.settings(name, problems, "" if node is None else f"{node.path} and {node.cluster.path}")
    if node is None:
        return name, settings, {}
    addresses = {} if cluster is None else {each.name: each.address for each in cluster.nodes.values()}
    return name, [*settings, *asyncio.run(examine(node, cluster, wishes))], addresses


def _is_hidden(path: Path) -> bool:
    """Return whether this user may not read a file."""
    try:
        return path.exists() and not os.access(path, os.R_OK)
    except PermissionError:
        return True


def _readable(path: Path) -> tuple[Settings | None, Cluster | None]:
    """Return the settings and the cluster as far as they are right."""
    try:
        node = load_settings(path)
    except ConfigError:
        return None, None
    try:
        cluster = store(node).read()
    except ConfigError:
        return node, None
    return node, cluster if node.node in cluster.nodes else None


def _document(node: str, lines: Sequence[Line]) -> dict[str, object]:
    level = worst(lines)
    return {
        "schema": _SCHEMA,
        "node": node,
        "time": time.time(),
        "level": str(level),
        "exit": EXIT[level],
        "counts": {str(each): sum(line.level is each for line in lines) for each in Level},
        "lines": [{**asdict(line), "level": str(line.level)} for line in lines],
    }


def rendered(
    lines: Sequence[Line], here: str, addresses: Mapping[str, str], *, quiet: bool = False, colours: bool = False
) -> Iterator[str]:
    """Yield the lines of text for a terminal; nodes in the order in which they come."""
    shown = [line for line in lines if not quiet or line.level not in (Level.OK, Level.OFF)]
    for node, its in groupby(sorted(shown, key=lambda line: _rank(lines, line.node)), key=lambda line: line.node):
        address = addresses.get(node, "")
        yield f"{node} ({'this node' if node == here else address})"
        for group in _folded(list(its)):
            yield from _row(group, colours=colours)
        yield ""
    yield from textwrap.wrap(summary(lines), WIDTH)


def _rank(lines: Sequence[Line], node: str) -> int:
    return next(number for number, line in enumerate(lines) if line.node == node)


def _folded(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """Yield the lines; those that were not looked at for the same reason together, where the first of them is."""
    seen: set[tuple[str, str]] = set()
    for line in lines:
        key = (line.text, line.advice)
        if line.level not in (Level.UNKNOWN, Level.OFF):
            yield [line]
        elif key not in seen:
            seen.add(key)
            yield [each for each in lines if each.level is line.level and (each.text, each.advice) == key]


def _row(group: Sequence[Line], *, colours: bool) -> Iterator[str]:
    line = group[0]
    level = f"{_SHOWN[line.level]:<{_LEVEL_WIDTH}}"
    if colours and line.level in _COLOURS:
        level = click.style(level, fg=_COLOURS[line.level], bold=line.level is Level.FAIL)
    text = _wrapped(line.text)
    if len(group) == 1:
        yield f"  {level}  {line.check:<{_CHECK_WIDTH}}  {text[0] if text else ''}".rstrip()
        yield from (f"{_INDENT}{each}" for each in text[1:])
    else:
        names = textwrap.wrap(", ".join(each.check for each in group), WIDTH - 11)
        yield f"  {level}  {names[0]}"
        yield from (f"{' ' * 11}{each}" for each in names[1:])
        yield from (f"{_INDENT}{each}" for each in text)
    yield from (f"{_INDENT}{each}" for each in _wrapped(f"-> {line.advice}" if line.advice else ""))


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH - len(_INDENT), break_on_hyphens=False, break_long_words=False)


def summary(lines: Iterable[Line]) -> str:
    """Return the last line: how many of which level."""
    counts = Counter(line.level for line in lines)
    if not counts.keys() & {Level.FAIL, Level.WARN, Level.UNKNOWN}:
        return f"{counts[Level.OK]} ok. Nothing is wrong, as far as zsr doctor can see."
    words = {Level.FAIL: "failure", Level.WARN: "warning", Level.UNKNOWN: "unknown", Level.OK: "ok"}
    parts = [
        f"{counts[level]} {word}{'s' if counts[level] != 1 and level in (Level.FAIL, Level.WARN) else ''}"
        for level, word in words.items()
        if counts[level]
    ]
    return f"{', '.join(parts)}. What each line means: docs/doctor.md"
