"""Errors of file operations: what was tried, why it failed, and what to do."""

from __future__ import annotations

import errno
import os

import pytest

from replicator.common.files import file_error
from replicator.errors import NoSpaceError


def refused() -> OSError:
    return PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def test_a_refused_user_is_sent_to_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    error = file_error(refused(), "open '/var/lib/zsr/state.db'")
    assert str(error) == (
        "Could not open '/var/lib/zsr/state.db': Permission denied. Type it as root, or as the user of the daemon."
    )


def test_a_refused_root_has_to_look_at_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert "Check its owner and rights" in str(file_error(refused(), "open it"))


def test_a_full_disk_is_an_error_of_its_own() -> None:
    assert isinstance(file_error(OSError(errno.ENOSPC, "No space left on device"), "write it"), NoSpaceError)
