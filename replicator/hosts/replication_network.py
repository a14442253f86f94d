"""The address that a node has in the replication network, in which its connections are made.

As Proxmox VE does for its migration network, each side is asked for its addresses, and exactly one has to lie inside.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import pairwise

from replicator.errors import ConfigError
from replicator.hosts.host import Host

Network = IPv4Network | IPv6Network

LIST_ADDRESSES = ("sh", "-c", "PATH=$PATH:/usr/sbin:/sbin; ip -o addr show up 2>/dev/null || ifconfig -a")
"""Lists the addresses of a host: with iproute2, or as other systems do."""

ALLOWED = "a network in CIDR notation, e.g. '10.1.0.0/24'"


@dataclass(frozen=True, slots=True)
class Way:
    """Addresses of both ends of the connections to a node: ``there``, and ``here`` (None: the kernel's choice)."""

    there: str
    here: str | None = None


def parse_network(text: str) -> Network:
    """Read a network; raises ValueError with what is allowed."""
    try:
        return ip_network(text)
    except ValueError as error:
        reason = str(error) if "host bits" in str(error) else ""
        raise ValueError(f"{ALLOWED}{f' ({reason})' if reason else ''}") from None


def address_inside(network: Network, node: str, listing: str) -> str:
    """Return the one address of a node that lies in a network.

    ``listing`` is what `LIST_ADDRESSES` printed on the node.

    Raises:
        ConfigError: none lies in it, or several do.
    """
    addresses = sorted(set(_addresses(listing)), key=lambda each: (each.version, int(each)))
    inside = [each for each in addresses if each in network]
    if len(inside) == 1:
        return str(inside[0])
    shown = ", ".join(map(str, inside or [each for each in addresses if not each.is_loopback])) or "none"
    if inside:
        what = f"Node {node} has several addresses in the replication network {network}: {shown}."
        advice = "Set replication_network to a smaller network that has one of them."
    else:
        what = f"Node {node} has no address in the replication network {network}; it has: {shown}."
        advice = "Give it one, or correct replication_network in the cluster file."
    raise ConfigError(what, node=node, advice=advice)


def lies_inside(address: str, network: Network) -> bool:
    """Return whether an address, not a name, lies in a network."""
    try:
        return ip_address(address) in network
    except ValueError:
        return False


async def ask_address(network: Network, host: Host, *, limit: float) -> str:
    """Ask a host for its address in a network; raises ConfigError if it has none or several."""
    done = await host.run(LIST_ADDRESSES, limit=limit)
    if not done.ok:
        raise ConfigError(
            f"Node {host.name} cannot list its addresses, which replication_network needs.",
            node=host.name,
            advice="Install iproute2 there.",
            raw=done.stderr,
        )
    return address_inside(network, host.name, done.stdout)


def _addresses(listing: str) -> Iterator[IPv4Address | IPv6Address]:
    """Find what follows ``inet`` and ``inet6``, in the words of iproute2 and of ifconfig."""
    words = listing.split()
    for kind, value in pairwise(words):
        if kind in ("inet", "inet6"):
            text = value.removeprefix("addr:").partition("/")[0].partition("%")[0]
            try:
                yield ip_address(text)
            except ValueError:
                continue
