"""The section ``[exporter]`` of zsr.toml: listening addresses, access, service discovery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from exporter.addresses import LISTEN_ALLOWED, Address, Listen, parse_listen
from exporter.service_discovery import SD_TARGET_ALLOWED, is_sd_target
from replicator.api.problem import Problem

DEFAULT_PORT = 9847
DEFAULT_LISTEN = f"127.0.0.1:{DEFAULT_PORT}"
KEYS = ("enabled", "listen", "sd_target", "web_config")


@dataclass(frozen=True, slots=True)
class Settings:
    """The section as it holds; see docs/metrics.md."""

    listen: tuple[Address, ...] = (Listen("127.0.0.1", DEFAULT_PORT),)
    enabled: bool = True
    web_config: Path | None = None
    sd_target: str | None = None


def read_settings(section: object) -> Settings | list[Problem]:
    """The settings of a section (None: absent, so all defaults), or everything that is wrong with it."""
    if section is None:
        section = {}
    if not isinstance(section, Mapping):
        return [Problem("", repr(section), f"a table with the keys {', '.join(KEYS)}")]
    problems = [
        Problem(str(key), repr(section[key]), f"no such key; the keys are {', '.join(KEYS)}")
        for key in section
        if key not in KEYS
    ]
    listen = _read_listen(section.get("listen", DEFAULT_LISTEN), problems)
    enabled = section.get("enabled", True)
    if not isinstance(enabled, bool):
        problems.append(Problem("enabled", repr(enabled), "true or false"))
    path = section.get("web_config")
    if path is not None and not (isinstance(path, str) and path.startswith("/") and "\0" not in path):
        problems.append(Problem("web_config", repr(path), "an absolute path"))
    sd_target = section.get("sd_target")
    if sd_target is not None and not (isinstance(sd_target, str) and is_sd_target(sd_target)):
        problems.append(Problem("sd_target", repr(sd_target), SD_TARGET_ALLOWED))
    if problems:
        return problems
    return Settings(listen, enabled, Path(path) if path else None, sd_target)


def _read_listen(value: object, problems: list[Problem]) -> tuple[Address, ...]:
    """The addresses of a text or of a list of texts; what is wrong is added to the problems."""
    texts = value if isinstance(value, list) else [value]
    if not texts:
        problems.append(Problem("listen", "[]", f'{LISTEN_ALLOWED}; to serve nothing: "enabled = false"'))
    found: list[Address] = []
    for text in texts:
        address = parse_listen(text) if isinstance(text, str) else None
        if address is None:
            problems.append(Problem("listen", repr(text), LISTEN_ALLOWED))
        elif address in found:
            problems.append(Problem("listen", repr(text), "each address once"))
        else:
            found.append(address)
    return tuple(found)
