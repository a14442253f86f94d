"""Reading TOML, the types of settings' fields, and all problems of a file as one error."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, get_args

from pydantic import AfterValidator, BaseModel, BeforeValidator, ValidationError

from replicator.api.problem import Problem
from replicator.common.durations import parse_duration
from replicator.common.files import advice_of, open_to_read, read_whole
from replicator.common.timezones import zone
from replicator.config.plain_words import allowed_by
from replicator.config.toml_text import NotTomlError, parse_toml
from replicator.display import shortened
from replicator.errors import ConfigError, UnreadableError

_LONGEST_PATH_SHOWN = 200
_LONGEST_SOCKET_PATH = 107  # unix(7): sun_path holds 108 bytes with the end


NODE_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


class SettingsError(ConfigError):
    """A file of settings is wrong; ``problems`` holds all its problems.

    ``heading`` stands above them; by default it names the file and their number.
    """

    def __init__(self, path: Path, problems: Sequence[Problem], heading: str = "") -> None:
        lines = "".join(f"\n  {problem}" for problem in problems)
        heading = heading or f"{path}: {len(problems)} wrong setting{'s' if len(problems) > 1 else ''}:"
        super().__init__(f"{heading}{lines}")
        self.path = path
        self.problems = tuple(problems)


def _duration(value: object) -> float:
    return parse_duration(value)


def _zone_name(value: str) -> str:
    zone(value)
    return value


def _node_name(value: str) -> str:
    if not re.fullmatch(NODE_NAME, value, re.ASCII):
        raise ValueError("letters, digits and hyphens, beginning and ending with a letter or digit")
    return value


def _absolute(value: str) -> str:
    if not Path(value).is_absolute():
        raise ValueError("an absolute path, beginning with '/'")
    return value


def _socket_path(value: str) -> str:
    if len(os.fsencode(_absolute(value))) > _LONGEST_SOCKET_PATH:
        raise ValueError(f"a path of at most {_LONGEST_SOCKET_PATH} bytes, since it is that of a unix socket")
    return value


Duration = Annotated[float, BeforeValidator(_duration)]


def _moment(value: object) -> float:
    if not isinstance(value, datetime) or value.tzinfo is None:
        raise ValueError("a date and time with its zone and without quotes, like 2027-01-15T08:00:00Z")
    return value.timestamp()


Moment = Annotated[float, BeforeValidator(_moment)]
"""A time in TOML, as unix time."""


NodeName = Annotated[str, AfterValidator(_node_name)]


SocketPath = Annotated[str, AfterValidator(_socket_path)]


HomePath = Annotated[str, AfterValidator(os.path.expanduser)]


AbsolutePath = Annotated[str, AfterValidator(_absolute)]


ZoneName = Annotated[str, AfterValidator(_zone_name)]


def read_toml(path: Path, hint: str) -> dict[str, object]:
    """Return a TOML file as plain values; raises ConfigError with advice if there is none, or with the wrong place."""
    try:
        with open_to_read(path) as file:
            return parse_toml(read_whole(file))
    except FileNotFoundError:
        raise ConfigError(f"There is no file {_quoted(path)}.", advice=hint) from None
    except OSError as error:
        raise UnreadableError(f"Could not read {_quoted(path)}: {error.strerror}.", advice=advice_of(error)) from error
    except NotTomlError as error:
        raise ConfigError(f"{_quoted(path)} is {error}.", advice="Nothing was changed.") from error


def _quoted(path: Path) -> str:
    return f"'{shortened(str(path), _LONGEST_PATH_SHOWN)}'"


def problems_of(error: ValidationError, model: type[BaseModel], *, also: Iterable[str] = ()) -> list[Problem]:
    """Return pydantic's errors as problems; an unknown key is reported with the known one that it resembles.

    The value of an unknown key is not shown: it may be a misspelt section of a plugin, and hold secrets.

    Args:
        error: pydantic's errors.
        model: the model that the values were checked against.
        also: further keys that may stand at the top.
    """
    problems = []
    for detail in error.errors(include_url=False):
        key = ".".join(str(part) for part in detail["loc"])
        match detail["type"]:
            case "extra_forbidden":
                known = _known_keys(model, detail["loc"][:-1]) + (list(also) if len(detail["loc"]) == 1 else [])
                problems.append(Problem(key, "...", f"unknown key; {_hint(detail['loc'], known, model)}"))
            case "missing":
                problems.append(Problem(key, "(missing)", "this key is required"))
            case _:
                problems.append(Problem(key, shown(detail["input"]), allowed_by(detail)))
    return problems


def _hint(place: Sequence[int | str], known: Sequence[str], model: type[BaseModel]) -> str:
    """Return what an unknown key may have been; for one of the top, where it has to stand."""
    if close := get_close_matches(str(place[-1]), known, n=1):
        return f"did you mean '{close[0]}'?"
    top = get_close_matches(str(place[-1]), [*model.model_fields], n=1) if len(place) > 1 else []
    if top:
        return f"'{top[0]}' has to stand above the first section, and this is in [{'.'.join(map(str, place[:-1]))}]"
    return f"known: {', '.join(sorted(known))}"


def shown(value: object) -> str:
    """Return a wrong value for a message: text and numbers as they are, cut when long; of the rest only the kind."""
    if isinstance(value, dict | list | tuple):
        return kind_of(value)
    text = str(value).lower() if isinstance(value, bool) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _known_keys(model: type[BaseModel], place: Sequence[int | str]) -> list[str]:
    """Return the keys that a model allows at a place inside it; numbers in a place are those of a list's entries."""
    for part in place:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        kinds = [] if field is None else [field.annotation, *get_args(field.annotation)]
        inner = next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def kind_of(value: object) -> str:
    """Return what kind of value something is in TOML, for a message that must not show the value itself."""
    kinds = {dict: "(a table)", list: "(a list)", tuple: "(a list)", str: "(a text)", bool: "(true or false)"}
    return kinds.get(type(value), "(a number)" if isinstance(value, int | float) else "(a time)")
