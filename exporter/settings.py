"""The section ``[exporter]`` of zsr.toml: whether and where the metrics are served."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass

from replicator.plugins import Problem

DEFAULT_LISTEN = "127.0.0.1:9847"
LISTEN_ALLOWED = (
    'an address and a port from 1 to 65535, like "127.0.0.1:9847", "[::1]:9847", or ":9847" for all addresses'
)
_LISTEN = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]/\s]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?", re.ASCII)
_DOTTED_NUMBERS = re.compile(r"[0-9.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where to listen. ``host`` None means all addresses; port 0, which settings cannot ask for, any free port."""

    host: str | None
    port: int

    def __str__(self) -> str:
        if self.host is None:
            return f":{self.port}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Settings:
    """The section as it holds; see docs/metrics.md."""

    listen: Listen
    enabled: bool


def parse_listen(text: str) -> Listen | None:
    """Read ``host:port``, ``[ipv6]:port`` or ``:port``; None for anything else."""
    match = _LISTEN.fullmatch(text)
    if match is None or not 1 <= int(match["port"]) <= 65535:
        return None
    port = int(match["port"])
    if match["six"] is not None:
        return Listen(match["six"], port) if _is_address(match["six"], 6) else None
    host = match["host"]
    if not host:
        return Listen(None, port)
    if _DOTTED_NUMBERS.fullmatch(host):
        return Listen(host, port) if _is_address(host, 4) else None
    return Listen(host, port) if _HOST_NAME.fullmatch(host) else None


def read_settings(section: object) -> Settings | list[Problem]:
    """The settings of a section (None: absent, so all defaults), or everything that is wrong with it."""
    if section is None:
        section = {}
    if not isinstance(section, Mapping):
        return [Problem("", repr(section), "a table with the keys listen and enabled")]
    problems = [
        Problem(str(key), repr(section[key]), "no such key; the keys are listen and enabled")
        for key in section
        if key not in ("listen", "enabled")
    ]
    listen_text, enabled = section.get("listen", DEFAULT_LISTEN), section.get("enabled", True)
    listen = parse_listen(listen_text) if isinstance(listen_text, str) else None
    if listen is None:
        problems.append(Problem("listen", repr(listen_text), LISTEN_ALLOWED))
    if not isinstance(enabled, bool):
        problems.append(Problem("enabled", repr(enabled), "true or false"))
    if problems or listen is None:
        return problems
    return Settings(listen=listen, enabled=enabled)


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
