"""The history of a cluster file: the digests of what it came from. It lies next to the file, and travels with it."""

from __future__ import annotations

from pathlib import Path

from replicator.common.files import replace_text

HISTORY_SUFFIX = ".history"
"""Added to the name of the cluster file."""

MOST_VERSIONS = 200


def history_path(path: Path) -> Path:
    """Return where the history of a cluster file lies."""
    return path.with_name(path.name + HISTORY_SUFFIX)


def read_history(path: Path) -> str:
    """Return the text of a cluster file's history; empty if there is none. Raises OSError if it cannot be read."""
    try:
        return history_path(path).read_text()
    except FileNotFoundError:
        return ""


def write_history(path: Path, text: str) -> None:
    """Replace a cluster file's history; a new one is readable by its owner only. Raises OSError."""
    history_path(path).touch(mode=0o600)
    replace_text(history_path(path), text)


def add_to_history(path: Path, *digests: str) -> None:
    """Add to a cluster file's history what it came from, oldest first. Raises OSError."""
    before = read_history(path)
    if (after := with_versions(before, *digests)) != before:
        write_history(path, after)


def versions(history: str) -> list[str]:
    """Return the digests in the text of a history, oldest first."""
    return history.split()


def with_versions(history: str, *digests: str) -> str:
    """Return the text of a history with more digests; the oldest go when there are too many."""
    known = versions(history)
    known += [digest for digest in dict.fromkeys(digests) if digest not in known]
    return "".join(f"{digest}\n" for digest in known[-MOST_VERSIONS:])
