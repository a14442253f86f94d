"""Reads a file on a host, and replaces it as a whole if it is still what was read."""

from __future__ import annotations

from replicator.common.files import LARGEST_FILE, FileText, digest_of
from replicator.errors import BusyError, ConfigError
from replicator.hosts.host import Host

FILE_TIMEOUT_SECONDS = 30.0
_LOCK_SECONDS = 10

_READ = f'[ -e "$1" ] || exit 0; sha256sum <"$1" && head -c {LARGEST_FILE} "$1"'
_LOCKED, _CHANGED, _DAMAGED = 75, 76, 77
_REPLACE = f"""
set -e
digest() {{ sha256sum <"$1" | cut -d" " -f1; }}
file=$(readlink -f "$1") || {{ echo "no folder for $1" >&2; exit 1; }}
draft="$file.push"
exec 9>"$1.lock"
flock -w {_LOCK_SECONDS} 9 || exit {_LOCKED}
if [ -e "$file" ]; then
  [ "$(digest "$file")" = "$2" ] || exit {_CHANGED}
  cp -p "$file" "$draft"
else
  [ -z "$2" ] || exit {_CHANGED}
  (umask 077 && : >"$draft")
fi
cat >"$draft"
[ "$(digest "$draft")" = "$3" ] || {{ rm -f "$draft"; exit {_DAMAGED}; }}
sync -d "$draft" && mv -f "$draft" "$file" && sync "$(dirname "$file")"
"""
"""Takes the lock that zsr itself takes there for a change (`replicator.common.files.lock_file`)."""


async def read_file(host: Host, path: str) -> FileText | None:
    """Return a file on a host; None if there is none. Raises ConfigError if it cannot be read."""
    done = await host.run(["sh", "-c", _READ, "sh", path], limit=FILE_TIMEOUT_SECONDS)
    if not done.ok:
        raise _failed(host, f"read '{path}'", done.stderr)
    head, _, text = done.stdout.partition("\n")
    return FileText(head.split()[0], text) if head else None


async def replace_file(host: Host, path: str, text: str, expected: FileText | None) -> None:
    """Put a text in the place of a file on a host, with its owner and rights.

    Args:
        host: where the file is.
        path: where it is there; a new one is readable by its owner only.
        text: the new content.
        expected: what it is now; None: there is none.

    Raises:
        ConfigError: it is something else by now, or could not be written; it is as it was. BusyError: it is locked.
    """
    was = "" if expected is None else expected.digest
    argv = ["sh", "-c", _REPLACE, "sh", path, was, digest_of(text)]
    done = await host.run(argv, limit=FILE_TIMEOUT_SECONDS, stdin=text)
    if done.status == _CHANGED:
        raise ConfigError(f"'{path}' on {host.name} has just been changed; it was not written.", advice="Try again.")
    if done.status == _LOCKED:
        raise BusyError(f"'{path}' on {host.name} has been locked by another program for {_LOCK_SECONDS} s.")
    if done.status == _DAMAGED:
        raise ConfigError(
            f"'{path}' did not arrive on {host.name} as it was sent; it is as it was.", advice="Try again."
        )
    if not done.ok:
        raise _failed(host, f"write '{path}'", done.stderr)


def _failed(host: Host, what: str, stderr: str) -> ConfigError:
    words = stderr.strip().splitlines()
    return ConfigError(
        f"Could not {what} on {host.name}: {words[-1] if words else 'no message on stderr'}.",
        advice="Check the file and its folder there.",
        node=host.name,
    )
