"""``zsr-hook``: runs one command for the daemon, in the unit that systemd starts for it (``zsr-hook@.service``).

It has the connection on its standard input, and imports only the standard library: a guest may be frozen meanwhile. The
daemon sends one line of JSON and the ends of two pipes for the command's output. It gets ``{"accepted": true}`` before
the command starts and ``{"status": N}`` after it, and answers with one more line when it has read all output. If the
connection ends before that, every process of the unit is killed, whatever session it is in.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

UNIT = "zsr-hook@"
"""How the control group of such a unit begins; processes of any other group are not ours to kill."""

_CHUNK = 65_536


def main() -> None:
    """Serve the connection on standard input."""
    with socket.socket(fileno=os.dup(0)) as connection:
        serve(connection)


def serve(connection: socket.socket) -> None:
    """Run the command that the daemon sends; return when the daemon has read its output."""
    data, outputs, _, _ = socket.recv_fds(connection, _CHUNK, 2)
    lines = _lines(connection, data)
    line = next(lines, None)
    if line is None or not _answer(connection, {"accepted": True}):
        return
    request = json.loads(line)
    try:
        process = subprocess.Popen(
            request["argv"],
            stdin=subprocess.DEVNULL,
            stdout=outputs[0],
            stderr=outputs[1],
            env=request["environment"],
            start_new_session=True,
        )
    except OSError as error:
        _answer(connection, {"failed": [error.errno, error.strerror]})
        return
    finally:
        for descriptor in outputs:
            os.close(descriptor)
    if not _attend(connection, process) or next(lines, None) is None:
        _end_all(process)


def _attend(connection: socket.socket, process: subprocess.Popen[bytes]) -> bool:
    """Report how the command ends; return False if the daemon goes away before that."""
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLHUP)
    poll.register(descriptor := os.pidfd_open(process.pid), select.POLLIN)
    ready = {each for each, _ in poll.poll()}
    if descriptor not in ready:
        return False
    return _answer(connection, {"status": process.wait()})


def _answer(connection: socket.socket, answer: object) -> bool:
    """Send a line; return whether the daemon is there."""
    try:
        connection.sendall(json.dumps(answer).encode() + b"\n")
    except OSError:
        return False
    return True


def _lines(connection: socket.socket, data: bytes) -> Iterator[bytes]:
    """Yield what the daemon sends, line by line, until the connection ends."""
    while True:
        while b"\n" in data:
            line, _, data = data.partition(b"\n")
            yield line
        try:
            more = connection.recv(_CHUNK)
        except OSError:
            return
        if not more:
            return
        data += more


def _end_all(process: subprocess.Popen[bytes]) -> None:
    """Kill the processes of the unit, this one too; elsewhere only those in the command's process group."""
    with suppress(OSError):
        group = Path("/proc/self/cgroup").read_text().strip().rpartition("::")[2]
        if group.rpartition("/")[2].startswith(UNIT):
            Path(f"/sys/fs/cgroup{group}/cgroup.kill").write_text("1")
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
