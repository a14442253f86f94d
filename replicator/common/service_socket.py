"""Notifications to systemd: ready, alive, reloading, stopping (sd_notify(3), without its library).

Under a unit with ``Type=notify`` and ``WatchdogSec=`` systemd kills and starts a daemon that has not said for so long
that it is alive. Without systemd nothing is sent.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import MutableMapping
from dataclasses import dataclass

_log = logging.getLogger("zsr.daemon")

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
HOOK_SOCKET = "ZSR_HOOK_SOCKET"
"""The variable of ``zsr.service`` that names the socket of ``zsr-hook.socket``."""


@dataclass(frozen=True, slots=True)
class ServiceSocket:
    """The socket on which systemd listens; ``address`` None: there is none. ``@`` begins an abstract address.

    ``hooks``: the socket at which systemd starts the unit of a hook (`replicator.hosts.hook_unit`), if there is one.
    """

    address: str | None = None
    hooks: str | None = None

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str]) -> ServiceSocket:
        """Return what the environment names, and remove it there: hooks and zfs are no services."""
        address, hooks = environ.get("NOTIFY_SOCKET"), environ.get(HOOK_SOCKET)
        for name in (*VARIABLES, HOOK_SOCKET):
            environ.pop(name, None)
        return cls(address or None, hooks or None)

    def ready(self) -> None:
        """Report that the daemon works."""
        self._send("READY=1")

    def alive(self) -> None:
        """Report that the daemon is not stuck; to be called more often than every half ``WatchdogSec``."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Report that the settings are read again; `ready` ends that."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Report that the daemon was asked to stop."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(), address)
        except OSError as error:  # systemd is being replaced, or its queue is full: the next one comes in seconds
            _log.warning("Could not notify systemd (%s): %s", text.partition("\n")[0], error)
