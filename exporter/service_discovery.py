"""Prometheus' HTTP service discovery: every node that runs zsr as a target, so that one scrape job finds them all.

The answer of any node will do. The labels are ``__meta_*`` only: a plain label ``node`` would push the label of the
same name of zsr's own metrics aside. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from exporter.addresses import Address, Listen, bracketed
from replicator.models import Node

SD_TARGET_ALLOWED = (
    'host and port of a node\'s exporter, with {address} (from the cluster) or {node} in it, like "{address}:9847" '
    'or "{node}.example.org:9847"'
)
DEFAULT_SD_PORT = 9847
_SD_TARGET = re.compile(r"[A-Za-z0-9.-]*\{(address|node)\}[A-Za-z0-9.-]*:[0-9]{1,5}", re.ASCII)

Group = dict[str, list[str] | dict[str, str]]


def is_sd_target(text: str) -> bool:
    """Whether a text can be the pattern of the targets."""
    return _SD_TARGET.fullmatch(text) is not None and 1 <= int(text.rpartition(":")[2]) <= 65535


def default_sd_target(listen: Iterable[Address]) -> str:
    """The pattern when none is set: the nodes' addresses, with the first TCP port that this node listens on."""
    port = next((address.port for address in listen if isinstance(address, Listen)), DEFAULT_SD_PORT)
    return f"{{address}}:{port}"


def target_groups(nodes: Iterable[Node], pattern: str, *, scheme: str, asked: str) -> list[Group]:
    """The answer: one group for each node that runs zsr, by name.

    Args:
        nodes: of the cluster.
        pattern: see `SD_TARGET_ALLOWED`.
        scheme: ``http`` or ``https``; taken to be the same on all nodes.
        asked: the host by which the asker knows this machine; it stands for nodes whose address is ``local``.
    """
    return [
        {
            "targets": [_target(node, pattern, asked)],
            "labels": {"__scheme__": scheme, "__meta_zsr_node": node.name, "__meta_zsr_address": node.address},
        }
        for node in sorted(nodes, key=lambda node: node.name)
        if node.zsr
    ]


def _target(node: Node, pattern: str, asked: str) -> str:
    address = asked if node.is_local else node.address
    return pattern.replace("{address}", bracketed(address.strip("[]"))).replace("{node}", node.name)
