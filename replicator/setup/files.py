"""Writes the files of ``zsr setup``: each as a whole, with a copy of what was there next to it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from replicator.cluster.file_store import FileStore
from replicator.cluster.model import ChangedError
from replicator.common.files import create_text, digest_of, file_error, replace_text
from replicator.errors import ZsrError

_SECRET, _SHOWN = 0o600, 0o644


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file as it was when the answers were given, and as it is to be; ``before`` None: there was none."""

    path: Path
    before: str | None
    after: str

    @property
    def is_needed(self) -> bool:
        """Whether the two differ."""
        return self.before != self.after


def read_text(path: Path) -> str | None:
    """Return a file's text; None if there is none. Raises ZsrError if it cannot be read."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise file_error(error, f"read '{path}'") from error
    except UnicodeDecodeError as error:
        raise ZsrError(f"'{path}' is not UTF-8 text: {error}.", advice="Correct it by hand.") from error


def write_file(change: FileChange, stamp: str) -> Path | None:
    """Write a file that only its owner may read; return the copy of what was there, None if there was nothing.

    ``stamp``: a time, for the name of the copy.

    Raises:
        ChangedError: it is another one than when the answers were given. ZsrError: it could not be written.
    """
    if read_text(change.path) != change.before:
        raise ChangedError(f"'{change.path}' was changed by another program in the meantime.")
    try:
        change.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if change.before is None:
            create_text(change.path, change.after)
            return None
        kept = _keep(change.path, change.before, stamp)
        change.path.chmod(_SECRET)
        replace_text(change.path, change.after)
    except OSError as error:
        raise file_error(error, f"write '{change.path}'") from error
    return kept


def write_cluster(change: FileChange, stamp: str) -> Path | None:
    """As `write_file`, for the cluster file: under its lock, and its history knows what it came from."""
    if change.before is None:
        return write_file(change, stamp)
    try:
        kept = _keep(change.path, change.before, stamp)
        change.path.chmod(_SECRET)
    except OSError as error:
        raise file_error(error, f"write '{change.path}'") from error
    FileStore(change.path).take_over(change.after, digest_of(change.before))
    return kept


def _keep(path: Path, text: str, stamp: str) -> Path:
    kept = path.with_name(f"{path.name}.before-{stamp}")
    with suppress(FileExistsError):  # of a run within the same second, which had the same text before it
        create_text(kept, text)
    return kept


def add_line(path: Path, line: str, *, mode: int = _SECRET) -> bool:
    """Add a line to a file of OpenSSH, unless it has that line; return whether it was added.

    Raises ZsrError if it could not be written.
    """
    before = read_text(path)
    if line in (before or "").splitlines():
        return False
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if before is None:
            create_text(path, f"{line}\n", mode=mode)
        else:
            end = "" if not before or before.endswith("\n") else "\n"
            replace_text(path, f"{before}{end}{line}\n")
    except OSError as error:
        raise file_error(error, f"write '{path}'") from error
    return True


def write_key(path: Path, private: str, public: str) -> None:
    """Write a new key pair; raises ZsrError if there is one by now, or if it could not be written.

    The public half comes first: a private key without it is taken for one that is there already.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        with suppress(FileExistsError):
            create_text(Path(f"{path}.pub"), public, mode=_SHOWN)
        replace_text(Path(f"{path}.pub"), public)
        create_text(path, private)
    except FileExistsError:
        raise ZsrError(f"'{path}' is there by now.", advice="Run zsr setup again: it takes that key.") from None
    except OSError as error:
        raise file_error(error, f"write '{path}'") from error


def may_write(path: Path) -> bool:
    """Return whether this user may write a file, or create it."""
    place = path if path.exists() else next(each for each in path.parents if each.exists())
    return os.access(place, os.W_OK)
