"""What a run keeps of a guest's files on the target: which versions are new, and which no set needs. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from replicator.common.kept_files import Kept, KeptFile, Version, name_of
from replicator.zfs.model import Dataset


def new_versions(
    read: Mapping[str, KeptFile | str], kept: Kept, set_time: int, now: float
) -> list[tuple[Version, KeptFile]]:
    """Return the versions that are to be kept for a set: those of files that differ from what it would have.

    Args:
        read: the files as they were read, or why one was not; the older version of that one stays.
        kept: what is there.
        set_time: the set for which they count (unix seconds).
        now: when they were read; a clock that went back does not make a version older than another one of its set.
    """
    found = []
    for path, file in read.items():
        there = kept.of_set(path, set_time)
        if isinstance(file, str) or (there is not None and there.digest == file.digest):
            continue
        since = there.read + 1 if there is not None and there.set_time == set_time else 0
        found.append((Version(set_time, max(int(now), since), file.digest), file))
    return found


def not_needed(kept: Kept, files: Collection[str], sets: Collection[int]) -> list[str]:
    """Return the names of versions that no set needs: of each file a set needs the newest one up to it.

    Args:
        kept: what is there.
        files: the guest's files; of others nothing is needed.
        sets: the sets that the target may hold (unix seconds); without any, nothing goes.
    """
    if not sets:
        return []
    gone = list(kept.drafts)
    for path, versions in kept.versions.items():
        needed = {kept.of_set(path, each) for each in sets} if path in files else set()
        gone += [name_of(path, each) for each in versions if each not in needed]
    return sorted(gone)


def sets_on(datasets: Iterable[Dataset | None]) -> set[int]:
    """Return the times of all sets, of whichever job, that some datasets have."""
    snapshots = (snapshot for each in datasets if each is not None for snapshot in each.snapshots)
    return {snapshot.set_time for snapshot in snapshots if snapshot.set_time is not None}


def described_missing(node: str, problems: Mapping[str, str]) -> list[str]:
    """Return a sentence for each file that was not read, and why."""
    return [f"'{path}' was not brought to {node}: {why}. What is kept there stays." for path, why in problems.items()]
