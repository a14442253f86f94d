"""The settings and the cluster file of the lab's nodes: shared, kept over a power cut, and put back."""

from __future__ import annotations

from collections.abc import Sequence

from tests.lab.lab import Node

FILES = ("/etc/zsr/zsr.toml", "/etc/zsr/cluster.toml")


def share_files(old: Node, new: Node) -> None:
    """Give a node the cluster file of another one, and its settings under a name of its own."""
    settings, cluster = kept_files(old)
    new.write(FILES[0], settings.replace(f'node = "{old.name}"', f'node = "{new.name}"'))
    new.write(FILES[1], cluster)


def kept_files(node: Node) -> list[str]:
    """The texts of a node's files: a power cut takes what is outside its pools."""
    return [node.read(path) for path in FILES]


def put_back(node: Node, kept: Sequence[str]) -> None:
    """Give a node that was started again the files that it had."""
    for path, text in zip(FILES, kept, strict=True):
        node.write(path, text)
