"""The fields of a node in the cluster file: its address, its user, its replication network. Pure."""

from __future__ import annotations

import re
from ipaddress import ip_address

from replicator.hosts.replication_network import parse_network

NO_NETWORK = "off"
"""The ``replication_network`` of a node that is reached at its address although there is one in ``defaults``."""


def checked_address(value: str) -> str:
    """Return the address of a node if it is one; raises ValueError, which says what may stand there."""
    if "[" in value or "]" in value:
        raise ValueError("an IPv6 address without brackets, like 'fd00::12'; its port is a key of its own: port")
    if re.fullmatch(r"[0-9.]+", value) and not _is_ip(value):
        raise ValueError("an IPv4 address has four numbers from 0 to 255")
    if re.search(r"[@/\s]", value) or re.fullmatch(r"[^:]*:\d+", value):
        raise ValueError("a name or an IP alone; its user and port are keys of their own: user, port")
    return value


def _is_ip(value: str) -> bool:
    try:
        ip_address(value)
    except ValueError:
        return False
    return True


def checked_user(value: str) -> str:
    """Return the name of a user if it is one; raises ValueError, which says what may stand there."""
    if not re.fullmatch(r"[^\s-]\S*", value):
        raise ValueError("the name of one user, like 'root'")
    return value


def checked_network(value: str) -> str:
    """Return a network in CIDR notation, or `NO_NETWORK`; raises ValueError, which says what may stand there."""
    if value != NO_NETWORK:
        parse_network(value)
    return value
