"""A person at a real terminal: a command on a pty, its questions, and what is typed."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

PATIENCE = 60.0
"""Seconds to wait for what a command prints."""


@dataclass
class Terminal:
    """A running command. ``seen`` is all that it has printed, without carriage returns."""

    process: subprocess.Popen[bytes]
    descriptor: int
    seen: str = ""
    _read: int = field(default=0)

    def expect(self, text: str) -> str:
        """Wait until it prints a text after what was expected before; return what came until then."""
        end = time.monotonic() + PATIENCE
        while text not in self.seen[self._read :]:
            assert time.monotonic() < end, f"not printed: {text!r}\n{self.seen}"
            if not self._more():
                raise AssertionError(f"ended without {text!r}:\n{self.seen}")
        begin = self._read
        self._read = self.seen.index(text, begin) + len(text)
        return self.seen[begin : self._read]

    def type(self, text: str) -> None:
        """Type a text as it is."""
        os.write(self.descriptor, text.encode())

    def answer(self, question: str, text: str = "") -> None:
        """Wait for a question, and type a line."""
        self.expect(question)
        self.type(f"{text}\n")

    def interrupt(self) -> int:
        """Type Ctrl-C until it ends, and return its exit status: readline loses one that comes as it begins."""
        deadline = time.monotonic() + PATIENCE
        while self.process.poll() is None and time.monotonic() < deadline:
            self.type("\x03")
            pause = time.monotonic() + 5.0
            while time.monotonic() < pause and self._more(pause - time.monotonic()):
                pass
        return self.end()

    def end(self) -> int:
        """Wait for its end, and return its exit status."""
        deadline = time.monotonic() + PATIENCE
        while self._more():
            assert time.monotonic() < deadline, f"it does not end:\n{self.seen}"
        return self.process.wait(PATIENCE)

    def _more(self, seconds: float = 1.0) -> bool:
        """Read what is there within some seconds; return whether more may come."""
        ready, _, _ = select.select([self.descriptor], [], [], max(0.0, seconds))
        if not ready:
            return True
        try:
            data = os.read(self.descriptor, 65536)
        except OSError:  # EIO: the other end is closed
            return False
        self.seen += data.decode(errors="replace").replace("\r", "")
        return bool(data)


def _become_foreground() -> None:
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # ignored in what a shell starts in the background


@contextmanager
def terminal(argv: Sequence[str], environment: Mapping[str, str]) -> Iterator[Terminal]:
    """Run a command at a terminal of its own; it is killed if it still runs at the end."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        argv,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**environment, "TERM": "dumb"},
        start_new_session=True,
        preexec_fn=_become_foreground,  # noqa: PLW1509 - so that Ctrl-C is one
    )
    os.close(theirs)
    try:
        yield Terminal(process, ours)
    finally:
        process.kill()
        process.wait()
        os.close(ours)
