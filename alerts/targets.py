"""The ``[[notify]]`` tables: where messages go. Reads them, and says all that is wrong with them at once.

A URL is a secret as a whole, so no problem ever shows more of it than its scheme, and only one that apprise knows.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from alerts.routes import ROUTE_KEYS, Route, read_route
from replicator.plugins import Problem

KEYS = ("name", "url", "url_file", "url_env", "enabled", *ROUTE_KEYS)
SOURCES = ("url", "url_file", "url_env")
LONGEST_NAME = 40
"""Characters of a target's name; it is a metric label."""
MOST_TARGETS = 100

_NAME = re.compile(r"[a-z0-9-]{1,40}")
_ENV = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Target:
    """One place messages are sent to; ``url`` is left out of the repr because it is a secret.

    ``key`` is the setting that the URL comes from, like ``0.url_file``; ``route`` says what it is told, and when.
    """

    name: str
    url: str = field(repr=False)
    enabled: bool = True
    key: str = "url"
    route: Route = field(default_factory=Route)


def read_targets(settings: object, environ: Mapping[str, str]) -> tuple[tuple[Target, ...], tuple[Problem, ...]]:
    """The targets of the ``notify`` section and all that is wrong with it (None: the section is absent).

    Reads the files that ``url_file`` names; whether a URL is one that apprise understands is asked elsewhere.
    """
    if settings is None:
        return (), ()
    if not isinstance(settings, list):
        return (), (Problem("", type(settings).__name__, "a list of tables: [[notify]] with name and url"),)
    problems: list[Problem] = []
    if len(settings) > MOST_TARGETS:
        problems.append(Problem("", f"{len(settings)} tables", f"at most {MOST_TARGETS} targets"))
    targets: list[Target] = []
    names: set[str] = set()
    for index, table in enumerate(settings):
        if not isinstance(table, dict):
            problems.append(Problem(f"{index}", type(table).__name__, "a table with name and url"))
            continue
        found = [*_name_problems(index, table, names), *_key_problems(index, table)]
        route, wrong = read_route(f"{index}", table)
        found += wrong
        url = ""
        try:
            url = _url(index, table, environ)
        except _WrongSettingError as error:
            found.append(error.problem)
        problems += found
        if not found:
            source = next(source for source in SOURCES if source in table)
            targets.append(Target(table["name"], url, table.get("enabled", True), f"{index}.{source}", route))
    return tuple(targets), tuple(problems)


class _WrongSettingError(Exception):
    """One wrong setting, on its way to the list of all of them."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


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
    return f"({type(name).__name__}, not shown)"


def _key_problems(index: int, table: dict[str, object]) -> Iterator[Problem]:
    for key in table:
        if key not in KEYS:
            shown = key if re.fullmatch(r"[A-Za-z0-9_-]{1,40}", key) else "(unknown key)"
            yield Problem(f"{index}.{shown}", "(not shown)", f"only the keys {', '.join(KEYS)}")
    enabled = table.get("enabled", True)
    if not isinstance(enabled, bool):
        yield Problem(f"{index}.enabled", f"({type(enabled).__name__})", "true or false")


def _url(index: int, table: dict[str, object], environ: Mapping[str, str]) -> str:
    given = [key for key in SOURCES if key in table]
    if len(given) != 1:
        shown = " and ".join(given) or "(missing)"
        raise _WrongSettingError(Problem(f"{index}.url", shown, "exactly one of url, url_file and url_env"))
    source = given[0]
    key, value = f"{index}.{source}", table[source]
    if not isinstance(value, str) or not value.strip():
        raise _WrongSettingError(Problem(key, f"(empty or {type(value).__name__})", "a string"))
    if source == "url":
        return value.strip()
    if "://" in value:
        raise _WrongSettingError(Problem(key, "(a URL, not shown)", "not the URL itself; that goes into url"))
    return _from_environment(key, value, environ) if source == "url_env" else _from_file(key, value)


def _from_environment(key: str, variable: str, environ: Mapping[str, str]) -> str:
    if not _ENV.fullmatch(variable):
        raise _WrongSettingError(Problem(key, "(not shown)", "the name of an environment variable"))
    value = environ.get(variable, "").strip()
    if not value:
        raise _WrongSettingError(Problem(key, variable, "an environment variable of the daemon that is set, not empty"))
    return value


def _from_file(key: str, name: str) -> str:
    path = Path(name)
    if not path.is_absolute():
        raise _WrongSettingError(Problem(key, name, "an absolute path"))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a path"
        raise _WrongSettingError(Problem(key, name, f"a file that zsr can read ({reason})")) from None
    with os.fdopen(descriptor, "rb") as file:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            raise _WrongSettingError(Problem(key, name, "a plain file"))
        if facts.st_mode & 0o007:
            mode = f"{stat.S_IMODE(facts.st_mode):04o}"
            allowed = "a file that others cannot read, because it holds a secret: chmod 0600"
            raise _WrongSettingError(Problem(key, f"{name} (mode {mode})", allowed))
        content = file.read(65536)
    try:
        lines = [line.strip() for line in content.decode().splitlines() if line.strip()]
    except UnicodeDecodeError:
        lines = []
    if len(lines) != 1:
        raise _WrongSettingError(Problem(key, name, "a file with one line of text: the URL"))
    return lines[0]
