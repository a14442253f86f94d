"""Which paths a guest's ``files`` may name: what it needs on its node besides its volumes. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from posixpath import normpath

from replicator.common.kept_files import LONGEST_FOLDER, folder_of
from replicator.config.settings import DEFAULT_PATH, DEFAULT_STATE_DIR

_ALLOWED = "the absolute path of one file, as '/etc/libvirt/qemu/web.xml'"
_GLOB = re.compile(r"[*?\[]")
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
_ZSRS_OWN = (str(DEFAULT_PATH.parent), DEFAULT_STATE_DIR)


def refused_path(path: str) -> str | None:
    """Return what is allowed instead of a path; None if it may be one of a guest's files."""
    wrong = {
        _ALLOWED: not path.startswith("/") or bool(_CONTROL_CHARACTER.search(path)),
        f"{_ALLOWED}; this is a folder: name each file in it": path.endswith("/"),
        f"{_ALLOWED}; each by its own name, without '*', '?' and '['": bool(_GLOB.search(path)),
        f"{_ALLOWED}; without '.', '..' and '//'": normpath(path) != path or path.startswith("//"),
        f"{_ALLOWED}; none of zsr itself ({', '.join(_ZSRS_OWN)}), of which each node has its own": is_below(
            path, _ZSRS_OWN
        ),
        f"{_ALLOWED}; a shorter one": len(folder_of(path)) > LONGEST_FOLDER,
    }
    return next((allowed for allowed, is_wrong in wrong.items() if is_wrong), None)


def is_below(path: str, places: Iterable[str]) -> bool:
    """Return whether a path is one of some places, or lies below one."""
    return any(path == place or path.startswith(f"{place}/") for place in places)
