"""The copies of the cluster file on all nodes, read and written over the connections that runs use (file store)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import click

from replicator.cli.context import store
from replicator.cluster.file_copies import Standing, difference, later_epochs, others_of, standing
from replicator.cluster.file_history import (
    history_path,
    read_history,
    versions,
    with_versions,
    write_history,
)
from replicator.cluster.model import ChangedError, Cluster
from replicator.cluster.other_copies import OtherCopy, read_other
from replicator.common.files import FileText, digest_of
from replicator.common.tasks import result_or_error
from replicator.config.settings import Settings
from replicator.errors import ConfigError, ZsrError
from replicator.hosts.remote_files import replace_file
from replicator.zfs.node_clients import Nodes, connected

WORDS = {
    Standing.SAME: "the same",
    Standing.ABSENT: "has no cluster file",
    Standing.OLDER: "older: this node's file was changed since",
    Standing.EDITED: "differs, and may have been edited there",
    Standing.AHEAD: "knows more than this node",
}


@dataclass(frozen=True, slots=True)
class Copies:
    """The cluster file of this node with its history, and what the others have or why they could not be asked."""

    node: Settings
    cluster: Cluster
    ours: FileText
    history: str
    others: Mapping[str, OtherCopy | ZsrError]

    @classmethod
    def read(cls, node: Settings, names: Sequence[str] = ()) -> Copies:
        """Read all, or those of some nodes; raises ConfigError as `read_over` does."""

        async def read() -> Copies:
            async with connected(node, store(node).read().nodes.values()) as nodes:
                return await cls.read_over(nodes, node, names)

        return asyncio.run(read())

    @classmethod
    async def read_over(cls, nodes: Nodes, node: Settings, names: Sequence[str] = ()) -> Copies:
        """Read all, or those of some nodes.

        Raises:
            ConfigError: this node's file is wrong, or cannot be the same on all nodes.
        """
        if node.cluster.store != "file":
            raise ConfigError(f"The cluster store '{node.cluster.store}' is shared by all nodes: nothing is copied.")
        found = store(node).read()
        others = others_of(found, node.node)
        if (own := found.nodes.get(node.node)) is not None and own.is_local and others:
            raise ConfigError(
                f"nodes.{node.node}.address is 'local', which means another machine on each node that reads it.",
                advice=f"Write its name or IP into '{node.cluster.path}'.",
            )
        if unknown := sorted(set(names) - set(others)):
            known = ", ".join(others) or "none"
            raise ConfigError(f"No other node '{unknown[0]}' runs zsr.", advice=f"Known: {known}.")
        text, history = node.cluster.path.read_bytes().decode(), read_history(node.cluster.path)
        if digest_of(text) != found.digest:
            raise ChangedError(f"'{node.cluster.path}' has just been changed.")
        return cls(node, found, FileText(digest_of(text), text), history, await _ask(node, nodes, names or others))

    @property
    def names(self) -> list[str]:
        """The other nodes."""
        return sorted(self.others)

    def copy(self, name: str) -> FileText | None:
        """Return a node's copy; None if there is none, or it could not be read."""
        other = self.others[name]
        return None if isinstance(other, ZsrError) else other.copy

    def standing(self, name: str) -> Standing | None:
        """Return how a node's copy stands to this node's; None if it could not be read."""
        other = self.others[name]
        return (
            None
            if isinstance(other, ZsrError)
            else standing(
                self.ours, other.copy, versions(self.history), versions(other.history.text if other.history else "")
            )
        )

    def with_text(self, fresh: FileText) -> Copies:
        """Return the same with another text of this node's file, that came from the present one."""
        return replace(self, ours=fresh, history=with_versions(self.history, self.ours.digest))

    def show(self, name: str) -> None:
        """Print how a node's copy stands to this node's, and the difference."""
        other, found = self.others[name], self.standing(name)
        if isinstance(other, ZsrError) or found is None:
            click.echo(f"{name}: {other}", err=True)
            return
        click.echo(f"{name}: {WORDS[found]}")
        theirs, path = self.copy(name), self.node.cluster.path
        if found is Standing.AHEAD and theirs is not None:
            click.echo("".join(f"  {sentence}\n" for sentence in later_epochs(self.ours, theirs)), nl=False)
        if found is not Standing.SAME:
            click.echo(difference(self.ours, theirs, f"{self.node.node}:{path}", f"{name}:{path}"), nl=False)

    def push(self, names: Sequence[str]) -> bool:
        """Write this node's file to nodes, and what it came from; return whether any failed."""

        async def write() -> list[ZsrError | None]:
            async with connected(self.node, self.cluster.nodes.values()) as nodes:
                return await self.write(nodes, names)

        done = asyncio.run(write())
        for name, error in zip(names, done, strict=True):
            if error is not None:
                click.echo(f"{name}: {error}", err=True)
            elif self.standing(name) is not Standing.SAME:
                click.echo(f"{name}: written")
        return any(done)

    async def write_file(self, nodes: Nodes, name: str) -> None:
        """Write this node's file to a node, without what it came from: `write` adds that.

        Raises:
            ZsrError: it was not written, or that is not known.
        """
        other = self._other(name)
        if other.copy is None or other.copy.digest != self.ours.digest:
            await replace_file(nodes.client(name).host, str(self.node.cluster.path), self.ours.text, other.copy)

    def _other(self, name: str) -> OtherCopy:
        if isinstance(other := self.others[name], ZsrError):
            raise other
        return other

    async def write(self, nodes: Nodes, names: Sequence[str]) -> list[ZsrError | None]:
        """Write this node's file to nodes, and what it came from; return for each of them why that failed."""
        replaced = (copy.digest for name in names if (copy := self.copy(name)) is not None)
        history = with_versions(self.history, *replaced, self.ours.digest)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(result_or_error(self._write(nodes, name, history))) for name in names]
        if history != self.history:
            write_history(self.node.cluster.path, history)
        return [task.result() for task in tasks]

    async def _write(self, nodes: Nodes, name: str, history: str) -> None:
        """Write the file first: a history that says that a file came from another one must never be ahead of it."""
        await self.write_file(nodes, name)
        other = self._other(name)
        if other.history is None or other.history.digest != digest_of(history):
            path = str(history_path(self.node.cluster.path))
            await replace_file(nodes.client(name).host, path, history, other.history)


async def _ask(node: Settings, nodes: Nodes, names: Sequence[str]) -> dict[str, OtherCopy | ZsrError]:
    path = node.cluster.path
    async with asyncio.TaskGroup() as group:
        tasks = {name: group.create_task(result_or_error(read_other(nodes.client(name).host, path))) for name in names}
    return {name: task.result() for name, task in tasks.items()}
