"""What is asked of the zsr of another node before a guest stops to move there; the other node's ``zsr`` is played."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.cli.orders_elsewhere import refuse_unable
from replicator.errors import ConfigError
from replicator.hosts.local import LocalHost


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Let ``zsr`` on the other node be this script."""
    program = folder / "zsr"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


async def test_one_that_can_take_a_guest_is_not_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, '[ "$*" = "guest take --help" ]')
    await refuse_unable(LocalHost("beta"), "beta")


async def test_one_of_an_older_version_is_refused_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, '[ "$1" = --version ] || exit 2\necho "zsr, version 0.1.0"')
    with pytest.raises(ConfigError, match=r"The zsr of beta cannot take a guest \(zsr, version 0\.1\.0\)") as caught:
        await refuse_unable(LocalHost("beta"), "beta")
    assert caught.value.advice == "Upgrade it on beta first."


async def test_a_node_without_zsr_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(ConfigError, match="no command 'zsr' on node beta"):
        await refuse_unable(LocalHost("beta"), "beta")
