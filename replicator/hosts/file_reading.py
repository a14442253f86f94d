"""Reads files of a host with their mode and owner: regular files only, and of a link nothing."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from replicator.common.kept_files import KeptFile
from replicator.errors import ConfigError
from replicator.hosts.host import Host

MOST_BYTES = 1024 * 1024
"""Bytes of one file."""
MOST_BYTES_IN_ALL = 4 * 1024 * 1024
"""Bytes of all files of a guest."""
READ_TIMEOUT_SECONDS = 20.0

_READ = """
one=$1; left=$2; shift 2
open=/proc/self/fd/3
[ -d /proc/self/fd ] || open=/dev/fd/3
content() {
  facts=$(stat -L -c "%a %u %g %s" $open) && user=$(stat -L -c %U $open) && group=$(stat -L -c %G $open) || return 1
  size=${facts##* }
  [ "$size" -le "$one" ] || { echo large; return; }
  [ "$size" -le "$left" ] || { echo full; return; }
  text=$(head -c "$one" <&3 | base64 | tr -d "\\n") || return 1
  left=$((left - size))
  printf "file %s\\n%s\\n%s\\n%s\\n" "$facts" "$user" "$group" "$text"
}
for path; do
  if [ -L "$path" ]; then echo link
  elif [ -f "$path" ]; then { content || echo unreadable; } 3<"$path" || echo unreadable
  elif [ -e "$path" ]; then echo irregular
  else echo missing
  fi
done
"""
"""What is opened is what is described: another file that takes its place meanwhile is not mixed up with it."""

_WHY_NOT = {
    "link": "it is a symbolic link, not a file",
    "irregular": "it is not a regular file",
    "missing": "there is no such file",
    "unreadable": "it cannot be read",
    "large": f"it is larger than {MOST_BYTES >> 20} MiB",
    "full": f"the files before it and this one are larger than {MOST_BYTES_IN_ALL >> 20} MiB",
}
_CHANGED = "it was changed while it was read"


async def read_files(host: Host, paths: Sequence[str]) -> dict[str, KeptFile | str]:
    """Return each of these files, or why it is not there.

    Raises:
        ZsrError: they cannot be read at all, or not in `READ_TIMEOUT_SECONDS`.
    """
    argv = ["sh", "-c", _READ, "sh", str(MOST_BYTES), str(MOST_BYTES_IN_ALL), *paths]
    done = await host.run(argv, limit=READ_TIMEOUT_SECONDS)
    lines = iter(done.stdout.split("\n"))
    found: dict[str, KeptFile | str] = {}
    for path in paths:
        kind, _, facts = next(lines, "").partition(" ")
        if kind in _WHY_NOT:
            found[path] = _WHY_NOT[kind]
        elif kind == "file":
            found[path] = _file(path, facts.split(), next(lines, ""), next(lines, ""), next(lines, ""))
        else:
            raise ConfigError(f"Could not read the files on {host.name}: {done.stderr.strip()[-200:]}", node=host.name)
    return found


def _file(path: str, facts: Sequence[str], user: str, group: str, text: str) -> KeptFile | str:
    mode, uid, gid, size = facts
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error:
        return _CHANGED
    if len(content) != int(size):
        return _CHANGED
    return KeptFile(path, int(mode, 8), user, group, int(uid), int(gid), content)
