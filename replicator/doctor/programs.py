"""The programs with which the commands of guests begin, as far as that can be known without a shell."""

from __future__ import annotations

import re
from collections.abc import Iterator
from shutil import which

from replicator.hosts.local import c_locale_environment
from replicator.models import Guest

_PROGRAM = re.compile(r"[A-Za-z0-9_./+-]+")
"""A word that is a program's name; whatever else a shell may read is not judged."""

_SHELL = (
    ". : [ ! case cd command eval exec exit export for if read set source test trap true umask unset until while wait"
)
"""Words that a shell knows without a program."""


def programs_of(guest: Guest) -> Iterator[tuple[str, str]]:
    """Yield the names of the commands that run on a guest's node, with their programs."""
    for name, command in _commands(guest):
        word = command.split(maxsplit=1)[0] if command.strip() else ""
        if _PROGRAM.fullmatch(word) and word not in _SHELL.split():
            yield name, word


def path_of(program: str) -> str | None:
    """Return the path of a program that can be run here; None if there is none."""
    return which(program, path=c_locale_environment()["PATH"])


def _commands(guest: Guest) -> Iterator[tuple[str, str]]:
    yield from ((hook.value, command) for hook, command in guest.hooks.items())
    if guest.runtime is not None:
        yield from (("start", guest.runtime.start), ("stop", guest.runtime.stop), ("status", guest.runtime.status))
