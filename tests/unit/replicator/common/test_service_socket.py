"""Notifications to systemd, on a real socket."""

from __future__ import annotations

import logging
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from replicator.common.service_socket import ServiceSocket


@contextmanager
def systemd(address: str) -> Iterator[socket.socket]:
    """Systemd's side of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(10)
        yield listener


def test_ready_and_alive_arrive(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with systemd(address) as listener:
        service = ServiceSocket(address)
        service.ready()
        service.alive()
        assert [listener.recv(100), listener.recv(100)] == [b"READY=1", b"WATCHDOG=1"]


def test_an_abstract_address_begins_with_an_at_sign() -> None:
    name = f"zsr-test-{secrets.token_hex(8)}"
    with systemd(f"\0{name}") as listener:
        ServiceSocket(f"@{name}").alive()
        assert listener.recv(100) == b"WATCHDOG=1"


def test_it_is_taken_out_of_the_environment_so_that_no_child_sees_it() -> None:
    environ = {"NOTIFY_SOCKET": "/run/notify", "WATCHDOG_USEC": "600000000", "WATCHDOG_PID": "7", "PATH": "/bin"}
    assert ServiceSocket.taken_from(environ) == ServiceSocket("/run/notify")
    assert environ == {"PATH": "/bin"}


def test_a_reload_and_the_stop_are_reported(tmp_path: Path) -> None:
    address = str(tmp_path / "notify")
    with systemd(address) as listener:
        ServiceSocket(address).reloading()
        ServiceSocket(address).stopping()
        first, _, when = listener.recv(100).decode().partition("\n")
        assert (first, listener.recv(100)) == ("RELOADING=1", b"STOPPING=1")
    assert abs(int(when.removeprefix("MONOTONIC_USEC=")) / 1e6 - time.monotonic()) < 60


def test_the_socket_of_hooks_is_what_the_unit_names() -> None:
    environ = {"ZSR_HOOK_SOCKET": "/run/zsr-hook.sock"}
    assert ServiceSocket.taken_from(environ) == ServiceSocket(None, "/run/zsr-hook.sock")
    assert environ == {}


def test_without_systemd_nothing_is_sent() -> None:
    service = ServiceSocket.taken_from({})
    assert service == ServiceSocket(None)
    service.ready()
    service.alive()


def test_a_systemd_that_does_not_listen_is_logged_and_no_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        ServiceSocket(str(tmp_path / "gone")).alive()
    assert "Could not notify systemd (WATCHDOG=1)" in caplog.text
