"""Whether a node answers: asked from here and from every other node, against a real SSH server."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from replicator.errors import AuthError, DeadlineError, NetworkError, ZsrError
from replicator.hosts.host import Completed
from replicator.hosts.local import LocalHost
from replicator.models import Node
from replicator.zfs.liveness import Liveness, liveness
from replicator.zfs.node_clients import Nodes
from tests.support.openssh_server import openssh_server

DEAD = Node("alpha", "127.0.0.1", port=1)
CUT = NetworkError("Node alpha does not answer.")


class _Witness(LocalHost):
    """Another node, which is this machine; a ``silent`` one cannot be asked, a ``bare`` one has no ssh-keyscan."""

    def __init__(self, name: str, kind: str) -> None:
        super().__init__(name)
        self._kind = kind

    async def run(self, argv: Sequence[str], *, limit: float, stdin: str = "") -> Completed:
        """Fail, or run the command."""
        if self._kind == "silent":
            raise NetworkError("It does not answer.", node=self.name)
        path = ["env", "PATH=/nowhere", "/bin/sh", *argv[1:]] if self._kind == "bare" else argv
        return await super().run(path, limit=limit, stdin=stdin)


class _Asked(LocalHost):
    """The node in question, to which a connection ends like this."""

    def __init__(self, end: ZsrError | None) -> None:
        super().__init__("alpha")
        self._end = end

    async def probe(self) -> None:
        """Do as the connection does."""
        if self._end is not None:
            raise self._end


def asked(alpha: Node, end: ZsrError | None = CUT, **kinds: str) -> Liveness:
    """Ask whether alpha is alive, on beta; ``kinds`` are those of witnesses that are not as usual."""

    def client(name: str) -> Any:
        host = _Asked(end) if name == "alpha" else _Witness(name, kinds.get(name, ""))
        return SimpleNamespace(host=host)

    cluster = [alpha, Node("beta", "b"), Node("gamma", "g"), Node("delta", "d")]
    return asyncio.run(liveness(cluster, "alpha", "beta", cast(Nodes, SimpleNamespace(client=client))))


def test_a_dead_node_answers_nobody() -> None:
    assert asked(DEAD) == Liveness((), ())


@pytest.mark.parametrize(
    "end", [None, AuthError("Refused."), DeadlineError("Too long.")], ids=["well", "login refused", "hangs"]
)
def test_one_that_answers_this_node_in_any_way_is_alive(end: ZsrError | None) -> None:
    assert asked(DEAD, end).answers == ("beta",)


def test_one_that_shows_its_keys_is_alive_though_no_connection_can_be_used(tmp_path: Path) -> None:
    with openssh_server(tmp_path) as server:
        alive = Node("alpha", server.node.address, port=server.node.port)
        assert "beta" in asked(alive).answers


@pytest.mark.parametrize("kind", ["silent", "bare"])
def test_a_witness_that_cannot_be_asked_is_named(tmp_path: Path, kind: str) -> None:
    assert asked(DEAD, gamma=kind) == Liveness((), ("gamma",))
    with openssh_server(tmp_path) as server:
        alive = Node("alpha", server.node.address, port=server.node.port)
        found = asked(alive, gamma=kind, beta="bare")
    assert found == Liveness(("delta",), ("gamma",))
