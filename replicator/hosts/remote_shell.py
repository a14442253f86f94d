"""The command line that a remote login shell gets, and the text that the shell itself prints before it. Pure.

A login shell may be any: sh, bash, dash, zsh, tcsh, fish. All read the same only plain words and single quotes without
``'``, a backslash, ``!`` and a new line. So the command is given as words of that kind to one fixed ``sh -c``; an argv
with other characters goes as one word in an encoding of its own, which that ``sh`` decodes.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass

BEGIN = "zsr-begins-here"
"""The line on stdout and stderr after which the words are those of the command."""

_ENVIRONMENT = 'LC_ALL=C; PATH="$PATH:/usr/local/sbin:/usr/sbin:/sbin"; export LC_ALL PATH; '
_PLAIN = 'exec "$@"'
_ENCODED = 'b=$(awk -v f=%c -v n=92 "BEGIN{printf f,n}"); eval "$(printf %b "$(printf %s "$1" | tr % "$b$b")")"'
"""The encoding is that of printf's ``%b`` with ``%`` for the backslash, which awk makes: it cannot be written here."""

_BARE = re.compile(r"[A-Za-z0-9_./-]+")
_NOT_QUOTABLE = re.compile(r"['\\!\r\n\0]")
_ENCODE = re.compile(rb"[^A-Za-z0-9 _./:=@,+-]")


def remote_command(argv: Sequence[str], *, marked: bool = True) -> str:
    """Return an argv as a command line for any login shell.

    It prints `BEGIN` to stderr before the command begins, and to stdout too if ``marked``: not where that is a stream.
    """
    setup = f"echo {BEGIN} >&2; {_ENVIRONMENT}"
    setup = f"echo {BEGIN}; {setup}" if marked else setup
    if any(_NOT_QUOTABLE.search(word) for word in argv):
        return f"sh -c '{setup}{_ENCODED}' zsr '{_encoded('exec ' + shlex.join(argv))}'"
    return f"sh -c '{setup}{_PLAIN}' zsr {' '.join(map(_quoted, argv))}"


def _quoted(word: str) -> str:
    return word if _BARE.fullmatch(word) else f"'{word}'"


def _encoded(text: str) -> str:
    return _ENCODE.sub(lambda found: b"%%0%03o" % found.group()[0], text.encode()).decode()


@dataclass(frozen=True, slots=True)
class Printed:
    """The output of a remote command, apart from what its login shell printed before: ``noise``.

    ``begun``: the command was begun, as far as that can be seen.
    """

    text: str
    noise: str = ""
    begun: bool = False


def printed(output: str) -> Printed:
    """Separate a command's output from what was printed before `BEGIN`; without that line nothing is taken away."""
    noise, mark, text = output.partition(f"{BEGIN}\n")
    return Printed(text, noise.strip(), begun=True) if mark else Printed(output)
