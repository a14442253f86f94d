"""Brings a guest's files to the target of a run, with its proven sets, and remembers what is there.

Nothing of that ever fails a run: the disks come first. What could not be done is a warning, and done by the next run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from replicator.cluster.guest_files import is_below
from replicator.common.kept_files import Kept, KeptFile
from replicator.config.settings import Settings
from replicator.errors import ZsrError
from replicator.hosts.file_reading import read_files
from replicator.hosts.version_folder import keep_version, list_versions, remove_folder, remove_versions
from replicator.models import Guest, JobId, TargetPlace
from replicator.replication.discovery import Discovered
from replicator.replication.guest_files import described_missing, new_versions, not_needed, sets_on
from replicator.replication.progress import Log
from replicator.zfs.client import ZfsClient

FOLDER = "guest-files"
"""In the state folder."""

LOOK_AGAIN_SECONDS = 86400.0
"""Seconds after which a run looks whether the target still has what was brought there."""


class RememberedFiles:
    """What this process knows of the files that targets keep, by job. A restart forgets it: the next run looks."""

    def __init__(self) -> None:
        self._known: dict[JobId, tuple[TargetPlace | None, float, Kept]] = {}

    def get(self, job: JobId, place: TargetPlace | None, now: float) -> Kept | None:
        """Return what a job's target keeps; None where it has to be asked: it is another one, or a day has passed."""
        at, since, kept = self._known.get(job, (None, 0.0, None))
        return kept if at == place and 0 <= now - since < LOOK_AGAIN_SECONDS else None

    def put(self, job: JobId, place: TargetPlace | None, since: float, kept: Kept) -> None:
        """Remember what a target keeps, as it was seen at a moment (unix seconds)."""
        self._known[job] = (place, since, kept)

    def take(self, job: JobId) -> float | None:
        """Forget what a job's target keeps while that is changed; return when it was seen, None if it was not known."""
        known = self._known.pop(job, None)
        return None if known is None else known[1]

    def knows(self, job: JobId) -> bool:
        """Return whether a job's target was seen."""
        return job in self._known


@dataclass(frozen=True, slots=True)
class GuestFiles:
    """Where nodes keep files of guests, the same path on each; ``own``: paths of zsr itself, which never travel."""

    folder: str
    own: tuple[str, ...] = ()
    remembered: RememberedFiles = field(default_factory=RememberedFiles)

    def of_job(self, job: JobId) -> str:
        """Return the folder of a job's versions."""
        return f"{self.folder}/{job}"

    def refuses(self, path: str) -> str | None:
        """Return why a path is none of a guest's files on this node, whatever the cluster file says."""
        return "it is one of zsr's own files" if is_below(path, self.own) else None


def guest_files_of(settings: Settings) -> GuestFiles:
    """Return where this node, and its targets, keep files of guests."""
    own = (settings.state_dir, settings.path, settings.cluster.path)
    return GuestFiles(str(settings.state_dir / FOLDER), tuple(map(str, own)))


class FileKeeper:
    """Reads the files of one run's guest, and keeps them on the target after the proof."""

    def __init__(
        self,
        job: JobId,
        guest: Guest,
        where: GuestFiles | None,
        source: ZfsClient,
        target: ZfsClient,
        log: Log,
        clock: Callable[[], float],
    ) -> None:
        self._job, self._guest, self._where = job, guest, where
        self._source, self._target, self._log, self._clock = source, target, log, clock
        self._found: dict[str, KeptFile | str] | None = None
        self._read_at = 0.0
        self._sets: set[int] = set()

    async def read(self) -> None:
        """Read the files as they are now, right after the snapshot."""
        if self._where is None or not self._guest.files or self._guest.hooks_refused:
            return
        self._read_at = self._clock()
        refused = {path: why for path in self._guest.files if (why := self._where.refuses(path)) is not None}
        try:
            paths = [path for path in self._guest.files if path not in refused]
            self._found = {**await read_files(self._source.host, paths), **refused}
        except ZsrError as error:
            self._found = dict.fromkeys(self._guest.files, error.what.rstrip("."))

    def saw(self, found: Discovered) -> Discovered:
        """Note the sets that the target holds, for which it needs versions; return what was found."""
        self._sets |= sets_on((*(pair.target for pair in found.volumes), *found.orphans, *found.diverged))
        return found

    async def keep(self, found: Discovered, set_time: int, place: TargetPlace | None) -> None:
        """Keep what was read on the target, for the set that is proven there, and remove what no set needs."""
        self.saw(found)
        where = self._where
        if where is None or not (self._guest.files or where.remembered.knows(self._job)):
            return
        if self._guest.files and self._guest.hooks_refused:
            self._log("warning", f"The files of guest {self._guest.id} are left alone: {self._guest.hooks_refused}.")
            return
        if self._found is None:
            await self.read()
        for sentence in described_missing(self._target.node, _problems(self._found or {})):
            self._log("warning", sentence)
        try:
            await self._bring(where, self._found or {}, set_time, place)
        except ZsrError as error:
            self._log(
                "warning", f"The files of guest {self._guest.id} are not all kept on {self._target.node}: {error}"
            )

    async def _bring(
        self, where: GuestFiles, read: dict[str, KeptFile | str], set_time: int, place: TargetPlace | None
    ) -> None:
        folder, host, now = where.of_job(self._job), self._target.host, self._clock()
        kept = where.remembered.get(self._job, place, now)
        since = where.remembered.take(self._job)  # until all is done: a run may die here
        if kept is None or since is None:
            since, kept = now, await list_versions(host, folder)
        for version, file in new_versions(read, kept, set_time, self._read_at):
            await keep_version(host, folder, version, file)
            kept = kept.with_version(file.path, version)
            self._log("info", f"'{file.path}' is kept on {self._target.node}")
        if gone := not_needed(kept, self._guest.files, {*self._sets, set_time}):
            await remove_versions(host, folder, gone)
            kept = kept.without(gone)
        where.remembered.put(self._job, place, since, kept)


async def remove_files(job: JobId, where: GuestFiles, nodes: Iterable[ZfsClient], log: Log) -> None:
    """Remove all versions of a job whose replicas are gone from its nodes; what cannot be removed is a warning.

    A guest that was moved left some on what is the source now.
    """
    where.remembered.take(job)
    for node in nodes:
        try:
            await remove_folder(node.host, where.of_job(job))
        except ZsrError as error:
            log("warning", f"Files of guest {job.guest} are left on {node.node}: {error}")


def _problems(read: dict[str, KeptFile | str]) -> dict[str, str]:
    return {path: why for path, why in read.items() if isinstance(why, str)}
