"""Notifications to systemd: ready, and alive (sd_notify(3), without its library).

Under a unit with ``Type=notify`` and ``WatchdogSec=`` systemd kills and starts a daemon that has not said for so long
that it is alive. Without systemd nothing is sent.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import MutableMapping
from dataclasses import dataclass

_log = logging.getLogger("zsr.daemon")

VARIABLES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


@dataclass(frozen=True, slots=True)
class ServiceSocket:
    """The socket on which systemd listens; ``address`` None: there is none. ``@`` begins an abstract address."""

    address: str | None = None

    @classmethod
    def taken_from(cls, environ: MutableMapping[str, str]) -> ServiceSocket:
        """Return the socket that the environment names, and remove it there: hooks and zfs are no services."""
        address = environ.get("NOTIFY_SOCKET")
        for name in VARIABLES:
            environ.pop(name, None)
        return cls(address or None)

    def ready(self) -> None:
        """Report that the daemon works."""
        self._send("READY=1")

    def alive(self) -> None:
        """Report that the daemon is not stuck; to be called more often than every half ``WatchdogSec``."""
        self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if self.address is None:
            return
        address = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.setblocking(False)
                sender.sendto(text.encode(), address)
        except OSError as error:  # systemd is being replaced, or its queue is full: the next one comes in seconds
            _log.warning("Could not notify systemd (%s): %s", text, error)
