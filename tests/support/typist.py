"""A person who types at two machines: what was typed and pasted, and how long the machines took."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.terminal import Terminal
from tests.support.two_debians import Host

PASTE_KEYS = 10
"""What a paste of what a machine printed costs: to mark it, to copy it, to paste it."""

KEYS_PER_MINUTE = 200


@dataclass
class Typist:
    """``lines``: each with its Enter; ``pastes``: how often a machine's output was copied."""

    lines: list[str] = field(default_factory=list)
    pastes: int = 0
    machine_seconds: float = 0.0
    seconds: dict[str, float] = field(default_factory=dict)
    """By command."""

    @property
    def keys(self) -> int:
        return sum(len(line) + 1 for line in self.lines) + self.pastes * PASTE_KEYS

    @property
    def minutes(self) -> float:
        """All of it, one after the other: typing at an average speed, and waiting."""
        return self.keys / KEYS_PER_MINUTE + self.machine_seconds / 60

    def run(self, host: Host, command: str, *, timeout: float = 300.0) -> subprocess.CompletedProcess[str]:
        """Type a command, and wait for its end."""
        self.lines.append(command)
        with self._waiting(f"{host.name}# {command}"):
            return host.run(command, timeout=timeout)

    def run_on_all(self, hosts: Sequence[Host], command: str) -> None:
        """Type a command in a window for each host, and wait until the last one has ended."""
        self.lines += [command] * len(hosts)
        with self._waiting(f"{' and '.join(host.name for host in hosts)}# {command}"), ThreadPoolExecutor() as windows:
            list(windows.map(lambda host: host.run(command, timeout=300), hosts))

    def paste(self, host: Host, before: str, pasted: str, after: str) -> None:
        """Type a command with a text in it that a machine printed."""
        self.lines.append(f"{before}{after}")
        self.pastes += 1
        with self._waiting(f"{host.name}# {before}...{after}"):
            host.run(f"{before}{pasted}{after}")

    @contextmanager
    def session(self, host: Host, command: str) -> Iterator[Terminal]:
        """Type a command that asks questions; its answers are given with `answer`."""
        self.lines.append(command)
        with self._waiting(f"{host.name}# {command}"), host.at_terminal(command) as person:
            yield person

    def answer(self, person: Terminal, question: str, text: str) -> None:
        """Wait for a question, and type the answer."""
        self.lines.append(text)
        person.answer(question, text)

    def wait(self, host: Host, condition: str) -> None:
        """Wait until a line of the shell succeeds there."""
        with self._waiting(f"{host.name}: {condition}"):
            host.run(f"until {condition}; do sleep 0.2; done")

    @contextmanager
    def _waiting(self, what: str) -> Iterator[None]:
        begin = time.monotonic()
        try:
            yield
        finally:
            self.seconds[what] = time.monotonic() - begin
            self.machine_seconds += self.seconds[what]
