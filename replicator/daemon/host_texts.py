"""What is wrong with a daemon's files and its host, in words: the state of its jobs alone does not show it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from replicator.common.durations import words


def of_settings(status: Mapping[str, Any]) -> list[str]:
    """Return what is wrong with the settings of a daemon's status, or not taken over yet."""
    texts = [f"settings: {problem}".rstrip(".") for problem in status["config_problems"]]
    if pending := status.get("config_pending"):
        texts.append(f"settings: {', '.join(pending)} changed and not in use yet; systemctl reload zsr, or restart")
    return texts


def of_host(status: Mapping[str, Any]) -> Iterator[str]:
    """Yield what keeps runs from beginning, and what they did from being remembered."""
    for job, why in status.get("blocked", {}).items():
        yield f"no run of job {job} can begin: {why}".rstrip(".")
    if (since := status.get("state_unwritable_since")) is not None:
        yield (
            f"state.db cannot be written, since {words(status['time'] - since)}; copies go on and are remembered in "
            "memory, and nothing is destroyed; free space below state_dir, or mount it writable again"
        )
