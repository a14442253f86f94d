"""The protocol of a host: run a command, start a process at one end of a stream, report whether it answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from replicator.common.tasks import gather_two
from replicator.display import decoded
from replicator.errors import ZfsError

STDERR_KEPT = 64 * 1024
"""Bytes of a process's stderr that are kept: the first half from its beginning, the rest from its end."""

STDOUT_LIMIT = 128 * 1024 * 1024
"""Bytes of a command's stdout after which it is ended: several times the inventory of the largest node."""

_CHUNK = 64 * 1024


@dataclass(frozen=True, slots=True)
class Completed:
    """The result of a command. ``status`` is its exit status; negative: the signal that killed it."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str

    @property
    def ok(self) -> bool:
        """Whether it ended with status 0."""
        return self.status == 0


class StreamProcess(Protocol):
    """A process that is one end of a stream."""

    async def wait(self) -> Completed:
        """Wait for its end; raises NetworkError if the connection to it is lost."""

    async def ended(self) -> None:
        """Wait for its end without asking how; returns at once if it has ended."""

    async def kill(self) -> None:
        """Kill it and wait a few seconds for its end; returns also if it hangs in the kernel."""


class Host(Protocol):
    """A node's command line. An argv is never interpreted by a shell; ``LC_ALL=C`` is always set."""

    @property
    def name(self) -> str:
        """The node's name."""

    @property
    def compression(self) -> str:
        """How streams to this host are compressed on their way: ``none`` or ``zstd``."""

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Run a command to its end, with a text on its stdin.

        Raises:
            DeadlineError: it took longer than ``limit`` seconds; it was killed, or left if it cannot be.
            NetworkError, AuthError: the host cannot be used.
        """

    async def start_source(self, argv: Sequence[str], stdout: int) -> StreamProcess:
        """Start a process that writes its stdout to a file descriptor; the descriptor belongs to the callee."""

    async def start_sink(
        self, argv: Sequence[str], stdin: int, *, expected_bytes: int | None, stdout: int | None = None
    ) -> StreamProcess:
        """Start a process that reads its stdin from a file descriptor, and writes to ``stdout`` if that is given.

        The descriptors belong to the callee. A process that has an output is never a child for large streams.
        """

    async def probe(self) -> None:
        """Check the connection; raises NetworkError or AuthError if there is none."""

    async def reach(self) -> None:
        """Connect unless a connection is open; raises NetworkError or AuthError if that fails."""

    async def close(self) -> None:
        """Close all connections."""


class StderrTail:
    """Collects a process's stderr up to a limit, keeping its beginning and its end."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()

    def feed(self, data: bytes) -> None:
        """Append bytes."""
        room = STDERR_KEPT // 2 - len(self._head)
        self._head += data[:room]
        self._tail += data[room:] if room < len(data) else b""
        del self._tail[: -STDERR_KEPT // 2]

    def text(self) -> str:
        """Return the kept bytes, decoded and fit to be shown."""
        return decoded(bytes(self._head + self._tail))


class Reader(Protocol):
    """The reading end of a pipe or channel."""

    async def read(self, n: int = -1, /) -> bytes:
        """Return at most ``n`` bytes; none at the end."""


async def read_output(command: str, node: str, stdout: Reader, stderr: Reader) -> tuple[str, str]:
    """Read what a command prints to its end, as displayable text; of stderr what `StderrTail` keeps.

    So no node can fill the memory, or write to a terminal.

    Raises:
        ZfsError: stdout is longer than `STDOUT_LIMIT`.
    """
    whole, tail = bytearray(), StderrTail()

    def keep(data: bytes) -> None:
        whole.extend(data)
        if len(whole) > STDOUT_LIMIT:
            raise ZfsError(
                f"'{command}' on {node} printed more than {STDOUT_LIMIT >> 20} MiB.",
                node=node,
                advice="Check what 'zfs' is there, and what its login shell prints.",
            )

    await gather_two(_read_all(stdout, keep), _read_all(stderr, tail.feed))
    return decoded(bytes(whole)), tail.text()


async def _read_all(reader: Reader, keep: Callable[[bytes], None]) -> None:
    while data := await reader.read(_CHUNK):
        keep(data)
