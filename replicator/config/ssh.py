"""How this node connects to others. In a module of its own, so that reading settings imports no SSH library."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SshSettings:
    """How this node connects to others. None stands for the library's default (``~/.ssh``)."""

    known_hosts: str | None = None
    keys: tuple[str, ...] = ()
    agent: bool = True
    connect_timeout: float = 10.0
    keepalive: float = 15.0
