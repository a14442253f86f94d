"""The listening sockets of the exporter: TCP, unix, or passed by systemd.

They are opened here rather than by the server, because a server that speaks TLS is replaced when its certificate
is: the socket stays, so that no client is refused meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from exporter.addresses import Activated, Address, Listen, UnixListen
from replicator.common.unix_socket import bound_socket, is_socket
from replicator.errors import ConfigError

FIRST_PASSED = 3
"""The first file descriptor that systemd hands over (sd_listen_fds(3))."""

UNIX_MODE = 0o660
BACKLOG = 128


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens, and where it really does. ``inode``: of the file that was made for it and goes with it."""

    address: Address
    socket: socket.socket
    inode: int | None = None

    @property
    def is_tcp(self) -> bool:
        """Whether it is reached over a network."""
        return self.socket.family in (socket.AF_INET, socket.AF_INET6)


@asynccontextmanager
async def listening(addresses: Sequence[Address], environment: Mapping[str, str]) -> AsyncIterator[list[Listener]]:
    """Listen on all addresses while the context lasts. ``environment``: where systemd says what it hands over.

    Raises:
        ConfigError: one of them cannot be listened on, for instance because it is in use.
    """
    async with AsyncExitStack() as stack:
        ears: list[Listener] = []
        for address in addresses:
            try:
                found = await _open(address, environment)
            except OSError as error:
                raise ConfigError(
                    f'exporter.listen = "{address}": cannot listen there: {error.strerror or error}.',
                    advice="Choose an address of this node and a port that no other program uses (ss -ltnp).",
                ) from error
            for ear in found:
                stack.callback(_close, ear)
            ears += found
        yield ears


async def _open(address: Address, environment: Mapping[str, str]) -> list[Listener]:
    match address:
        case Activated():
            return _passed(environment)
        case UnixListen(path):
            return [await asyncio.to_thread(_unix, Path(path))]
        case Listen():
            return await _tcp(address)


async def _tcp(address: Listen) -> list[Listener]:
    """One socket for each address that a name means; all addresses are those of both families that there are."""
    loop = asyncio.get_running_loop()
    kinds = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    ears: list[Listener] = []
    try:
        for family, _, protocol, _, place in dict.fromkeys(kinds):
            try:
                made = socket.socket(family, socket.SOCK_STREAM, protocol)
            except OSError as error:
                if error.errno == errno.EAFNOSUPPORT and len(kinds) > 1:  # a kernel without IPv6
                    continue
                raise
            ears.append(Listener(address, made))
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.bind(place)
            made.listen(BACKLOG)
            ears[-1] = Listener(Listen(*made.getsockname()[:2]), made)
    except BaseException:
        for ear in ears:
            ear.socket.close()
        raise
    return ears


def _unix(path: Path) -> Listener:
    """A unix socket, replacing a dead one; nothing else is ever replaced."""
    _clear_stale(path)
    made = bound_socket(path, UNIX_MODE)
    try:
        made.listen(BACKLOG)
        return Listener(UnixListen(str(path)), made, path.lstat().st_ino)
    except BaseException:
        made.close()
        raise


def _clear_stale(path: Path) -> None:
    if not is_socket(path):
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _passed(environment: Mapping[str, str]) -> list[Listener]:
    """The sockets that systemd hands over: copies, for the server may be restarted and systemd passes them once."""
    count = environment.get("LISTEN_FDS", "") if environment.get("LISTEN_PID") == str(os.getpid()) else ""
    if not count.isdecimal() or count == "0":
        raise ConfigError(
            'exporter.listen = "systemd": systemd has handed no socket to this process.',
            advice="Enable the socket unit (systemctl enable --now zsr-exporter.socket) and restart zsr.",
        )
    ears = []
    for descriptor in range(FIRST_PASSED, FIRST_PASSED + int(count)):
        with suppress(OSError):  # not a socket: not ours
            made = socket.socket(fileno=os.dup(descriptor))
            if made.type == socket.SOCK_STREAM and made.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                ears.append(Listener(_place(made), made))
            else:
                made.close()
    return ears


def _place(made: socket.socket) -> Address:
    name = made.getsockname()
    return UnixListen(str(name)) if made.family == socket.AF_UNIX else Listen(name[0], name[1])


def _close(ear: Listener) -> None:
    ear.socket.close()
    if isinstance(ear.address, UnixListen) and ear.inode is not None:
        path = Path(ear.address.path)
        with suppress(OSError):
            if path.lstat().st_ino == ear.inode:
                path.unlink()
