"""Reads known_hosts files as OpenSSH does: a line that cannot be read is skipped, and reported once."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path

import asyncssh

from replicator.errors import ConfigError

_log = logging.getLogger("zsr.ssh")

_USUAL = ("~/.ssh/known_hosts", "~/.ssh/known_hosts2", "/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
"""The files that OpenSSH reads by default (ssh_config(5))."""


class KnownHosts:
    """The known host keys of this node: of one file, or of OpenSSH's usual ones."""

    def __init__(self, file: str | None) -> None:
        self._file = file
        self._reported: set[tuple[Path, int, str]] = set()

    def files(self) -> list[Path]:
        """Return the files; of the usual ones those that exist."""
        if self._file is not None:
            return [Path(self._file)]
        return [path for path in (Path(each).expanduser() for each in _USUAL) if path.is_file()]

    def read(self) -> asyncssh.SSHKnownHosts:
        """Return the known keys; without any file, no host key is known.

        Raises:
            ConfigError: a file cannot be read.
        """
        known = asyncssh.SSHKnownHosts()
        for path in self.files():
            try:
                text = path.read_text(errors="replace")
            except OSError as error:
                advice = "Check ssh.known_hosts in the settings, and the file's owner and rights."
                if isinstance(error, FileNotFoundError):
                    advice = (
                        "Correct ssh.known_hosts in the settings, or let zsr setup make the file and ask for the keys."
                    )
                what = f"The known host keys in '{path}' cannot be read: {error.strerror}."
                raise ConfigError(what, advice=advice) from error
            self._add(known, path, text.split("\n"))
        return known

    @staticmethod
    def has_key(known: asyncssh.SSHKnownHosts, host: str, port: int) -> bool:
        """Return whether there is a key of a host, right or wrong."""
        trusted, authorities, revoked = known.match(host, "", port)[:3]
        return bool(trusted or authorities or revoked)

    def _add(self, known: asyncssh.SSHKnownHosts, path: Path, lines: Iterable[str]) -> None:
        for number, line in enumerate(lines, start=1):
            try:
                if "-cert-v01@" in line:  # asyncssh refuses all keys of a host then
                    raise ValueError("a certificate is no host key")  # noqa: TRY301 - one way to skip a line
                known.load(line)
            except ValueError as error:
                if (path, number, line) not in self._reported:
                    self._reported.add((path, number, line))
                    _log.warning("Line %d of '%s' is skipped, as by OpenSSH: %s.", number, path, error)
