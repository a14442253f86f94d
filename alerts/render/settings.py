"""The section ``[notify_messages]``: the folder of the user's templates, and where links of messages lead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from replicator.api.problem import Problem
from replicator.config.problems import kind_of

SECTION = "notify_messages"
KEYS = ("templates", "page", "dashboard")


@dataclass(frozen=True, slots=True)
class MessageSettings:
    """``templates`` None: there are none. ``page`` and ``dashboard`` are URLs or empty, as in `RenderContext`."""

    templates: Path | None = None
    page: str = ""
    dashboard: str = ""


def read_message_settings(section: object) -> tuple[MessageSettings, list[Problem]]:
    """The settings of a section (None: absent, so the defaults), and its problems.

    Problems inside the folder are found by `alerts.render.template_check.template_problems`.
    """
    if section is None:
        return MessageSettings(), []
    if not isinstance(section, Mapping):
        return MessageSettings(), [Problem("", kind_of(section), f"a table with the keys {', '.join(KEYS)}")]
    allowed = f"no such key; the keys are {', '.join(KEYS)}"
    problems = [Problem(str(key), "...", allowed) for key in section if key not in KEYS]
    folder = section.get("templates")
    if folder is not None and not (isinstance(folder, str) and folder.startswith("/")):
        problems.append(Problem("templates", repr(folder)[:100], "the absolute path of a folder"))
    for key in ("page", "dashboard"):
        if key in section and not _is_address(section[key]):
            problems.append(Problem(key, "(not shown)", "an http or https URL without user and password"))
    if problems:
        return MessageSettings(), problems
    return MessageSettings(Path(folder) if folder else None, section.get("page", ""), section.get("dashboard", "")), []


def _is_address(value: object) -> bool:
    try:
        parts = urlsplit(value if isinstance(value, str) else "")
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and "@" not in parts.netloc
    except ValueError:
        return False
