"""Keeps versions of files in a folder of a host, for root only; each is there as a whole or not at all.

The host may run no zsr: a shell, coreutils and find are enough.
"""

from __future__ import annotations

import base64
from collections.abc import Collection

from replicator.common.kept_files import DRAFT_PREFIX, Kept, KeptFile, Version, folder_of, parse_listing
from replicator.errors import ConfigError
from replicator.hosts.host import Completed, Host

VERSION_TIMEOUT_SECONDS = 60.0
_MOST_NAMES = 200
"""Names in one command; Linux allows more."""

_LIST = '[ -e "$1" ] || exit 0; cd "$1" && find . -type f'
_DAMAGED = 77
_KEEP = f"""
set -e
umask 077
folder="$1/$2"
mkdir -p "$folder"
chmod 700 "$1" "$folder"
rm -f "$folder/{DRAFT_PREFIX}"*
draft="$folder/{DRAFT_PREFIX}$3"
base64 -d >"$draft" || {{ rm -f "$draft"; exit {_DAMAGED}; }}
[ "$(sha256sum <"$draft" | cut -d" " -f1)" = "$4" ] || {{ rm -f "$draft"; exit {_DAMAGED}; }}
sync "$draft" && mv -f "$draft" "$folder/$3" && sync "$folder"
"""
_REMOVE = """
[ -e "$1" ] || exit 0
cd "$1" || exit
shift
for name; do
  rm -f -- "$name" || failed=1
  rmdir -- "${name%/*}" 2>/dev/null
done
exit ${failed:-0}
"""
_REMOVE_ALL = 'rm -rf -- "$1"'


async def list_versions(host: Host, folder: str) -> Kept:
    """Return what is kept in a folder; nothing if there is none. Raises ZsrError: that cannot be known."""
    done = await host.run(["sh", "-c", _LIST, "sh", folder], limit=VERSION_TIMEOUT_SECONDS)
    _refuse_failed(done, host, f"list '{folder}'")
    return parse_listing(done.stdout)


async def keep_version(host: Host, folder: str, version: Version, file: KeptFile) -> None:
    """Keep a version of a file; a draft that a kill left goes. Raises ZsrError: it is not there."""
    argv = ["sh", "-c", _KEEP, "sh", folder, folder_of(file.path), version.name, version.digest]
    text = base64.b64encode(file.encoded()).decode()
    done = await host.run(argv, limit=VERSION_TIMEOUT_SECONDS, stdin=text)
    if done.status == _DAMAGED:
        raise ConfigError(f"'{file.path}' did not arrive on {host.name} as it was sent.", node=host.name)
    _refuse_failed(done, host, f"keep '{file.path}' in '{folder}'")


async def remove_versions(host: Host, folder: str, names: Collection[str]) -> None:
    """Remove versions and drafts by their names below the folder. Raises ZsrError: one may still be there."""
    left = sorted(names)
    while left:
        done = await host.run(["sh", "-c", _REMOVE, "sh", folder, *left[:_MOST_NAMES]], limit=VERSION_TIMEOUT_SECONDS)
        _refuse_failed(done, host, f"remove old versions in '{folder}'")
        left = left[_MOST_NAMES:]


async def remove_folder(host: Host, folder: str) -> None:
    """Remove a folder and all versions in it. Raises ZsrError: something may still be there."""
    done = await host.run(["sh", "-c", _REMOVE_ALL, "sh", folder], limit=VERSION_TIMEOUT_SECONDS)
    _refuse_failed(done, host, f"remove '{folder}'")


def _refuse_failed(done: Completed, host: Host, what: str) -> None:
    if not done.ok:
        words = done.stderr.strip().splitlines()
        raise ConfigError(
            f"Could not {what} on {host.name}: {words[-1] if words else f'exit status {done.status}'}.",
            advice="Check the folder there, and its file system.",
            node=host.name,
        )
