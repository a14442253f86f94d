"""Sockets inside a network namespace, for a test whose own process stays outside of it.

A socket always belongs to the namespace in which it was made, and a namespace is a property of a thread: so a
short-lived thread enters, makes the socket and ends, and the test's own threads never leave home.
"""

from __future__ import annotations

import ctypes
import http.client
import os
import socket
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

_CLONE_NEWNET = 0x40000000
T = TypeVar("T")


class HttpStatusError(AssertionError):
    """The server answered, with a status of 400 or more."""


@dataclass(frozen=True, slots=True)
class Namespace:
    """The network namespace at ``path``, e.g. ``/run/netns/zsr-1``."""

    path: Path

    def call(self, action: Callable[[], T]) -> T:
        """What ``action`` returns when a thread inside the namespace calls it.

        Raises:
            OSError: the namespace is gone, or may not be entered (needs root); and whatever ``action`` raises.
        """

        def enter_and_act() -> T:
            descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                libc = ctypes.CDLL(None, use_errno=True)  # os.setns comes with Python 3.12
                if libc.setns(descriptor, _CLONE_NEWNET) != 0:
                    number = ctypes.get_errno()
                    raise OSError(number, f"cannot enter the network namespace: {os.strerror(number)}", str(self.path))
            finally:
                os.close(descriptor)
            return action()

        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="namespace") as inside:
            return inside.submit(enter_and_act).result()

    def listen(self, host: str, port: int) -> socket.socket:
        """A TCP socket that listens at ``host:port`` (0: any free port); the caller closes it."""
        return self.call(lambda: socket.create_server((host, port), backlog=64))

    def connect(self, host: str, port: int, *, timeout: float = 10.0) -> socket.socket:
        """A TCP socket connected to ``host:port``; the caller closes it.

        Raises:
            OSError: refused, unreachable, or no answer within ``timeout`` seconds.
        """
        return self.call(lambda: socket.create_connection((host, port), timeout=timeout))

    def http_get(self, url: str, *, headers: dict[str, str] | None = None, timeout: float = 10.0) -> str:
        """The body that an HTTP server inside answers to ``GET url``.

        Raises:
            HttpStatusError: the status was 400 or more.
            OSError: no connection, or no answer within ``timeout`` seconds.
        """
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError(f"url is {url!r}; allowed is http://HOST[:PORT]/PATH")
        connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=timeout)
        connection.sock = self.connect(parts.hostname, parts.port or 80, timeout=timeout)
        try:
            connection.request(
                "GET", f"{parts.path or '/'}{'?' + parts.query if parts.query else ''}", headers=headers or {}
            )
            answer = connection.getresponse()
            body = answer.read().decode()
        finally:
            connection.close()
        if answer.status >= http.client.BAD_REQUEST:
            raise HttpStatusError(f"GET {url}: {answer.status} {answer.reason}: {body[:500]}")
        return body
