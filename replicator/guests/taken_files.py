"""The files of a guest that this node took over: found among what it keeps, checked, and put in place.

Only a path that the guest's ``files`` names in this node's cluster file is written, whatever is kept.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from replicator.common.kept_files import Kept, KeptFile, Version, name_of
from replicator.errors import ConfigError, HookError, ZsrError
from replicator.guests.file_placing import Placed, place
from replicator.hosts.host import Host
from replicator.hosts.version_folder import list_versions
from replicator.models import Guest, JobId
from replicator.replication.file_keeper import GuestFiles


@dataclass(frozen=True, slots=True)
class TakenFile:
    """What became of one file.

    Attributes:
        path: where it belongs.
        read: when the version was read on the former node (unix time); None: there is none.
        placed: what was done; None: nothing.
        before: where another file is kept that was there; empty: there was none.
        error: why it could not be put in place.
    """

    path: str
    read: int | None = None
    placed: Placed | None = None
    before: str = ""
    error: ZsrError | None = None


async def put_in_place(
    guest: Guest, job: JobId, set_time: int, where: GuestFiles, host: Host, now: float
) -> list[TakenFile]:
    """Put the files of a guest in place on this node, as they were at the time of a set. May be done again.

    Args:
        guest: its ``files`` are the paths.
        job: the one that brought them here.
        set_time: the set with which the guest goes on (unix seconds).
        where: where this node keeps them.
        host: this node.
        now: becomes part of the names of files that are replaced (unix seconds).

    Returns what became of each; one that failed does not keep the others from it.

    Raises:
        ZsrError: nothing can be put in place.
    """
    if guest.hooks_refused:
        raise HookError(
            f"The files of guest {guest.id} are not put in place: {guest.hooks_refused}.",
            advice="Let only root write that file and its folder: chmod go-w.",
        )
    kept = await list_versions(host, where.of_job(job))
    return [await asyncio.to_thread(_put, path, kept, set_time, where, job, now) for path in guest.files]


def _put(path: str, kept: Kept, set_time: int, where: GuestFiles, job: JobId, now: float) -> TakenFile:
    version = kept.of_set(path, set_time)
    if version is None:
        return TakenFile(path)
    try:
        _refuse_own(path, where)
        placed, before = place(_read(path, version, where.of_job(job)), now)
    except ZsrError as error:
        return TakenFile(path, version.read, error=error)
    return TakenFile(path, version.read, placed, before)


def _refuse_own(path: str, where: GuestFiles) -> None:
    """Refuse a path that leads to a file of zsr itself, also by a link on the way there."""
    named = Path(path)
    if (why := where.refuses(str(named.parent.resolve() / named.name))) is not None:
        raise ConfigError(f"'{path}' is not put in place: {why}.")


def _read(path: str, version: Version, folder: str) -> KeptFile:
    """Return a version of a file. Raises ConfigError: it is damaged, or of another path."""
    at = Path(folder, name_of(path, version))
    try:
        data = at.read_bytes()
        file = KeptFile.decoded(data)
    except (OSError, ValueError) as error:
        raise ConfigError(f"'{path}' is not put in place: '{at}' cannot be read: {error}.") from error
    if sha256(data).hexdigest() != version.digest or file.path != path:
        raise ConfigError(f"'{path}' is not put in place: '{at}' is damaged.")
    return file
