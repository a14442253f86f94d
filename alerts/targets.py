"""The ``[[notify]]`` tables: where messages go. Reads them, and returns all their problems at once.

A URL is a secret as a whole, so no problem ever shows more of it than its scheme.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from alerts.channels.alertmanager import AlertmanagerSettings
from alerts.channels.settings import CHANNEL_KEYS, KIND_KEYS, ChannelConfig, PingSettings, read_channel
from alerts.routing.routes import ROUTE_KEYS, Route, read_route
from replicator.api.problem import Problem
from replicator.config.problems import kind_of

KEYS = ("name", "enabled", *CHANNEL_KEYS, *ROUTE_KEYS)
LONGEST_NAME = 40
"""Characters of a target's name; it is a metric label."""
MOST_TARGETS = 100

_NAME = re.compile(r"[a-z0-9-]{1,40}")


@dataclass(frozen=True, slots=True)
class Target:
    """One place that messages are sent to.

    ``key`` is the setting that names its channel, like ``0.url_file``; ``route`` selects what is sent to it, and when.
    """

    name: str
    channel: ChannelConfig
    enabled: bool = True
    key: str = "url"
    route: Route = field(default_factory=Route)

    @property
    def gets_messages(self) -> bool:
        """Whether it gets messages; a target of pings does not."""
        return not isinstance(self.channel, PingSettings)


def read_targets(settings: object, environ: Mapping[str, str]) -> tuple[tuple[Target, ...], tuple[Problem, ...]]:
    """The targets of the ``notify`` section and its problems (None: the section is absent).

    Reads the files of secrets; whether apprise understands a URL is checked elsewhere.
    """
    if settings is None:
        return (), ()
    if not isinstance(settings, list):
        return (), (Problem("", kind_of(settings), "a list of tables: [[notify]] with name and url"),)
    problems: list[Problem] = []
    if len(settings) > MOST_TARGETS:
        problems.append(Problem("", f"{len(settings)} tables", f"at most {MOST_TARGETS} targets"))
    targets: list[Target] = []
    names: set[str] = set()
    for index, table in enumerate(settings):
        if not isinstance(table, dict):
            problems.append(Problem(f"{index}", kind_of(table), "a table with name and url"))
            continue
        found = [*_name_problems(index, table, names), *_key_problems(index, table)]
        route, wrong = read_route(f"{index}", table)
        # Alertmanager groups and inhibits by itself, so it gets each broken promise.
        route = replace(route, every_promise="alertmanager" in table)
        found += wrong
        channel, wrong = read_channel(table, environ)
        found += [replace(problem, key=f"{index}.{problem.key}") for problem in wrong]
        if isinstance(channel, PingSettings):
            found += _ping_problems(index, table)
        if isinstance(channel, AlertmanagerSettings) and "heartbeat" in table:
            found.append(Problem(f"{index}.heartbeat", "...", "not together with alertmanager, which gets only alerts"))
        problems += found
        if channel is not None and not found:
            source = next(source for source in KIND_KEYS if source in table)
            targets.append(Target(table["name"], channel, table.get("enabled", True), f"{index}.{source}", route))
    return tuple(targets), tuple(problems)


def _name_problems(index: int, table: dict[str, object], names: set[str]) -> Iterator[Problem]:
    name = table.get("name")
    allowed = f"a name of a-z, 0-9 and '-', at most {LONGEST_NAME} characters"
    if name is None:
        yield Problem(f"{index}.name", "(missing)", allowed)
    elif not isinstance(name, str) or not _NAME.fullmatch(name):
        yield Problem(f"{index}.name", _shown_name(name), allowed)
    elif name in names:
        yield Problem(f"{index}.name", name, "a name that no other target has")
    else:
        names.add(name)


def _shown_name(name: object) -> str:
    # A URL that slipped into the wrong key is still a secret.
    if isinstance(name, str) and "://" not in name and len(name) <= LONGEST_NAME:
        return repr(name)
    return f"{kind_of(name)[:-1]}, not shown)"


def _key_problems(index: int, table: dict[str, object]) -> Iterator[Problem]:
    for key in table:
        if key not in KEYS:
            shown = key if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", key) else "(unknown key)"
            yield Problem(f"{index}.{shown}", "(not shown)", f"only the keys {', '.join(KEYS)}")
    enabled = table.get("enabled", True)
    if not isinstance(enabled, bool):
        yield Problem(f"{index}.enabled", kind_of(enabled), "true or false")


def _ping_problems(index: int, table: dict[str, object]) -> Iterator[Problem]:
    """The problems of keys that mean nothing for pings, which report each run when it ends."""
    for key in ("quiet", "repeat", "digest", "heartbeat"):
        if key in table:
            yield Problem(f"{index}.{key}", "...", "not together with ping, which reports every run")
    match = table.get("match")
    for key in ("severity", "event"):
        if isinstance(match, dict) and key in match:
            yield Problem(f"{index}.match.{key}", "...", "not together with ping, which reports every run")
