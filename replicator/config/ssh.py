"""How this node connects to others. On its own, so that who reads settings need not import an SSH library."""

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
