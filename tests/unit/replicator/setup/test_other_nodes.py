"""What ``zsr setup`` writes on another node: its key, and the host keys of this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from replicator.hosts.local import LocalHost
from replicator.models import Node
from replicator.setup import other_nodes
from replicator.setup.ssh_keys import HostKey

HERE = Node("alpha", "10.0.0.11")
KEY = HostKey("ED25519", "SHA256:abc", "ssh-ed25519 AAAA")
OURS = "10.0.0.11 ssh-ed25519 AAAA\n"
THEIRS = "10.0.0.13 ssh-ed25519 BBBB"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, OURS),
        ("", OURS),
        (f"{THEIRS}\n", f"{THEIRS}\n{OURS}"),
        (THEIRS, f"{THEIRS}\n{OURS}"),
        (OURS, OURS),
    ],
    ids=["no file", "an empty one", "whole lines", "a last line without an end", "known already"],
)
async def test_a_host_key_becomes_a_line_of_its_own_in_known_hosts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None, after: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    known = tmp_path / ".ssh" / "known_hosts"
    known.parent.mkdir()
    if before is not None:
        known.write_text(before)

    path, public = await other_nodes._key_there(LocalHost("beta"), "beta", HERE, [KEY])

    assert known.read_text() == after
    assert path == str(tmp_path / ".ssh" / "zsr_ed25519")
    assert public.startswith("ssh-ed25519 ")
    assert public.endswith(" zsr@beta")
