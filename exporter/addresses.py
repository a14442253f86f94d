"""The addresses that the exporter listens on, as in the settings: TCP, unix sockets, and sockets of systemd.

Pure; `exporter.listeners` makes sockets of them.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

LISTEN_ALLOWED = (
    'an address and a port from 1 to 65535, like "127.0.0.1:9847", "[::1]:9847", or ":9847" for all addresses; '
    '"unix:" and the absolute path of a socket, like "unix:/run/zsr/exporter.sock"; "systemd" for the sockets of '
    "zsr-exporter.socket; or a list of these"
)
UNIX_PATH_BYTES = 107
"""The longest path of a unix socket on Linux (unix(7))."""

_LISTEN = re.compile(r"(?:\[(?P<six>[^\[\]]+)\]|(?P<host>[^:\[\]/\s]*)):(?P<port>[0-9]{1,5})", re.ASCII)
_HOST_NAME = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?<!-)(\.(?!-)[A-Za-z0-9-]{1,63}(?<!-))*\.?", re.ASCII)
_DOTTED_NUMBERS = re.compile(r"[0-9.]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class Listen:
    """A TCP address. ``host`` None means all addresses. Port 0 means any free port; settings cannot ask for it."""

    host: str | None
    port: int

    def __str__(self) -> str:
        return f"{bracketed(self.host or '')}:{self.port}"


@dataclass(frozen=True, slots=True)
class UnixListen:
    """The absolute path of a unix socket."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class Activated:
    """The sockets that systemd listens on and hands over (sd_listen_fds(3))."""

    def __str__(self) -> str:
        return "systemd"


Address = Listen | UnixListen | Activated


def bracketed(host: str) -> str:
    """A host as it stands before a colon and a port."""
    return f"[{host}]" if ":" in host else host


def parse_listen(text: str) -> Address | None:
    """Read one address; None for what is none."""
    if text == "systemd":
        return Activated()
    if text.startswith("unix:"):
        return _unix(text.removeprefix("unix:"))
    return _tcp(text)


def _unix(path: str) -> UnixListen | None:
    try:
        fits = len(path.encode()) <= UNIX_PATH_BYTES
    except UnicodeEncodeError:
        return None
    return UnixListen(path) if path.startswith("/") and path.strip("/") and "\0" not in path and fits else None


def _tcp(text: str) -> Listen | None:
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


def _is_address(text: str, version: int) -> bool:
    try:
        return ipaddress.ip_address(text).version == version
    except ValueError:
        return False
