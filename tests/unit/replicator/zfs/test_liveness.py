"""Whether a node answers: asked from here and from every other node, against a real SSH server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from replicator.errors import NetworkError
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.models import Node
from replicator.zfs.liveness import answering
from replicator.zfs.node_clients import Nodes
from tests.support.openssh_server import openssh_server

DEAD = Node("alpha", "127.0.0.1", port=1)


class _Silent(LocalHost):
    """A witness that cannot be asked."""

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Fail."""
        raise NetworkError("It does not answer.", node=self.name)


def nodes(*, seen_here: bool, silent: tuple[str, ...] = ()) -> Nodes:
    """Connections of which those to witnesses are this machine."""

    async def probe(_: str) -> bool:
        return seen_here

    def client(name: str) -> Any:
        return SimpleNamespace(host=(_Silent if name in silent else LocalHost)(name))

    return cast(Nodes, SimpleNamespace(probe=probe, client=client))


def asked(alpha: Node, connections: Nodes) -> list[str]:
    cluster = [alpha, Node("beta", "b"), Node("gamma", "g"), Node("delta", "d")]
    return asyncio.run(answering(cluster, "alpha", "beta", connections))


def test_a_dead_node_answers_nobody() -> None:
    assert asked(DEAD, nodes(seen_here=False)) == []


def test_one_that_only_this_node_reaches_is_alive() -> None:
    assert asked(DEAD, nodes(seen_here=True)) == ["to beta"]


def test_one_that_only_others_reach_is_alive(tmp_path: Path) -> None:
    with openssh_server(tmp_path) as server:
        alive = Node("alpha", server.node.address, port=server.node.port)
        assert asked(alive, nodes(seen_here=False)) == ["to delta", "to gamma"]


@pytest.mark.parametrize("silent", [("gamma",), ("gamma", "delta")])
def test_a_witness_that_cannot_be_asked_says_nothing(tmp_path: Path, silent: tuple[str, ...]) -> None:
    with openssh_server(tmp_path) as server:
        alive = Node("alpha", server.node.address, port=server.node.port)
        expected = [f"to {name}" for name in ("delta", "gamma") if name not in silent]
        assert asked(alive, nodes(seen_here=False, silent=silent)) == expected
